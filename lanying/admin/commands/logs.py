"""Logs of the running processes: follow them, set levels. Lines carry no message contents and no secrets."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import lanying
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.base import limits, watched
from lanying.base.clock import monotonic
from lanying.base.logs import LEVELS
from lanying.bus.messages import LogControl, LogLine
from lanying.cluster.runtime import ADMIN
from lanying.supervisor.requests import StatusRequest

RENEW_S = 30.0
OURS: Final = Path(lanying.__file__).parent


async def tail(context: CommandContext) -> AsyncIterator[dict[str, Any]]:
    """Log lines of all processes as they are written; ``--process``, ``--level`` and ``--user`` narrow it down."""
    server = context.server
    least = LEVELS.index(context.text("level", "debug"))
    only, user = context.text("process"), context.text("user")
    if user:
        user = f"uid={(await server.user(server.app(context.text('app')), user)).uid}"
    names = await _processes(context)
    with server.followers.queue(LogLine) as lines:
        while True:
            for name in names:
                server.send(name, LogControl(tail_s=2 * RENEW_S, to=ADMIN))
            try:
                async with asyncio.timeout(RENEW_S):
                    while True:
                        line = await lines.get()
                        known = line.level in LEVELS
                        if (known and LEVELS.index(line.level) < least) or only not in ("", line.process):
                            continue
                        if user and user not in line.text.split():
                            continue
                        yield {
                            "time_ms": line.time_ms,
                            "level": line.level,
                            "process": line.process,
                            "module": line.module,
                            "text": line.text,
                        }
            except TimeoutError:
                continue


async def level(context: CommandContext) -> object:
    """Set how much is logged, of everything or one module, in all processes or one, until they start again; about one user for a while."""
    module, wanted = context.text("module"), context.text("level")
    chosen = await _processes(context)
    if context.text("user"):
        return await _level_of_user(context, wanted, chosen)
    if module:
        _check_module(module)
    context.will(f"log {module or 'everything'} at level {wanted} in {', '.join(chosen)}")
    for name in chosen:
        context.server.send(name, LogControl(module, wanted))
    return {"module": module or "(all)", "level": wanted, "processes": chosen}


def _check_module(module: str) -> None:
    """Of ours any there is; of others, whose loggers have names of their own, the package. :raises CommandError: none has it"""
    top = module.partition(".")[0]
    if top != OURS.name:
        with contextlib.suppress(ValueError):  # a module without a specification
            if top.isidentifier() and find_spec(top) is not None:
                return
    files = (file.relative_to(OURS.parent).with_suffix("") for file in OURS.rglob("*.py"))
    known = {".".join(file.parts).removesuffix(".__init__") for file in files}
    if module not in known:
        near = (
            ", ".join(difflib.get_close_matches(module, sorted(known), 5, 0.5)) or f"{OURS.name} and what is below it"
        )
        raise CommandError(404, f"no process has a module {module}; there are: {near}")


async def _level_of_user(context: CommandContext, wanted: str, chosen: list[str]) -> object:
    server, minutes, most = context.server, context.number("minutes"), int(limits.WATCH_S / 60)
    if context.text("module"):
        raise CommandError(10002, "--user and --module exclude each other: one is about a user, the other about code")
    if not 0 <= minutes <= most:
        raise CommandError(10002, f"--minutes is 1 to {most}, or 0 to end it")
    info = await server.user(server.app(context.text("app")), context.text("user"))
    watched.active(monotonic())
    if minutes and info.uid not in watched.users and len(watched.users) >= limits.WATCHED_USERS:
        others = ", ".join(map(str, watched.users))
        raise CommandError(
            10010, f"{limits.WATCHED_USERS} users have a level already ({others}): end one with --minutes 0"
        )
    how = f"for {minutes} minutes" if minutes else "no more"
    context.will(f"log lines about {info.username} ({info.uid}) at level {wanted} {how} in {', '.join(chosen)}")
    watched.watch(info.uid, wanted, minutes * 60, monotonic())  # ours is the list of all who have one
    for name in chosen:
        server.send(name, LogControl(level=wanted, uid=info.uid, watch_s=minutes * 60))
    return {"uid": info.uid, "level": wanted, "minutes": minutes, "processes": chosen}


async def _processes(context: CommandContext) -> list[str]:
    """The process that was named, or all. :raises CommandError: there is none of that name"""
    names = [row.name for row in (await context.server.control(StatusRequest())).processes]
    only = context.text("process")
    if only and only not in names:
        raise CommandError(404, f"there is no process {only}; there are: {', '.join(names)}")
    return [only] if only else names
