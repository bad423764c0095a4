"""One ask of a console, from the table of commands to its last answer. Knows no sockets."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from lanying.admin.arguments import audited, bounded, checked
from lanying.admin.commands.table import COMMANDS
from lanying.admin.context import AfterRestart, Command, CommandContext, ResultPage
from lanying.admin.errors import CommandError, WouldDo
from lanying.admin.keys import Role
from lanying.admin.messages import Again, Answer, Ask, Done, Failed, Progress, Rows
from lanying.admin.server import Server
from lanying.base import limits
from lanying.base.context import request_id
from lanying.base.errors import CallError, LanyingError

log = logging.getLogger(__name__)
_numbers = itertools.count(1)

Say = Callable[[Answer], Coroutine[Any, Any, None]]
"""Sends an answer to the console that asked."""
Own = Callable[[Coroutine[Any, Any, None], str], object]
"""Runs something as a task under a name."""


class Asks:
    """Runs commands for consoles, and writes those that change something into the audit log."""

    def __init__(self, server: Server, own: Own) -> None:
        self._server = server
        self._own = own

    async def run(self, ask: Ask, who: str, role: Role, answer: Say) -> None:
        """One ask, from the table to its last answer; whatever happens there is one."""
        request_id.set(f"console-{os.getpid():x}-{next(_numbers):x}")
        context: CommandContext | None = None
        outcome = "cancelled"
        command = COMMANDS.get(ask.command)
        try:
            context, command = self._context(ask, who, role, answer)
            if role < command.role:
                raise CommandError(
                    402, f"{command.name} needs the role {command.role.name.lower()}, this key has {role.name.lower()}"
                )
            async with asyncio.timeout(None if command.streams else min(ask.deadline_s, limits.ADMIN_DEADLINE_S)):
                last: Answer = await self._perform(ask, command, context, answer)
            outcome = "begun" if isinstance(last, Again) else "done"
        except WouldDo as would:
            outcome = "dry run"
            last = Done(ask.id, {"would": str(would)})
        except TimeoutError:
            outcome = "too late"
            last = Failed(
                ask.id, 408, f"{ask.command} took longer than {ask.deadline_s:g} s; give it more with --timeout"
            )
        except (CommandError, CallError) as error:
            outcome = f"refused: {error.code} {error.message}"
            last = Failed(ask.id, error.code, error.message)
        except LanyingError as error:
            outcome = f"failed: {error}"
            last = Failed(ask.id, 500, str(error))
        except Exception:
            log.exception("event=command_failed command=%r who=%s", ask.command, who)
            outcome = "failed"
            last = Failed(ask.id, 500, "the admin process failed on this command, its log says why")
        finally:
            if command is not None and command.role > Role.READ and outcome != "dry run":
                self._record(who, command, context, outcome)
        await answer(last)

    def _context(self, ask: Ask, who: str, role: Role, answer: Say) -> tuple[CommandContext, Command]:
        command = COMMANDS.get(ask.command)
        if command is None:
            raise CommandError(404, f"there is no command {ask.command!r}; `help` lists them")
        loop = asyncio.get_running_loop()

        def progress(done: float, total: float, text: str) -> None:
            message = Progress(ask.id, done, total, text)
            loop.call_soon_threadsafe(lambda: self._own(answer(message), "admin-progress"))

        limit = max(1, min(ask.limit, limits.ADMIN_ROWS))
        return CommandContext(
            self._server, who, role, checked(command, ask.arguments), ask.dry, ask.cursor, limit, progress
        ), command

    async def _perform(self, ask: Ask, command: Command, context: CommandContext, answer: Say) -> Answer:
        found = command.handler(context)
        if isinstance(found, AsyncIterator):
            async for row in found:
                await answer(Rows(ask.id, [row]))
            return Done(ask.id)
        result = await found
        if isinstance(result, AfterRestart):
            return Again(ask.id, result.command, result.text, result.seconds)
        if isinstance(result, ResultPage):
            return Done(ask.id, result.rows, result.cursor)
        return Done(ask.id, result)

    def _record(self, who: str, command: Command, context: CommandContext | None, outcome: str) -> None:
        kinds = {argument.key: argument.kind for argument in command.arguments}
        given = context.arguments if context is not None else {}
        shown = {key: audited(kinds[key], value) for key, value in given.items() if value is not None}
        self._server.record(who, command.name, shown, bounded(outcome))
