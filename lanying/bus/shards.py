"""The port to the shards: which one, and ask it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.failpoints import failpoint
from lanying.base.ids import slot_of
from lanying.base.refusals import Refusal
from lanying.bus.call import Calls
from lanying.bus.messages import AccountInfo, GetAccounts, Reply, Request, decode_result
from lanying.bus.messages.base import R
from lanying.bus.ownership import owner_now
from lanying.cluster.directory import Directory
from lanying.cluster.shardmap import ShardMap, slot_of_name


class Shards(Protocol):
    """All shards of this server."""

    @property
    def map(self) -> ShardMap:
        """Who owns which id, as known now."""

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        """Ask one shard; the MessagePack of its answer. With one slot, its owner is asked, whoever that is by now.

        :raises CallError: refused, or 503 when it did not answer in time; ``MOVED``: one of several slots has another owner
            by a map that is known here now, and nothing was done
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

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        """As in :class:`Shards`. A shard that does not own a slot did nothing: the owner it names is asked, once."""
        reply = await self._ask(shard, request, slots)
        if reply.refusal is Refusal.MOVED:
            owner = owner_now(self._directory, reply)
            if len(slots) == 1:
                reply = await self._ask(owner, request, slots)
        if reply.refusal is not None:
            raise CallError(reply.refusal, reply.message, retry_s=reply.retry_s)
        return reply.body

    async def _ask(self, shard: int, request: Request[object], slots: Sequence[int]) -> Reply:
        name = self._directory.process(shard)
        if self._open[shard] >= limits.CALLS_PER_SHARD:
            raise CallError(Refusal.UNAVAILABLE, f"{name} is busy, try again")
        self._open[shard] += 1
        try:
            failpoint("gateway.before_call")
            answer = await self._calls.reply(name, request, self._timeout_s, slots)
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
    return decode_result(request, await shards.call(shards.map.slots[slot], request, (slot,)))


async def ask_shard(shards: Shards, shard: int, request: Request[R]) -> R:
    """Ask one shard by its number. :raises CallError: refused or 503"""
    return decode_result(request, await shards.call(shard, request))


async def ask_owners(shards: Shards, ids: Iterable[int], request: Callable[[list[int]], Request[list[R]]]) -> list[R]:
    """Ask the shards that own ``ids``, all at once and each in pieces: ``request`` makes the one for some of them.

    :raises CallError: refused or 503
    """
    wanted = list(ids)
    try:
        return await _ask_owners(shards, wanted, request)
    except CallError as error:
        if error.refusal is not Refusal.MOVED:
            raise
    return await _ask_owners(shards, wanted, request)


async def _ask_owners(shards: Shards, ids: list[int], request: Callable[[list[int]], Request[list[R]]]) -> list[R]:
    by_shard: dict[int, list[int]] = {}
    for one in ids:
        by_shard.setdefault(shards.map.shard_of(one), []).append(one)

    async def of_shard(shard: int, own: list[int]) -> list[R]:
        found: list[R] = []
        for start in range(0, len(own), limits.REST_IDS_PER_CALL):
            part = own[start : start + limits.REST_IDS_PER_CALL]
            asked = request(part)
            found += decode_result(asked, await shards.call(shard, asked, sorted({slot_of(one) for one in part})))
        return found

    answers = await asyncio.gather(*(of_shard(shard, own) for shard, own in by_shard.items()))
    return [row for answer in answers for row in answer]


async def accounts(shards: Shards, app: str, uids: Iterable[int]) -> dict[int, AccountInfo]:
    """Those of ``uids`` that exist in ``app``."""
    return {info.uid: info for info in await ask_owners(shards, uids, partial(GetAccounts, app))}
