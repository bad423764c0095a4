"""What cannot be judged is listed with its place, and goes when an operator says so; what is around it stays."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from lanying.bus.messages import ExplainMessage, ListUnreadable, MessageTraces, RemoveEntry, UnreadableEntry
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.chat import visible
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation, User

BROKEN = b"\xff\xff\xff"


@pytest.fixture(autouse=True)
def nothing_reported() -> Iterator[None]:
    visible._reported.clear()
    yield
    visible._reported.clear()


def unreadable(sim: Simulation) -> list[UnreadableEntry]:
    return msgspec.msgpack.decode(sim.call(0, ListUnreadable()), type=list[UnreadableEntry])


def remove(sim: Simulation, owner: int, peer: int, mid: int = 0, seq: int = 0) -> bool:
    asked = RemoveEntry(owner, peer, mid, seq)
    answers = [msgspec.msgpack.decode(sim.call(index, asked), type=bool) for index in range(len(sim.shards))]
    assert sum(answers) <= 1
    return any(answers)


def pair() -> tuple[Simulation, User, User]:
    sim = Simulation(2)
    alice = sim.user("alice")
    return sim, alice, next(u for n in range(50) if (u := sim.user(f"bob{n}")).shard is not alice.shard)


def test_a_body_nobody_can_judge_is_listed_by_its_id_and_removed_by_it() -> None:
    sim, alice, bob = pair()
    bob.device("first").leave()
    shard = bob.shard
    mid = shard.work.next_mid()
    body = b"callId" + BROKEN
    shard.delivery.send_to(bob.uid, alice.uid, mid, frame.meta(mid, alice.uid, 1, bob.uid, 5, Meta.MESSAGE, body))
    sim.run()
    alice.device().send(bob, "behind")
    sim.advance(120)
    device = bob.device("first")
    assert device.metas[0].payload == body, "as it is"
    [found] = unreadable(sim)
    assert (found.owner, found.peer, found.seq, found.mid) == (bob.uid, alice.uid, 1, mid)
    assert found.size and found.why
    shown = msgspec.msgpack.decode(
        sim.call(shard.work.index, ExplainMessage(mid, bob.uid, alice.uid)), type=MessageTraces
    )
    assert [trace.seq for trace in shown.traces] == [1]
    assert remove(sim, bob.uid, alice.uid, mid=mid)
    assert not remove(sim, bob.uid, alice.uid, mid=mid)
    assert not unreadable(sim)
    assert device.history_texts(alice) == ["behind"]
    again = bob.device("second", automatic=False)
    again.pull(alice.uid, 0)
    assert body not in [meta.payload for meta in again.metas]


def test_what_is_no_message_at_all_goes_by_its_position() -> None:
    sim, alice, bob = pair()
    bob.device().leave()
    alice.device().send(bob, "one")
    head = bob.shard.work.mailboxes.head(bob.uid, alice.uid)
    bob.shard.work.put(schema.QUEUE, head.key + schema.pack_u64(1), BROKEN)
    alice.device().send(bob, "two")
    sim.run()
    assert bob.device().texts == ["two"]
    [found] = unreadable(sim)
    assert (found.owner, found.peer, found.seq, found.mid) == (bob.uid, alice.uid, 1, 0)
    assert remove(sim, bob.uid, alice.uid, seq=1)
    assert not unreadable(sim)
    assert bob.shard.work.store.get(schema.QUEUE, head.key + schema.pack_u64(1)) == b""


def test_an_entry_of_a_group_is_the_groups() -> None:
    sim, alice, bob = pair()
    gid = sim.group(alice, bob)
    home = sim.shards[sim.map.shard_of(gid)]
    bob.device().leave()
    mid = home.work.next_mid()
    entry = frame.meta(mid, alice.uid, 1, gid, 5, Meta.MESSAGE, b"callId" + BROKEN)
    home.timelines.put(home.work.mailboxes.head(gid, gid), mid, entry, listed=True, author=alice.uid)
    home.work.apply_local()
    sim.advance(120)
    bob.device()
    [found] = unreadable(sim)
    assert (found.owner, found.peer, found.mid) == (gid, gid, mid)
    assert remove(sim, gid, gid, mid=mid)
    assert not unreadable(sim)
    assert bob.device("second").history(gid).metas == []


@pytest.mark.parametrize("place", [(5, 7, 0, 99), (5, 7, 12345, 0), (0, 0, 0, 1)])
def test_nothing_is_removed_where_nothing_is(place: tuple[int, int, int, int]) -> None:
    sim, _, _ = pair()
    assert not remove(sim, *place)


def test_an_ordinary_message_is_removed_too() -> None:
    sim, alice, bob = pair()
    a = alice.device()
    mid = a.acknowledged[a.send(bob, "spam", type=MessageBody.CHAT)]
    assert remove(sim, bob.uid, alice.uid, mid=mid)
    assert remove(sim, alice.uid, bob.uid, mid=mid)
    assert bob.device().history_texts(alice) == a.history_texts(bob) == []
