"""An upload's body becomes a file: streamed, never in memory. A form's part ``file`` counts, or a body that is no form.

Threads write, hash and flush; the loop only hands pieces on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
from collections.abc import AsyncIterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.services.uploads import RETRY_S, Incoming

_EXTENDED_NAME: Final = re.compile(rb";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[\w-]*'([^\s;]*)", re.IGNORECASE)
_ESCAPED: Final = re.compile(rb"%(22|0d|0a)", re.IGNORECASE)
_DISPLACED: Final = f"too many uploads at once, and this one was the slowest; try again in {RETRY_S:.0f} seconds"
HEAD_BYTES: Final = 4096
"""Enough to see what a file is."""


class Received(NamedTuple):
    """A complete upload on stable storage.

    :ivar name: what the client calls it, without folders and control characters
    :ivar head: its first bytes
    """

    name: str
    size: int
    sha256: str
    head: bytes


async def receive(pieces: AsyncIterator[bytes], content_type: str, most: int, upload: Incoming) -> Received:
    """Write the file of a request body to the new file of this upload; on any error there is none.

    :param most: largest file in bytes
    :raises CallError: 10002 no file in the form, 413 too large, 408 too slow, 503 somebody else has its place
    :raises OSError: not written
    """
    fd = os.open(upload.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    writer = _Writer(fd, most)
    try:
        async with asyncio.timeout(limits.UPLOAD_TIMEOUT_S) as upload.deadline:
            body = _Form(content_type, writer) if _is_form(content_type) else _Plain(writer)
            async for piece in _in_time(pieces):
                upload.received += len(piece)
                if upload.received > most + limits.UPLOAD_FORM_BYTES:
                    raise CallError(Refusal.BODY_TOO_LARGE)
                body.feed(piece)
                if writer.waiting >= limits.UPLOAD_WRITE_BYTES:
                    await asyncio.to_thread(writer.write)
            body.finish()
            upload.deadline = None
            await asyncio.to_thread(writer.finish)
    except BaseException as error:
        os.unlink(upload.path)
        if isinstance(error, TimeoutError) and upload.displaced:
            raise CallError(Refusal.UNAVAILABLE, _DISPLACED, retry_s=RETRY_S) from error
        if isinstance(error, TimeoutError):
            raise CallError(Refusal.BODY_TOO_SLOW) from error
        if isinstance(error, FormParserError):
            raise CallError(Refusal.INVALID_PARAMETER, f"the form is not multipart/form-data: {error}") from error
        raise
    finally:
        upload.deadline = None
        # Not here: when the upload was given up, a thread may still be writing.
        asyncio.get_running_loop().run_in_executor(None, writer.close)
    return Received(safe_name(writer.name), writer.size, writer.digest.hexdigest(), writer.head)


def safe_name(name: str) -> str:
    """A name to show: the last part of what may be a path, without control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[: limits.FILE_NAME_CHARS]


def _given_name(header: bytes, name: bytes) -> str:
    """The name a person's file has: browsers write three characters of it as ``%22``, ``%0D`` and ``%0A``, and a percent sign as
    itself (HTML, multipart/form-data); other clients write ``filename*`` (RFC 5987), which wins as in RFC 6266."""
    extended = _EXTENDED_NAME.search(header)
    if extended:
        try:
            return unquote_to_bytes(extended[2]).decode(extended[1].decode().lower())
        except (LookupError, UnicodeDecodeError):
            pass
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), name).decode("utf-8", "replace")


def _is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


async def _in_time(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        while True:
            async with asyncio.timeout(limits.UPLOAD_IDLE_S):
                piece = await anext(pieces)
            yield piece
    except StopAsyncIteration:
        return


class _Writer:
    """Takes pieces on the loop and writes them in threads, one call at a time; ``close`` waits for the last."""

    def __init__(self, fd: int, most: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._most = most
        self._pieces: list[bytes] = []
        self.waiting = 0
        self.size = 0
        self.name = ""
        self.head = b""
        self.found = False
        self.digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """:raises CallError: 413 too large"""
        self.size += len(piece)
        if self.size > self._most:
            raise CallError(Refusal.BODY_TOO_LARGE, f"the file is larger than {self._most >> 20} MB")
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        self._pieces.append(piece)
        self.waiting += len(piece)

    def write(self) -> None:
        """Write what waits."""
        with self._lock:
            for piece in self._pieces:
                self.digest.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            self._pieces.clear()
            self.waiting = 0

    def finish(self) -> None:
        """Write the rest; on stable storage when this returns. :raises CallError: 10002 there was no file"""
        if not self.found or not self.size:
            raise CallError(
                Refusal.INVALID_PARAMETER, "file is missing: send it as part `file` of a form, with at least one byte"
            )
        self.write()
        with self._lock:
            os.fsync(self._fd)

    def close(self) -> None:
        """Release the file; a write that comes later fails."""
        with self._lock:
            os.close(self._fd)
            self._fd = -1


class _Plain:
    """The body is the file."""

    def __init__(self, writer: _Writer) -> None:
        writer.found = True
        self.feed = writer.take

    def finish(self) -> None:
        """Nothing is missing."""


class _Form:
    """Takes a form apart; everything but the first part ``file`` is dropped."""

    def __init__(self, content_type: str, writer: _Writer) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise CallError(Refusal.INVALID_PARAMETER, "the form has no boundary")
        self._writer = writer
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._here = False
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._more_field,
                "on_header_value": self._more_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Some of the body."""
        self._parser.write(piece)

    def finish(self) -> None:
        """The end of the body. :raises CallError: 10002 it is not that of the form"""
        if not self._ended:
            raise CallError(Refusal.INVALID_PARAMETER, "the form ends early")

    def _begin(self) -> None:
        self._headers.clear()
        self._here = False

    def _more_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._check_headers()

    def _more_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_headers()

    def _check_headers(self) -> None:
        if len(self._field) + len(self._value) > limits.UPLOAD_PART_HEADER_BYTES:
            raise CallError(Refusal.INVALID_PARAMETER, "the headers of a part of the form are too long")

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, found = parse_options_header(self._headers.get(b"content-disposition", b""))
        if found.get(b"name") == b"file" and not self._writer.found:
            self._here = self._writer.found = True
            self._writer.name = _given_name(self._headers[b"content-disposition"], found.get(b"filename", b""))

    def _data(self, piece: bytes, start: int, end: int) -> None:
        if self._here:
            self._writer.take(piece[start:end])

    def _end(self) -> None:
        self._ended = True
