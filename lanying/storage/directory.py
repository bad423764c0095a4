"""The databases of a data directory, for tools: opened together, and files that are old or new but never a part."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from lanying.base.errors import DataDirectoryError, StoreError
from lanying.base.private import write_private
from lanying.cluster.runtime import shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.shard.store.base import Store
from lanying.shard.store.cold import MARK, open_cold
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.schema import META
from lanying.shard.store.tiers import TieredStore
from lanying.supervisor.datadir import SWITCHING_FILE

_MIB = 1 << 20
CACHE_BYTES = 4 * _MIB
BUFFER_BYTES = 4 * _MIB
"""Per database: tools may have all of an old and a new set open on a small machine."""


def shard_path(data: Path, index: int) -> Path:
    """Directory of one shard's database."""
    return data / shard_name(index)


def need_map(data: Path) -> ShardMap:
    """The shard map.

    :raises DataDirectoryError: there is none, or it is damaged
    """
    found = ShardMap.load(data)
    if found is None:
        raise DataDirectoryError(f"{data}: not a data directory (no shardmap.json); name the server's with --data")
    return found


def need_settled(data: Path) -> ShardMap:
    """The shard map, of data that fits it.

    :raises DataDirectoryError: like :func:`need_map`, or directories are being exchanged or were when that was interrupted
    """
    if (data / SWITCHING_FILE).exists():
        raise DataDirectoryError(
            f"{data}: a move of slots was interrupted while it exchanged directories; a start of the server finishes it, and so does "
            "`lanying-cluster reshard`; then try again"
        )
    return need_map(data)


def open_store(path: Path) -> RocksStore:
    """A database with little memory. :raises StoreError: damaged or in use"""
    return RocksStore(path, cache_bytes=CACHE_BYTES, buffer_bytes=BUFFER_BYTES)


@contextmanager
def opened(paths: list[Path]) -> Iterator[list[RocksStore]]:
    """Databases, closed in the end. What went wrong first is raised, not what it did to the closing."""
    with ExitStack() as stack:
        stores: list[RocksStore] = []
        for path in paths:
            store = open_store(path)
            stack.push(partial(_close, store))
            stores.append(store)
        yield stores


def _close(store: RocksStore, kind: type[BaseException] | None, *_: object) -> None:
    try:
        store.close()
    except StoreError:
        if kind is None:
            raise


@contextmanager
def opened_tiered(data: Path, shards: int, cold_path: str) -> Iterator[tuple[list[RocksStore], list[Store]]]:
    """Databases of all shards: their own, and with what they have in a cold store.

    :raises StoreError: a cold store is not there
    """
    with opened([shard_path(data, index) for index in range(shards)]) as hot, ExitStack() as stack:
        stores: list[Store] = []
        for index, store in enumerate(hot):
            if store.get(META, MARK) is None:
                stores.append(store)
            else:
                cold = open_cold(cold_path, index, store)
                stack.callback(cold.close)
                stores.append(TieredStore(store, cold))
        yield hot, stores


def tree_bytes(path: Path) -> int:
    """Size of all files below a directory; those that a running server deletes meanwhile do not count."""
    size = 0
    for file in path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += file.stat().st_size if file.is_file() else 0
    return size


def free_bytes(path: Path) -> int:
    """Room on the file system of ``path``."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def write_file(path: Path, content: bytes) -> None:
    """Owner-only; on stable storage when this returns, and a crash before leaves the old file."""
    write_private(path, content)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names and renames in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Delete a directory if it is there."""
    if path.exists():
        shutil.rmtree(path)
