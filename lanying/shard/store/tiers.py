"""A store in two tiers: everything in the hot one, old entries of queues in a cold one on another disk.

Only rows of ``queue`` move, always from the beginning of a queue on: a *border* (family ``borders``, in the hot tier)
says which positions of a queue the cold tier has. A row counts there only within the border, so changing the border,
one atomic write in the hot tier, is what moves or deletes:

- *Move*: copy rows to the cold tier and flush it; then, in one write, delete them from the hot tier and widen the
  border (:meth:`TieredStore.evict`). A crash in between leaves a copy outside the border: it does not count and is
  written again. At no moment is an entry in neither tier.
- *Change* of a moved entry (an edit, a recall): put into the hot tier, which is read first.
- *Delete*: only from the beginning of a queue on (a queue is dense, ``lanying.storage.verify``). The border shrinks with
  the batch; the rows go from the cold tier afterwards (:meth:`TieredStore.discard`).

Everything that lists, counts or marks messages (``history``, ``conversations``, ``cursors``) stays hot: a cold tier that is
not there costs the content of old messages, nothing else. Reads then find nothing in its place.
"""

from __future__ import annotations

import heapq
import logging
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from lanying.base.figures import Figure, totals
from lanying.shard.store.base import Batch, Change, Store, local_write, sizes
from lanying.shard.store.schema import BORDERS, QUEUE, pack_u64, successor

log = logging.getLogger(__name__)

Row = tuple[bytes, bytes]

STEP_MS = 86_400_000
"""Entries moved within this time share a step of the border: how exactly retention finds the end of what is old."""
STEPS = 64
"""Steps of one border; with more, two become one."""
RANGE_FROM = 16
"""From this many rows on a range is deleted: it costs reads until it is compacted, single deletes cost more writes."""
_step = struct.Struct(">QQ")


class Border:
    """Which positions of a queue are in the cold tier: ``first`` to ``last``.

    :ivar steps: (last position, time of the youngest entry in milliseconds) of parts of it, ascending
    """

    __slots__ = ("first", "steps")

    def __init__(self, first: int, steps: list[tuple[int, int]]) -> None:
        self.first = first
        self.steps = steps

    @classmethod
    def unpack(cls, row: bytes) -> Border:
        """From its stored form."""
        return cls(int.from_bytes(row[:8], "big"), list(_step.iter_unpack(row[8:])))

    @property
    def row(self) -> bytes:
        """The stored form."""
        return pack_u64(self.first) + b"".join(_step.pack(*step) for step in self.steps)

    @property
    def last(self) -> int:
        """The last position in the cold tier; ``first - 1`` when there is none any more."""
        return self.steps[-1][0] if self.steps else self.first - 1

    def older_than(self, ms: int) -> int:
        """Everything up to this position is older than ``ms``; 0: nothing is for certain."""
        found = 0
        for seq, youngest_ms in self.steps:
            if youngest_ms >= ms:
                break
            found = seq
        return found

    def widen(self, last: int, youngest_ms: int) -> None:
        """Entries up to ``last`` have moved."""
        if self.steps and self.steps[-1][1] // STEP_MS == youngest_ms // STEP_MS:
            youngest_ms = max(youngest_ms, self.steps.pop()[1])
        self.steps.append((last, youngest_ms))
        if len(self.steps) > STEPS:
            pairs = zip(self.steps[0:-1:2], self.steps[1::2], strict=False)
            odd = self.steps[-1:] if len(self.steps) % 2 else []
            self.steps = [(b[0], max(a[1], b[1])) for a, b in pairs] + odd

    def shrink(self, first: int) -> None:
        """Entries before ``first`` do not count any more."""
        self.first = first
        self.steps = [step for step in self.steps if step[0] >= first]


class TieredBatch:
    """A batch of the hot tier that remembers what it deletes from queues."""

    __slots__ = ("cuts", "hot", "put")

    def __init__(self, hot: Batch) -> None:
        self.hot = hot
        self.put: Callable[[str, bytes, bytes], None] = hot.put
        self.cuts: list[tuple[bytes, bytes]] = []

    def delete(self, family: str, key: bytes) -> None:
        self.hot.delete(family, key)
        if family == QUEUE:
            self.cuts.append((key, key + b"\0"))

    def delete_range(self, family: str, start: bytes, stop: bytes) -> None:
        self.hot.delete_range(family, start, stop)
        if family == QUEUE and start < stop:
            self.cuts.append((start, stop))

    def cut(self, count: int) -> None:
        self.hot.cut(count)
        self.cuts = [
            (key, stop or key + b"\0")
            for family, key, stop, value in self.hot.operations
            if family == QUEUE and value is None and (stop is None or key < stop)
        ]

    @property
    def size(self) -> int:
        return self.hot.size

    @property
    def operations(self) -> Sequence[Change]:
        return self.hot.operations


