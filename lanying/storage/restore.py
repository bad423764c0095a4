"""Makes a data directory of a backup.

``shardmap.json``, without which no server starts, is there from the beginning under another name
(``shardmap.json.restoring``) and gets its own as the last act: a restore that was interrupted is recognised, refused by
a start, and begun anew by the next restore.
"""

from __future__ import annotations

from pathlib import Path

from lanying.errors import BackupError
from lanying.shardmap import FILE_NAME as MAP_FILE
from lanying.storage import directory, manifest
from lanying.storage.backup import copy_file
from lanying.storage.manifest import Entry, Manifest, object_path
from lanying.storage.progress import BYTES, Point, Progress, Silent, no_point

RESTORING = MAP_FILE + ".restoring"


def restore(backup: Path, data: Path, *, progress: Progress | None = None, point: Point = no_point) -> Manifest:
    """Restore into ``data``, which must be empty, new, or left by an interrupted restore. What was restored.

    :raises BackupError: the backup is damaged, the directory is in use, or there is no room
    """
    found = manifest.load(backup)
    wanted = next((entry for entry in found.files if entry.path == MAP_FILE), None)
    if wanted is None:
        raise BackupError(f"{backup}: has no shard map; use another backup")
    _prepare(data)
    if directory.free_bytes(data) < found.size:
        raise BackupError(f"{data}: needs {found.size >> 20} MiB of room; make room or give another directory")
    _copy(backup, wanted, data / RESTORING)
    point("begun")
    advance = (progress or Silent()).step("restore", found.size, BYTES)
    for entry in found.files:
        if entry.path != MAP_FILE:
            target = data / entry.path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(backup, entry, target)
        advance(entry.size)
        point(f"restored {entry.path}")
    for folder in {(data / entry.path).parent for entry in found.files}:
        directory.sync_directory(folder)
    (data / RESTORING).rename(data / MAP_FILE)
    directory.sync_directory(data)
    return found


def _prepare(data: Path) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = sorted(entry.name for entry in data.iterdir() if entry.name != "lost+found")
    if there and RESTORING not in there:
        raise BackupError(
            f"{data}: not empty (it has {', '.join(there[:3])}); give an empty or new directory with --data, "
            "or move this one away"
        )
    for name in there:
        path = data / name
        if path.is_dir():
            directory.remove_tree(path)
        else:
            path.unlink()


def _copy(backup: Path, entry: Entry, target: Path) -> None:
    source = object_path(backup, entry.sha256)
    if copy_file(source, target, entry.size) != entry.sha256:
        raise BackupError(
            f"{source}: damaged, {entry.path} cannot be restored; `lanying-cluster backup verify` lists all that is, "
            "restore from another backup"
        )
