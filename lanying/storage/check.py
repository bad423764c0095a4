"""Verifies a backup: every hash, and then what is in the databases, opened read-only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from lanying.base.errors import BackupError, StoreError
from lanying.cluster.shardmap import ShardMap
from lanying.shard.store import schema
from lanying.shard.store.base import Store
from lanying.shard.store.cold import MARK, cold_place
from lanying.shard.store.tiers import TieredStore
from lanying.storage import directory, manifest
from lanying.storage.manifest import Manifest, object_path
from lanying.storage.progress import BYTES, ProgressReport, Silent
from lanying.storage.readonly import ReadOnlyStore
from lanying.storage.verify import count_rows, verify_links, verify_store

_MEND = (
    "back up into the same place again: what is damaged there is replaced, as far as the server still has it. "
    "Without the server restore from another backup. A disk that damages files should be replaced"
)
_DATA = (
    "the files are as they were backed up, so the server's own data had this already: stop the server and run "
    "`lanying-cluster verify`; restore a backup from before, if there is one that verifies"
)


class CheckResult(NamedTuple):
    """What was looked at, what is wrong with it, and what to do about that (empty: nothing)."""

    files: int
    size: int
    rows: int
    problems: list[str]
    remedy: str


def check(backup: Path, progress: ProgressReport | None = None) -> CheckResult:
    """Verify a backup.

    :raises BackupError: it is none (:func:`lanying.storage.manifest.load`)
    """
    progress = progress or Silent()
    found = manifest.load(backup)
    problems = _hashes(backup, found, progress)
    rows = 0
    remedy = _MEND if problems else ""
    if not problems:
        try:
            with laid_out(backup, found) as (data, logs):
                cold = str(data / manifest.COLD) if found.has_cold else None
                rows, problems = verify_data(data, logs, progress, cold)
        except StoreError as error:
            problems = [str(error)]
        remedy = _DATA if problems else ""
    return CheckResult(len(found.files), found.size, rows, problems, remedy)


def verify_data(data: Path, logs: Path, progress: ProgressReport, cold_path: str | None = "") -> tuple[int, list[str]]:
    """Rows and problems of all databases of a data directory nobody has open.

    :param cold_path: where the cold stores are; one that is not there is a problem. None: they are not looked at
    :raises StoreError: one cannot be opened
    """
    shard_map = directory.need_settled(data)
    with ExitStack() as stack:
        stores: list[Store] = []
        missing: list[str] = []
        for index in shard_map.peers:
            hot = ReadOnlyStore(directory.shard_path(data, index), logs)
            stack.callback(hot.close)
            mark = hot.get(schema.META, MARK)
            stores.append(hot if mark is None else TieredStore(hot))
            if mark is not None and cold_path is not None:
                place = cold_place(cold_path, index)
                if cold_path and (place / "CURRENT").exists():
                    cold = ReadOnlyStore(place, logs)
                    stack.callback(cold.close)
                    if cold.get(schema.META, MARK) == mark:
                        stores[-1] = TieredStore(hot, cold)
                        continue
                missing.append(f"shard {index}: its cold store is not at {place}; what is in it cannot be checked")
        counts = [count_rows(store) for store in stores]
        advance = progress.step("verify", sum(counts))
        problems = [
            f"shard {index}: {problem}"
            for index, store in enumerate(stores)
            for problem in verify_store(store, index, shard_map, advance)
        ]
        return sum(counts), missing + problems + verify_links(stores)


def _hashes(backup: Path, found: Manifest, progress: ProgressReport) -> list[str]:
    advance = progress.step("read", found.size, BYTES)
    problems: list[str] = []
    seen: dict[str, str] = {}
    for entry in found.files:
        problem = seen.get(entry.sha256)
        if problem is None:
            problem = seen[entry.sha256] = _problem(backup, entry)
        if problem:
            problems.append(f"{entry.path}: {problem}")
        advance(entry.size)
    return problems


def _problem(backup: Path, entry: manifest.ManifestEntry) -> str:
    path = object_path(backup, entry.sha256)
    try:
        if path.stat().st_size != entry.size:
            return f"{path} has {path.stat().st_size} bytes instead of {entry.size}"
        if manifest.hash_file(path, entry.size) != entry.sha256:
            return f"{path} has other content than was backed up"
    except (OSError, BackupError) as error:
        return f"{path} cannot be read: {error}"
    return ""


@contextmanager
def laid_out(backup: Path, found: Manifest) -> Iterator[tuple[Path, Path]]:
    """The backup as a data directory of symbolic links, and a directory for logs; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lanying-backup-") as place:
        data, logs = Path(place) / "data", Path(place) / "logs"
        logs.mkdir()
        for entry in found.files:
            path = data / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(object_path(backup.resolve(), entry.sha256))
        if ShardMap.load(data) is None:
            raise BackupError(f"{backup}: has no shard map; use another backup")
        yield data, logs
