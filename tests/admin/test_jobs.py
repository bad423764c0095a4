"""Long work: bounded in number, ended when it can end, and whatever becomes of it the console hears of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lanying.admin.errors import CommandError
from lanying.admin.jobs import KEPT, Job, Jobs
from lanying.base import limits
from lanying.testing.poll import eventually


class Desk:
    def __init__(self) -> None:
        self.published: list[tuple[str, Any]] = []
        self.jobs = Jobs(lambda topic, row: self.published.append((topic, row["state"])), lambda: 1234)


def run(scenario: Callable[[Desk], Coroutine[Any, Any, None]]) -> Desk:
    desk = Desk()
    asyncio.run(scenario(desk))
    return desk


def test_a_job_is_told_of_at_its_beginning_and_end() -> None:
    async def scenario(desk: Desk) -> None:
        job = desk.jobs.start("ann", "count", lambda job: 7)
        assert desk.jobs.rows() == [
            {
                "job": 1,
                "what": "count",
                "state": "running",
                "percent": None,
                "now": "",
                "who": "ann",
                "started_ms": 1234,
            }
        ]
        told: list[str] = []
        assert await desk.jobs.follow(job, lambda done, total, text: told.append(text)) == 7
        assert told[0] == "count" and desk.jobs.get(1) is job

    assert run(scenario).published == [("job", "running"), ("job", "done")]


def test_progress_is_passed_on_in_percent() -> None:
    job = Job(1, "copy", "ann", 0)
    for done, total, percent in ((0, 0, None), (0, 3, 0), (1, 3, 33), (3, 3, 100)):
        job.tell(done, total, "on")
        assert job.row()["percent"] == percent and job.row()["now"] == "on"


def test_a_job_that_fails_says_why_and_one_that_is_cancelled_says_so() -> None:
    async def scenario(desk: Desk) -> None:
        def fail(job: Job) -> None:
            raise ValueError("no room")

        def go_on(job: Job) -> None:
            while True:
                job.tell(1, 2, "on")
                threading.Event().wait(0.001)

        with pytest.raises(CommandError, match=r"^copy: failed, no room$"):
            await desk.jobs.follow(desk.jobs.start("ann", "copy", fail), lambda *_: None)
        job = desk.jobs.start("ann", "move", go_on)
        desk.jobs.close()
        with pytest.raises(CommandError, match=r"^move: cancelled$"):
            await desk.jobs.follow(job, lambda *_: None)

    assert run(scenario).published[-1] == ("job", "cancelled")


def test_a_console_that_vanishes_cancels_what_it_follows() -> None:
    async def scenario(desk: Desk) -> None:
        job = desk.jobs.start("ann", "wait", lambda job: job.stop.wait(30) and job.tell(0, 0, ""))
        following = asyncio.create_task(desk.jobs.follow(job, lambda *_: None))
        await asyncio.sleep(0)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        assert job.stop.is_set()
        await eventually("the job has ended", job.ended.is_set)
        assert job.state == "cancelled"

    run(scenario)


def test_only_so_many_run_at_once_and_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ADMIN_JOBS", 2)

    async def scenario(desk: Desk) -> None:
        gate = threading.Event()
        held = [desk.jobs.start("ann", "wait", lambda job: gate.wait(30)) for _ in range(2)]
        with pytest.raises(CommandError, match="2 jobs run already; wait for one, or end one with `jobs cancel`"):
            desk.jobs.start("ann", "one too many", lambda job: None)
        gate.set()
        for job in held:
            await desk.jobs.follow(job, lambda *_: None)
        for _ in range(KEPT + 5):
            await desk.jobs.follow(desk.jobs.start("ann", "quick", lambda job: None), lambda *_: None)
        numbers = [row["job"] for row in desk.jobs.rows()]
        assert numbers == sorted(numbers, reverse=True)
        assert len(numbers) == KEPT + 1 and numbers[-1] == 2 + 5
        with pytest.raises(CommandError, match="there is no job 1; `jobs list` shows them"):
            desk.jobs.get(1)

    run(scenario)
