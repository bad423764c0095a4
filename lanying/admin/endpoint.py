"""The ZeroMQ side of the admin process: ROUTER for commands, PUB for live events; on an ipc socket of the owner, and with CURVE over TCP.

Whoever can open the ipc socket has role ``admin`` (the directory is the owner's). Over TCP only registered keys connect, each with its
role; anything else is refused by ZeroMQ and logged here. Every ask has a deadline; one whose console has gone quiet is cancelled.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import msgspec
import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from lanying.admin import keys
from lanying.admin.commands.table import COMMANDS
from lanying.admin.doors import DOMAIN, Door, Place, Running
from lanying.admin.errors import CommandError, WouldDo
from lanying.admin.keys import Console, Ring
from lanying.admin.messages import (
    Again,
    Alive,
    Answer,
    Ask,
    Cancel,
    Done,
    Event,
    Failed,
    Progress,
    Rows,
    decode_question,
    encode,
)
from lanying.admin.server import Server
from lanying.admin.visit import Command, Kind, Later, Page, Role, Visit
from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.base.context import request_id
from lanying.base.errors import CallError, LanyingError

log = logging.getLogger(__name__)
_numbers = itertools.count(1)

LOCAL: Final = "local"
MAPPED: Final = "::ffff:"
"""Before an IPv4 address on a socket that takes both."""
NOT_REGISTERED: Final = "this key is not registered any more; ask for a new one"
KEYS_S: Final = 1.0
"""How long a removed key may still listen."""
REFUSED_S: Final = 60.0
"""Between two lines of the log about the same unknown key, which tries again by itself."""


class Endpoint:
    """Serves consoles until it is closed.

    :param ring: reads the keys; asked at every connection, so a new key works at once
    """

    def __init__(self, server: Server, ring: Callable[[], Ring]) -> None:
        self._server = server
        self._ring = ring
        self._doorkeeper = _Doorkeeper(ring)
        self._context = zmq.asyncio.Context(1)
        self._publishers: list[Place] = []
        self._doors: list[Door] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._authenticator: AsyncioAuthenticator | None = None

    def listen_local(self) -> None:
        """Open the ipc sockets."""
        run = self._server.run
        self._open(run.admin, run.admin_events, None)
        self._own(self._watch_keys(keys.Watch(self._server.data)), "admin-keys")

    def listen_tcp(self, host: str, port: int) -> None:
        """Open the CURVE sockets: commands on ``port``, events on the next one. :raises zmq.ZMQError: taken"""
        if self._authenticator is None:
            self._authenticator = _Authenticator(self._context, self._doorkeeper)
            self._authenticator.configure_curve_callback(DOMAIN, self._doorkeeper)
            self._authenticator.start()
        self._open(f"tcp://{host}:{port}", f"tcp://{host}:{port + 1}", self._ring)

    def _open(self, commands: str, events: str, ring: Callable[[], Ring] | None) -> None:
        door = Door.open(self._context, zmq.ROUTER, commands, ring)
        self._doors.append(door)
        self._publishers.append(Place.open(self._context, zmq.PUB, events, ring))
        self._own(self._receive(door), "admin-receive")
        self._own(self._cancel_deserted(door), "admin-deserted")

    def publish(self, topic: str, what: dict[str, Any]) -> None:
        """Tell everybody who subscribed to ``topic``; nobody is waited for."""
        event = Event(topic, self._server.now_ms(), what)
        self._server.followers.tell(event)
        data = encode(event)
        for publisher in self._publishers:
            try:
                publisher.socket.send_multipart([topic.encode(), data], zmq.NOBLOCK)
            except zmq.Again:
                pass

    async def last_words(self) -> None:
        """Wait, not for long, until what was asked is answered: for one, by who asked for this end."""
        asked = [one.task for door in self._doors for one in door.running.values() if not one.streams]
        if asked:
            await asyncio.wait(asked, timeout=limits.ADMIN_LAST_WORDS_S)

    def close(self) -> None:
        """Cancel what runs and close the sockets."""
        for task in (*self._tasks, *(one.task for door in self._doors for one in door.running.values())):
            task.cancel()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(linger=200)

    # --- inside ---

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("event=task_failed name=%s", task.get_name(), exc_info=task.exception())

    # --- keys that change ---

    async def _watch_keys(self, watch: keys.Watch) -> None:
        outcome = "done before this start"
        while True:
            if (change := watch.look()) is not None:
                if change.added or change.removed:
                    self._tell_of_keys(change, outcome)
                    try:
                        watch.keep()
                    except OSError as error:  # they are told once more after the next start
                        log.error("event=keys_not_kept error=%r", str(error))
                if gone := self._doorkeeper.forget_others(change.public):
                    log.info("event=keys_removed keys=%r", ", ".join(sorted(gone)))
                    await self._lock_out(gone)
            outcome = "done"
            await asyncio.sleep(KEYS_S)

    def _tell_of_keys(self, change: keys.Change, outcome: str) -> None:
        """``keygen`` and ``keys remove`` write the file themselves: the audit log has them from here."""
        self.publish("keys", {"added": list(change.added), "removed": list(change.removed)})
        for command, arguments in change.commands():
            self._server.record(LOCAL, command, {key: bounded(value) for key, value in arguments.items()}, outcome)

    async def _lock_out(self, public: set[str]) -> None:
        """End what runs for these keys, and all connections over TCP: ZeroMQ cannot end one. What others run is waited for."""
        for door in self._doors:
            for (console, number), one in list(door.running.items()):
                if one.key in public:
                    one.task.cancel()
                    await self._answer(door, console, Failed(number, 402, NOT_REGISTERED))
        for place in (*self._publishers, *self._doors):
            if place.ring is not None:
                self._own(place.readmit(), "admin-readmit")

    # --- asks ---

    async def _receive(self, door: Door) -> None:
        while True:
            frames = await door.socket.recv_multipart(copy=False)
            console = frames[0].bytes
            try:
                question = decode_question(frames[-1].buffer)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                await self._answer(door, console, Failed(0, 10002, f"not a message of a console: {error}"))
                continue
            if isinstance(question, Ask):
                key = "" if door.ring is None else str(frames[-1].get("User-Id"))
                await self._begin(door, console, question, key)
            elif isinstance(question, Cancel):
                self._cancel(door, (console, question.id))
            elif isinstance(question, Alive):
                for number in question.ids[: limits.ADMIN_ASKS]:
                    if (one := door.running.get((console, number))) is not None:
                        one.heard = monotonic()

    def _identify(self, door: Door, key: str) -> tuple[str, Role] | None:
        if door.ring is None:
            return LOCAL, Role.ADMIN
        console = registered(door.ring, key)
        return None if console is None else (console.name, Role[console.role.upper()])

    async def _begin(self, door: Door, console: bytes, ask: Ask, key: str) -> None:
        identity = self._identify(door, key)
        if identity is None:  # since it connected
            await self._answer(door, console, Failed(ask.id, 402, NOT_REGISTERED))
            return
        who, role = identity
        if (console, ask.id) in door.running:
            await self._answer(door, console, Failed(ask.id, 10002, "this number is taken: a command of it runs"))
            return
        mine = sum(1 for other, _ in door.running if other == console)
        if mine >= limits.ADMIN_ASKS:
            await self._answer(door, console, Failed(ask.id, 503, f"{mine} commands run already; wait for one to end"))
            return
        task = asyncio.get_running_loop().create_task(self._run(door, console, ask, who, role), name=ask.command[:40])
        command = COMMANDS.get(ask.command)
        door.running[console, ask.id] = Running(task, key, monotonic(), command is not None and command.streams)
        task.add_done_callback(lambda _: door.running.pop((console, ask.id), None))
        await self._answer(door, console, Progress(ask.id, 0, 0))  # somebody is here and works on it

    async def _run(self, door: Door, console: bytes, ask: Ask, who: str, role: Role) -> None:
        """One ask, from the table to its last answer; whatever happens there is one."""
        request_id.set(f"console-{os.getpid():x}-{next(_numbers):x}")
        visit: Visit | None = None
        outcome = "cancelled"
        command = COMMANDS.get(ask.command)
        try:
            visit, command = self._visit(door, console, ask, who, role)
            if role < command.role:
                raise CommandError(
                    402, f"{command.name} needs the role {command.role.name.lower()}, this key has {role.name.lower()}"
                )
            async with asyncio.timeout(None if command.streams else min(ask.deadline_s, limits.ADMIN_DEADLINE_S)):
                answer: Answer = await self._perform(door, console, ask, command, visit)
            outcome = "begun" if isinstance(answer, Again) else "done"
        except WouldDo as would:
            outcome = "dry run"
            answer = Done(ask.id, {"would": str(would)})
        except TimeoutError:
            outcome = "too late"
            answer = Failed(
                ask.id, 408, f"{ask.command} took longer than {ask.deadline_s:g} s; give it more with --timeout"
            )
        except (CommandError, CallError) as error:
            outcome = f"refused: {error.code} {error.message}"
            answer = Failed(ask.id, error.code, error.message)
        except LanyingError as error:
            outcome = f"failed: {error}"
            answer = Failed(ask.id, 500, str(error))
        except Exception:
            log.exception("event=command_failed command=%r who=%s", ask.command, who)
            outcome = "failed"
            answer = Failed(ask.id, 500, "the admin process failed on this command, its log says why")
        finally:
            if command is not None and command.role > Role.READ and outcome != "dry run":
                self._record(who, command, visit, outcome)
        await self._answer(door, console, answer)

    def _visit(self, door: Door, console: bytes, ask: Ask, who: str, role: Role) -> tuple[Visit, Command]:
        command = COMMANDS.get(ask.command)
        if command is None:
            raise CommandError(404, f"there is no command {ask.command!r}; `help` lists them")
        loop = asyncio.get_running_loop()

        def progress(done: float, total: float, text: str) -> None:
            message = Progress(ask.id, done, total, text)
            loop.call_soon_threadsafe(lambda: self._own(self._answer(door, console, message), "admin-progress"))

        limit = max(1, min(ask.limit, limits.ADMIN_ROWS))
        return Visit(
            self._server, who, role, checked(command, ask.arguments), ask.dry, ask.cursor, limit, progress
        ), command

    async def _perform(self, door: Door, console: bytes, ask: Ask, command: Command, visit: Visit) -> Answer:
        found = command.handler(visit)
        if isinstance(found, AsyncIterator):
            async for row in found:
                await self._answer(door, console, Rows(ask.id, [row]))
            return Done(ask.id)
        result = await found
        if isinstance(result, Later):
            return Again(ask.id, result.command, result.text, result.seconds)
        if isinstance(result, Page):
            return Done(ask.id, result.rows, result.cursor)
        return Done(ask.id, result)

    def _record(self, who: str, command: Command, visit: Visit | None, outcome: str) -> None:
        kinds = {argument.key: argument.kind for argument in command.arguments}
        given = visit.arguments if visit is not None else {}
        shown = {key: audited(kinds[key], value) for key, value in given.items() if value is not None}
        self._server.record(who, command.name, shown, bounded(outcome))

    async def _answer(self, door: Door, console: bytes, answer: Answer) -> None:
        try:
            await door.socket.send_multipart([console, encode(answer)])
        except zmq.ZMQError as error:  # it is gone
            log.debug("event=answer_dropped error=%s", error)

    def _cancel(self, door: Door, key: tuple[bytes, int]) -> None:
        one = door.running.get(key)
        if one is not None:
            one.task.cancel()

    async def _cancel_deserted(self, door: Door) -> None:
        """A console that vanishes cancels its work."""
        while True:
            await asyncio.sleep(limits.ADMIN_ALIVE_S)
            too_old = monotonic() - 3 * limits.ADMIN_ALIVE_S
            for key, one in list(door.running.items()):
                if one.heard < too_old:
                    log.info("event=console_vanished command=%r", one.task.get_name())
                    self._cancel(door, key)


class _Authenticator(AsyncioAuthenticator):
    """Tells the doorkeeper the address as well, which its callback does not get."""

    def __init__(self, context: zmq.asyncio.Context, doorkeeper: _Doorkeeper) -> None:
        super().__init__(context)
        self._doorkeeper = doorkeeper

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """One question of ZeroMQ after the other: version, its number, domain, address … (ZMQ RFC 27)."""
        self._doorkeeper.address = msg[3].decode("ascii", "replace").removeprefix(MAPPED) if len(msg) > 3 else ""
        await super().handle_zap_message(msg)


class _Doorkeeper:
    """Tells ZeroMQ which CURVE keys may connect.

    :ivar address: where the key comes from that is asked about
    """

    def __init__(self, ring: Callable[[], Ring]) -> None:
        self.address = ""
        self._ring = ring
        self._admitted: set[str] = set()
        self._told: dict[str, float] = {}

    def callback(self, domain: str, key: bytes) -> bool:
        """Is it a registered key? ``key``: Z85 text."""
        public, now = key.decode("ascii", "replace"), monotonic()
        if registered(self._ring, public) is not None:
            self._admitted.add(public)
            return True
        if now - self._told.get(public, -REFUSED_S) >= REFUSED_S:
            if len(self._told) >= limits.ADMIN_QUEUE:
                self._told.clear()
            self._told[public] = now
            text = "event=console_refused address=%s key=%s reason='not a registered key'"
            log.warning(text, self.address, public)
        return False

    def forget_others(self, public: set[str]) -> set[str]:
        """Keys that were let in once and are none of these."""
        gone = self._admitted - public
        self._admitted &= public
        return gone


def registered(ring: Callable[[], Ring], key: str) -> Console | None:
    """The console of a key. While the file of keys cannot be read nobody is let in, and the endpoint goes on."""
    try:
        console = ring().console(key)
    except LanyingError as error:
        log.error("event=keys_unreadable error=%r", str(error))
        return None
    if console is not None and console.role.upper() not in Role.__members__:
        log.error("event=keys_unreadable error='%s has the role %r, which there is not'", console.name, console.role)
        return None
    return console


def audited(kind: Kind, value: Any) -> Any:
    """An argument as the audit log keeps it, which every role may read: without secrets and what people write."""
    if kind is Kind.SECRET:
        return "(hidden)"
    return f"({len(str(value))} characters)" if kind is Kind.WORDS else bounded(value)


def bounded(value: Any) -> Any:
    """An argument as the audit log keeps it: its line has to be found again in a piece of the file."""
    if isinstance(value, list):
        kept = [bounded(item) for item in value[: limits.AUDIT_ITEMS]]
        return kept if len(kept) == len(value) else [*kept, f"… {len(value)} in all"]
    if not isinstance(value, str) or len(value) <= limits.AUDIT_CHARS:
        return value
    return f"{value[: limits.AUDIT_CHARS]}… {len(value)} characters in all"


def checked(command: Command, given: dict[str, Any]) -> dict[str, Any]:
    """Arguments as the table types them. :raises CommandError: 10002 with the argument's name"""
    known = {argument.key: argument for argument in command.arguments}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise CommandError(10002, f"{command.name} takes no {unknown[0]}; `help {command.name}` shows what it takes")
    found: dict[str, Any] = {}
    for key, argument in known.items():
        value = given.get(key, argument.default)
        if value is None or (argument.many and not value):
            if argument.required:
                raise CommandError(10002, f"{command.name} needs {argument.name}: {argument.help}")
            continue
        if argument.kind is Kind.NUMBER:
            try:
                value = int(value)
            except (TypeError, ValueError):
                raise CommandError(10002, f"{argument.name} is a number, not {value!r}") from None
            if abs(value) >= 1 << 63:
                raise CommandError(10002, f"{argument.name} is too large a number")
        elif argument.kind is not Kind.FLAG and not argument.many and not isinstance(value, str | int):
            raise CommandError(10002, f"{argument.name} is a text, not {value!r}")
        if argument.choices and value not in argument.choices:
            raise CommandError(10002, f"{argument.name} is one of {', '.join(argument.choices)}, not {value!r}")
        found[key] = value
    return found
