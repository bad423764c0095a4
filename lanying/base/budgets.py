"""How much of everything one user may cause on the shard that owns them: messages, bytes, groups, invitations, requests, profiles. Pure.

Messages and bytes are one bucket: a message takes a token, a large one as many as its share of the bytes, so nobody pays twice. What
is taken is in memory: a shard that starts again begins anew.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Protocol

from lanying.base import limits
from lanying.base.errors import CallError, Refused
from lanying.base.rate import Bucket, Rate, RateLimiter
from lanying.base.refusals import Refusal

DAY_S: Final = 86_400.0
TOGETHER: Final = {"app": 100, "all": 200}
"""So many users of an app, and of all apps of a shard, may use up their budgets at once."""
ALONE: Final = 0.1


class Rules(Protocol):
    """What the configuration says about one user, or one group, and a second or a day."""

    @property
    def user_messages_per_s(self) -> int: ...
    @property
    def user_bytes_per_s(self) -> int: ...
    @property
    def user_bytes_per_day(self) -> int: ...
    @property
    def group_messages_per_s(self) -> int: ...


class Shared(RateLimiter):
    """A budget of each user, one of all users of an app together, and one of all apps.

    While those are used up each user has a tenth of theirs: many accounts of one person do little together, and shut nobody out.
    """

    __slots__ = ("_together",)

    def __init__(self, rate: Rate, keys: int) -> None:
        super().__init__(rate, keys)
        window_s = rate.interval_s * rate.burst
        self._together = {
            each: RateLimiter(Rate(rate.burst * factor, window_s), limits.APPS) for each, factor in TOGETHER.items()
        }

    def keep(self, app: str, now: float, count: int) -> float:
        """So many more are caused in an app: what is left alone of each user's budget."""
        app_has = self._together["app"].take(app, now, tokens=count)
        all_have = self._together["all"].take("", now, tokens=count)
        return 0.0 if app_has and all_have else self.rate.burst * (1 - ALONE)


class Spent(Bucket):
    """What one user has taken: messages in this second, bytes of this day.

    :ivar day_at: when all bytes of a day will be there again
    """

    __slots__ = ("day_at",)

    def __init__(self) -> None:
        super().__init__()
        self.day_at = 0.0


class Budgets:
    """Of all users.

    :ivar messages: of one user; ``tokens_per_byte`` of it a byte costs
    :ivar group: the same of one group, whose bytes count once for each member
    :ivar founded: groups founded, ``invited`` users invited into groups, ``requests`` friend requests, by the user who does it
    :ivar profiles: changes of one's profile: friends are notified of each
    :ivar changes: of groups and of what one notes about others: members or one's devices are notified of each
    :ivar unknown: recipients nobody has
    """

    def __init__(self, rules: Rules) -> None:
        self.messages = Rate(rules.user_messages_per_s)
        self.tokens_per_byte = rules.user_messages_per_s / rules.user_bytes_per_s
        self._interval_s, self._ahead_s = self.messages.interval_s, self.messages.most_ahead_s
        self._per_day, self._byte_s = rules.user_bytes_per_day, DAY_S / rules.user_bytes_per_day
        self.group = RateLimiter(Rate(rules.group_messages_per_s), limits.GROUP_RATES)
        self.group_tokens_per_byte = rules.group_messages_per_s / limits.GROUP_BYTES_PER_S
        self.founded = _daily(limits.GROUPS_FOUNDED_PER_DAY)
        self.invited = _daily(limits.INVITATIONS_PER_DAY)
        self.requests = _daily(limits.FRIEND_REQUESTS_PER_DAY)
        self.profiles = _hourly(limits.PROFILES_PER_HOUR)
        self.changes = _hourly(limits.CHANGES_PER_HOUR)
        self.unknown = _hourly(limits.UNKNOWN_PER_HOUR)
        self._users: OrderedDict[int, Spent] = OrderedDict()

    def of(self, uid: int) -> Spent:
        """What a user has taken who may have no session."""
        spent = self._users.get(uid)
        if spent is None:
            spent = self._users[uid] = Spent()
            if len(self._users) > limits.USERS_COUNTED:
                self._users.popitem(last=False)
        else:
            self._users.move_to_end(uid)
        return spent

    def send(self, spent: Spent, now: float, size: int) -> None:
        """A message of ``size`` bytes. :raises Refused: too much in this second, or on this day"""
        # Per message, so both rates are here and not two calls: see Rate.take.
        tokens = size * self.tokens_per_byte
        full_at = (spent.full_at if spent.full_at > now else now) + self._interval_s * (tokens if tokens > 1.0 else 1.0)
        if full_at - now > self._ahead_s:
            raise self.too_many()
        day_at = (spent.day_at if spent.day_at > now else now) + self._byte_s * size
        if day_at - now > DAY_S:
            text = f"more than {self._per_day} bytes in a day; come back tomorrow"
            raise Refused(Refusal.TOO_MANY_MESSAGES, text, day_at - now - DAY_S)
        spent.full_at, spent.day_at = full_at, day_at

    def too_many(self) -> Refused:
        """A user sends more than they may."""
        most = self.messages.burst
        text = f"more than {most:g} messages or {most / self.tokens_per_byte:.0f} bytes in a second; wait a second"
        return Refused(Refusal.TOO_MANY_MESSAGES, text)


def charge(
    budget: RateLimiter,
    key: Hashable,
    now: float,
    what: str,
    count: int = 1,
    refusal: Refusal = Refusal.TOO_MANY_REQUESTS,
    app: str = "",
) -> None:
    """So many of what there is a budget for: all or none. Nobody (0 or "") has no budget.

    :param app: whose users share what they cause, if they do
    :raises CallError: there is not so much left of it, and when there will be
    """
    if not key or not count:
        return
    if count > budget.rate.burst:
        raise CallError(refusal, f"too many {what}; at most {budget.rate.burst:g} at once")
    wait_s, keep = budget.wait_s(key, now, count), 0.0
    if not wait_s and isinstance(budget, Shared):  # what is refused anyway takes nothing of what is shared
        keep = budget.keep(app, now, count)
    if not budget.take(key, now, keep, tokens=count):
        raise later(budget.wait_s(key, now, count + keep), what, refusal)


def need(budget: RateLimiter, key: Hashable, now: float, what: str) -> None:
    """Is anything left of a budget that is paid afterwards, with :meth:`RateLimiter.owe`? :raises CallError: 429, and when there will be"""
    wait_s = budget.wait_s(key, now) if key else 0.0
    if wait_s:
        raise later(wait_s, what)


def later(wait_s: float, what: str, refusal: Refusal = Refusal.TOO_MANY_REQUESTS) -> CallError:
    """There were too many of something: the refusal says when to come back, in words and as a number."""
    wait_s = max(wait_s, 1.0)
    when = f"{math.ceil(wait_s)} seconds" if wait_s <= 90 else f"{math.ceil(wait_s / 60)} minutes"
    return CallError(refusal, f"too many {what}; try again in {when}", retry_s=wait_s)


def _daily(burst: int) -> Shared:
    return Shared(Rate(burst, DAY_S), limits.USERS_COUNTED)


def _hourly(burst: int) -> RateLimiter:
    return RateLimiter(Rate(burst, 3600.0), limits.USERS_COUNTED)
