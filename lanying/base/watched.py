"""Users with a log level of their own: their lines are logged whatever the level of the server is. Pure; ``now`` is monotonic seconds."""

from __future__ import annotations

import logging
from typing import Final

from lanying.base import limits

users: Final[dict[int, tuple[int, float]]] = {}
"""Per-user log level: uid → (level as in :mod:`logging`, expires). Empty means no per-line cost."""
log: Final = logging.getLogger("lanying.users")
"""Where lines about them go that the log of their module does not take."""
log.setLevel(logging.DEBUG)


def watch(uid: int, level: str, seconds: float, now: float) -> None:
    """Give a user a level of their own for a while; 0: no more. With too many, the one that ends first is forgotten."""
    active(now)
    users.pop(uid, None)
    if seconds > 0:
        if len(users) >= limits.WATCHED_USERS:
            del users[min(users, key=lambda other: users[other][1])]
        users[uid] = (logging.getLevelNamesMapping()[level.upper()], now + min(seconds, limits.WATCH_S))


def active(now: float) -> bool:
    """Is any per-user level active? Forgets those whose time is over."""
    if users:
        for uid in [uid for uid, (_, until) in users.items() if until <= now]:
            del users[uid]
    return bool(users)


def wants(uid: int, level: int, now: float) -> bool:
    """Has the user a level of their own that takes this one?"""
    entry = users.get(uid)
    return entry is not None and level >= entry[0] and now < entry[1]
