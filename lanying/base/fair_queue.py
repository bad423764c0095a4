"""Work of which a few can be done at once, and a bounded queue before it in which peers take turns.

A peer that asks for much waits behind itself: somebody else's work is next as soon as one of those under way is done. When the queue
is full, the peer that has the most in it loses its latest.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal


class FairQueue:
    """For one event loop.

    :param at_once: how much is under way at the same time
    :param waiting: how much waits, of all peers
    :param each: how much waits of one peer
    :param busy: the text of a refusal
    :param retry_s: when a refused caller may come back: about the time that a full queue takes
    """

    __slots__ = ("_at_once", "_busy", "_each", "_lines", "_retry_s", "_running", "_total", "_waiting")

    def __init__(self, at_once: int, waiting: int, each: int, busy: str, retry_s: float) -> None:
        self._at_once = at_once
        self._total = waiting
        self._each = each
        self._busy = busy
        self._retry_s = retry_s
        self._running = 0
        self._waiting = 0
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """Peers in the order of their turns; none is empty."""

    def __len__(self) -> int:
        """Under way and waiting."""
        return self._running + self._waiting

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[None]:
        """Wait until it is this peer's turn; it ends with the block. :raises CallError: 503, too many are waiting"""
        if self._running < self._at_once and not self._waiting:
            self._running += 1
        else:
            await self._wait(peer)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, peer: str) -> None:
        place = self._join(peer)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._pass_on()  # it was given at the moment in which it was given up
            else:
                self._remove(peer, place)
            raise

    def _join(self, peer: str) -> asyncio.Future[None]:
        own = len(self._lines.get(peer, ()))
        if own >= self._each or (self._waiting >= self._total and not self._make_room(own)):
            raise self._refusal()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(peer, deque()).append(place)
        self._waiting += 1
        return place

    def _make_room(self, own: int) -> bool:
        """Refuse the latest of the peer that has the most, if that is more than a newcomer of ``own`` will have."""
        peer, line = max(self._lines.items(), key=lambda item: len(item[1]))
        if len(line) <= own + 1:
            return False
        latest = line[-1]
        self._remove(peer, latest)
        if not latest.done():
            latest.set_exception(self._refusal())
        return True

    def _remove(self, peer: str, place: asyncio.Future[None]) -> None:
        line = self._lines.get(peer)
        if line is None or place not in line:
            return
        line.remove(place)
        self._waiting -= 1
        if not line:
            del self._lines[peer]

    def _pass_on(self) -> None:
        """The next peer's turn; a peer that has more to do is last from now on."""
        self._running -= 1
        while self._lines:
            peer, line = next(iter(self._lines.items()))
            self._lines.move_to_end(peer)
            place = line[0]
            self._remove(peer, place)
            if not place.done():
                self._running += 1
                place.set_result(None)
                return

    def _refusal(self) -> CallError:
        return CallError(
            Refusal.UNAVAILABLE, f"{self._busy}; try again in {self._retry_s:.0f} seconds", retry_s=self._retry_s
        )
