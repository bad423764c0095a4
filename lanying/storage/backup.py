"""Makes a backup of a data directory, running or not. The format is in :mod:`lanying.storage.manifest`.

A running server goes on: pictures of all databases are taken at one consistent instant (:mod:`lanying.storage.hold`,
:mod:`lanying.storage.snapshot`) and copied afterwards. A stopped one is locked and copied. Content that is in the backup
already is not copied again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lanying import __version__
from lanying.base.errors import BackupError
from lanying.cluster.runtime import OBJECTS, RunDirectory
from lanying.cluster.shardmap import FILE_NAME as MAP_FILE
from lanying.config import apps
from lanying.config.notifiers import KEY_FILE, LIST_FILE
from lanying.shard.store.cold import cold_place
from lanying.storage import directory, manifest, snapshot
from lanying.storage.hold import held
from lanying.storage.manifest import Manifest, ManifestEntry, object_path
from lanying.storage.progress import BYTES, Point, ProgressReport, Silent, no_point
from lanying.storage.snapshot import File
from lanying.supervisor.control import is_listening
from lanying.supervisor.datadir import DataDirectory

LINKS = "backup-links"
"""Directory of the pictures while they are copied, in the data directory: hard links need its file system."""
CONFIG_FILE = "config.toml"
"""What a configuration file is called in a backup and where it is restored to."""
_LOCK_FILE = "backup.lock"


class BackupResult(NamedTuple):
    """What was done.

    :ivar online: the server was running
    :ivar copied_bytes: new in the backup; the rest was there
    :ivar mended: files of the backup that had been damaged and are good again
    :ivar held_s: how long running shards stood still towards each other
    """

    files: int
    size: int
    copied_bytes: int
    online: bool
    held_s: float
    mended: int


class Backup:
    """One backup.

    :param config_file: kept with the data if given
    :param cold_path: where the cold stores are, empty for none
    :raises BackupError: the destination is something else
    """

    def __init__(
        self,
        data: Path,
        destination: Path,
        *,
        config_file: Path | None = None,
        cold_path: str = "",
        progress: ProgressReport | None = None,
        point: Point = no_point,
    ) -> None:
        self._data = Path(os.path.realpath(data))
        self._destination = Path(os.path.realpath(destination))
        self._config_file = config_file
        self._progress = progress or Silent()
        self._point = point
        self._map = directory.need_settled(self._data)
        self._cold = self._cold_stores(cold_path)
        self._apps = apps.load(self._data)
        self._before = self._check_destination()
        self._copied = 0
        self._good: set[str] = set()
        """Content of the backup that was read again and found to be what its name says."""
        self._mended: set[str] = set()

    def _cold_stores(self, cold_path: str) -> dict[str, Path]:
        """Cold stores by what they are called in a backup."""
        if not cold_path:
            return {}
        places = {index: cold_place(cold_path, index) for index in self._map.peers}
        for place in places.values():
            if not (place / "CURRENT").exists():
                raise BackupError(
                    f"{place}: the cold store is not there; mount its disk, or leave older messages out with --without-cold"
                )
        return {f"{manifest.COLD}/{directory.shard_path(Path(), index)}": place for index, place in places.items()}

    def _check_destination(self) -> Manifest | None:
        """The backup that is there already."""
        place = self._destination
        if place == self._data or self._data in place.parents:
            raise BackupError(f"{place}: is in the data directory; give a directory elsewhere, best on another disk")
        if not place.exists() or not any(place.iterdir()):
            return None
        if not (place / manifest.FILE_NAME).exists():
            if {entry.name for entry in place.iterdir()} <= {manifest.OBJECTS, manifest.FILE_NAME + ".part"}:
                return None  # one that was interrupted
            raise BackupError(f"{place}: has other files; give an empty or new directory, or one with a backup")
        found = manifest.load(place)
        if found.app_id != self._apps[0].app_id:
            raise BackupError(f"{place}: has a backup of app {found.app_id!r}; give another directory")
        return found

    def run(self, now_ms: int) -> BackupResult:
        """Make it."""
        self._destination.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _only_one(self._data):
            links = self._data / LINKS
            self._remove_links()
            try:
                online = is_listening(RunDirectory(self._data))
                if online:
                    files, held_s = held(RunDirectory(self._data), self._map.peers, lambda: self._pictures(links))
                    entries = self._copy(files + snapshot.linked_files(self._data, OBJECTS, links))
                else:
                    held_s = 0.0
                    entries = self._offline()
            finally:
                self._remove_links()
        self._point("copied")
        made = Manifest(now_ms, __version__, self._apps[0].app_id, self._map.shards, self._map.version, entries)
        made.save(self._destination)
        self._point("manifest written")
        self._collect(entries)
        return BackupResult(len(entries), made.size, self._copied, online, held_s, len(self._mended))

    def _remove_links(self) -> None:
        for place in {self._data, *(cold.parent for cold in self._cold.values())}:
            directory.remove_tree(place / LINKS)

    def _offline(self) -> list[ManifestEntry]:
        lock = DataDirectory(self._data)
        try:
            files = [
                file._replace(name=f"{directory.shard_path(Path(), index)}/{file.name}")
                for index in self._map.peers
                for file in snapshot.closed(directory.shard_path(self._data, index))
            ]
            files += [
                file._replace(name=f"{name}/{file.name}")
                for name, place in self._cold.items()
                for file in snapshot.closed(place)
            ]
            return self._copy(files + self._small_files() + snapshot.files_below(self._data, OBJECTS))
        finally:
            lock.close()

    def _pictures(self, links: Path) -> list[File]:
        files: list[File] = []
        for index in self._map.peers:
            name = directory.shard_path(Path(), index)
            files += [
                file._replace(name=f"{name}/{file.name}")
                for file in snapshot.take(directory.shard_path(self._data, index), links / name)
            ]
        # After those of the shards, while nothing moves: what has left one tier is in the picture of the other.
        for cold_name, place in self._cold.items():
            files += [
                file._replace(name=f"{cold_name}/{file.name}")
                for file in snapshot.take(place, place.parent / LINKS / place.name)
            ]
        return files + self._small_files()

    def _small_files(self) -> list[File]:
        if directory.need_settled(self._data) != self._map:
            raise BackupError(f"{self._data}: was resharded a moment ago; try again")
        paths = {name: self._data / name for name in (MAP_FILE, apps.FILE, apps.TOKEN_FILE, LIST_FILE, KEY_FILE)}
        if self._config_file is not None:
            paths[CONFIG_FILE] = self._config_file
        return [File(name, path, path.stat().st_size) for name, path in paths.items() if path.exists()]

    # --- copying -----------------------------------------------------------------------------------------------------

    def _copy(self, files: list[File]) -> list[ManifestEntry]:
        advance = self._progress.step("copy", sum(file.size for file in files), BYTES)
        known = {(entry.path, entry.size): entry.sha256 for entry in self._before.files} if self._before else {}
        entries: list[ManifestEntry] = []
        for file in files:
            sha256 = self._keep(file, known.get((file.name, file.size)))
            entries.append(ManifestEntry(file.name, file.size, sha256))
            advance(file.size)
            self._point(f"kept {file.name}")
        for folder in (self._destination / manifest.OBJECTS).iterdir():
            directory.sync_directory(folder)
        directory.sync_directory(self._destination / manifest.OBJECTS)
        return entries

    def _keep(self, file: File, expected: str | None) -> str:
        """Have the content among the objects; its hash."""
        if expected is not None and self._has(expected, file.size):
            sha256 = manifest.hash_file(file.path, file.size)
            if sha256 == expected:
                return sha256
        objects = self._destination / manifest.OBJECTS
        objects.mkdir(mode=0o700, exist_ok=True)
        part = objects / "copy.part"
        part.unlink(missing_ok=True)
        sha256 = copy_file(file.path, part, file.size)
        if self._has(sha256, file.size):
            part.unlink()
            return sha256
        target = object_path(self._destination, sha256)
        if os.path.lexists(target):
            self._mended.add(sha256)
            if target.is_dir() and not target.is_symlink():
                directory.remove_tree(target)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        part.replace(target)
        self._good.add(sha256)
        self._copied += file.size
        return sha256

    def _has(self, sha256: str, size: int) -> bool:
        """Is the content among the objects? It is read again: a disk forgets, and what is reused must be good."""
        if sha256 not in self._good:
            try:
                if manifest.hash_file(object_path(self._destination, sha256), size, whole=True) != sha256:
                    return False
            except (OSError, BackupError):
                return False
            self._good.add(sha256)
        return True

    def _collect(self, entries: list[ManifestEntry]) -> None:
        """Delete content that no backup has any more."""
        wanted = {entry.sha256 for entry in entries}
        for path in (self._destination / manifest.OBJECTS).rglob("*"):
            if path.is_file() and path.name not in wanted:
                path.unlink()


def copy_file(source: Path, target: Path, size: int) -> str:
    """Copy the first ``size`` bytes into a new owner-only file, on stable storage when this returns; their SHA-256.

    :raises BackupError: no room, or the source is shorter
    """
    digest = hashlib.sha256()
    left = size
    try:
        with source.open("rb") as reading:
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as writing:
                while left and (chunk := reading.read(min(manifest.CHUNK_BYTES, left))):
                    digest.update(chunk)
                    writing.write(chunk)
                    left -= len(chunk)
                writing.flush()
                os.fsync(writing.fileno())
    except OSError as error:
        with suppress(OSError):
            target.unlink()
        raise BackupError(f"{error.filename or target}: {error.strerror}; make room or use another disk") from error
    if left:
        raise BackupError(f"{source}: shorter than {size} bytes; use another backup or try again")
    return digest.hexdigest()


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    fd = os.open(data / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(f"{data}: another backup is under way; wait for its end") from None
    finally:
        os.close(fd)
