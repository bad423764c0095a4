"""Long work: what runs, how far it is, and how to end it. Jobs of this process (backups, compactions) and broadcasts of the shards."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lanying.admin.visit import CommandError, Visit
from lanying.base import limits
from lanying.base.errors import LanyingError
from lanying.bus.messages import CancelBroadcast, ListBroadcasts
from lanying.supervisor.move import Move

RUNNING: Final = "running"
KEPT: Final = 50
BROADCAST: Final = "b"
"""Before the number of a broadcast, to tell it from a job's."""


class Cancelled(LanyingError):
    """The job was asked to end."""


@dataclass
class Job:
    """One piece of work, in a thread of its own."""

    id: int
    title: str
    who: str
    started_ms: int
    state: str = RUNNING
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
    """The jobs of one server process; the last ended ones are remembered."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, visit: Visit, title: str, work: Callable[[Job], Any]) -> Job:
        """Run ``work`` in a thread; it calls :meth:`Job.tell` now and then. :raises CommandError: too many run"""
        running = sum(job.state == RUNNING for job in self._jobs.values())
        if running >= limits.ADMIN_JOBS:
            raise CommandError(10010, f"{running} jobs run already; wait for one, or end one with `jobs cancel`")
        job = Job(next(self._numbers), title, visit.who, visit.server.now_ms())
        self._jobs[job.id] = job
        for old in [one.id for one in self._jobs.values() if one.state != RUNNING][:-KEPT]:
            del self._jobs[old]
        task = asyncio.get_running_loop().create_task(self._run(visit, job, work), name=title)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        visit.server.publish("job", job.row())
        return job

    async def _run(self, visit: Visit, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            job.result = await asyncio.to_thread(work, job)
            job.state = "done"
        except Cancelled:
            job.state = "cancelled"
        except Exception as error:  # noqa: BLE001 - whatever it was, the console is told
            job.state, job.text = "failed", str(error)
        job.ended.set()
        visit.server.publish("job", job.row())

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

    async def follow(self, visit: Visit, job: Job) -> Any:
        """Wait for the end of a job, passing its progress on; a console that vanishes cancels it.

        :raises CommandError: it failed or was cancelled
        """
        try:
            while not job.ended.is_set():
                visit.progress(job.done, job.total, job.text or job.title)
                try:
                    async with asyncio.timeout(0.25):
                        await job.ended.wait()
                except TimeoutError:
                    continue
        except asyncio.CancelledError:
            job.stop.set()
            raise
        if job.state != "done":
            raise CommandError(500, f"{job.title}: {job.state}{f', {job.text}' if job.state == 'failed' else ''}")
        return job.result


async def list_all(visit: Visit) -> list[dict[str, Any]]:
    """Jobs, the latest first; broadcasts are the shards' own work and survive a restart; of moves of slots the last."""
    last = Move.load(visit.server.data)
    return [*visit.server.jobs.rows(), *await _broadcasts(visit), *([last.row()] if last is not None else [])]


async def cancel(visit: Visit) -> object:
    """End a job as soon as it can stop cleanly."""
    text = visit.text("job")
    if text.startswith(BROADCAST) and text[1:].isdecimal():
        visit.will(f"stop broadcast {text[1:]}: who has it keeps it")
        stopped, silent = await visit.server.ask_all(CancelBroadcast(int(text[1:])))
        if silent:
            names = ", ".join(f"shard-{shard}" for shard in silent)
            raise CommandError(503, f"{names} did not answer and may go on with {text}: cancel it again")
        if not any(stopped.values()):
            raise CommandError(404, f"no broadcast {text} is running; `jobs list` shows them")
        return f"broadcast {text[1:]} is stopped"
    job = visit.server.jobs.get(int(text) if text.isdecimal() else 0)
    if job.state != "running":
        raise CommandError(10010, f"job {job.id} has ended: {job.state}")
    visit.will(f"cancel job {job.id}: {job.title}")
    job.stop.set()
    return f"job {job.id} ends as soon as it can"


async def _broadcasts(visit: Visit) -> list[dict[str, Any]]:
    """The shards' parts of each broadcast as one row; a row for each shard that does not answer."""
    answers, silent = await visit.server.ask_all(ListBroadcasts())
    rows: dict[int, dict[str, Any]] = {}
    for part in [one for parts in answers.values() for one in parts]:
        what = f"broadcast in {part.app}"
        row = rows.setdefault(part.id, _row(f"{BROADCAST}{part.id}", what, part.state, 0, part.who, part.created_ms))
        row["now"] += part.sent
        if part.state == RUNNING:
            row["state"] = part.state
    for row in rows.values():
        row["now"] = f"{row['now']} sent"
    missing = "does not answer: its part of broadcasts is missing here"
    unknown = [_row("", f"shard-{shard}", "unknown", missing, "", None) for shard in silent]
    return unknown + sorted(rows.values(), key=lambda row: -row["started_ms"])


def _row(job: str, what: str, state: str, now: object, who: str, started_ms: int | None) -> dict[str, Any]:
    shown = {"job": job, "what": what, "state": state, "percent": None, "now": now}
    return shown | {"who": who, "started_ms": started_ms}
