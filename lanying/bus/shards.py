"""The port to the shards: which one, and ask it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.failpoints import failpoint
from lanying.base.ids import slot_of
from lanying.base.refusals import Refusal
from lanying.bus.call import Calls
from lanying.bus.messages import AccountInfo, GetAccounts, Reply, Request, decode_result
from lanying.bus.messages.base import R
from lanying.cluster.directory import Directory, Moved
from lanying.cluster.shardmap import ShardMap, slot_of_name


class Shards(Protocol):
    """All shards of this server."""

    @property
    def map(self) -> ShardMap:
        """Who owns which id, as known now."""

    async def call(self, shard: int, request: Request[object], slot: int = -1) -> bytes:
        """Ask one shard; the MessagePack of its answer. With a slot, its owner is asked, whoever that is by now.

        :raises CallError: refused, or 503 when it did not answer in time
        """


class BusShards:
    """The shards behind the bus; each is asked a bounded number of things at once, the rest is refused."""

    def __init__(self, calls: Calls, directory: Directory, timeout_s: float = limits.CALL_TIMEOUT_S) -> None:
        self._directory = directory
        self._calls = calls
        self._timeout_s = timeout_s
        self._open: Counter[int] = Counter()

    @property
    def map(self) -> ShardMap:
        """As in :class:`Shards`."""
        return self._directory.map

    async def call(self, shard: int, request: Request[object], slot: int = -1) -> bytes:
        """As in :class:`Shards`. A shard that does not own the slot did nothing: the owner it names is asked, once."""
        reply = await self._ask(shard, request, slot)
        if reply.refusal is Refusal.MOVED:
            moved = msgspec.msgpack.decode(reply.body, type=Moved)
            if not self._directory.learn(slot, moved):
                raise CallError(Refusal.UNAVAILABLE, f"slot {slot} is moving, try again")
            reply = await self._ask(self._directory.map.slots[slot], request, slot)
        if reply.refusal is Refusal.MOVED:
            raise CallError(Refusal.UNAVAILABLE, f"slot {slot} is moving, try again")
        if reply.refusal is not None:
            raise CallError(reply.refusal, reply.message)
        return reply.body

    async def _ask(self, shard: int, request: Request[object], slot: int) -> Reply:
        name = self._directory.process(shard)
        if self._open[shard] >= limits.CALLS_PER_SHARD:
            raise CallError(Refusal.UNAVAILABLE, f"{name} is busy, try again")
        self._open[shard] += 1
        try:
            failpoint("gateway.before_call")
            answer = await self._calls.reply(name, request, self._timeout_s, slot)
            failpoint("gateway.after_call")
        finally:
            self._open[shard] -= 1
        return answer


async def ask(shards: Shards, entity_id: int, request: Request[R]) -> R:
    """Ask the shard that owns a user or group. :raises CallError: refused or 503"""
    return await ask_slot(shards, slot_of(entity_id), request)


async def ask_name(shards: Shards, app: str, name: str, request: Request[R]) -> R:
    """Ask the shard that keeps a user name. :raises CallError: refused or 503"""
    return await ask_slot(shards, slot_of_name(app, name), request)


async def ask_slot(shards: Shards, slot: int, request: Request[R]) -> R:
    """Ask the shard that owns a slot. :raises CallError: refused or 503"""
    return decode_result(request, await shards.call(shards.map.slots[slot], request, slot))


async def ask_shard(shards: Shards, shard: int, request: Request[R]) -> R:
    """Ask one shard by its number. :raises CallError: refused or 503"""
    return decode_result(request, await shards.call(shard, request))


async def accounts(shards: Shards, app: str, uids: list[int]) -> dict[int, AccountInfo]:
    """Those of ``uids`` that exist in ``app``, asked of all their shards at once, of each in pieces."""
    by_shard: dict[int, list[int]] = {}
    for uid in uids:
        by_shard.setdefault(shards.map.shard_of(uid), []).append(uid)

    async def of_shard(shard: int, wanted: list[int]) -> list[AccountInfo]:
        found: list[AccountInfo] = []
        for start in range(0, len(wanted), limits.REST_IDS_PER_CALL):
            request = GetAccounts(app, wanted[start : start + limits.REST_IDS_PER_CALL])
            slot = slot_of(wanted[0]) if len(wanted) == 1 else -1  # most often the caller's own
            found += decode_result(request, await shards.call(shard, request, slot))
        return found

    answers = await asyncio.gather(*(of_shard(shard, wanted) for shard, wanted in by_shard.items()))
    return {info.uid: info for answer in answers for info in answer}
