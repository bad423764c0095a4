"""How often something may happen: the generic cell rate algorithm (GCRA). Pure, ``now`` is an argument in monotonic seconds.

A bucket holds ``burst`` tokens and refills within ``window_s``. Its whole state is one float, the time at which it will be full
again: taking a token moves that time by one interval, and it may not get more than a window ahead of now. A time that has passed
is a full bucket, which needs no entry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

OWED_WINDOWS: Final = 4
"""Nobody owes more than so many windows' worth."""
SLACK: Final = 0.01
"""Of an interval: what rounding may add up to over a burst; a token comes this much early at most."""


class Bucket:
    """What has been taken at some :class:`Rate`.

    :ivar full_at: when nothing will be missing any more
    """

    __slots__ = ("full_at",)

    def __init__(self) -> None:
        self.full_at = 0.0


class Rate:
    """``burst`` at once, and as many again over ``window_s``."""

    __slots__ = ("burst", "interval_s", "most_ahead_s")

    def __init__(self, burst: float, window_s: float = 1.0) -> None:
        assert burst > 0 and window_s > 0
        self.burst = burst
        self.interval_s = window_s / burst
        self.most_ahead_s = window_s + self.interval_s * SLACK

    def take(self, bucket: Bucket, now: float, keep: float = 0.0, tokens: float = 1.0) -> bool:
        """Use one token, or as many as something costs; False: there are not so many.

        :param keep: tokens left alone, for what matters more
        """
        full_at = bucket.full_at
        full_at = (full_at if full_at > now else now) + self.interval_s * tokens
        if full_at - now > self.most_ahead_s - keep * self.interval_s:
            return False
        bucket.full_at = full_at
        return True

    def wait_s(self, bucket: Bucket, now: float, tokens: float = 1.0) -> float:
        """Seconds until there is a token, or so many; 0.0: now."""
        return max(0.0, bucket.full_at - now - (self.burst - tokens) * self.interval_s)


class RateLimiter:
    """One bucket per key.

    :param keys: buckets remembered; beyond that the one used longest ago is forgotten, which fills it
    """

    __slots__ = ("_buckets", "_keys", "rate")

    def __init__(self, rate: Rate, keys: int) -> None:
        self.rate = rate
        self._keys = keys
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Keys remembered."""
        return len(self._buckets)

    def take(self, key: Hashable, now: float, keep: float = 0.0, tokens: float = 1.0) -> bool:
        """Use one token of this key, or what something costs; False: there is none, :meth:`wait_s` says when there will be."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = Bucket()
        if not self.rate.take(bucket, now, keep, tokens):
            return False
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        self._forget(now)
        return True

    def owe(self, key: Hashable, now: float, tokens: float) -> None:
        """Something has cost so much, whether there was as much or not: what is missing has to come back first."""
        bucket = self._buckets.setdefault(key, Bucket())
        most = self.rate.most_ahead_s * OWED_WINDOWS
        bucket.full_at = min((max(bucket.full_at, now)) + self.rate.interval_s * tokens, now + most)
        self._buckets.move_to_end(key)
        self._forget(now)

    def give_back(self, key: Hashable) -> None:
        """A token taken before it was known whether it counts does not."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.full_at -= self.rate.interval_s

    def wait_s(self, key: Hashable, now: float, tokens: float = 1.0) -> float:
        """Seconds until there is a token for this key, or so many; 0.0: now."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else self.rate.wait_s(bucket, now, tokens)

    def _forget(self, now: float) -> None:
        """Drop full buckets from the one used longest ago on, and one too many. What was put in goes once: constant on average."""
        buckets = self._buckets
        while len(buckets) > self._keys or next(iter(buckets.values())).full_at <= now:
            buckets.popitem(last=False)