class TieredStore:
    """A :class:`~lanying.shard.store.base.Store` over two.

    :param cold: None: not there now
    :ivar reason: why the cold tier is not there
    :ivar lost: one that failed, to be closed by whoever may be using it in a thread
    """

    def __init__(self, hot: Store, cold: Store | None = None) -> None:
        self.hot = hot
        self.cold = cold
        self.reason = ""
        self.lost: Store | None = None
        self._garbage: dict[bytes, int] = {}

    def batch(self) -> TieredBatch:
        return TieredBatch(self.hot.batch())

    def get(self, family: str, key: bytes) -> bytes | None:
        value = self.hot.get(family, key)
        if value is None and family == QUEUE and self._is_cold(key, {}):
            return self._read([key])[0]
        return value

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        values = self.hot.get_many(family, keys)
        if family == QUEUE and None in values:
            borders: dict[bytes, tuple[int, int]] = {}
            missing = [n for n, value in enumerate(values) if value is None and self._is_cold(keys[n], borders)]
            if missing:
                for n, value in zip(missing, self._read([keys[n] for n in missing]), strict=True):
                    values[n] = value
        return values

    def scan(
        self, family: str, start: bytes, stop: bytes, *, limit: int = 1 << 62, reverse: bool = False
    ) -> Iterator[Row]:
        if family != QUEUE or self.cold is None:
            return self.hot.scan(family, start, stop, limit=limit, reverse=reverse)
        return islice(self._scan_queues(start, stop, reverse), max(0, limit))

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, TieredBatch)
        if batch.cuts:
            self._cut(batch)
        self.hot.write(batch.hot)

    def flush(self) -> None:
        self.hot.flush()

    def free_bytes(self) -> int:
        return self.hot.free_bytes()

    def compact(self) -> None:
        self.hot.compact()
        if self.cold is not None:
            self.cold.compact()

    def tend(self) -> None:
        self.hot.tend()

    def figures(self) -> list[Figure]:
        hot = totals(self.hot.figures())
        cold = totals(self.cold.figures()) if self.cold is not None else {"disk_bytes": 0.0, "memory_bytes": 0.0}
        found = sizes(hot["disk_bytes"], hot["memory_bytes"] + cold["memory_bytes"], self.free_bytes())
        found.append(Figure("cache_bytes", hot.get("cache_bytes", 0.0) + cold.get("cache_bytes", 0.0)))
        found += [Figure("cold_bytes", cold["disk_bytes"]), Figure("cold_missing", float(self.cold is None))]
        if self.cold is not None:
            found.append(Figure("disk_free_bytes", float(self.cold.free_bytes()), {"place": "cold"}))
        return found

    def close(self) -> None:
        for store in (self.hot, self.cold, self.lost):
            if store is not None:
                store.close()

    # --- moving -----------------------------------------------------------------------------------------------------

    def border(self, queue: bytes) -> Border | None:
        """What the cold tier has of a queue (key: uid, peer); None: it never had anything."""
        row = self.hot.get(BORDERS, queue)
        return None if row is None else Border.unpack(row)

    def evict(self, batch: Batch, queue: bytes, rows: list[Row], steps: list[tuple[int, int]]) -> int:
        """Put into a batch *of the hot tier*: these rows are in the cold one, flushed. How many leave; write it at once.

        Rows that were changed since they were copied stay, and hide the copy. Nothing happens if some were deleted.

        :param steps: (position, youngest entry in milliseconds), as in :class:`Border`, up to the last row
        """
        now = self.hot.get_many(QUEUE, [key for key, _ in rows])
        border = self.border(queue)
        first = _seq(rows[0][0])
        if None in now or (border is not None and border.steps and border.last + 1 != first):
            return 0
        if border is None or not border.steps:
            border = Border(first, [])
        for step in steps:
            border.widen(*step)
        batch.put(BORDERS, queue, border.row)
        same = [key for (key, copied), value in zip(rows, now, strict=True) if value == copied]
        if len(same) == len(rows) >= RANGE_FROM:
            batch.delete_range(QUEUE, rows[0][0], rows[-1][0] + b"\0")
        else:
            for key in same:
                batch.delete(QUEUE, key)
        return len(same)

    def take_garbage(self) -> dict[bytes, int]:
        """Queues of which the cold tier may delete everything before a position (for :func:`discard`)."""
        garbage, self._garbage = self._garbage, {}
        return garbage

    def lose(self, error: Exception) -> None:
        """The cold tier failed: go on without it."""
        if self.cold is not None:
            self.lost, self.cold = self.cold, None
            self.reason = str(error)
            log.error("event=cold_store_lost error=%r", self.reason)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _is_cold(self, key: bytes, borders: dict[bytes, tuple[int, int]]) -> bool:
        """Within the border of its queue? ``borders`` are those looked up already."""
        queue = key[:16]
        found = borders.get(queue)
        if found is None:
            row = self.hot.get(BORDERS, queue)
            empty = row is None or len(row) == 8
            found = (1, 0) if row is None or empty else (_number(row[:8]), _number(row[-16:-8]))
            borders[queue] = found
        return found[0] <= _seq(key) <= found[1]

    def _read(self, keys: list[bytes]) -> list[bytes | None]:
        if self.cold is None:
            return [None] * len(keys)
        try:
            return self.cold.get_many(QUEUE, keys)
        except Exception as error:  # noqa: BLE001 - whatever a disk that is pulled out makes of it, the shard goes on
            self.lose(error)
            return [None] * len(keys)

    def _scan_queues(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[Row]:
        if len(start) < 16 or stop > successor(start[:16]):
            yield from self._merge(start, stop, reverse)
            return
        # One queue: where only hot entries are the cold tier is not touched, a disk may be slow.
        border = self.border(start[:16])
        middle = start if border is None else max(start, min(stop, start[:16] + pack_u64(border.last + 1)))
        if reverse:
            yield from self.hot.scan(QUEUE, middle, stop, reverse=True)
        if start < middle:
            yield from self._merge(start, middle, reverse)
        if not reverse:
            yield from self.hot.scan(QUEUE, middle, stop)

    def _merge(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[Row]:
        hot = ((key, 0, value) for key, value in self.hot.scan(QUEUE, start, stop, reverse=reverse))
        cold = ((key, 1, value) for key, value in self._scan_cold(start, stop, reverse))
        last = None
        for key, _, value in heapq.merge(hot, cold, key=lambda row: row[0], reverse=reverse):
            if key != last:  # of two with the same key the hot one comes first: merge is stable
                last = key
                yield key, value

    def _scan_cold(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[Row]:
        borders: dict[bytes, tuple[int, int]] = {}
        if self.cold is None:
            return
        try:
            for key, value in self.cold.scan(QUEUE, start, stop, reverse=reverse):
                if key[:16] not in borders:
                    borders.clear()  # queues come one after the other
                if self._is_cold(key, borders):
                    yield key, value
        except Exception as error:  # noqa: BLE001 - as in _read
            self.lose(error)

    def _cut(self, batch: TieredBatch) -> None:
        changed: dict[bytes, Border] = {}
        for start, stop in batch.cuts:
            for queue, row in self.hot.scan(BORDERS, start[:16], stop):
                border = changed.get(queue) or Border.unpack(row)
                low = _bound(start) if start[:16] == queue else 0
                high = _bound(stop) if stop[:16] == queue else border.last + 1
                if high <= border.first or low > border.last:
                    continue
                assert low <= border.first, "entries leave a queue from its beginning on only"
                border.shrink(min(high, border.last + 1))
                changed[queue] = border
        for queue, border in changed.items():
            batch.hot.put(BORDERS, queue, border.row)
            self._garbage[queue] = border.first


def copy(cold: Store, rows: list[Row]) -> None:
    """Have rows in the cold tier, on stable storage when this returns (for a worker thread)."""
    batch = cold.batch()
    for key, value in rows:
        batch.put(QUEUE, key, value)
    local_write(cold, batch)
    cold.flush()


def discard(cold: Store, garbage: dict[bytes, int]) -> None:
    """Delete rows before a position of each queue (for a worker thread); doing it again or never changes nothing that is read."""
    batch = cold.batch()
    for queue, first in garbage.items():
        batch.delete_range(QUEUE, queue, queue + pack_u64(first))
    local_write(cold, batch)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _seq(key: bytes) -> int:
    return int.from_bytes(key[16:24], "big")


def _bound(key: bytes) -> int:
    """First position whose key is not below ``key``."""
    return int.from_bytes(key[16:24].ljust(8, b"\0"), "big") + (len(key) > 24)
