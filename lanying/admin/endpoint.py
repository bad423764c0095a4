"""The ZeroMQ side of the admin process: ROUTER for commands, PUB for live events; on an ipc socket of the owner, and with CURVE over TCP.

Whoever can open the ipc socket has role ``admin`` (the directory is the owner's). Over TCP only registered keys connect, each with its
role; anything else is refused by ZeroMQ and logged. Every ask has a deadline; one whose console has gone quiet is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import msgspec
import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from lanying.admin import keys
from lanying.admin.arguments import bounded
from lanying.admin.asks import Asks
from lanying.admin.commands.table import COMMANDS
from lanying.admin.curve import Authenticator, CurveKeys, registered
from lanying.admin.doors import DOMAIN, Door, Place, Running
from lanying.admin.keys import Ring, Role
from lanying.admin.messages import (
    Alive,
    Answer,
    Ask,
    Cancel,
    Event,
    Failed,
    Progress,
    decode_question,
    encode,
)
from lanying.admin.server import Server
from lanying.base import limits
from lanying.base.clock import monotonic

log = logging.getLogger(__name__)

LOCAL: Final = "local"
NOT_REGISTERED: Final = "this key is not registered any more; ask for a new one"
KEYS_S: Final = 1.0
"""How long a removed key may still listen."""


class ConsoleEndpoint:
    """Serves consoles until it is closed.

    :param ring: reads the keys; asked at every connection, so a new key works at once
    """

    def __init__(self, server: Server, ring: Callable[[], Ring]) -> None:
        self._server = server
        self._ring = ring
        self._keys = CurveKeys(ring)
        self._asks = Asks(server, self._own)
        self._context = zmq.asyncio.Context(1)
        self._publishers: list[Place] = []
        self._doors: list[Door] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._authenticator: AsyncioAuthenticator | None = None

    def listen_local(self) -> None:
        """Open the ipc sockets."""
        run = self._server.files.run
        self._open(run.admin, run.admin_events, None)
        self._own(self._watch_keys(self._server.files.watch_keys()), "admin-keys")

    def listen_tcp(self, host: str, port: int) -> None:
        """Open the CURVE sockets: commands on ``port``, events on the next one. :raises zmq.ZMQError: taken"""
        if self._authenticator is None:
            self._authenticator = Authenticator(self._context, self._keys)
            self._authenticator.configure_curve_callback(DOMAIN, self._keys)
            self._authenticator.start()
        self._open(f"tcp://{host}:{port}", f"tcp://{host}:{port + 1}", self._ring)

    def _open(self, commands: str, events: str, ring: Callable[[], Ring] | None) -> None:
        door = Door.open(self._context, zmq.ROUTER, commands, ring)
        self._doors.append(door)
        self._publishers.append(Place.open(self._context, zmq.PUB, events, ring))
        self._own(self._receive(door), "admin-receive")
        self._own(self._cancel_deserted(door), "admin-deserted")

    def publish(self, topic: str, what: dict[str, Any]) -> None:
        """Publish to the consoles that subscribed to ``topic``; nobody is waited for."""
        event = Event(topic, self._server.now_ms(), what)
        self._server.followers.tell(event)
        data = encode(event)
        for publisher in self._publishers:
            try:
                publisher.socket.send_multipart([topic.encode(), data], zmq.NOBLOCK)
            except zmq.Again:
                pass

    async def last_words(self) -> None:
        """Wait, not for long, until what was asked is answered: for example by the console that asked for this end."""
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
                    except OSError as error:  # they are reported once more after the next start
                        log.error("event=keys_not_kept error=%r", str(error))
                if gone := self._keys.forget_others(change.public):
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
        say = partial(self._answer, door, console)
        task = asyncio.get_running_loop().create_task(self._asks.run(ask, who, role, say), name=ask.command[:40])
        command = COMMANDS.get(ask.command)
        door.running[console, ask.id] = Running(task, key, monotonic(), command is not None and command.streams)
        task.add_done_callback(lambda _: door.running.pop((console, ask.id), None))
        await self._answer(door, console, Progress(ask.id, 0, 0))  # somebody is here and works on it

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
