"""Aging: moves what is older than ``[storage] hot_days`` to the cold store, a little with every step (pure).

One step a second looks into a few queues and reads at most ``limits.AGING_ROWS`` entries; a worker thread writes them to
the cold store and flushes it, however slow that disk is; then one write takes them out of the hot store
(:mod:`lanying.shard.store.tiers` says why nothing is lost in between). Notices (queue 0) stay: they are small and every device
wants them.

A cold store that is not there is looked for every ``limits.COLD_RETRY_MS``; meanwhile nothing moves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from lanying.base import limits
from lanying.base.errors import StoreError, StoreFull
from lanying.base.ids import message_time_ms
from lanying.protocol import frame
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store, local_write
from lanying.shard.store.tiers import Border, Row, TieredStore, copy, discard
from lanying.shard.upkeep.retention import DAY_MS, Pass

log = logging.getLogger(__name__)

Done = Callable[[Any, Exception | None], None]
Background = Callable[[Callable[[], Any], Done], None]
"""Runs a job in a worker thread, one after the other, and hands its result or error back as an event of a later tick."""
_BEHIND_ALL = b"\xff" * 32


def at_once(job: Callable[[], Any], done: Done) -> None:
    """A :data:`Background` without a thread, for tests and tools."""
    try:
        result = job()
    except Exception as error:  # noqa: BLE001 - handed on
        done(None, error)
    else:
        done(result, None)


class AgedEntries(NamedTuple):
    """Entries of one queue on their way; ``steps`` say how old they are (:class:`~lanying.shard.store.tiers.Border`)."""

    queue: bytes
    rows: list[Row]
    steps: list[tuple[int, int]]


class Aging:
    """Progress of one shard's moves.

    :param hot_days: what is older moves; 0: nothing does, what has moved is read
    :param background: runs what may wait for the cold disk
    :param find: opens the cold store again when it was not there
    :ivar moved: entries moved since the start
    """

    def __init__(
        self,
        work: Work,
        store: TieredStore,
        hot_days: int,
        background: Background,
        find: Callable[[], Store] | None,
    ) -> None:
        self._work = work
        self._store = store
        self._days = hot_days
        self._background = background
        self._find = find
        self._pass = Pass()
        self._busy = False
        self._not_before_ms = 0
        self.moved = 0

    def step(self, now_ms: int) -> None:
        """Begin one small step, unless one is under way."""
        if self._busy or now_ms < self._not_before_ms:
            return
        store = self._store
        if store.cold is None:
            self._not_before_ms = now_ms + limits.COLD_RETRY_MS
            if self._find is not None:
                self._start(partial(_find_again, store.lost, self._find), self._found)
            return
        garbage = store.take_garbage()
        if garbage:
            self._start(partial(discard, store.cold, garbage), self._discarded)
        elif self._days and self._pass.due(now_ms):
            moves = self._gather(now_ms)
            if moves:
                reserve_bytes = self._work.config.storage.min_free_bytes
                self._start(partial(_copy, store.cold, moves, reserve_bytes), partial(self._copied, moves))

    def _start(self, job: Callable[[], Any], done: Done) -> None:
        self._busy = True
        self._background(job, done)

    def _gather(self, now_ms: int) -> list[AgedEntries]:
        """Old entries of the next few queues."""
        horizon_ms = now_ms - self._days * DAY_MS
        heads = self._store.scan(
            schema.CONVERSATIONS, self._pass.position, _BEHIND_ALL, limit=limits.RETENTION_CONVERSATIONS
        )
        queues = [key for key, _ in heads]
        budget = limits.AGING_ROWS
        moves: list[AgedEntries] = []
        for queue in queues:
            if queue[8:] == bytes(8):
                continue
            move = self._old(queue, horizon_ms, budget)
            if move is not None:
                moves.append(move)
                budget -= len(move.rows)
            if budget <= 0:
                self._pass.position = queue
                return moves
        if len(queues) < limits.RETENTION_CONVERSATIONS:
            self._pass.finish(now_ms)
        else:
            self._pass.position = queues[-1] + b"\0"
        return moves

    def _old(self, queue: bytes, horizon_ms: int, budget: int) -> AgedEntries | None:
        border = self._store.border(queue)
        start = queue if border is None else queue + schema.pack_u64(border.last + 1)
        rows: list[Row] = []
        ages = Border(0, [])
        made_ms = 0
        for key, entry in self._store.hot.scan(schema.QUEUE, start, schema.successor(queue), limit=budget):
            if entry:
                made_ms = message_time_ms(frame.meta_id(entry))
                if made_ms >= horizon_ms:
                    break
            rows.append((key, entry))
            ages.widen(int(schema.unpack_u64(key[16:])[0]), made_ms)
        if not made_ms and len(rows) < budget:  # nothing but removed entries, of which no age is known
            return None
        return AgedEntries(queue, rows, ages.steps) if rows else None

    # --- events ------------------------------------------------------------------------------------------------------

    def _copied(self, moves: list[AgedEntries], _: Any, error: Exception | None) -> None:
        self._busy = False
        if error is not None:
            self._failed(error)
            return
        self._work.between_ticks(partial(self._evict, moves))

    def _evict(self, moves: list[AgedEntries]) -> None:
        work, hot = self._work, self._store.hot
        batch = hot.batch()
        for move in moves:
            moved = self._store.evict(batch, move.queue, move.rows, move.steps)
            if moved:
                # A head that says less than the queue did could not be put right by the hot store any more.
                uid, peer = (int(schema.unpack_u64(part)[0]) for part in (move.queue[:8], move.queue[8:]))
                batch.put(schema.CONVERSATIONS, move.queue, work.mailboxes.head(uid, peer).row)
                self.moved += moved
        if batch.size:
            local_write(hot, batch)

    def _discarded(self, _: Any, error: Exception | None) -> None:
        self._busy = False
        if error is not None:
            self._failed(error)

    def _found(self, found: Store | None, error: Exception | None) -> None:
        self._busy = False
        self._store.lost = None
        if error is None:
            self._store.cold, self._store.reason = found, ""
            self._not_before_ms = 0
            log.info("event=cold_store_found")
        elif str(error) != self._store.reason:
            self._store.reason = str(error)
            log.warning("event=cold_store_missing error=%r", str(error))

    def _failed(self, error: Exception) -> None:
        if isinstance(error, StoreFull):
            log.warning("event=cold_store_full error=%r", str(error))
            self._not_before_ms = self._work.now_ms + limits.RETENTION_PAUSE_MS
        else:
            self._store.lose(error)


def _copy(cold: Store, moves: list[AgedEntries], reserve_bytes: int) -> None:
    if cold.free_bytes() < reserve_bytes:
        raise StoreFull("less than storage.min_free_bytes are free on the disk of storage.cold_path")
    copy(cold, [row for move in moves for row in move.rows])


def _find_again(lost: Store | None, find: Callable[[], Store]) -> Store:
    if lost is not None:
        try:
            lost.close()
        except Exception as error:
            raise StoreError(f"cannot be closed: {error}") from error
    return find()
