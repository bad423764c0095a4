"""A link message for somebody who has moved arrives where they are now, once."""

from __future__ import annotations

import msgspec
import pytest

from lanying.bus.messages import Deliver, GroupDeliver, LinkMessage, NoticeFor
from lanying.bus.messages.base import kinds
from lanying.bus.messages.links import GroupReading, Resign
from lanying.cluster.shardmap import ShardMap
from lanying.shard.core import forwarding
from lanying.shard.core.forwarding import Forwarding
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation, User

SHARDS = 3
FROM, LEFT, NOW = range(SHARDS)


def user_of(sim: Simulation, shard: int) -> User:
    return next(user for n in range(50) if (user := sim.user(f"user{shard}n{n}")).shard.work.index == shard)


def world() -> tuple[Simulation, User, ShardMap]:
    """Three shards; a user of the second will be the third's."""
    sim = Simulation(SHARDS)
    user = user_of(sim, LEFT)
    sim.run()
    return sim, user, sim.map.moved({user.uid % 1024}, NOW)


def notices(sim: Simulation, shard: int, user: User) -> int:
    queue = schema.pack_pair(user.uid, 0)
    return sum(1 for _ in sim.stores[shard].scan(schema.QUEUE, queue, schema.successor(queue)))


@pytest.mark.parametrize("lost", [False, True], ids=["at once", "sent again"])
def test_what_arrives_at_the_shard_that_was_left_is_handed_on_once(lost: bool) -> None:
    sim, user, moved = world()
    before = notices(sim, LEFT, user)
    sim.shards[LEFT].remap(moved)
    sim.shards[NOW].remap(moved)
    sim.shards[FROM].work.notice(user.uid, 1, 2, b"payload")  # by the map before
    sim.commit(sim.shards[FROM])
    sim.carry()
    sim.commit(sim.shards[LEFT])
    if lost:
        sim.shards[LEFT].links.acknowledge(sim.shards[LEFT].tick)
        sim.commit(sim.shards[LEFT])
        assert sim.drop(f"shard-{NOW}") and sim.drop(f"shard-{FROM}")
        sim.advance(10)
    sim.run()
    assert (notices(sim, LEFT, user), notices(sim, NOW, user)) == (before, 1)


def test_a_shard_whose_map_has_not_changed_applies_what_it_gets() -> None:
    """Its map is older than the sender's: it is the new owner and does not know it yet."""
    sim, user, moved = world()
    sim.shards[FROM].remap(moved)
    sim.shards[FROM].work.notice(user.uid, 1, 2, b"payload")
    sim.run()
    assert notices(sim, NOW, user) == 1


class Outgoing:
    """A shard's work as forwarding sees it: the second of three."""

    index = LEFT

    def __init__(self) -> None:
        self.here: list[LinkMessage] = []
        self.told: list[tuple[int, LinkMessage]] = []
        self.lived: list[tuple[int, LinkMessage]] = []
        self.forwarding = Forwarding(self, self.here.append)  # type: ignore[arg-type]

    def shard_of(self, entity_id: int) -> int:
        return entity_id % SHARDS

    def tell(self, shard: int, message: LinkMessage) -> None:
        self.told.append((shard, message))

    def live(self, shard: int, message: Deliver | GroupDeliver) -> None:
        self.lived.append((shard, message))


def test_each_is_for_whom_it_names() -> None:
    work = Outgoing()
    take = work.forwarding.apply
    own, other = NoticeFor(LEFT, 1, 2, b""), NoticeFor(NOW, 1, 2, b"")
    leaves, typing = Resign(gid=NOW, uid=LEFT), Deliver(NOW, 1, 5, b"", live=True)
    for message in (own, other, leaves, typing):
        take(message)
    assert work.here == [own] and work.told == [(NOW, other), (NOW, leaves)] and work.lived == [(NOW, typing)]


def test_a_reading_of_several_groups_goes_where_each_is() -> None:
    work = Outgoing()
    work.forwarding.apply(GroupReading(1, 1, [LEFT, NOW, LEFT + SHARDS], 7, 1, 2, 8, b""))
    [here], [(shard, told)] = work.here, work.told
    assert isinstance(here, GroupReading) and isinstance(told, GroupReading)
    assert (here.gids, shard, told.gids) == ([LEFT, LEFT + SHARDS], NOW, [NOW])


def test_of_every_kind_is_known_whom_it_is_for() -> None:
    known = {*forwarding.ADDRESSEE, *forwarding.OF_SHARDS}
    assert known == {*kinds(LinkMessage)}
    assert all(field in kind.__struct_fields__ for kind, field in forwarding.ADDRESSEE.items())


def test_members_are_counted_where_they_live_now() -> None:
    sim, user, moved = world()
    founder = user_of(sim, FROM)
    gid = next(gid for _ in range(50) if sim.map.shard_of(gid := sim.group(founder, user)) == FROM)
    timelines = founder.shard.timelines
    assert set(timelines._audience(gid)) == {FROM, LEFT}
    founder.shard.remap(moved)
    assert set(timelines._audience(gid)) == {FROM, NOW}


def test_a_map_of_other_shards_needs_another_start() -> None:
    sim, _, moved = world()
    with pytest.raises(AssertionError, match="another start"):
        sim.shards[0].remap(msgspec.structs.replace(moved, shards=SHARDS + 1))
