"""Shards: what each holds and owes; restart one; move hash slots between them.

Slots move while the server is stopped: it drains, a process of its own copies everything to the new owners
(:mod:`lanying.storage.mover`), and it starts again. This process goes with it: the next one reports how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from lanying.admin.commands import jobs
from lanying.admin.context import AfterRestart, CommandContext
from lanying.admin.errors import CommandError
from lanying.admin.server import Server
from lanying.base.errors import ReshardError
from lanying.base.ids import SLOTS
from lanying.bus.messages import JobState
from lanying.cluster.runtime import shard_name
from lanying.cluster.shardmap import ShardMap, wanted_map
from lanying.supervisor import report
from lanying.supervisor.move import DONE, Move, estimate
from lanying.supervisor.requests import MoveRequest, RestartRequest, StatusRequest

RESTART_S: Final = 60.0
POLL_S: Final = 0.1


async def list_all(context: CommandContext) -> object:
    """Every shard with its slots, sessions, memory, disk and what it owes others."""
    found = await asyncio.to_thread(report.measured, await context.server.control(StatusRequest()))
    slots = context.server.map.slots
    rows = []
    for row in found.processes:
        if not row.name.startswith("shard-"):
            continue
        index, figures = int(row.name.removeprefix("shard-")), row.figures
        rows.append(
            {
                "shard": index,
                "state": row.state,
                "core": row.core,
                "slots": slots.count(index),
                "sessions": int(figures.get("sessions", 0)),
                "messages": int(figures.get("messages", 0)),
                "cpu_percent": row.cpu_percent,
                "rss_bytes": row.rss_bytes,
                "disk_bytes": figures.get("disk_bytes"),
                "owes": int(figures.get("link_depth", 0)),
            }
        )
    return rows


async def restart(context: CommandContext) -> object:
    """Drain a shard and start it again: its clients connect again by themselves."""
    name = _name(context)
    before = (await context.server.control(StatusRequest())).process(name)
    context.will(f"restart {name}: {int(before.figures.get('sessions', 0))} clients connect again, nothing is lost")
    await context.server.control(RestartRequest(name))
    context.progress(0, 0, f"{name} drains and starts")
    async with asyncio.timeout(RESTART_S):
        while True:
            row = (await context.server.control(StatusRequest())).process(name)
            if row.restarts > before.restarts and row.state == "ready":
                return {"shard": name, "pid": row.pid, "restarts": row.restarts}
            await asyncio.sleep(POLL_S)


async def move(context: CommandContext) -> object:
    """Another number of shards, or some slots to a shard."""
    given = context.arguments
    if "shards" in given:
        title = f"move to {given['shards']} shard{'' if given['shards'] == 1 else 's'}"
    else:
        title = f"move slots {context.text('slots')[:40]} to shard {context.text('to')}"

    def choose(now: ShardMap) -> ShardMap | None:
        return wanted_map(now, given.get("shards"), given.get("slots"), given.get("to"))

    plan = await _plan(context, "shards move", title, choose)
    context.will(plan.would)
    return await _begin(context, plan)


async def drain(context: CommandContext) -> object:
    """All slots of a shard to the others."""
    shard = context.number("shard")
    plan = await _plan(context, "shards drain", f"drain shard {shard}", lambda now: now.drained(shard))
    context.will(plan.would)
    return await _begin(context, plan)


async def outcome(context: CommandContext) -> object:
    """How the last move ended. :raises CommandError: not well; 503: not yet"""
    last = context.server.files.last_move()
    if last is None:
        raise CommandError(404, "no slots were moved by `shards move` or `shards drain` here")
    if not last.ended or not last.back_ms:
        raise CommandError(503, f"{last.title} is under way")
    if last.state != DONE:
        raise CommandError(10010, f"{last.title}: {last.state}: {last.text}")
    return {
        "what": last.title,
        "slots": last.moving,
        "result": last.text,
        "moving_seconds": (last.ended_ms - last.began_ms) / 1000,
        "away_seconds": (last.back_ms - last.asked_ms) / 1000,
        "shard_map_version": context.server.map.version,
    }


async def tell_outcome(server: Server) -> None:
    """Once the server is ready again: how the move ended for which it was stopped, for the audit log and whoever waits."""
    last = server.files.last_move()
    if last is None or not last.ended or last.back_ms:
        return
    while not await _is_ready(server):  # noqa: ASYNC110 - another process decides that
        await asyncio.sleep(POLL_S)
    server.record(last.who, last.command, {"what": last.title}, f"{last.state}: {last.text}")
    server.files.keep_move(last.become(last.state, last.text, back_ms=server.now_ms()))


async def _is_ready(server: Server) -> bool:
    try:
        return (await server.control(StatusRequest())).state == "ready"
    except CommandError:
        return False


class _Plan(NamedTuple):
    """A move that could be done now: nobody is served for about ``seconds``."""

    asked: Move
    seconds: float
    would: str


async def _plan(
    context: CommandContext, command: str, title: str, choose: Callable[[ShardMap], ShardMap | None]
) -> _Plan:
    """:raises CommandError: it would not come to its end"""
    server, now = context.server, context.server.map
    try:
        wanted = choose(now)
    except ReshardError as error:
        raise CommandError(10002, str(error)) from error
    if wanted is None:
        raise CommandError(10002, "say what moves: --shards N, or --slots LIST --to SHARD")
    moving = now.differences(wanted)
    if (wanted.shards, wanted.slots) == (now.shards, now.slots):
        raise CommandError(10010, f"every slot is there already, on {now.shards} shards")
    sessions = await _need_quiet(context)
    size = await asyncio.to_thread(_need_room, server)
    seconds, measured = estimate(server.files.last_move(), size)
    asked = Move(title, context.who, command, wanted.shards, wanted.slots, moving, size, server.now_ms())
    try:
        await server.control(MoveRequest(asked, dry=True))
    except CommandError as error:
        raise CommandError(10010, error.message) from error
    would = (
        f"{title}: {moving} of {SLOTS} slots get another shard. {size / 1e6:,.0f} MB are copied, {sessions} clients are disconnected and "
        f"come back by themselves, nobody is served for about {seconds:.0f} s "
        f"({'as quick as the last move' if measured else 'a guess: nothing large was moved here yet'})"
    )
    return _Plan(asked, seconds, would)


async def _begin(context: CommandContext, plan: _Plan) -> AfterRestart:
    await context.server.control(MoveRequest(plan.asked, dry=False))
    return AfterRestart("shards outcome", plan.asked.title, plan.seconds)


async def _need_quiet(context: CommandContext) -> int:
    """Nothing runs that a move would cut off or wait for; the number of sessions. :raises CommandError: something does"""
    for row in await jobs.list_all(context):
        if row["state"] == JobState.RUNNING:
            raise CommandError(
                10010, f"{row['what']} is running; wait for it, or end it with `jobs cancel {row['job']}`"
            )
    status = await context.server.control(StatusRequest())
    if status.total("cold_missing"):
        raise CommandError(
            10010, "the disk of the cold stores is not there (storage.cold_path): mount it, it has to move too"
        )
    return int(status.total("sessions"))


def _need_room(server: Server) -> int:
    try:
        return server.files.need_room(server.map.shards, server.config)
    except ReshardError as error:
        raise CommandError(10010, str(error)) from error


def _name(context: CommandContext) -> str:
    index = context.number("shard")
    if not 0 <= index < context.server.map.shards:
        raise CommandError(404, f"there is no shard {index}; there are 0 to {context.server.map.shards - 1}")
    return shard_name(index)
