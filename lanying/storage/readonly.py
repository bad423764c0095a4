"""A database opened for looking only: nothing in its directory changes, not even a log file."""

from __future__ import annotations

import gc
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rocksdict import AccessType, Options, Rdict

from lanying.base.errors import SchemaError, StoreError
from lanying.shard.store import schema
from lanying.shard.store.base import Batch
from lanying.shard.store.rocks import RocksStore


class ReadOnlyStore(RocksStore):
    """A :class:`~lanying.shard.store.base.Store` that refuses to write. Families an older release did not have are empty.

    :param logs: where RocksDB may put its log file
    :raises StoreError: not a database of ours, or damaged
    """

    def __init__(self, path: Path, logs: Path) -> None:
        self.path = path
        options = Options(raw_mode=True)
        options.create_if_missing(False)
        options.set_db_log_dir(str(logs))
        options.set_max_open_files(64)
        try:
            present = Rdict.list_cf(str(path), options)
            families: dict[str, Options] = {
                family: Options(raw_mode=True) for family in schema.FAMILIES if family in present
            }
            self._database = Rdict(str(path), options, column_families=families, access_type=AccessType.read_only())
        except Exception as error:
            raise StoreError(f"{path}: cannot open the database: {error}") from error
        self._families: dict[str, Any] = {family: _Empty() for family in schema.FAMILIES}
        self._families |= {family: self._database.get_column_family(family) for family in families}
        self._handles = {}
        stored = self.get(schema.META, b"schema_compat_version")
        if stored is not None and struct.unpack(">I", stored)[0] > schema.SCHEMA_VERSION:
            self.close()
            raise SchemaError(f"{path}: written by a newer release; upgrade lanying")

    def write(self, batch: Batch) -> None:
        raise StoreError(f"{self.path}: opened for reading only")

    def close(self) -> None:
        for family in self._families.values():
            family.close()
        self._families.clear()
        self._database.close()
        gc.collect()


class _Empty:
    """A family that is not there."""

    def get(self, key: bytes | list[bytes]) -> bytes | list[bytes | None] | None:
        return [None] * len(key) if isinstance(key, list) else None

    def items(self, backwards: bool, from_key: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def close(self) -> None:
        pass
