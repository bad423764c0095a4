"""How many users an app may have: counted on all shards, seldom, and no place is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import CountUsers, UserCount, encode
from lanying.cluster.shardmap import ShardMap
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Accounts, Config
from lanying.gateway.services.user_cap import COUNT_FULL_S, COUNT_S, UserCap


class Town:
    """Two shards, each with users that are counted two at a time."""

    map = ShardMap.even(2)

    def __init__(self, most: int, users: tuple[int, int]) -> None:
        self.users = list(users)
        self.counts = 0
        self.now = 5000.0
        self.fail = False
        settings = RuntimeSettings(Config(accounts=msgspec.structs.replace(Accounts(), max_users=most)))
        self.cap = UserCap(settings, lambda: self.now)

    async def call(self, shard: int, request: Any, slots: Sequence[int] = ()) -> bytes:
        assert isinstance(request, CountUsers) and request.app == "app"
        if self.fail:
            raise CallError(Refusal.UNAVAILABLE)
        self.counts += request.after == 0
        left = self.users[shard] - request.after
        return encode(UserCount(min(left, 2), request.after + 2 if left > 2 else 0))

    def take(self) -> bool:
        try:
            asyncio.run(self.cap.take(self, "app"))
        except CallError as error:
            assert error.refusal is Refusal.APP_FULL
            return False
        return True


def test_an_app_without_a_cap_is_never_counted() -> None:
    town = Town(0, (5, 5))
    assert all(town.take() for _ in range(20)) and town.counts == 0


def test_places_of_all_shards_count_and_are_counted_once() -> None:
    town = Town(10, (5, 3))
    assert [town.take() for _ in range(3)] == [True, True, False]
    assert town.counts == 2, "once per shard"


def test_a_place_that_was_not_used_is_given_back() -> None:
    town = Town(10, (5, 4))
    town.cap.give_back("app")
    assert town.take() and not town.take()
    town.cap.give_back("app")
    assert town.take() and not town.take()


@pytest.mark.parametrize(("full", "after"), [(True, COUNT_FULL_S), (False, COUNT_S)])
def test_it_is_counted_again_after_a_while_sooner_when_it_is_full(full: bool, after: float) -> None:
    town = Town(10, (5, 5 if full else 2))
    assert town.take() is not full
    town.users = [1, 1]
    town.now += after - 1
    town.take()
    assert town.counts == 2
    town.now += 1
    assert town.take() and town.counts == 4


def test_shards_that_do_not_answer_give_no_place_and_are_asked_again() -> None:
    town = Town(10, (5, 2))
    town.fail = True
    with pytest.raises(CallError) as error:
        asyncio.run(town.cap.take(town, "app"))
    assert error.value.refusal is Refusal.UNAVAILABLE
    town.fail = False
    assert town.take()


def test_who_comes_at_the_same_time_is_counted_once() -> None:
    town = Town(10, (5, 2))

    async def many() -> int:
        found = await asyncio.gather(*(town.cap.take(town, "app") for _ in range(9)), return_exceptions=True)
        return sum(one is None for one in found)

    assert asyncio.run(many()) == 3 and town.counts == 2
