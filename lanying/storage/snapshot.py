"""An instant picture of a database that goes on working: hard links to its files, and how long each was.

RocksDB's own checkpoint holds Python's lock for 50 to 100 ms (measured; on an SD card a second): a shard that took one
would stand still. This picture is taken from outside, by another process, in about a millisecond:

- Table files never change. The manifest and the write-ahead logs only grow, so the bytes up to a length are what was
  there at that instant. ``CURRENT`` is replaced by renaming, so a link keeps its old content.
- A file is deleted only after the manifest says that it is not needed. If manifest, ``CURRENT`` and the set of logs are
  the same after all links are made as before, then every file they need has been linked; otherwise it is tried again,
  with the links to table files that are there already.

What comes out is what a ``kill -9`` at that instant would have left, and RocksDB opens that: everything written (not
only what was flushed) up to one point, a record torn at the end of the last log ignored.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lanying.base.errors import BackupError

ATTEMPTS = 200
"""Pictures in a row that a busy database may spoil (each takes a millisecond, flushes and compactions are seconds apart)."""
_SKIPPED = ("LOCK", "LOG")


class File(NamedTuple):
    """A file of a picture: its name in the database, where its bytes are, and how many of them count."""

    name: str
    path: Path
    size: int


def take(database: Path, links: Path) -> list[File]:
    """Link the files of a running database into the new directory ``links`` (same file system).

    :raises BackupError: the file system has no hard links, or the database never held still
    """
    links.mkdir(mode=0o700, parents=True)
    for _ in range(ATTEMPTS):
        try:
            before = _state(database)
            files = _link(database, links)
            if _state(database) == before:
                return files
        except FileNotFoundError:
            pass
        except OSError as error:
            raise BackupError(
                f"{links}: {error.strerror}: the file system has no hard links; stop the server and back up then"
            ) from error
        for link in links.iterdir():
            if not _never_changes(link.name):
                link.unlink()
    raise BackupError(f"{database}: is being rewritten all the time; try again when the server is less busy")


def closed(database: Path) -> list[File]:
    """The files of a database nobody has open, where they are."""
    return [File(name, database / name, (database / name).stat().st_size) for name in _names(database)]


def files_below(data: Path, folder: str) -> list[File]:
    """Uploaded files, by their names in the data directory. What was made of them (``KEY.…``) can be made again."""
    return [
        File(str(path.relative_to(data)), path, path.stat().st_size)
        for path in sorted((data / folder).rglob("*"))
        if path.is_file() and not path.suffix
    ]


def linked_files(data: Path, folder: str, links: Path) -> list[File]:
    """As :func:`files_below`, linked into ``links``: what is deleted from now on stays. They never change.

    Taken after the databases: a file is there when its record is confirmed. One whose record is younger does no harm.
    """
    found: list[File] = []
    for path in sorted((data / folder).rglob("*")):
        if not path.suffix and not path.is_dir():
            link = links / path.relative_to(data)
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                os.link(path, link)
                found.append(File(str(path.relative_to(data)), link, link.stat().st_size))
    return found


def _names(database: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(database)
        if entry.is_file() and not entry.name.startswith(_SKIPPED) and not entry.name.endswith(".dbtmp")
    )


def _state(database: Path) -> tuple[bytes, int, list[str]]:
    """What changes before any file that is needed goes away."""
    current = (database / "CURRENT").read_bytes()
    manifest = database / os.fsdecode(current).strip()
    return current, manifest.stat().st_size, [name for name in _names(database) if name.endswith(".log")]


def _link(database: Path, links: Path) -> list[File]:
    files: list[File] = []
    # Logs last and in their order: what a later one has, an earlier one has before it.
    for name in sorted(_names(database), key=lambda name: (name.endswith(".log"), name)):
        link = links / name
        if not (_never_changes(name) and link.exists()):
            os.link(database / name, link)
        files.append(File(name, link, link.stat().st_size))
    return files


def _never_changes(name: str) -> bool:
    """Table files: written once, and no number is used again."""
    return name.endswith(".sst")
