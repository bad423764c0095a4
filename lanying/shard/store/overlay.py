"""Reads that see what is not written yet: the open tick, and one that is sealed and on its way to a log elsewhere.

An event may have to read what an earlier event of the same tick has put, or it itself. The tick is nevertheless written once, as a
whole: were a part of it written for the sake of a read, a ``kill -9`` right behind it would keep half a message (in its
sender's queue, remembered as sent, and never in the outbox to the recipient's shard). So reads look into the open batch themselves.

A log elsewhere decides whether a sealed tick counts, so the store does not get it before the log has it (:meth:`Overlay.hold`). Until
then (:meth:`Overlay.settle`) its batch is a second layer, an overlay of its own between the open batch and the store. A tick that
the log refuses leaves nothing in the store.

Most ticks are written without being read. What the batch got is therefore sorted by family when something is read, and a family's part is
made searchable when that family is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter

from lanying.base.figures import Figure
from lanying.shard.store import schema
from lanying.shard.store.base import Batch, Change, Store

_by_key = itemgetter(0)


class _Index:
    """What the open batch has of one family.

    :ivar news: changes that are not in ``rows`` yet
    :ivar rows: newest value by key, None: removed
    :ivar gone: ranges that were removed; ``rows`` has what came behind them
    """

    __slots__ = ("_keys", "gone", "news", "rows")

    def __init__(self) -> None:
        self.news: list[Change] = []
        self.rows: dict[bytes, bytes | None] = {}
        self.gone: list[tuple[bytes, bytes]] = []
        self._keys: list[bytes] | None = []

    def take_in(self) -> None:
        """Make what is new searchable."""
        rows = self.rows
        for _, key, stop, value in self.news:
            if stop is None:
                rows[key] = value
            else:
                for inside in [known for known in rows if key <= known < stop]:
                    del rows[inside]
                self.gone.append((key, stop))
        self.news.clear()
        self._keys = None

    def between(self, start: bytes, stop: bytes) -> list[bytes]:
        """Keys of the batch in a range, ascending."""
        keys = self._keys
        if keys is None:
            keys = self._keys = sorted(self.rows)
        return keys[bisect_left(keys, start) : bisect_left(keys, stop)]


class Overlay:
    """A :class:`~lanying.shard.store.base.Store` over another one, and over the open batch.

    :ivar held: a sealed batch that the store does not have yet, as a layer of its own
    """

    def __init__(self, store: Store) -> None:
        self._below = store
        self._store = store  # what is read under the open batch: the one below, or the held batch over it
        self.held: Overlay | None = None
        self._batch: Batch | None = None
        self._shown = 0
        self._indexes: dict[str, _Index] = {}

    def batch(self) -> Batch:
        """A new batch: from now on the open one, which reads see."""
        batch = self._batch = self._below.batch()
        self._shown = 0
        self._indexes.clear()
        return batch

    def cut(self, count: int) -> None:
        """The open batch keeps its first ``count`` changes."""
        assert self._batch is not None, "what is written is not taken back"
        self._batch.cut(count)
        if self._shown > count:
            self._shown = 0
            self._indexes.clear()

    def get(self, family: str, key: bytes) -> bytes | None:
        batch = self._batch
        if batch is not None and len(batch.operations) != self._shown:
            self._follow(batch)
        index = self._indexes.get(family)
        if index is None:
            return self._store.get(family, key)
        if index.news:
            index.take_in()
        if key in index.rows:
            return index.rows[key]
        return None if _is_gone(index.gone, key) else self._store.get(family, key)

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        found = self._store.get_many(family, keys)
        index = self._index(family)
        if index is None:
            return found
        rows, gone = index.rows, index.gone
        return [
            rows[key] if key in rows else None if _is_gone(gone, key) else value
            for key, value in zip(keys, found, strict=True)
        ]

    def scan(
        self, family: str, start: bytes, stop: bytes, *, limit: int = 1 << 62, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        index = self._index(family)
        if index is None:
            return self._store.scan(family, start, stop, limit=limit, reverse=reverse)
        shown = index.between(start, stop)
        if reverse:
            shown.reverse()
        here = [(key, value) for key in shown if (value := index.rows[key]) is not None]
        # Whoever reads on may put meanwhile: it goes on with what was there when it began.
        hidden, gone = frozenset(shown), tuple(index.gone)
        below = (
            row
            for row in self._store.scan(family, start, stop, reverse=reverse)
            if row[0] not in hidden and not _is_gone(gone, row[0])
        )
        return islice(merge(here, below, key=_by_key, reverse=reverse), max(limit, 0))

    def hold(self, batch: Batch) -> None:
        """The open batch is sealed and the store gets it with :meth:`settle`; until then reads see it here."""
        assert batch is self._batch, "only the open batch is sealed"
        assert self.held is None, "one batch at a time is on its way"
        held = self._store = self.held = Overlay(self._below)
        held._batch, held._shown, held._indexes = batch, self._shown, self._indexes
        self._batch, self._shown, self._indexes = None, 0, {}

    def settle(self, position: int) -> None:
        """The log has the held batch: the store gets it together with its position there, in one write.

        :raises StoreError: the store has nothing of it; it comes back from the log
        """
        held = self.held
        assert held is not None and held._batch is not None, "what is settled was held"
        held._batch.put(schema.META, schema.LOG_POSITION, schema.pack_u64(position))
        self._below.write(held._batch)
        self.held, self._store = None, self._below

    def write(self, batch: Batch) -> None:
        """Write a batch; reads find it in the store."""
        assert self.held is None, "what was sealed before is written before"
        self._below.write(batch)
        if batch is self._batch:
            self._batch, self._shown = None, 0
            self._indexes.clear()

    def flush(self) -> None:
        self._below.flush()

    def free_bytes(self) -> int:
        return self._below.free_bytes()

    def compact(self) -> None:
        self._below.compact()

    def tend(self) -> None:
        self._below.tend()

    def figures(self) -> list[Figure]:
        return self._below.figures()

    def close(self) -> None:
        self._below.close()

    def _index(self, family: str) -> _Index | None:
        """What the open batch has of a family, None for nothing."""
        batch = self._batch
        if batch is not None and len(batch.operations) != self._shown:
            self._follow(batch)
        index = self._indexes.get(family)
        if index is not None and index.news:
            index.take_in()
        return index

    def _follow(self, batch: Batch) -> None:
        """Sort what the batch got since the last read by family."""
        indexes = self._indexes
        for change in islice(batch.operations, self._shown, None):
            index = indexes.get(change[0])
            if index is None:
                index = indexes[change[0]] = _Index()
            index.news.append(change)
        self._shown = len(batch.operations)


def _is_gone(gone: Sequence[tuple[bytes, bytes]], key: bytes) -> bool:
    return any(start <= key < stop for start, stop in gone)
