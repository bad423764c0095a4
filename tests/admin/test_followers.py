"""Who follows gets what comes while they follow, in bounded queues, and nobody waits for them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lanying.admin.followers import Followers
from lanying.base import limits


class Line(msgspec.Struct):
    text: str


class Frame(msgspec.Struct):
    text: str


def test_everybody_gets_what_they_follow_while_they_do() -> None:
    async def scenario() -> None:
        followers = Followers()
        followers.tell(Line("before"))
        with followers.queue(Line) as first, followers.queue(Line) as second, followers.queue(Frame) as frames:
            assert (followers.count(Line), followers.count(Frame)) == (2, 1)
            followers.tell(Line("now"))
            assert [first.get_nowait().text, second.get_nowait().text] == ["now", "now"]
            assert first.empty() and frames.empty()
        assert (followers.count(Line), followers.count(Frame)) == (0, 0)
        followers.tell(Line("behind"))
        assert first.empty()

    asyncio.run(scenario())


def test_a_queue_that_is_not_read_loses_the_newest_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ADMIN_QUEUE", 3)

    async def scenario() -> None:
        followers = Followers()
        with followers.queue(Line) as lazy, followers.queue(Line) as quick:
            for number in range(5):
                followers.tell(Line(f"{number}"))
                assert quick.get_nowait().text == f"{number}"
            assert [lazy.get_nowait().text for _ in range(lazy.qsize())] == ["0", "1", "2"]

    asyncio.run(scenario())


def test_who_fails_while_following_follows_no_more() -> None:
    followers = Followers()
    with pytest.raises(ZeroDivisionError), followers.queue(Line):
        raise ZeroDivisionError
    assert followers.count(Line) == 0
