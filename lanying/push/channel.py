"""The queue of one notifier. Its pushes go to the vendor a few at a time; when the vendor does not answer or wants less, all of
them rest, one tries again after a while, and when it gets through the others follow. Other notifiers go on meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.bus.messages import OwedPush, PushTold
from lanying.push.decision import Push

log = logging.getLogger(__name__)

FAILURES: Final = 3
"""In a row: the vendor is away."""
Key = tuple[str, str]
"""App and name of a notifier."""


class Parcel:
    """A push for one device."""

    __slots__ = ("key", "push", "sn", "token")

    def __init__(self, key: Key, sn: int, token: str, push: Push) -> None:
        self.key, self.sn, self.token, self.push = key, sn, token, push


class HeldPush:
    """A push a shard owes, until it is done.

    :ivar parcels: what is left to send; None: not known (any more), ask
    :ivar settled: devices that are done
    :ivar told: what was not reported to the shard yet
    :ivar gone: tokens that are dead
    :ivar waits: why it was said to wait
    :ivar sent: devices by channel whose vendor took it
    :ivar shown: a vendor took it
    :ivar ahead: counts for the badges of those behind it
    :ivar throttled: how often the vendor has said that the device has had too many
    """

    __slots__ = ("ahead", "gone", "index", "parcels", "row", "sent", "settled", "shown", "throttled", "told", "waits")

    def __init__(self, index: int, row: OwedPush) -> None:
        self.index, self.row = index, row
        self.parcels: list[Parcel] | None = None
        self.settled: set[int] = set()
        self.told: list[PushTold] = []
        self.gone: list[str] = []
        self.waits = ""
        self.sent: dict[str, int] = {}
        self.shown = self.ahead = False
        self.throttled = 0


class Channel:
    """One notifier's.

    :param work: sends the first parcel of an entry
    :param spawn: starts a task
    """

    def __init__(
        self,
        key: Key,
        work: Callable[[Channel, HeldPush], Awaitable[None]],
        spawn: Callable[[Coroutine[None, None, None], str], object],
    ) -> None:
        self.key = key
        self._work, self._spawn = work, spawn
        self._queue: deque[HeldPush] = deque()
        self._workers = 0
        self._rests_until = 0.0
        self._pause_s = 0.0
        self._failures = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, entry: HeldPush) -> None:
        """One more."""
        if self._resting or len(self._queue) >= 2 * limits.PUSHES_PER_VENDOR:
            entry.parcels = None  # the facts would be old, and a long queue large
        self._queue.append(entry)
        self._start()

    def worked(self) -> None:
        """The vendor answers."""
        if self._pause_s:
            log.info("event=vendor_back app=%s notifier=%s waiting=%d", *self.key, len(self._queue))
        self._failures, self._pause_s = 0, 0.0
        self._start()

    def rest(self, asked_s: float, reason: str) -> None:
        """The vendor does not answer, or wants to be left alone (at least ``asked_s`` seconds)."""
        self._failures += 1
        if self._failures < FAILURES and asked_s <= limits.VENDOR_RETRY_S:
            return  # a connection that broke: the next one tries at once
        if not self._pause_s:
            log.warning("event=vendor_away app=%s notifier=%s reason=%r", *self.key, reason)
        if not self._resting:
            for entry in self._queue:
                entry.parcels = None  # whom a token belongs to and what a message says may be another by then
            self._pause_s = min(max(2 * self._pause_s, limits.PUSH_RETRY_FIRST_S), limits.PUSH_RETRY_MAX_S)
        self._rests_until = max(self._rests_until, monotonic() + max(asked_s, self._pause_s))

    @property
    def _resting(self) -> bool:
        return monotonic() < self._rests_until

    def _start(self) -> None:
        most = 1 if self._pause_s else limits.PUSHES_PER_VENDOR
        for _ in range(min(len(self._queue), most - self._workers)):
            self._workers += 1
            self._spawn(self._run(), f"channel {self.key[1]}")

    async def _run(self) -> None:
        try:
            while self._queue:
                if self._pause_s and self._workers > 1:
                    return  # one is enough to try
                pause_s = self._rests_until - monotonic()
                if pause_s > 0:
                    await asyncio.sleep(pause_s)
                else:
                    await self._work(self, self._queue.popleft())
        finally:
            self._workers -= 1
