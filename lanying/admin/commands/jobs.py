"""``jobs``: what runs, and how to end it: jobs of this process, broadcasts of the shards, moves of slots."""

from __future__ import annotations

from typing import Any, Final

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.bus.messages import CancelBroadcast, JobState, ListBroadcasts

BROADCAST: Final = "b"
"""Before the number of a broadcast: the ids of jobs are numbers too."""


async def list_all(context: CommandContext) -> list[dict[str, Any]]:
    """Jobs, the latest first; broadcasts are the shards' own work and survive a restart; of moves of slots the last."""
    last = context.server.files.last_move()
    return [*context.server.jobs.rows(), *await _broadcasts(context), *([last.row()] if last is not None else [])]


async def cancel(context: CommandContext) -> object:
    """End a job as soon as it can stop cleanly."""
    text = context.text("job")
    if text.startswith(BROADCAST) and text[1:].isdecimal():
        context.will(f"stop broadcast {text[1:]}: users who have it keep it")
        stopped, silent = await context.server.ask_all(CancelBroadcast(int(text[1:])))
        if silent:
            names = ", ".join(f"shard-{shard}" for shard in silent)
            raise CommandError(503, f"{names} did not answer and may go on with {text}: cancel it again")
        if not any(stopped.values()):
            raise CommandError(404, f"no broadcast {text} is running; `jobs list` shows them")
        return f"broadcast {text[1:]} is stopped"
    job = context.server.jobs.get(int(text) if text.isdecimal() else 0)
    if job.state is not JobState.RUNNING:
        raise CommandError(10010, f"job {job.id} has ended: {job.state}")
    context.will(f"cancel job {job.id}: {job.title}")
    job.stop.set()
    return f"job {job.id} ends as soon as it can"


async def _broadcasts(context: CommandContext) -> list[dict[str, Any]]:
    """The shards' parts of each broadcast as one row; a row for each shard that does not answer."""
    answers, silent = await context.server.ask_all(ListBroadcasts())
    rows: dict[int, dict[str, Any]] = {}
    for part in [one for parts in answers.values() for one in parts]:
        what = f"broadcast in {part.app}"
        row = rows.setdefault(part.id, _row(f"{BROADCAST}{part.id}", what, part.state, 0, part.who, part.created_ms))
        row["now"] += part.sent
        if part.state is JobState.RUNNING:
            row["state"] = part.state
    for row in rows.values():
        row["now"] = f"{row['now']} sent"
    missing = "does not answer: its part of broadcasts is missing here"
    unknown = [_row("", f"shard-{shard}", "unknown", missing, "", None) for shard in silent]
    return unknown + sorted(rows.values(), key=lambda row: -row["started_ms"])


def _row(job: str, what: str, state: str, now: object, who: str, started_ms: int | None) -> dict[str, Any]:
    shown = {"job": job, "what": what, "state": state, "percent": None, "now": now}
    return shown | {"who": who, "started_ms": started_ms}
