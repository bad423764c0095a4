"""The store of one shard: families of byte keys in byte order.

Guarantees every engine gives (``tests/shard/store/test_contract.py`` runs against all of them):

- ``write`` is atomic: all of a batch or nothing, also after a crash.
- A written batch is visible to reads at once, and durable when a ``flush`` that began afterwards has returned.
- ``write`` raises :class:`~lanying.base.errors.StoreFull` when there is no room, and then nothing of the batch is there.
- ``flush`` may be called from one other thread while the owner goes on reading and writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from lanying.base.figures import Figure

Change = tuple[str, bytes, bytes | None, bytes | None]
"""``(family, key, None, value)``, None as value: removed; ``(family, start, stop, None)``: the range is removed."""


WALK_FROM: Final = 16
"""From so many neighbours on a walk takes less time than look-ups (docs/performance.md)."""


class Batch(Protocol):
    """Changes that happen together."""

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set a key."""

    def delete(self, family: str, key: bytes) -> None:
        """Remove a key if it is there."""

    def delete_range(self, family: str, start: bytes, stop: bytes) -> None:
        """Remove all keys with ``start <= key < stop``."""

    def cut(self, count: int) -> None:
        """Keep the first ``count`` changes."""

    @property
    def size(self) -> int:
        """Encoded bytes so far, 0 when empty."""

    @property
    def operations(self) -> Sequence[Change]:
        """What it holds, in order."""


class Store(Protocol):
    """Reads and atomic writes."""

    def batch(self) -> Batch:
        """A new empty batch for ``write``."""

    def get(self, family: str, key: bytes) -> bytes | None:
        """One value."""

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of ``keys``."""

    def scan(
        self, family: str, start: bytes, stop: bytes, *, limit: int = 1 << 62, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with ``start <= key < stop``, ascending, or descending with ``reverse``; at most ``limit``."""

    def write(self, batch: Batch) -> None:
        """Apply a batch. :raises StoreFull: no room, :raises StoreError: the engine failed; nothing was applied."""

    def flush(self) -> None:
        """Block until everything written before is on stable storage."""

    def free_bytes(self) -> int:
        """Room left on the file system."""

    def compact(self) -> None:
        """Rewrite everything without what was deleted. Takes long; may be called from one other thread."""

    def tend(self) -> None:
        """Every few seconds: see to what changes by itself, as the room on the disk does. Quick."""

    def figures(self) -> list[Figure]:
        """For ``status``: ``disk_bytes``, ``memory_bytes``, ``disk_free_bytes`` by place, of a store with a cold tier also that one's."""

    def close(self) -> None:
        """Release the files. :raises StoreError: not everything could be written, only the log has it"""


def consecutive(store: Store, family: str, prefix: bytes, first: int, count: int) -> list[bytes | None]:
    """Values of ``prefix`` and the numbers (u64) from ``first`` on. They are neighbours: one walk, instead of a search for each in all
    that an engine keeps sorted."""
    start = first.to_bytes(8, "big")
    if count < WALK_FROM:
        return store.get_many(family, [prefix + (first + n).to_bytes(8, "big") for n in range(count)])
    found: list[bytes | None] = [None] * count
    for key, value in store.scan(family, prefix + start, prefix + (first + count).to_bytes(8, "big")):
        found[int.from_bytes(key[-8:], "big") - first] = value
    return found


def local_write(store: Store, batch: Batch) -> None:
    """Write what is true of this copy of the shard alone, past the tick and so past a log elsewhere: which tier an entry is in, which
    files belong together, their schema. Everything else that a shard writes is decided in a tick."""
    store.write(batch)


def sizes(disk: float, memory: float, free: float) -> list[Figure]:
    """What every engine has figures of, in bytes."""
    return [
        Figure("disk_bytes", float(disk)),
        Figure("memory_bytes", float(memory)),
        Figure("disk_free_bytes", float(free), {"place": "data"}),
    ]
