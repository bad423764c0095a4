"""New accounts: a budget of each peer, and one of all together; each account costs a hash, and stays."""

from __future__ import annotations

from typing import Final

from lanying.base import limits
from lanying.base.rate import Rate, RateLimiter

ALL_FACTOR: Final = 10
"""So many peers may use up their budget at once."""


class Registrations:
    """``now`` is monotonic seconds.

    :param per_minute: from one peer; 0: any number
    """

    __slots__ = ("_all", "_peers")

    def __init__(self, per_minute: int) -> None:
        self._peers = RateLimiter(Rate(per_minute, 60.0), limits.GUESS_KEYS) if per_minute else None
        self._all = RateLimiter(Rate(per_minute * ALL_FACTOR, 60.0), 1) if per_minute else None

    def take(self, peer: str, now: float) -> bool:
        """Whether this peer may make an account."""
        if self._peers is None or self._all is None:
            return True
        return self._peers.take(peer, now) and self._all.take("", now)
