"""Bodies of requests: read up to a size, within a time, and out of a budget that all of them share."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from starlette.requests import Request

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal

BUSY: Final = "too many request bodies at once; try again in a few seconds"


class Bodies:
    """Bytes of bodies that are being read or worked on, in all and per peer. Files go to the disk and do not count.

    :ivar held: bytes now
    """

    __slots__ = ("_each", "_of", "_total", "held")

    def __init__(self, total: int = limits.REST_BODIES_BYTES, each: int = limits.REST_BODIES_BYTES_PER_PEER) -> None:
        self._total = total
        self._each = each
        self._of: Counter[str] = Counter()
        self.held = 0

    async def read(self, request: Request, peer: str, most: int) -> bytes:
        """The body, counted until :meth:`release` of its length.

        :raises CallError: 413 more than ``most`` bytes, 408 too slow, 503 no room
        """
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > most:
            raise CallError(Refusal.BODY_TOO_LARGE)
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.REST_BODY_TIMEOUT_S):
                async for piece in request.stream():
                    if not piece:
                        continue
                    self._take(peer, len(piece))
                    size += len(piece)
                    if size > most:
                        raise CallError(Refusal.BODY_TOO_LARGE)
                    pieces.append(piece)
        except TimeoutError as error:
            self.release(peer, size)
            raise CallError(Refusal.BODY_TOO_SLOW) from error
        except BaseException:
            self.release(peer, size)
            raise
        return b"".join(pieces)

    def release(self, peer: str, size: int) -> None:
        """The work on a body of this length is over."""
        if not size:
            return
        self.held -= size
        self._of[peer] -= size
        if not self._of[peer]:
            del self._of[peer]

    def _take(self, peer: str, size: int) -> None:
        if self.held + size > self._total or self._of[peer] + size > self._each:
            raise CallError(Refusal.UNAVAILABLE, BUSY)
        self.held += size
        self._of[peer] += size
