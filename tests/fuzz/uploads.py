"""Uploads: forms in pieces, names of files, kinds of files by their first bytes, pictures."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from lanying.base.errors import CallError
from lanying.gateway.files.receiving import receive, safe_name
from lanying.gateway.services.media import UNKNOWN, kind_of
from lanying.gateway.services.uploads import Incoming
from tests.fuzz.source import Source
from tests.fuzz.target import Found, Target

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a%22.png"; filename*=utf-8\'\'%e4%b8%ad.png\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n"
)
HEADS = (
    *(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"GIF89a\1\0\1\0",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"BM",
    ),
    *(
        b"\0\0\0\x18ftypmp42",
        b"\x1aE\xdf\xa3",
        b"#!AMR\n",
        b"OggS",
        b"ID3",
        b"%PDF-1.4",
        b"<svg ",
        b"<html>",
        b"PK\3\4",
    ),
)


class Uploads(Target):
    """The first byte chooses: a form, a body that is none, a name, a head."""

    unit = "uploads"
    words = (
        b"\r\n--b",
        b"--b--",
        b'filename="',
        b"filename*=utf-16''",
        b"Content-Disposition: form-data; ",
        b"\r\n\r\n",
        *HEADS,
    )

    def renew(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lanying-fuzz-"))
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        shutil.rmtree(self._folder)

    def seeds(self) -> list[bytes]:
        forms = [b"\0" + bytes([step]) + b"multipart/form-data; boundary=b\0" + FORM for step in (0, 1, 7)]
        return [
            *forms,
            b"\1\0text/plain\0hello",
            b"\2../../x\\y\r\n\xe2\x80\xae.png",
            *(b"\3" + head for head in HEADS),
        ]

    def judge(self, data: bytes) -> None:
        self.units += 1
        source = Source(data)
        how = source.byte() % 4
        if how == 2:
            found = safe_name(source.bytes(5000).decode("utf-8", "replace"))
            if "/" in found or "\n" in found or len(found) > 255:
                raise Found(f"a file is called {found!r}")
        elif how == 3:
            if not kind_of(source.bytes(5000)):
                raise Found(f"no kind, not even {UNKNOWN}")
        else:
            step = source.byte() or 1 << 16
            kind, _, body = source.bytes(5000).partition(b"\0")
            self._loop.run_until_complete(self._receive(kind.decode("latin-1"), body, step))

    async def _receive(self, kind: str, body: bytes, step: int) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(body), step):
                yield body[at : at + step]

        target = self._folder / "upload"
        try:
            received = await receive(pieces(), kind, 2000, Incoming(target, "owner", "peer", 0.0))
        except CallError as error:
            if target.exists():
                raise Found(f"a file is left by {error}") from error
            return
        if received.size != target.stat().st_size or received.size > 2000:
            raise Found(f"{received} is {target.stat().st_size} bytes")
        target.unlink()
