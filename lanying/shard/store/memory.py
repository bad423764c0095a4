"""The memory twin of the RocksDB store: for tests and simulations, with crashes to order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

from lanying.base.figures import Figure
from lanying.shard.store.base import Batch, Change, sizes
from lanying.shard.store.schema import FAMILIES


class MemoryBatch:
    """A list of changes."""

    def __init__(self) -> None:
        self.operations: list[Change] = []

    def put(self, family: str, key: bytes, value: bytes) -> None:
        self.operations.append((family, key, None, value))

    def delete(self, family: str, key: bytes) -> None:
        self.operations.append((family, key, None, None))

    def delete_range(self, family: str, start: bytes, stop: bytes) -> None:
        self.operations.append((family, start, stop, None))

    def cut(self, count: int) -> None:
        del self.operations[count:]

    @property
    def size(self) -> int:
        return sum(len(key) + len(stop or value or b"") for _, key, stop, value in self.operations)


class MemoryStore:
    """A :class:`~lanying.shard.store.base.Store` in two dictionaries: what is written, and what a power failure would leave."""

    def __init__(self) -> None:
        self._values: dict[str, dict[bytes, bytes]] = {family: {} for family in FAMILIES}
        self._keys: dict[str, list[bytes]] = {family: [] for family in FAMILIES}
        self._unflushed: list[MemoryBatch] = []
        self._durable: dict[str, dict[bytes, bytes]] = {family: {} for family in FAMILIES}
        self.writes = 0
        self.flushes = 0

    def batch(self) -> MemoryBatch:
        return MemoryBatch()

    def get(self, family: str, key: bytes) -> bytes | None:
        return self._values[family].get(key)

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._values[family].get(key) for key in keys]

    def scan(
        self, family: str, start: bytes, stop: bytes, *, limit: int = 1 << 62, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        keys, values = self._keys[family], self._values[family]
        found = keys[bisect_left(keys, start) : bisect_left(keys, stop)]
        if reverse:
            found.reverse()
        for key in found[:limit]:
            yield key, values[key]

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, MemoryBatch)
        for family, key, stop, value in batch.operations:
            self._apply(family, key, stop, value)
        self._unflushed.append(batch)
        self.writes += 1

    def flush(self) -> None:
        for batch in self._unflushed:
            for family, key, stop, value in batch.operations:
                self._keep(family, key, stop, value)
        self._unflushed.clear()
        self.flushes += 1

    @property
    def unflushed(self) -> int:
        """Batches a power failure may take."""
        return len(self._unflushed)

    def crash(self, kept: int = 0) -> MemoryStore:
        """The store somebody finds after a power failure now: what was flushed, and ``kept`` batches behind it that have reached the
        disk nevertheless."""
        for batch in self._unflushed[:kept]:
            for family, key, stop, value in batch.operations:
                self._keep(family, key, stop, value)
        del self._unflushed[:kept]
        survivor = MemoryStore()
        for family, values in self._durable.items():
            survivor._values[family] = dict(values)
            survivor._durable[family] = dict(values)
            survivor._keys[family] = sorted(values)
        return survivor

    def free_bytes(self) -> int:
        return 1 << 40

    def compact(self) -> None:
        """Nothing deleted is kept."""

    def tend(self) -> None:
        """Nothing changes by itself."""

    def figures(self) -> list[Figure]:
        held = sum(len(k) + len(v) for values in self._values.values() for k, v in values.items())
        return sizes(disk=0, memory=held, free=self.free_bytes())

    def close(self) -> None:
        """Nothing to release."""

    def _apply(self, family: str, key: bytes, stop: bytes | None, value: bytes | None) -> None:
        values, keys = self._values[family], self._keys[family]
        if stop is not None:
            first, last = bisect_left(keys, key), bisect_left(keys, stop)
            for gone in keys[first:last]:
                del values[gone]
            del keys[first:last]
        elif value is None:
            if values.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]
        else:
            if key not in values:
                insort(keys, key)
            values[key] = value

    def _keep(self, family: str, key: bytes, stop: bytes | None, value: bytes | None) -> None:
        durable = self._durable[family]
        if stop is not None:
            for gone in [k for k in durable if key <= k < stop]:
                del durable[gone]
        elif value is None:
            durable.pop(key, None)
        else:
            durable[key] = value
