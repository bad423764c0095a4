"""Password guesses: a budget for each account from each peer, one of each peer, and one of all together.

Nobody shuts the owner of an account out: whoever guesses uses up what they have from their own address. An account that is guessed at
from many addresses answers later, to everybody; who shows a token of an earlier login is neither counted with the others nor late.
"""

from __future__ import annotations

from typing import Final

from lanying.base import limits
from lanying.base.rate import Rate, RateLimiter

Account = tuple[str, int]
"""App and uid."""
PEER_FACTOR: Final = 10
"""One peer (a school behind one NAT) may guess for this many names at once."""
ALL_FACTOR: Final = 100
"""All together, for this many."""
ACCOUNT_FACTOR: Final = 10
"""So many peers may guess at one account before its logins are late."""
LOGIN_FACTOR: Final = 3
"""Right passwords of one account from one peer: each costs a hash as well."""
ALONE: Final = 0.9
"""While all together guess too much, a peer may use a tenth of its budget: whoever mistypes gets in, a thousand addresses do not."""
LATE_S: Final = 2.0


class Guesses:
    """``now`` is monotonic seconds; a peer is "" for a caller who has shown a token of the account.

    :param per_minute: for one account from one peer
    """

    __slots__ = ("_accounts", "_all", "_keep", "_logins", "_pairs", "_peers")

    def __init__(self, per_minute: int) -> None:
        self._pairs = RateLimiter(Rate(per_minute, 60.0), limits.GUESS_KEYS)
        self._logins = RateLimiter(Rate(per_minute * LOGIN_FACTOR, 60.0), limits.GUESS_KEYS)
        self._accounts = RateLimiter(Rate(per_minute * ACCOUNT_FACTOR, 60.0), limits.GUESS_KEYS)
        self._peers = RateLimiter(Rate(per_minute * PEER_FACTOR, 60.0), limits.GUESS_KEYS)
        self._all = RateLimiter(Rate(per_minute * ALL_FACTOR, 60.0), 1)
        self._keep = per_minute * PEER_FACTOR * ALONE

    def take(self, peer: str, now: float, account: Account | None = None) -> bool:
        """Whether this peer may guess, the password of this account or at a name that nobody has."""
        if account is not None:
            pair = (peer, account)
            if not (self._logins.take(pair, now) and self._pairs.take(pair, now)):
                return False
        if not peer:
            return True
        keep = 0.0 if self._all.take("", now) else self._keep
        return self._peers.take(peer, now, keep)

    def late_s(self, peer: str, now: float, account: Account) -> float:
        """Seconds that an answer about this account is held back: 0.0 unless many peers guess at it."""
        return 0.0 if not peer or self._accounts.take(account, now) else LATE_S

    def give_back(self, peer: str, account: Account) -> None:
        """It was the right one."""
        self._pairs.give_back((peer, account))
        if peer:
            self._accounts.give_back(account)
            self._peers.give_back(peer)
            self._all.give_back("")
