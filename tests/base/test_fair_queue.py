"""Peers take turns, whatever one of them asks for."""

from __future__ import annotations

import asyncio
import random

import pytest

from lanying.base.errors import CallError
from lanying.base.fair_queue import FairQueue


class Bench:
    """A queue whose work ends when the test says so."""

    def __init__(self, at_once: int = 1, waiting: int = 8, each: int = 6) -> None:
        self.queue = FairQueue(at_once, waiting, each, "busy", 3)
        self.running: list[str] = []
        self.refused: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """Work of the peer that a name begins with."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._work(name))
            await asyncio.sleep(0)
        await self._settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._settle()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def _work(self, name: str) -> None:
        try:
            async with self.queue.turn(name[0]):
                self.running.append(name)
                try:
                    await self._ends[name].wait()
                finally:
                    self.running.remove(name)
        except CallError as error:
            assert error.code == 503 and error.retry_s == 3
            self.refused.append(name)


def test_somebody_else_is_next() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.ask("a1", "a2", "a3", "a4", "b1")
        order = []
        while bench.running:
            order += bench.running
            await bench.end(bench.running[0])
        assert order == ["a1", "a2", "b1", "a3", "a4"]
        assert len(bench.queue) == 0

    asyncio.run(story())


def test_a_peer_has_a_share_of_the_queue_and_the_fullest_makes_room() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.ask(*(f"a{n}" for n in range(9)))
        assert bench.refused == ["a7", "a8"], "one under way, six wait"
        await bench.ask("b1", "b2", "b3", "c1")
        assert bench.refused[2:] == ["a6", "a5"], "the latest of who has the most"
        await bench.ask("a9")
        assert bench.refused[4:] == ["a9"]
        assert len(bench.queue) == 9

    asyncio.run(story())


def test_who_gives_up_leaves_no_hole() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.ask("a1", "a2", "b1", "a3")
        await bench.give_up("a2")
        assert len(bench.queue) == 3
        bench._ends["a1"].set()
        await asyncio.sleep(0)
        await bench.give_up("a3")
        await bench.give_up("b1")
        assert (bench.running, len(bench.queue)) == ([], 0)

    asyncio.run(story())


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_done_twice_in_any_order(seed: int) -> None:
    async def story() -> None:
        chance = random.Random(seed)
        bench = Bench(at_once=2)
        for number in range(200):
            await bench.ask(f"{chance.choice('aaab')}{number}")
            if chance.random() < 0.4 and bench.running:
                await bench.end(chance.choice(bench.running))
            if chance.random() < 0.3:
                await bench.give_up(chance.choice(list(bench._tasks)))
            assert len(bench.running) == min(2, len(bench.queue)), "nobody waits while there is room"
        while bench.running:
            await bench.end(bench.running[0])
        assert len(bench.queue) == 0
        assert all(task.done() for task in bench._tasks.values())

    asyncio.run(story())
