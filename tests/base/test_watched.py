"""Users with a log level of their own."""

import logging

import pytest

from lanying.base import limits, watched

NOW = 1_000.0


@pytest.fixture(autouse=True)
def nobody():
    watched.users.clear()
    yield
    watched.users.clear()


def test_a_level_takes_itself_and_what_is_above_it_until_its_end():
    watched.watch(7, "info", 60, NOW)
    assert watched.wants(7, logging.INFO, NOW) and watched.wants(7, logging.ERROR, NOW + 59.9)
    assert not watched.wants(7, logging.DEBUG, NOW) and not watched.wants(8, logging.ERROR, NOW)
    assert not watched.wants(7, logging.ERROR, NOW + 60)


def test_zero_seconds_end_it():
    watched.watch(7, "info", 60, NOW)
    watched.watch(7, "info", 0, NOW)
    assert not watched.active(NOW)


def test_users_with_a_level_are_few_and_not_for_ever():
    for uid in range(limits.WATCHED_USERS + 5):
        watched.watch(uid, "debug", 10 + uid, NOW)
    assert len(watched.users) == limits.WATCHED_USERS and min(watched.users) == 5  # those that ended first are gone
    watched.watch(5, "debug", 1e9, NOW)
    assert watched.active(NOW + limits.WATCH_S - 1)
    assert not watched.active(NOW + limits.WATCH_S) and not watched.users
