"""The RocksDB engine: one database per shard, one column family per family, raw byte keys.

Costs that shape this module (docs/performance.md): a write without sync holds the GIL for a few µs, ``flush_wal(True)`` releases it for
the whole fsync: so the shard writes on its loop and flushes in a worker thread. ``write(sync=True)`` would hold the GIL instead.

A failed write leaves RocksDB read-only until it is opened again: the shard treats it as fatal and restarts; running out of disk is
met earlier, by refusing messages while ``free_bytes`` is below the reserve.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from rocksdict import Cache, Options, Rdict, WriteBatch, WriteOptions

from lanying.base.errors import SchemaError, StoreError, StoreFull
from lanying.base.figures import Figure
from lanying.shard.store import schema
from lanying.shard.store.base import Batch, Change, local_write, sizes
from lanying.shard.store.rocks_options import APPENDED, database_options, family_options, roomy, table_bytes

log = logging.getLogger(__name__)

_MIB = 1 << 20


class RocksBatch:
    """A list of changes, which reads of the tick need too. The WriteBatch is made of it in one go when it is written."""

    __slots__ = ("_note", "operations")

    def __init__(self) -> None:
        self.operations: list[Change] = []
        self._note = self.operations.append

    def put(self, family: str, key: bytes, value: bytes) -> None:
        self._note((family, key, None, value))

    def delete(self, family: str, key: bytes) -> None:
        self._note((family, key, None, None))

    def delete_range(self, family: str, start: bytes, stop: bytes) -> None:
        self._note((family, start, stop, None))

    def cut(self, count: int) -> None:
        del self.operations[count:]

    @property
    def size(self) -> int:
        return sum(len(key) + len(stop or value or b"") for _, key, stop, value in self.operations)


class RocksStore:
    """A :class:`~lanying.shard.store.base.Store` on disk.

    :param path: directory of the database, created when missing
    :param cache_bytes: block cache, shared by all families
    :param buffer_bytes: memory for data not yet in table files, all families together
    :cvar FAMILIES: what is kept here
    :raises SchemaError: written by a newer release
    :raises StoreError: not a database of ours, damaged, or in use
    :raises StoreFull: no room to open it
    """

    FAMILIES: tuple[str, ...] | None = None

    def __init__(self, path: Path, *, cache_bytes: int = 16 * _MIB, buffer_bytes: int = 8 * _MIB) -> None:
        self.path = path
        names = self.FAMILIES or schema.FAMILIES
        path.mkdir(parents=True, exist_ok=True)
        _refuse_unknown_families(path, names)
        cache = Cache(cache_bytes)
        options = database_options(buffer_bytes)
        self._in_runs = self._merging = roomy(table_bytes(path), self.free_bytes())
        families = {family: self._family_options(family, cache, buffer_bytes) for family in names}
        try:
            self._database = Rdict(str(path), options, column_families=families)
        except Exception as error:
            raise type(_translate(error))(f"{path}: cannot open the database: {error}{_remedy(str(error))}") from error
        self._families = {family: self._database.get_column_family(family) for family in names}
        self._handles = {family: self._database.get_column_family_handle(family) for family in names}
        self._no_sync = WriteOptions()
        try:
            self._check_schema()
        except SchemaError:
            self.close()
            raise

    def _family_options(self, family: str, cache: Cache, buffer_bytes: int) -> Options:
        return family_options(family, cache, buffer_bytes, in_runs=self._in_runs)

    def _check_schema(self) -> None:
        stored = self.get(schema.META, b"schema_compat_version")
        if stored is None:
            batch = self.batch()
            batch.put(schema.META, b"schema_version", struct.pack(">I", schema.SCHEMA_VERSION))
            batch.put(schema.META, b"schema_compat_version", struct.pack(">I", schema.SCHEMA_COMPAT_VERSION))
            local_write(self, batch)
            self.flush()
            return
        (oldest,) = struct.unpack(">I", stored)
        if oldest > schema.SCHEMA_VERSION:
            raise SchemaError(
                f"{self.path}: needs a release that reads schema {oldest}, this one reads {schema.SCHEMA_VERSION}; upgrade lanying"
            )

    def batch(self) -> RocksBatch:
        return RocksBatch()

    def get(self, family: str, key: bytes) -> bytes | None:
        value: bytes | None = self._families[family].get(key)
        return value

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._families[family].get(list(keys)) or [] if keys else []

    def scan(
        self, family: str, start: bytes, stop: bytes, *, limit: int = 1 << 62, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._families[family].items(backwards=reverse, from_key=stop if reverse else start)
        for key, value in rows:
            assert isinstance(key, bytes)
            if reverse:
                if key >= stop:  # the iterator starts at the last key <= stop
                    continue
                if key < start:
                    return
            elif key >= stop:
                return
            if limit <= 0:
                return
            limit -= 1
            yield key, value

    def write(self, batch: Batch) -> None:
        raw = WriteBatch(raw_mode=True)
        put, handles = raw.put, self._handles
        for family, key, stop, value in batch.operations:
            if value is not None:
                put(key, value, handles[family])
            elif stop is None:
                raw.delete(key, handles[family])
            else:
                raw.delete_range(key, stop, handles[family])
        try:
            self._database.write(raw, self._no_sync)
        except Exception as error:
            raise _translate(error) from error

    def flush(self) -> None:
        try:
            self._database.flush_wal(True)
        except Exception as error:
            raise _translate(error) from error

    def compact(self) -> None:
        """Rewrite every family without what was deleted. Takes long, and releases the GIL; from another thread."""
        for family in list(self._families.values()):
            family.compact_range(None, None)

    def tend(self) -> None:
        """Begin no merge that would not find room, and go on when there is room again."""
        big = [self._families[family] for family in APPENDED & self._families.keys()]
        if not self._in_runs or not big or big[0].property_int_value("rocksdb.num-running-compactions"):
            return
        tables = sum(family.property_int_value("rocksdb.total-sst-files-size") or 0 for family in big)
        free = self.free_bytes()
        if self._merging == roomy(tables, free):
            return
        self._merging = not self._merging
        for family in self._families.values():
            family.set_options({"disable_auto_compactions": "false" if self._merging else "true"})
        if self._merging:
            log.warning("event=merges_go_on free_bytes=%d", free)
        else:
            remedy = "make room; a start without it merges in small steps, which wears the disk more"
            log.warning("event=no_room_to_merge bytes=%d free_bytes=%d remedy=%r", tables, free, remedy)

    def sequence(self) -> int:
        """Grows with every change: while it is the same nothing was written."""
        number: int = self._database.latest_sequence_number()
        return number

    def free_bytes(self) -> int:
        """Room left for us on the file system."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def figures(self) -> list[Figure]:
        disk = memory = 0
        for entry in os.scandir(self.path):
            with contextlib.suppress(FileNotFoundError):  # a compaction takes files away at any time
                disk += entry.stat().st_size
        for family in self._families.values():
            memory += family.property_int_value("rocksdb.cur-size-all-mem-tables") or 0
        # One cache for all families: each of them says the same of it.
        cache = next(iter(self._families.values())).property_int_value("rocksdb.block-cache-usage") or 0
        return [*sizes(disk, memory, self.free_bytes()), Figure("cache_bytes", float(cache))]

    def close(self) -> None:
        # A live column family keeps the lock: every handle goes before the database, also when one could not be written.
        self._handles.clear()
        failed: list[StoreError] = []
        for handle in (*self._families.values(), self._database):
            try:
                handle.close()
            except Exception as error:  # noqa: BLE001 - raised below
                failed.append(_translate(error))
        self._families.clear()
        gc.collect()
        if failed:  # a full disk says so once, then "previous error"
            raise next((error for error in failed if isinstance(error, StoreFull)), failed[0])


def _refuse_unknown_families(path: Path, names: tuple[str, ...]) -> None:
    """A release that adds a family writes data this one would not find its way in: RocksDB's own words name no remedy."""
    if (path / "CURRENT").exists():
        unknown = sorted(set(Rdict.list_cf(str(path))) - {*names, "default"})
        if unknown:
            raise SchemaError(f"{path}: written by a newer release (it has {', '.join(unknown)}); upgrade lanying")


def _remedy(text: str) -> str:
    if "Corruption" in text:
        return "; the disk has lost or changed what was written: restore the last backup with lanying-cluster restore"
    if "No space left" in text or "Read-only file system" in text:
        return "; make room or repair the file system: a server that runs, or is a service, tries again by itself"
    return ""


def _translate(error: Exception) -> StoreError:
    text = str(error)
    if "No space left" in text or "Disk quota" in text:
        return StoreFull(f"the disk is full: {text}")
    return StoreError(text)
