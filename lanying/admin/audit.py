"""The audit log: every command that changes something, in a file that shows when it was tampered with.

``DATA/audit.log``, one JSON object a line: ``time`` (ms), ``who``, ``command``, ``arguments`` (secrets left out), ``outcome``,
``previous`` (the hash of the line before, 64 zeros for the first) and ``hash``: SHA-256 of the line without it. Lines are only appended;
a changed, removed or inserted line breaks the chain from there on. While the server runs it knows its last line: an end that was cut
off, or another file in its place, is seen too. Across a restart it is not: keep the last hash elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

FIRST: Final = "0" * 64
TAIL_BYTES: Final = 1 << 20
"""Read to find the last line; a line is far shorter (``limits.AUDIT_CHARS``, ``limits.AUDIT_ITEMS``)."""


class AuditEntry(msgspec.Struct, frozen=True):
    """One line."""

    time: int
    who: str
    command: str
    arguments: dict[str, Any]
    outcome: str
    previous: str
    hash: str = ""

    def sealed(self) -> AuditEntry:
        """The same with its hash."""
        text = msgspec.json.encode(msgspec.structs.replace(self, hash=""))
        return msgspec.structs.replace(self, hash=hashlib.sha256(text).hexdigest())


class Audit:
    """The log of one server; this process is its only writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._last = ""

    @property
    def last(self) -> str:
        """Hash of the last line this process wrote; empty before the first."""
        return self._last

    def append(self, time_ms: int, who: str, command: str, arguments: dict[str, Any], outcome: str) -> AuditEntry:
        """Write a line and flush it to the disk. :raises OSError: it could not be written"""
        if (
            self._fd >= 0 and not self._in_place()
        ):  # removed or replaced: what goes to the old file nobody would ever read
            self.close()
        if self._fd < 0:
            self._last = self._last or last_hash(self._path)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            if not _ends_with_a_line(self._path):  # a crash cut it short: the next entry gets a line of its own
                os.write(self._fd, b"\n")
        entry = AuditEntry(time_ms, who, command, arguments, outcome, self._last).sealed()
        os.write(self._fd, msgspec.json.encode(entry) + b"\n")
        os.fdatasync(self._fd)
        self._last = entry.hash
        return entry

    def _in_place(self) -> bool:
        """Is the open file the one under its name?"""
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read(path: Path) -> Iterator[tuple[int, AuditEntry | None]]:
    """Line numbers from 1 and entries; None for a line that is none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, msgspec.json.decode(line, type=AuditEntry)
            except msgspec.DecodeError:
                yield number, None


def verify(path: Path, written: str = "") -> tuple[int, str, str]:
    """Number of good lines, the last hash, and what is wrong with the line behind them (empty: nothing).

    :param written: hash of a line that has to be there
    """
    previous, good, found = FIRST, 0, not written
    for number, entry in read(path):
        if entry is None:
            return good, previous, f"line {number} is not an entry: cut short by a crash, or tampered with"
        if entry.previous != previous:
            return good, previous, f"line {number} does not continue line {number - 1}: lines were removed or inserted"
        if entry.sealed().hash != entry.hash:
            return good, previous, f"line {number} was changed after it was written"
        previous, good = entry.hash, number
        found = found or entry.hash == written
    return good, previous, "" if found else "the end was cut off: the last line this server wrote is not there"


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read(1) in (b"", b"\n")


def last_hash(path: Path) -> str:
    """Hash of the last whole line."""
    try:
        with path.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return FIRST
    for line in reversed(lines):
        try:
            return msgspec.json.decode(line, type=AuditEntry).hash
        except msgspec.DecodeError:
            continue
    return FIRST
