"""What one account may find out about accounts and groups that are nothing to it: ids can be guessed, phone numbers are known to many.

Administrators find out what they like: their key is "" here, which has no budget.
"""

from __future__ import annotations

from collections.abc import Callable

from lanying.base import limits
from lanying.base.budgets import DAY_S, charge, need
from lanying.base.rate import Rate, RateLimiter

Who = tuple[str, int]
"""App and uid."""


class Probes:
    """Budgets by account.

    :param now: monotonic seconds
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._unknown = RateLimiter(Rate(limits.UNKNOWN_PER_HOUR, 3600.0), limits.GUESS_KEYS)
        self._phones = RateLimiter(Rate(limits.PHONES_PER_DAY, DAY_S), limits.GUESS_KEYS)
        self._claims = RateLimiter(Rate(limits.PHONE_CLAIMS_PER_DAY, DAY_S), limits.GUESS_KEYS)

    def may_look(self, who: Who | str) -> None:
        """Before ids are looked up. :raises CallError: 429, too many of the ones before do not exist"""
        need(self._unknown, who, self._now(), "ids that do not exist")

    def missed(self, who: Who | str, count: int) -> None:
        """So many of those looked up do not exist, or are none of the asker's business."""
        if who and count > 0:
            self._unknown.owe(who, self._now(), count)

    def phone(self, who: Who | str) -> None:
        """A phone number is looked up. :raises CallError: 429"""
        charge(self._phones, who, self._now(), "phone numbers looked up today")

    def claim(self, who: Who | str) -> None:
        """A phone number is somebody's because they say so. :raises CallError: 429"""
        charge(self._claims, who, self._now(), "phone numbers tried today")
