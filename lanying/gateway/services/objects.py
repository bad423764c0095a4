"""Where the bytes of uploaded files are: one interface, two places: a directory, and in ``bucket`` an object store.

An object has a key of the server's own making (``0f1e…``: hexadecimal digits, ``-`` and ``.``), never a name a client gave.
It is written once and never changed. On the disk it is ``<ab>/<cd>/<key>`` below the objects directory, ``abcd`` the first digits
of the key's SHA-256; in a bucket it is the key behind a prefix.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from lanying.base import limits

_KEY: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+(\.[a-z0-9]+)?")

Pieces = AsyncGenerator[bytes, None]
"""Bytes of an object, in order. Who does not read to the end closes it."""


class Objects(Protocol):
    """An object store."""

    async def put(self, key: str, file: Path) -> None:
        """Keep a complete file whose content is on stable storage; the file is gone afterwards. :raises OSError: not kept"""

    async def size(self, key: str) -> int | None:
        """Bytes of an object, None if there is none. :raises OSError: nobody knows"""

    async def open(self, key: str, start: int, length: int) -> Pieces:
        """Part of an object that is there. :raises OSError: it is not; also while it is read"""

    async def delete(self, key: str) -> None:
        """Remove an object if it is there. :raises OSError: not removed"""

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A file with the object's content, to read only. :raises OSError: there is none"""


class LocalObjects:
    """A directory, made when it is missing; files are handed over from the same file system.

    Not obstore's: that copies a file that a rename moves, and does not flush the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, key: str, file: Path) -> None:
        await asyncio.to_thread(self._put, self._path(key), file)

    def _put(self, target: Path, file: Path) -> None:
        for folder in (self._directory.parent, self._directory, target.parent.parent, target.parent):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
                _sync(folder.parent)
        file.replace(target)
        _sync(target.parent)

    async def size(self, key: str) -> int | None:
        try:
            return (await asyncio.to_thread(self._path(key).stat)).st_size
        except FileNotFoundError:
            return None

    async def open(self, key: str, start: int, length: int) -> Pieces:
        return _pieces(await asyncio.to_thread(_open, self._path(key), start), length)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        yield self._path(key)

    def _path(self, key: str) -> Path:
        check_key(key)
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self._directory / digest[:2] / digest[2:4] / key


def check_key(key: str) -> None:
    """:raises AssertionError: not a key of our own making"""
    assert _KEY.fullmatch(key), key


def _open(path: Path, start: int) -> BinaryIO:
    file = path.open("rb")
    file.seek(start)
    return file


async def _pieces(file: BinaryIO, length: int) -> Pieces:
    with file:
        while length and (piece := await asyncio.to_thread(file.read, min(length, limits.DOWNLOAD_CHUNK_BYTES))):
            length -= len(piece)
            yield piece


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
