"""A request for a slot that moved: the shard says where to, the caller follows once; nobody hears "no such user"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.call import Calls
from lanying.bus.messages import Call, Envelope, FindName, ListFriends, ListOnline, Reply, Request, encode
from lanying.bus.ownership import Ownership, ask_owner
from lanying.bus.shards import BusShards, ask, ask_name, ask_owners, ask_shard
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory, Moved
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap, slot_of_name
from lanying.testing.poll import PATIENCE_S

UID = 1024 * 5000 + 7
OLD = ShardMap.even(2)
BEFORE = OLD.shard_of(UID)
NEW = msgspec.structs.replace(OLD.moved({UID % 1024}, 1 - BEFORE), version=2)


class World:
    """Two shards that answer with their number, and a gateway."""

    def __init__(self, run: RunDirectory, gateway: ShardMap, shards: ShardMap, kept: ShardMap) -> None:
        self.asked: list[int] = []
        self.directory = Directory(gateway, run, lambda: kept)
        self.bus = Bus("gateway", self.directory, self._reply)
        self.calls = Calls(self.bus)
        self.shards = BusShards(self.calls, self.directory, 5)
        self.buses = [self.bus]
        for index in range(2):
            directory = Directory(shards, run, lambda: kept)
            gate = Ownership(directory, index).call
            self.buses.append(Bus(f"shard-{index}", directory, self._answer(index), gate=gate))

    def _reply(self, message: Envelope) -> None:
        assert isinstance(message, Reply)
        self.calls.answered(message)

    def _answer(self, index: int) -> Callable[[Envelope], None]:
        def serve(message: Envelope) -> None:
            assert isinstance(message, Call)
            self.asked.append(index)
            self.buses[1 + index].send(message.caller, Reply(message.id, None, "", encode([index])))

        return serve

    async def __aenter__(self) -> World:
        for bus in self.buses:
            bus.start(asyncio.get_running_loop())
        return self

    async def __aexit__(self, *_: object) -> None:
        for bus in self.buses:
            bus.close()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path)
    directory.create()
    return directory


def scenario(world: Callable[[], World], act: Callable[[World], Awaitable[None]]) -> None:
    async def play() -> None:
        async with world() as made:
            await act(made)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("gateway", "shards"),
    [(OLD, NEW), (NEW, OLD), (NEW, NEW), (OLD, OLD)],
    ids=["gateway behind", "shards behind", "all new", "all behind, served as before"],
)
def test_the_owner_answers_whoever_is_behind(run: RunDirectory, gateway: ShardMap, shards: ShardMap) -> None:
    async def act(world: World) -> None:
        for _ in range(2):
            owner = BEFORE if gateway is shards is OLD else 1 - BEFORE
            assert await ask(world.shards, UID, ListFriends(UID)) == [owner]
        assert world.asked == [owner, owner], "a shard that does not own the slot does nothing"

    scenario(lambda: World(run, gateway, shards, NEW), act)


def test_an_answer_is_followed_before_the_map_can_be_read(run: RunDirectory) -> None:
    async def act(world: World) -> None:
        assert await ask(world.shards, UID, ListFriends(UID)) == [1 - BEFORE]

    scenario(lambda: World(run, OLD, NEW, OLD), act)


def test_shards_that_disagree_are_a_503_after_one_more_try(run: RunDirectory) -> None:
    async def act(world: World) -> None:
        gate = Ownership(Directory(OLD, run, lambda: OLD), 1 - BEFORE)
        world.buses[1 + 1 - BEFORE]._gate = gate.call  # thinks that the slot never came
        with pytest.raises(CallError) as refused:
            await ask(world.shards, UID, ListFriends(UID))
        assert refused.value.code == 503
        assert world.asked == []

    scenario(lambda: World(run, OLD, NEW, OLD), act)


def test_many_ids_are_sorted_anew_when_one_of_them_has_moved(run: RunDirectory) -> None:
    others = [1024 * 5000 + slot for slot in range(7, 15) if 1024 * 5000 + slot != UID]

    def request(ids: list[int]) -> Request[list[int]]:
        return ListOnline(ids)

    async def act(world: World) -> None:
        assert sorted(await ask_owners(world.shards, [UID, *others], request)) == [0, 1]
        assert world.directory.owner(UID) == 1 - BEFORE

    scenario(lambda: World(run, OLD, NEW, NEW), act)


def test_names_and_whole_shards(run: RunDirectory) -> None:
    async def act(world: World) -> None:
        with pytest.raises(msgspec.ValidationError):  # reached: the stand-in answers a list
            await ask_name(world.shards, "app", "zoe", FindName("app", "zoe"))
        assert world.asked == [NEW.slots[slot_of_name("app", "zoe")]]
        assert await ask_shard(world.shards, BEFORE, ListFriends(UID)) == [BEFORE], "about the shard, not a slot"

    scenario(lambda: World(run, OLD, NEW, NEW), act)


def test_a_login_is_taken_by_the_owner_alone_and_a_shard_that_is_behind_looks_first(run: RunDirectory) -> None:
    behind = Directory(OLD, run, lambda: NEW)
    assert Ownership(behind, 1 - BEFORE).login(UID) is None
    assert Ownership(behind, BEFORE).login(UID) == Moved(UID % 1024, 1 - BEFORE, 2)


@pytest.mark.parametrize(
    ("asker", "shards", "kept"),
    [(OLD, NEW, NEW), (OLD, NEW, OLD), (NEW, OLD, NEW), (OLD, OLD, OLD)],
    ids=["asker behind", "before the map can be read", "shards behind", "all behind"],
)
def test_a_shard_that_asks_follows_too(run: RunDirectory, asker: ShardMap, shards: ShardMap, kept: ShardMap) -> None:
    async def act(world: World) -> None:
        owner = BEFORE if asker is shards is OLD else 1 - BEFORE
        answers = [await answer(world), await answer(world)]
        assert [(reply.refusal, reply.body) for reply in answers] == [(None, encode([owner]))] * 2
        assert world.asked == [owner, owner]

    scenario(lambda: World(run, asker, shards, kept), act)


def test_a_shard_that_asks_hears_503_when_nobody_knows_better(run: RunDirectory) -> None:
    async def act(world: World) -> None:
        world.directory.learn = lambda moved: False  # type: ignore[method-assign]
        reply = await answer(world)
        assert (reply.refusal, world.asked) == (Refusal.UNAVAILABLE, [])
        assert "moving, try again" in reply.message

    scenario(lambda: World(run, OLD, NEW, OLD), act)


async def answer(world: World) -> Reply:
    """What a shard hears that asks for the user."""
    replies: asyncio.Queue[Reply] = asyncio.Queue()
    ask_owner(world.calls, world.directory, UID, ListFriends(UID), replies.put_nowait, PATIENCE_S)
    return await asyncio.wait_for(replies.get(), PATIENCE_S)
