"""What is made of files: thumbnails, covers of videos, other audio formats. Children do it (:mod:`.decoder`), this process only waits.

One at a time, in turns between addresses. What failed is not tried again for an hour, whoever asks for it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lanying.base import limits
from lanying.base.fair_queue import FairQueue
from lanying.base.rate import Rate, RateLimiter
from lanying.gateway.services import decoder, media

log = logging.getLogger(__name__)

_PROGRAM: Final = Path(decoder.__file__)
_TRY_AGAIN_S: Final = 3600.0
_SAID: Final = 200
"""Characters of a child's complaint that are logged, the last ones."""


class Conversions:
    """``key``: what is to be made, by name; ``source`` and ``target``: its files.

    :param now: monotonic seconds
    :param pixels: of the largest picture that is decoded
    """

    def __init__(self, now: Callable[[], float], pixels: int = limits.PICTURE_PIXELS) -> None:
        self._now = now
        self._pixels = pixels
        self._failed = RateLimiter(Rate(1, _TRY_AGAIN_S), limits.UNREADABLE_FILES)
        self._queue = FairQueue(
            limits.CONVERSIONS,
            limits.CONVERSION_QUEUE,
            limits.CONVERSION_QUEUE_PER_PEER,
            "the server is busy with other pictures and recordings",
            limits.CONVERSION_RETRY_S,
        )

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[None]:
        """To be held while something is made for ``peer``. :raises CallError: 503, too many wait"""
        async with self._queue.turn(peer):
            yield

    def hopeless(self, key: str) -> bool:
        """Was this tried within the last hour, and could not be made?"""
        return self._failed.wait_s(key, self._now()) > 0

    async def is_picture(self, source: Path, kind: str, peer: str) -> bool:
        """Can the header be read, and is the picture of a size that a thumbnail can be made of? :raises CallError: 503"""
        picture = (str(source), media.PICTURES[kind], str(self._pixels))
        async with self._queue.turn(peer):
            return await _child(kind, limits.DECODER_MB, "look", *picture)

    async def thumbnail(self, key: str, source: Path, kind: str, box: int, target: Path) -> bool:
        """Write a picture of at most ``box`` × ``box`` pixels: PNG when it is transparent, else JPEG. False: it cannot be made."""
        picture = (str(source), media.PICTURES[kind], str(self._pixels), str(box), str(target))
        return self._noted(key, await _child(kind, limits.DECODER_MB, "thumbnail", *picture))

    async def cover(self, key: str, source: Path, kind: str, target: Path) -> bool:
        """Write a JPEG of a video's first picture. False: it cannot be made, for example without ffmpeg."""
        scale = f"scale='min({media.DEFAULT_BOX * 2},iw)':-2,format=yuvj420p"
        return await self._ffmpeg(key, source, kind, target, "-frames:v", "1", "-vf", scale, "-f", "mjpeg")

    async def mp3(self, key: str, source: Path, kind: str, target: Path) -> bool:
        """Write audio as MP3. False: it cannot be made, for example without ffmpeg."""
        return await self._ffmpeg(key, source, kind, target, "-vn", "-f", "mp3")

    async def _ffmpeg(self, key: str, source: Path, kind: str, target: Path, *options: str) -> bool:
        program, demuxer = shutil.which("ffmpeg"), media.DEMUXERS.get(kind)
        if program is None or demuxer is None:
            return False
        command = [program, "-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file", "-f", demuxer]
        # One thread each: the stacks of more would count as memory.
        command += ["-threads", "1", "-i", f"file:{source}", "-filter_threads", "1", "-threads", "1"]
        command += [*options, f"file:{target}"]
        made = await _child(kind, limits.FFMPEG_MB, "run", *command)
        return self._noted(key, made and _has_something(target))

    def _noted(self, key: str, made: bool) -> bool:
        if not made:
            self._failed.take(key, self._now())
        return made


def _has_something(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


async def _child(kind: str, memory_mb: int, *work: str) -> bool:
    """Has a child done this within its limits?"""
    arguments = (str(memory_mb), str(limits.CONVERT_TIMEOUT_S), *work)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_PROGRAM),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    said = b""
    try:
        assert process.stderr is not None
        while piece := await process.stderr.read(4096):
            said = (said + piece)[-_SAID:]
        code = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    if code:
        why = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        log.info("event=not_converted kind=%s work=%s exit=%d error=%s", kind, work[0], code, why)
    return code == 0
