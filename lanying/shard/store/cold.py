"""The database of the cold tier: ``COLD_PATH/shard-<n>``, a RocksDB for data that is written once and rarely read.

Families ``meta`` and ``queue`` with the keys of :mod:`lanying.shard.store.schema`. zstd, blocks of 64 KiB, small buffers; no bloom
filter: it is only asked for what it has.

Validity: the row ``cold`` in ``meta`` is 16 random bytes, the same here and in the shard's own database. A disk that is not
mounted or belongs to another server is so never taken for this shard's, and nothing is created in the place where
it should have been: the directory ``COLD_PATH`` itself is never made.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options

from lanying.base.errors import StoreError
from lanying.cluster.runtime import shard_name
from lanying.shard.store import schema
from lanying.shard.store.base import Store, local_write
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.tiers import TieredStore

log = logging.getLogger(__name__)

CACHE_BYTES: Final = 2 << 20
BUFFER_BYTES: Final = 2 << 20
"""Per shard: what is copied here in an hour is a few megabytes, and pages of old history are read once."""
MARK: Final = b"cold"
_BEHIND_ALL = b"\xff" * 32


class ColdStore(RocksStore):
    """A cold tier. :raises StoreError: not a database of ours, damaged, or in use"""

    FAMILIES = (schema.META, schema.QUEUE)

    def __init__(self, path: Path) -> None:
        super().__init__(path, cache_bytes=CACHE_BYTES, buffer_bytes=BUFFER_BYTES)

    def _family_options(self, family: str, cache: Cache, buffer_bytes: int) -> Options:
        options = Options(raw_mode=True)
        options.set_write_buffer_size(buffer_bytes)
        options.set_arena_block_size(64 * 1024)
        options.set_compression_type(DBCompressionType.zstd())
        options.set_level_compaction_dynamic_level_bytes(True)
        table = BlockBasedOptions()
        table.set_block_cache(cache)
        table.set_block_size(64 * 1024)
        table.set_cache_index_and_filter_blocks(True)
        options.set_block_based_table_factory(table)
        return options


def cold_place(cold_path: str, index: int) -> Path:
    """Directory of one shard's cold tier."""
    return Path(cold_path) / shard_name(index)


def open_cold(cold_path: str, index: int, hot: Store) -> ColdStore:
    """The cold tier of a shard; a new one if the shard never had one.

    :raises StoreError: it is not there; the text says what to do
    """
    mark = hot.get(schema.META, MARK)
    if not cold_path:
        raise StoreError("older messages are in a cold store: set storage.cold_path back to where it is")
    if not Path(cold_path).is_dir():
        raise StoreError(f"{cold_path}: not there; mount the disk, or create the directory if it is to be a new one")
    place = cold_place(cold_path, index)
    if mark is not None and not (place / "CURRENT").exists():
        raise StoreError(f"{place}: older messages should be here and are not; mount the disk they are on")
    cold = ColdStore(place)
    try:
        theirs = cold.get(schema.META, MARK)
        if mark is None and (theirs is None or next(rows(cold), None) is None):
            mark = secrets.token_bytes(16)
            put_mark(cold, mark)
            put_mark(hot, mark)
        elif theirs != mark:
            raise StoreError(f"{place}: belongs to another data directory; set storage.cold_path to this one's")
    except BaseException:
        cold.close()
        raise
    return cold


def with_cold(hot: Store, cold_path: str, index: int) -> Store:
    """A shard's store in as many tiers as it has; never fails for want of the cold one."""
    if not cold_path and hot.get(schema.META, MARK) is None:
        return hot
    store = TieredStore(hot)
    try:
        store.cold = open_cold(cold_path, index, hot)
    except (StoreError, OSError) as error:
        store.reason = str(error)
        log.warning("event=cold_store_missing error=%r", store.reason)
    return store


def put_mark(store: Store, mark: bytes) -> None:
    """Say which tiers belong together, on stable storage."""
    batch = store.batch()
    batch.put(schema.META, MARK, mark)
    local_write(store, batch)
    store.flush()


def rows(cold: Store) -> Iterator[tuple[bytes, bytes]]:
    """All entries in a cold tier, those that do not count any more included."""
    return cold.scan(schema.QUEUE, b"", _BEHIND_ALL)
