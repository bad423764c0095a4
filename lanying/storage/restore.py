"""Makes a data directory of a backup.

``shardmap.json``, without which no server starts, is there from the beginning under another name
(``shardmap.json.restoring``) and gets its own as the last act: a restore that was interrupted is recognised, refused by
a start, and begun anew by the next restore.
"""

from __future__ import annotations

from pathlib import Path

from lanying.base.errors import BackupError
from lanying.cluster.runtime import COLD_FILE
from lanying.cluster.shardmap import FILE_NAME as MAP_FILE
from lanying.cluster.shardmap import ShardMap
from lanying.shard.store.cold import cold_place
from lanying.storage import directory, manifest
from lanying.storage.backup import copy_file
from lanying.storage.manifest import Manifest, ManifestEntry, object_path
from lanying.storage.progress import BYTES, Point, ProgressReport, Silent, no_point
from lanying.storage.renew import renew

RESTORING = MAP_FILE + ".restoring"


def restore(
    backup: Path,
    data: Path,
    now_ms: int,
    *,
    cold_path: str = "",
    keep_sessions: bool = False,
    progress: ProgressReport | None = None,
    point: Point = no_point,
) -> Manifest:
    """Restore into ``data``, which must be empty, new, or left by an interrupted restore. What was restored.

    What was given out after the backup means nothing in the restored data (:mod:`lanying.storage.renew`).

    :param keep_sessions: tokens, codes and addresses of phones are good again as they were
    :param cold_path: where the cold stores go, empty: into the data directory
    :raises BackupError: the backup is damaged, the directory is in use, or there is no room
    """
    found = manifest.load(backup)
    wanted = next((entry for entry in found.files if entry.path == MAP_FILE), None)
    if wanted is None:
        raise BackupError(f"{backup}: has no shard map; use another backup")
    cold = Path(cold_path).absolute() if cold_path else data.absolute() / manifest.COLD
    begun_before = _check(data)
    if found.has_cold:
        _check_cold(cold, found.shards, begun_before)
    _empty(data)
    if found.has_cold:
        _begin_cold(cold, found.shards)
    if directory.free_bytes(data) < sum(entry.size for entry in found.files if not (cold_path and _is_cold(entry))):
        raise BackupError(f"{data}: needs {found.size >> 20} MiB of room; make room or give another directory")
    _copy(backup, wanted, data / RESTORING)
    point("begun")
    advance = (progress or Silent()).step("restore", found.size, BYTES)
    targets: set[Path] = set()
    for entry in found.files:
        if entry.path != MAP_FILE:
            target = cold / entry.path.partition("/")[2] if _is_cold(entry) else data / entry.path
            targets.add(target.parent)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(backup, entry, target)
        advance(entry.size)
        point(f"restored {entry.path}")
    for folder in targets:
        directory.sync_directory(folder)
    if found.has_cold:
        directory.write_file(data / COLD_FILE, str(cold).encode() + b"\n")
    shard_map = ShardMap.load(data, RESTORING)
    assert shard_map is not None
    renew(data, shard_map, max(now_ms, found.created_ms), keep_sessions=keep_sessions)
    point("renewed")
    (data / RESTORING).rename(data / MAP_FILE)
    directory.sync_directory(data)
    for index in range(found.shards if found.has_cold else 0):
        (cold_place(str(cold), index) / RESTORING).unlink()
    return found


def _check(data: Path) -> bool:
    """May the data go here? Whether it is an interrupted restore's directory."""
    there = sorted(entry.name for entry in data.iterdir() if entry.name != "lost+found") if data.exists() else []
    if there and RESTORING not in there:
        raise BackupError(
            f"{data}: not empty (it has {', '.join(there[:3])}); give an empty or new directory with --data, "
            "or move this one away"
        )
    return bool(there)


def _check_cold(cold: Path, shards: int, begun_before: bool) -> None:
    for index in range(shards):
        place = cold_place(str(cold), index)
        own = begun_before and (place / RESTORING).exists()
        if not own and place.exists() and any(place.iterdir()):
            raise BackupError(f"{place}: not empty, a cold store goes there; set storage.cold_path to a new directory")


def _empty(data: Path) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The file by which an interrupted restore is known goes last.
    for path in sorted(data.iterdir(), key=lambda path: path.name == RESTORING):
        if path.is_dir():
            if path.name != "lost+found":
                directory.remove_tree(path)
        else:
            path.unlink()


def _begin_cold(cold: Path, shards: int) -> None:
    """Empty directories with a mark, by which they are known as this restore's if it is interrupted."""
    for index in range(shards):
        place = cold_place(str(cold), index)
        directory.remove_tree(place)
        place.mkdir(mode=0o700, parents=True)
        directory.write_file(place / RESTORING, b"")


def _is_cold(entry: ManifestEntry) -> bool:
    return entry.path.startswith(f"{manifest.COLD}/")


def _copy(backup: Path, entry: ManifestEntry, target: Path) -> None:
    source = object_path(backup, entry.sha256)
    if copy_file(source, target, entry.size) != entry.sha256:
        raise BackupError(
            f"{source}: damaged, {entry.path} cannot be restored; `lanying-cluster backup verify` lists all that is, "
            "restore from another backup"
        )
