"""Long work of this process (backups, compactions): what runs, how far it is, and how to end it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lanying.admin.errors import CommandError
from lanying.base import limits
from lanying.base.errors import LanyingError
from lanying.bus.messages import JobState

KEPT: Final = 50
Publish = Callable[[str, dict[str, Any]], None]


class Cancelled(LanyingError):
    """The job was asked to end."""


@dataclass
class Job:
    """One piece of work, in a thread of its own."""

    id: int
    title: str
    who: str
    started_ms: int
    state: JobState = JobState.RUNNING
    done: float = 0.0
    total: float = 0.0
    text: str = ""
    result: Any = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def tell(self, done: float, total: float, text: str) -> None:
        """From the thread: how far it is. :raises Cancelled: the job was asked to end"""
        if self.stop.is_set():
            raise Cancelled(f"{self.title} was cancelled")
        self.done, self.total, self.text = done, total, text

    def row(self) -> dict[str, Any]:
        """As a row of the table."""
        percent = round(100 * self.done / self.total) if self.total else None
        return {
            "job": self.id,
            "what": self.title,
            "state": self.state,
            "percent": percent,
            "now": self.text,
            "who": self.who,
            "started_ms": self.started_ms,
        }


class Jobs:
    """The jobs of one server process; the last ended ones are remembered.

    :param publish: notifies consoles that listen: topic, what happened
    :param now_ms: wall milliseconds
    """

    def __init__(self, publish: Publish, now_ms: Callable[[], int]) -> None:
        self._publish = publish
        self._now_ms = now_ms
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, who: str, title: str, work: Callable[[Job], Any]) -> Job:
        """Run ``work`` in a thread; it calls :meth:`Job.tell` now and then. :raises CommandError: too many run"""
        running = sum(job.state is JobState.RUNNING for job in self._jobs.values())
        if running >= limits.ADMIN_JOBS:
            raise CommandError(10010, f"{running} jobs run already; wait for one, or end one with `jobs cancel`")
        job = Job(next(self._numbers), title, who, self._now_ms())
        self._jobs[job.id] = job
        for old in [one.id for one in self._jobs.values() if one.state is not JobState.RUNNING][:-KEPT]:
            del self._jobs[old]
        task = asyncio.get_running_loop().create_task(self._run(job, work), name=title)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._publish("job", job.row())
        return job

    async def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.result = await asyncio.to_thread(work, job)
            job.state = JobState.DONE
        except Cancelled:
            job.state = JobState.CANCELLED
        except Exception as error:  # noqa: BLE001 - whatever it was, the console gets it
            job.state, job.text = JobState.FAILED, str(error)
        job.ended.set()
        self._publish("job", job.row())

    def get(self, number: int) -> Job:
        """A job by its number. :raises CommandError: there is none"""
        if number not in self._jobs:
            raise CommandError(404, f"there is no job {number}; `jobs list` shows them")
        return self._jobs[number]

    def rows(self) -> list[dict[str, Any]]:
        """All, the latest first."""
        return [job.row() for job in reversed(self._jobs.values())]

    def close(self) -> None:
        """Ask all to end: the process waits for their threads."""
        for job in self._jobs.values():
            job.stop.set()

    async def follow(self, job: Job, progress: Callable[[float, float, str], None]) -> Any:
        """Wait for the end of a job, passing its progress on; a console that vanishes cancels it.

        :raises CommandError: it failed or was cancelled
        """
        try:
            while not job.ended.is_set():
                progress(job.done, job.total, job.text or job.title)
                try:
                    async with asyncio.timeout(0.25):
                        await job.ended.wait()
                except TimeoutError:
                    continue
        except asyncio.CancelledError:
            job.stop.set()
            raise
        if job.state is not JobState.DONE:
            raise CommandError(
                500, f"{job.title}: {job.state}{f', {job.text}' if job.state is JobState.FAILED else ''}"
            )
        return job.result
