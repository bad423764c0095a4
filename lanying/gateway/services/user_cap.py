"""How many users an app has, for the cap ``accounts.max_users``.

Nothing is kept for it: the shards are asked when the first account of an app with a cap is to be made, then the gateway
counts on by itself. It asks again when an hour has passed, or a minute when the app is full (accounts may have gone). So
the number may be a little off: who registers while it is counted, or at the console, may be one too many or missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import CountUsers
from lanying.bus.shards import Shards, ask_shard
from lanying.config.runtime import RuntimeSettings

COUNT_S: Final = 3600.0
COUNT_FULL_S: Final = 60.0
"""A count looks at every account, so a full app does not get one for each who tries."""


class UserCap:
    """Places of users, app by app."""

    def __init__(self, settings: RuntimeSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._counts: dict[str, int] = {}
        self._counted: dict[str, float] = {}
        self._one_count = asyncio.Lock()

    async def take(self, shards: Shards, app: str) -> None:
        """A place for a new user. :raises CallError: 40002 there is none, 503 the shards could not be asked"""
        most = self._settings.config.accounts_of(app).max_users
        if not most:
            return
        async with self._one_count:
            age = self._now() - self._counted.get(app, -COUNT_S)
            if age >= COUNT_S or (self._counts[app] >= most and age >= COUNT_FULL_S):
                self._counts[app] = sum([await users(shards, shard, app) for shard in shards.map.peers])
                self._counted[app] = self._now()
            if self._counts[app] >= most:
                raise CallError(Refusal.APP_FULL)
            self._counts[app] += 1

    def give_back(self, app: str) -> None:
        """The account was not made."""
        if app in self._counts:
            self._counts[app] -= 1


async def users(shards: Shards, shard: int, app: str) -> int:
    """Accounts of an app on one shard that may log in, counted in pieces. :raises CallError: 503"""
    total = after = 0
    while True:
        found = await ask_shard(shards, shard, CountUsers(app, after))
        total, after = total + found.count, found.next
        if not after:
            return total
