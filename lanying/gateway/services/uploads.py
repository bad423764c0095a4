"""Uploads under way: so many in all, of one user and of one address. When all places are taken, the slowest makes room."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal

RETRY_S: Final = 10.0
"""When to come back: the slowest of a full house is judged after as long."""


class Incoming:
    """One upload.

    :ivar path: where its bytes go
    :ivar received: bytes so far
    :ivar deadline: of the body that is being read; None before and behind that
    :ivar displaced: somebody else has its place
    """

    __slots__ = ("began", "deadline", "displaced", "owner", "path", "peer", "received")

    def __init__(self, path: Path, owner: str, peer: str, now: float) -> None:
        self.path = path
        self.owner = owner
        self.peer = peer
        self.began = now
        self.received = 0
        self.deadline: asyncio.Timeout | None = None
        self.displaced = False

    def rate(self, now: float) -> float:
        """Bytes per second."""
        return self.received / max(now - self.began, 1.0)

    def give_way(self) -> None:
        """Its time is over."""
        assert self.deadline is not None
        self.displaced = True
        self.deadline.reschedule(0.0)


class Uploads:
    """Who has a place.

    :param now: monotonic seconds
    :param total: of all; :param each: of one address
    """

    __slots__ = ("_each", "_now", "_total", "_under_way")

    def __init__(
        self, now: Callable[[], float], total: int = limits.UPLOADS, each: int = limits.UPLOADS_PER_PEER
    ) -> None:
        self._now, self._total, self._each = now, total, each
        self._under_way: list[Incoming] = []

    @contextmanager
    def place(self, path: Path, owner: str, peer: str) -> Iterator[Incoming]:
        """A place for an upload. :raises CallError: 503, there is none"""
        self._find_room(owner, peer)
        upload = Incoming(path, owner, peer, self._now())
        self._under_way.append(upload)
        try:
            yield upload
        finally:
            if upload in self._under_way:
                self._under_way.remove(upload)

    def _find_room(self, owner: str, peer: str) -> None:
        own = sum(upload.owner == owner for upload in self._under_way)
        beside = sum(upload.peer == peer for upload in self._under_way)
        if own >= limits.UPLOADS_PER_USER:
            raise _refusal()
        if len(self._under_way) < self._total and beside < self._each:
            return
        slowest = self._slowest(peer, beside)
        if slowest is None:
            raise _refusal()
        self._under_way.remove(slowest)
        slowest.give_way()

    def _slowest(self, peer: str, beside: int) -> Incoming | None:
        """Who makes room for one more of this peer, which has ``beside``: the slowest of the peers that have the most.

        One that began just now is judged only if its peer has more than the newcomer's will.
        """
        held = Counter(upload.peer for upload in self._under_way)
        most = max(held.values())
        if beside >= self._each:
            most, held = beside, Counter({peer: beside})
        now = self._now()
        young = now - limits.UPLOAD_JUDGED_S if most <= beside + 1 else now
        return min(
            (it for it in self._under_way if held[it.peer] == most and it.deadline is not None and it.began <= young),
            key=lambda it: it.rate(now),
            default=None,
        )


def _refusal() -> CallError:
    return CallError(
        Refusal.UNAVAILABLE, f"too many uploads at once; try again in {RETRY_S:.0f} seconds", retry_s=RETRY_S
    )
