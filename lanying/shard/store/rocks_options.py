"""How RocksDB keeps the families of a shard: options, and why they are what they are (docs/storage.md has the figures).

A database grows with every message and is rarely read, so what matters is how often a row is written again. *In levels*, RocksDB's default,
a table of a small level is merged with all of the next one that its keys touch, and a message's keys touch everything: its mailboxes lie
anywhere. After a million messages a byte of rows had been written five times. *In runs* ("universal" compaction) tables stay as they were
flushed until there are so many of them; then those of about the same size become one. A byte is written again once while
there are up to ``runs * (runs + 1) / 2`` buffers of data, twice up to about ``runs ** 3 / 6``.

What that costs is reads, which look into every run: Bloom filters keep single look-ups out of most, indexes and filters are read in parts
of 4 KiB, and neighbours are read by one walk (:func:`~lanying.shard.store.base.consecutive`). And room: a merge needs as
much as what it merges, in the end a copy of everything. Where that is not there, a database is opened in levels
(:func:`roomy`). Both read what the other has written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    Options,
    UniversalCompactOptions,
    WriteBufferManager,
)

from lanying.shard.store import schema

_MIB: Final = 1 << 20
_NEVER: Final = 1 << 30

APPENDED: Final = frozenset((schema.QUEUE, schema.HISTORY, schema.SENT))
"""Families that a message adds rows to, and hardly anything changes."""
APPENDED_RUNS: Final = 24
CHANGED_RUNS: Final = 8
"""Rows of the other families are set again and again: a merge leaves few of them, and scans want few runs."""
CHANGED_GARBAGE_PERCENT: Final = 200
"""A family in which rows are set again is merged as a whole when the newer runs are so much of the oldest."""

BESIDE_BYTES: Final = 64 * _MIB
"""Logs and flushed tables during a merge; as much as ``storage.min_free_bytes``, below which messages are refused, is by default."""


def database_options(buffer_bytes: int) -> Options:
    """Of the whole database. ``buffer_bytes``: of rows that are in no table yet, all families together."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_manager(WriteBufferManager(buffer_bytes, allow_stall=False))
    options.set_max_total_wal_size(max(4 * buffer_bytes, 32 * _MIB))
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(_MIB)
    options.set_max_open_files(256)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_table_cache_num_shard_bits(0)
    return options


def family_options(family: str, cache: Cache, buffer_bytes: int, *, in_runs: bool) -> Options:
    """Of one family of a shard's database; ``in_runs`` or in levels."""
    options = Options(raw_mode=True)
    options.set_write_buffer_size(buffer_bytes)
    options.set_arena_block_size(64 * 1024)
    # What is flushed is soon written again, and the loop waits for its core: quick first. Small later, where much lies and little is read.
    later = DBCompressionType.zstd() if family in APPENDED else DBCompressionType.lz4()
    options.set_compression_per_level([DBCompressionType.lz4()] + [later] * 6)
    if in_runs:
        _in_runs(options, family)
    else:
        options.set_level_compaction_dynamic_level_bytes(True)
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_block_size(8 * 1024)
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    # In parts: the index and the filter of a table of 64 MiB are half a megabyte, for one look-up.
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    options.set_block_based_table_factory(table)
    return options


def _in_runs(options: Options, family: str) -> None:
    appended = family in APPENDED
    options.set_compaction_style(DBCompactionStyle.universal())
    merging = UniversalCompactOptions()
    merging.max_size_amplification_percent = _NEVER if appended else CHANGED_GARBAGE_PERCENT
    options.set_universal_compaction_options(merging)
    options.set_level_zero_file_num_compaction_trigger(APPENDED_RUNS if appended else CHANGED_RUNS)
    # Writes wait for nothing: they are done on the loop, and runs that could not be merged in time are merged in one go.
    options.set_level_zero_slowdown_writes_trigger(_NEVER)
    options.set_level_zero_stop_writes_trigger(_NEVER)


def roomy(table_bytes: int, free_bytes: int) -> bool:
    """Would a merge of all tables find room, with what is written meanwhile?"""
    return free_bytes > table_bytes + BESIDE_BYTES


def table_bytes(path: Path) -> int:
    """Of a database that is not open."""
    return sum(entry.stat().st_size for entry in os.scandir(path) if entry.name.endswith(".sst"))
