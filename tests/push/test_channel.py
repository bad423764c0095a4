"""The queue of one notifier: a few at a time, a rest when the vendor is away, one that tries, then the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from lanying.base import limits
from lanying.push import channel as channels
from lanying.push.channel import FAILURES, Channel, HeldPush


class Desk:
    """A channel whose work waits for the test, at a time that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.working: list[asyncio.Future[None]] = []
        self.worked: list[HeldPush] = []
        self.tasks: list[asyncio.Task[None]] = []
        monkeypatch.setattr(channels, "monotonic", lambda: self.now)

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.now += seconds

        monkeypatch.setattr(channels.asyncio, "sleep", sleep)
        self.channel = Channel(("app", "ours"), self._work, self._spawn)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> object:
        assert name == "channel ours"
        self.tasks.append(asyncio.ensure_future(work))
        return None

    async def _work(self, channel: Channel, entry: HeldPush) -> None:
        self.worked.append(entry)
        self.working.append(asyncio.get_running_loop().create_future())
        await self.working[-1]

    async def settle(self) -> None:
        for _ in range(8):
            done = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(done.set_result, None)
            await done

    async def finish(self, count: int = 1) -> None:
        for _ in range(count):
            waiting = [one for one in self.working if not one.done()]
            waiting[0].set_result(None)
            await self.settle()

    @property
    def busy(self) -> int:
        return sum(not one.done() for one in self.working)

    async def add(self, count: int) -> list[HeldPush]:
        row: Any = None
        entries = [HeldPush(0, row) for _ in range(count)]
        for entry in entries:
            entry.parcels = []
            self.channel.add(entry)
        await self.settle()
        return entries

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def run(monkeypatch: pytest.MonkeyPatch, scenario: Any) -> None:
    async def play() -> None:
        desk = Desk(monkeypatch)
        await scenario(desk)
        await desk.close()

    asyncio.run(play())


MOST = limits.PUSHES_PER_VENDOR


def test_so_many_are_under_way_at_once_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        entries = await desk.add(MOST + 3)
        assert desk.busy == MOST and len(desk.channel) == 3
        await desk.finish(MOST + 3)
        assert desk.worked == entries and len(desk.channel) == desk.busy == 0

    run(monkeypatch, scenario)


def test_a_long_queue_keeps_no_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        entries = await desk.add(3 * MOST + 2)
        kept = [entry.parcels is not None for entry in entries]
        assert kept == sorted(kept, reverse=True) and kept.count(True) >= 2 * MOST and not kept[-1]

    run(monkeypatch, scenario)


def test_a_connection_that_broke_is_no_rest_and_several_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        for _ in range(FAILURES - 1):
            desk.channel.rest(0.0, "broke")
        assert not desk.channel._resting
        desk.channel.worked()
        for _ in range(FAILURES - 1):
            desk.channel.rest(0.0, "broke")
        assert not desk.channel._resting, "only in a row"
        desk.channel.rest(0.0, "broke")
        assert desk.channel._resting
        desk.now += limits.PUSH_RETRY_FIRST_S
        assert not desk.channel._resting

    run(monkeypatch, scenario)


def test_a_vendor_that_asks_for_time_gets_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        asked = limits.PUSH_RETRY_MAX_S + 50.0
        desk.channel.rest(asked, "busy")
        desk.now += asked - 1
        assert desk.channel._resting
        desk.now += 1
        assert not desk.channel._resting

    run(monkeypatch, scenario)


def test_rests_grow_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        rests = []
        for _ in range(20):
            desk.channel.rest(limits.VENDOR_RETRY_S + 0.5, "away")
            rests.append(round(desk.channel._rests_until - desk.now, 6))
            desk.now = desk.channel._rests_until
        assert rests[:3] == [limits.VENDOR_RETRY_S + 0.5, 2 * limits.PUSH_RETRY_FIRST_S, 4 * limits.PUSH_RETRY_FIRST_S]
        assert rests[-1] == rests[-2] == limits.PUSH_RETRY_MAX_S == max(rests)

    run(monkeypatch, scenario)


def test_what_waits_while_a_vendor_rests_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.add(MOST)
        [before] = await desk.add(1)
        desk.channel.rest(limits.VENDOR_RETRY_S + 1, "away")
        assert before.parcels is None, "what is known of it grows old"
        [meanwhile] = await desk.add(1)
        assert meanwhile.parcels is None

    run(monkeypatch, scenario)


def test_one_tries_when_the_rest_is_over_and_the_others_follow_when_it_got_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(desk: Desk) -> None:
        desk.channel.rest(30.0, "away")
        await desk.add(MOST + 1)
        assert desk.slept == [30.0] and desk.busy == 1, "one waits, and tries"
        desk.channel.worked()
        await desk.settle()
        assert desk.busy == MOST

    run(monkeypatch, scenario)


def test_workers_stop_when_the_vendor_is_away_but_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.add(3 * MOST)
        desk.channel.rest(limits.PUSH_RETRY_FIRST_S + limits.VENDOR_RETRY_S, "away")
        await desk.finish(MOST)
        assert desk.busy == 1

    run(monkeypatch, scenario)
