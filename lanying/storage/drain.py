"""Delivers everything that is under way between the shards of a stopped server.

The shards themselves do it, over their stores and in this process: what a link message does is decided by the same
code as ever. In the end every message that was in an outbox is committed by its receiver, so outboxes and links may be
dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from lanying.base import limits
from lanying.base.errors import ReshardError
from lanying.bus.messages import Call, Reply, Request, decode_envelope, encode
from lanying.cluster.runtime import shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.shard.chat.broadcasts import unfinished
from lanying.shard.shard import Shard
from lanying.shard.store.base import Store
from lanying.storage.progress import ProgressReport
from lanying.storage.verify import number, outbox_numbers

TURN_S = 0.001
IDLE_TURNS = 10
"""Times the clock is moved on to let links go back before giving up on them."""


def under_way(stores: Sequence[Store]) -> int:
    """Bundles of link messages that are in an outbox and not committed by their receiver."""
    return sum(
        1
        for sender, source in enumerate(stores)
        for receiver, target in enumerate(stores)
        if sender != receiver
        for found in outbox_numbers(source, receiver)
        if found > number(target, b"in", sender)
    )


def drain(stores: Sequence[Store], shard_map: ShardMap, config: Config, now_ms: int, progress: ProgressReport) -> int:
    """Deliver until nothing is under way, and finish broadcasts; how many messages were under way.

    :raises ReshardError: a message cannot be delivered
    """
    owed = under_way(stores)
    if owed or any(map(unfinished, stores)):
        advance = progress.step("deliver between shards", owed)
        _Drain(stores, shard_map, config, now_ms).run(advance, owed)
        left = under_way(stores)
        if left:
            raise ReshardError(f"{left} messages between shards were not delivered; `lanying-cluster verify` says more")
    return owed


class _Drain:
    def __init__(self, stores: Sequence[Store], shard_map: ShardMap, config: Config, now_ms: int) -> None:
        self._now = 0.0
        self._now_ms = now_ms
        self._wire: deque[tuple[str, bytes]] = deque()
        self._calls: dict[int, Callable[[Reply], None]] = {}
        self._last_call = 0
        self._map = shard_map
        self._shards = {
            shard_name(index): Shard(index, shard_map, store, config, self._asker(shard_name(index)))
            for index, store in enumerate(stores)
        }

    def run(self, advance: Callable[[int], None], owed: int) -> None:
        for shard in self._shards.values():
            shard.turn(self._now, self._now_ms)
            shard.pushes.begin()  # what is delivered now is owed a push like everything else
            shard.links.greet(shard.tick)
        left, idle = owed, 0
        while left or self._wire or self._calls or any(not shard.tick.empty for shard in self._shards.values()):
            moved = [self._commit(shard) for shard in self._shards.values()]
            while self._wire:
                moved.append(True)
                process, blob = self._wire.popleft()
                self._arrive(process, blob)
            before = left
            left = sum(sender.depth for shard in self._shards.values() for sender in shard.links.senders.values())
            advance(max(0, before - left))
            idle = 0 if any(moved) else idle + 1
            if idle > IDLE_TURNS:
                raise ReshardError(f"{left} messages between shards cannot be delivered; run `lanying-cluster verify`")
            self._pass_time(limits.LINK_RESEND_S * 2 if idle else TURN_S)
        for shard in self._shards.values():
            while shard.broadcasts.running:
                shard.work.event(shard.broadcasts.step)
                self._commit(shard)
            shard.store_cursors()
            self._commit(shard)

    def _commit(self, shard: Shard) -> bool:
        if shard.tick.empty and not shard.links.lagging:
            return False
        shard.tick.awaits_flush = True
        tick = shard.seal()
        shard.work.store.flush()
        shard.links.settled(tick.settles or {})
        self._wire.extend((process, encode(envelope)) for process, envelope in tick.envelopes)
        return True

    def _arrive(self, process: str, blob: bytes) -> None:
        shard = self._shards.get(process)
        message = decode_envelope(blob)
        if shard is None:
            return
        if isinstance(message, Reply):
            done = self._calls.pop(message.id, None)
            if done is not None:
                done(message)
        else:
            shard.dispatch.arrive(message)

    def _asker(self, caller: str) -> Callable[[int, Request[object], Callable[[Reply], None]], None]:
        def ask(entity_id: int, request: Request[object], done: Callable[[Reply], None]) -> None:
            self._last_call += 1
            self._calls[self._last_call] = done
            left_ms = int(limits.CALL_TIMEOUT_S * 1000)
            owner = shard_name(self._map.shard_of(entity_id))
            self._wire.append((owner, encode(Call(self._last_call, caller, left_ms, encode(request)))))

        return ask

    def _pass_time(self, seconds: float) -> None:
        self._now += seconds
        for shard in self._shards.values():
            shard.turn(self._now, self._now_ms)
            shard.links.clock(shard.tick)
            shard.links.acknowledge(shard.tick)
