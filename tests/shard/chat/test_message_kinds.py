"""Each thing that is accepted is counted once, under its kind, where it is decided; what is refused or repeated is not."""

from __future__ import annotations

from collections import Counter

from lanying.protocol.schema.xsync_pb2 import MessageOperation
from lanying.shard.chat import message_kinds
from lanying.testing.simulation import Simulation
from tests.shard.groups.test_timeline import Club, say


def counted(sim: Simulation) -> Counter[str]:
    """Over all shards, without what is zero."""
    return +sum((Counter(shard.work.kinds) for shard in sim.shards), Counter())


def test_what_two_users_do_is_counted_by_kind() -> None:
    sim = Simulation(2)
    alice, bob = sim.user("alice"), sim.user("bob")
    a, b = alice.device(), bob.device()
    assert not counted(sim)
    mids = [a.acknowledged[a.send(bob, text)] for text in ("one", "two", "three")]
    b.operate(alice, MessageOperation.READ_ACK, mids[0])
    a.operate(bob, MessageOperation.RECALL, mids[1])
    b.operate(alice, MessageOperation.RECALL, mids[2])  # not bob's: refused
    b.operate(bob, MessageOperation.DELETE, mids[2], conversation=alice.uid)
    assert counted(sim) == {"chat": 3, "read": 1, "recall": 1, "delete": 1}
    assert sum(shard.work.refused for shard in sim.shards) == 1
    assert sum(shard.work.logins for shard in sim.shards) == 2


def test_messages_of_a_group_count_where_the_group_is() -> None:
    club = Club()
    device = club.people[0].device()
    before = counted(club.sim)
    say(device, club, "hello")
    assert counted(club.sim) - before == {"group": 1}
    assert club.shard.work.kinds["group"] == before["group"] + 1


def test_every_operation_has_a_kind() -> None:
    numbers = {value.number for value in MessageOperation.DESCRIPTOR.fields_by_name["type"].enum_type.values} - {0}
    assert numbers <= message_kinds.OF_OPERATION.keys(), numbers - message_kinds.OF_OPERATION.keys()
    assert set(message_kinds.none_yet()) == set(message_kinds.ALL)
