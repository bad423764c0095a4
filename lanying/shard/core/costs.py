"""How long users keep this shard: of events that take long the time is counted, and who takes more than a share of it waits. Pure.

Events that cost what events cost are not looked at: nothing is counted below ``COSTLY_S``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from lanying.base import limits
from lanying.base.budgets import later
from lanying.base.rate import Rate, RateLimiter

log = logging.getLogger(__name__)
WHAT = "requests that keep the server long"


class Costs:
    """Seconds of this shard's loop, by user.

    :ivar over: when users who have taken too much may go on, monotonic; usually nobody
    """

    def __init__(self) -> None:
        self._taken = RateLimiter(Rate(limits.COSTLY_S_PER_MINUTE, 60.0), limits.USERS_COUNTED)
        self.over: dict[int, float] = {}

    def took(self, uid: int, now: float, seconds: float) -> float:
        """An event of a user has taken so long. Seconds until they may go on, 0.0: they may."""
        self._taken.owe(uid, now, seconds)
        wait_s = self._taken.wait_s(uid, now, 0.0)
        if wait_s:
            if uid not in self.over:
                log.warning("event=user_costly uid=%d wait_s=%.1f", uid, wait_s)
                if len(self.over) >= limits.USERS_COUNTED:
                    self.over.clear()
            self.over[uid] = now + wait_s
        return wait_s

    def check(self, uid: int, now: float) -> None:
        """To be asked while anybody is over. :raises CallError: 429, this user is, and until when"""
        until = self.over.get(uid)
        if until is None:
            return
        if until > now:
            raise later(until - now, WHAT)
        del self.over[uid]


class Laps:
    """What the answers at a tick's end take, by user: each may be little, and a user's together much.

    :param clock: monotonic seconds
    """

    __slots__ = ("_began", "_by_user", "_clock", "_costs")

    def __init__(self, costs: Costs, clock: Callable[[], float]) -> None:
        self._costs, self._clock = costs, clock
        self._by_user: dict[int, float] = {}
        self._began = clock()

    def lap(self, uid: int) -> None:
        """What was done since the last lap was this user's."""
        now = self._clock()
        self._by_user[uid] = self._by_user.get(uid, 0.0) + now - self._began
        self._began = now

    def end(self, now: float) -> None:
        """Charge those whose answers were costly together."""
        for uid, seconds in self._by_user.items():
            if seconds > limits.COSTLY_S:
                self._costs.took(uid, now, seconds)
