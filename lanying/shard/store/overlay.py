"""Reads that see a tick before it is written.

An event may have to read what an earlier event of the same tick has put. The tick is nevertheless written once, as a
whole: were a part of it written for the sake of a read, a ``kill -9`` right behind it would keep half a message (in its
sender's queue, remembered as sent, and never in the outbox to the recipient's shard). So :meth:`Overlay.reveal` shows
a batch to reads without writing it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter

from lanying.shard.store.base import Batch, Store

_by_key = itemgetter(0)


class Overlay:
    """A :class:`~lanying.shard.store.base.Store` over another one, and over what a batch holds so far."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batch: Batch | None = None
        self._shown = 0
        self._rows: dict[str, dict[bytes, bytes | None]] = {}
        self._keys: dict[str, list[bytes]] = {}
        self._gone: dict[str, list[tuple[bytes, bytes]]] = {}

    def reveal(self, batch: Batch) -> None:
        """From now on reads see what ``batch`` holds at this moment, until it or another one is written or revealed."""
        if batch is not self._batch:
            self._forget()
            self._batch = batch
        for family, key, stop, value in islice(batch.operations, self._shown, None):
            rows = self._rows.setdefault(family, {})
            keys = self._keys.setdefault(family, [])
            if stop is not None:
                first, last = bisect_left(keys, key), bisect_left(keys, stop)
                for inside in keys[first:last]:
                    del rows[inside]
                del keys[first:last]
                self._gone.setdefault(family, []).append((key, stop))
                continue
            if key not in rows:
                insort(keys, key)
            rows[key] = value
        self._shown = len(batch.operations)

    def batch(self) -> Batch:
        return self._store.batch()

    def get(self, family: str, key: bytes) -> bytes | None:
        rows = self._rows.get(family)
        if rows is None:
            return self._store.get(family, key)
        if key in rows:
            return rows[key]
        return None if self._is_gone(family, key) else self._store.get(family, key)

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        found = self._store.get_many(family, keys)
        rows = self._rows.get(family)
        if rows is None:
            return found
        return [
            rows[key] if key in rows else None if self._is_gone(family, key) else value
            for key, value in zip(keys, found, strict=True)
        ]

    def scan(
        self, family: str, start: bytes, stop: bytes, *, limit: int = 1 << 62, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._rows.get(family)
        if rows is None:
            return self._store.scan(family, start, stop, limit=limit, reverse=reverse)
        keys = self._keys[family]
        shown = keys[bisect_left(keys, start) : bisect_left(keys, stop)]
        if reverse:
            shown.reverse()
        here = [(key, value) for key in shown if (value := rows[key]) is not None]
        below = (
            row
            for row in self._store.scan(family, start, stop, reverse=reverse)
            if row[0] not in rows and not self._is_gone(family, row[0])
        )
        return islice(merge(here, below, key=_by_key, reverse=reverse), max(limit, 0))

    def write(self, batch: Batch) -> None:
        self._store.write(batch)
        self._forget()

    def flush(self) -> None:
        self._store.flush()

    def free_bytes(self) -> int:
        return self._store.free_bytes()

    def compact(self) -> None:
        self._store.compact()

    def sizes(self) -> dict[str, float]:
        return self._store.sizes()

    def close(self) -> None:
        self._store.close()

    def _forget(self) -> None:
        self._batch, self._shown = None, 0
        self._rows.clear()
        self._keys.clear()
        self._gone.clear()

    def _is_gone(self, family: str, key: bytes) -> bool:
        return any(start <= key < stop for start, stop in self._gone.get(family, ()))
