"""Which shard is asked, in which pieces, and that a busy one refuses instead of gathering."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import SLOTS
from lanying.base.refusals import Refusal
from lanying.bus.messages import FindName, Reply, Request, encode
from lanying.bus.shards import BusShards, ask, ask_name, ask_owners, ask_shard
from lanying.cluster.shardmap import ShardMap, slot_of_name

MAP = ShardMap.even(3)


class Shards:
    """Answers with what it was asked for; refuses what it is told to."""

    map = MAP

    def __init__(self) -> None:
        self.asked: list[tuple[int, Any, list[int]]] = []
        self.refuse: list[CallError] = []

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        self.asked.append((shard, request, [*slots]))
        if self.refuse:
            raise self.refuse.pop()
        return encode(request.uids if isinstance(request, Wanted) else shard)


class Wanted(Request[list[int]]):
    uids: list[int]


def test_the_owner_of_an_id_or_a_name_is_asked_about_its_slot() -> None:
    shards, uid = Shards(), SLOTS * 9 + 700
    assert asyncio.run(ask(shards, uid, FindName("app", "ann"))) == MAP.slots[700]
    slot = slot_of_name("app", "ann")
    assert asyncio.run(ask_name(shards, "app", "ann", FindName("app", "ann"))) == MAP.slots[slot]
    assert asyncio.run(ask_shard(shards, 2, FindName("app", "ann"))) == 2
    assert [(shard, slots) for shard, _, slots in shards.asked] == [
        (MAP.slots[700], [700]),
        (MAP.slots[slot], [slot]),
        (2, []),
    ]


def test_owners_are_asked_for_their_own_ids_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REST_IDS_PER_CALL", 4)
    shards, uids = Shards(), [SLOTS * (n + 1) + (n * 97) % SLOTS for n in range(23)]
    found = asyncio.run(ask_owners(shards, uids, Wanted))
    assert sorted(found) == sorted(uids)
    for shard, request, slots in shards.asked:
        assert 1 <= len(request.uids) <= 4
        assert {MAP.shard_of(uid) for uid in request.uids} == {shard}
        assert slots == sorted({uid % SLOTS for uid in request.uids})
    assert asyncio.run(ask_owners(Shards(), [], Wanted)) == []


def test_owners_that_moved_are_asked_once_more_and_other_refusals_are_not() -> None:
    shards = Shards()
    shards.refuse = [CallError(Refusal.MOVED)]
    assert asyncio.run(ask_owners(shards, [SLOTS + 1], Wanted)) == [SLOTS + 1]
    assert len(shards.asked) == 2
    for refusals, times in (([Refusal.UNAVAILABLE], 1), ([Refusal.MOVED, Refusal.MOVED], 2)):
        shards = Shards()
        shards.refuse = [CallError(one) for one in refusals]
        with pytest.raises(CallError) as error:
            asyncio.run(ask_owners(shards, [SLOTS + 1], Wanted))
        assert error.value.refusal is refusals[-1] and len(shards.asked) == times


class Calls:
    """The bus: every answer waits for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[str] = []
        self.fail = False

    async def reply(self, name: str, request: object, timeout_s: float, slots: Sequence[int]) -> Reply:
        self.asked.append(name)
        await self.gate.wait()
        if self.fail:
            raise ZeroDivisionError
        return Reply(0, None, "", encode(7))


def test_a_shard_is_asked_so_many_things_at_once_and_the_rest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLS_PER_SHARD", 2)

    async def scenario() -> None:
        calls = Calls()
        directory = SimpleNamespace(map=MAP, process=lambda shard: f"shard-{shard}")
        shards = BusShards(calls, directory)  # type: ignore[arg-type]
        assert shards.map is MAP
        asked = FindName("app", "ann")
        open_calls = [asyncio.create_task(shards.call(0, asked)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(CallError, match="shard-0 is busy, try again") as error:
            await shards.call(0, asked)
        assert error.value.refusal is Refusal.UNAVAILABLE
        other = asyncio.create_task(shards.call(1, asked))
        calls.gate.set()
        assert [msgspec.msgpack.decode(await one) for one in (*open_calls, other)] == [7, 7, 7]
        calls.fail = True
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                await shards.call(0, asked)
        calls.fail = False
        assert await shards.call(0, asked), "what failed is not open any more"
        assert calls.asked.count("shard-0") == 8

    asyncio.run(scenario())
