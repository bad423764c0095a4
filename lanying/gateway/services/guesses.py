"""Password guesses: a budget per account, one per peer, and one of all together."""

from __future__ import annotations

from typing import Final

from lanying.base import limits
from lanying.base.rate import Rate, RateLimiter

PEER_FACTOR: Final = 10
"""One peer (a school behind one NAT) may guess for this many names at once."""
ALL_FACTOR: Final = 100
"""All together, for this many."""
ALONE: Final = 0.9
"""While all together guess too much, a peer may use a tenth of its budget: whoever mistypes gets in, a thousand addresses do not."""


class Guesses:
    """``now`` is monotonic seconds.

    :param per_minute: for one account
    """

    __slots__ = ("_accounts", "_all", "_keep", "_peers")

    def __init__(self, per_minute: int) -> None:
        self._accounts = RateLimiter(Rate(per_minute, 60.0), limits.GUESS_KEYS)
        self._peers = RateLimiter(Rate(per_minute * PEER_FACTOR, 60.0), limits.GUESS_KEYS)
        self._all = RateLimiter(Rate(per_minute * ALL_FACTOR, 60.0), 1)
        self._keep = per_minute * PEER_FACTOR * ALONE

    def take(self, peer: str, now: float, account: tuple[str, int] | None = None) -> bool:
        """Whether this peer may guess, the password of this account or at a name that nobody has."""
        if account is not None and not self._accounts.take(account, now):
            return False
        keep = 0.0 if self._all.take("", now) else self._keep
        return self._peers.take(peer, now, keep)

    def give_back(self, peer: str, account: tuple[str, int]) -> None:
        """It was the right one."""
        self._accounts.give_back(account)
        self._peers.give_back(peer)
        self._all.give_back("")
