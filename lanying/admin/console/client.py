"""The asking side: one DEALER socket to an admin endpoint, blocking, for command line and tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from lanying.admin.errors import CommandError
from lanying.admin.keys import Ticket
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
    Question,
    Rows,
    decode_answer,
    decode_event,
    encode,
)
from lanying.base import limits, texts
from lanying.base.clock import monotonic
from lanying.base.errors import ConfigError
from lanying.cluster.runtime import RunDirectory
from lanying.supervisor import control, report
from lanying.supervisor.requests import StatusRequest

CONNECT_S = 5.0
NAME_DATA = "start the server, or name its data directory with --data, as the user it runs as"
CHECK_KEY = "is the server running, and is this key registered there?"
NO_ANSWER = "no answer; try again, and look at `lanying-cluster status` on the server if it stays so"
_NEW_KEY = "`lanying-admin keygen NAME` on the server writes one"
RETRY_S = 2.0
"""For one try to reach a server that starts again."""
PAUSE_S = 0.2
"""Between two of them."""
AWAY = (408, 503)
"""Nobody answers, or it is not over."""
RECONNECT_MS = 2000


@dataclass(frozen=True)
class Address:
    """Where a server's consoles connect: a data directory of this machine, or ``HOST:PORT`` with a ticket."""

    data: Path | None = None
    host: str = ""
    ticket: Ticket | None = None

    @property
    def commands(self) -> str:
        """ZeroMQ endpoint for commands."""
        return RunDirectory(self.data).admin if self.data else f"tcp://{self.host}"

    @property
    def events(self) -> str:
        """ZeroMQ endpoint for events: the next port."""
        if self.data:
            return RunDirectory(self.data).admin_events
        name, _, port = self.host.rpartition(":")
        return f"tcp://{name}:{int(port) + 1}"


@dataclass
class Result:
    """A page of a result."""

    value: Any
    cursor: str = ""


class LiveEvents:
    """Live events of a subscription."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket

    def next(self, timeout_s: float) -> Event | None:
        """The next one, None when there is none in time."""
        if not self._socket.poll(int(timeout_s * 1000)):
            return None
        return decode_event(self._socket.recv_multipart()[-1])


@dataclass
class Console:
    """A connection to one server; use it as a context manager, from one thread.

    :param on_progress: done, total (0: unknown), text
    """

    address: Address
    on_progress: Callable[[float, float, str], None] = lambda done, total, text: None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        self._context = zmq.Context(1)
        self._socket = self._connect(zmq.DEALER, self.address.commands)
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=200)

    def run(
        self, command: str, arguments: dict[str, Any] | None = None, *, dry: bool = False, cursor: str = "",
        limit: int = 100, timeout_s: float = 30.0,
    ) -> Result:  # fmt: skip
        """One page of a command's result. :raises CommandError: refused, failed, or no answer"""
        ask = Ask(next(self._numbers), command, arguments or {}, dry, cursor, limit, timeout_s)
        try:
            for answer in self._answers(ask, timeout_s):
                if isinstance(answer, Done):
                    return Result(answer.result, answer.cursor)
                if isinstance(answer, Again):
                    return self._after_restart(answer, timeout_s)
        except KeyboardInterrupt:
            self._say(Cancel(ask.id))
            raise
        raise CommandError(408, NO_ANSWER)

    def _after_restart(self, begun: Again, timeout_s: float) -> Result:
        """Wait until the server is back and says how it went."""
        began = monotonic()
        try:
            while True:
                waited = monotonic() - began
                self.on_progress(min(waited, begun.seconds), begun.seconds, f"{begun.text}{self._step()}")
                try:
                    return self._once(begun.command)
                except CommandError as error:
                    if error.code not in AWAY:
                        raise
                    if waited > timeout_s:
                        raise CommandError(
                            408,
                            f"the server is not back after {timeout_s:g} s; its log says why, and when it is, "
                            f"`{begun.command}` shows how it ended",
                        ) from None
                time.sleep(PAUSE_S)
        except KeyboardInterrupt:
            raise CommandError(408, f"it goes on without you; `{begun.command}` shows how it ended") from None

    def _once(self, command: str) -> Result:
        """One try, on a connection of its own: what is asked of a server that is not there is not kept for later."""
        self._socket.disable_monitor()
        self._socket.close(linger=0)
        self._socket = self._connect(zmq.DEALER, self.address.commands)
        for answer in self._answers(Ask(next(self._numbers), command), RETRY_S, RETRY_S):
            if isinstance(answer, Done):
                return Result(answer.result)
        raise CommandError(408, NO_ANSWER)

    def _step(self) -> str:
        """How far a server of this machine is."""
        if self.address.data is None:
            return ""
        try:
            found = control.ask(RunDirectory(self.address.data), StatusRequest(), RETRY_S)
        except (control.NotRunning, control.NoAnswer):
            return ""
        return f": {report.moving(found) or found.state}"

    def stream(self, command: str, arguments: dict[str, Any] | None = None) -> Generator[dict[str, Any]]:
        """Rows as they come, until the server ends or the generator is closed, which cancels the command."""
        ask = Ask(next(self._numbers), command, arguments or {})
        try:
            for answer in self._answers(ask, None):
                if isinstance(answer, Rows):
                    yield from answer.rows
        finally:
            self._say(Cancel(ask.id))

    def subscribe(self, *topics: str) -> LiveEvents:
        """What happens from now on; no topics: everything."""
        socket = self._connect(zmq.SUB, self.address.events)
        for topic in topics or ("",):
            socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        return LiveEvents(socket)

    def _connect(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 200)
        socket.setsockopt(zmq.IPV6, 1)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS)  # a key that was removed does not hammer at the door
        ticket = self.address.ticket
        if ticket is not None:
            socket.setsockopt(zmq.CURVE_PUBLICKEY, ticket.public.encode())
            socket.setsockopt(zmq.CURVE_SECRETKEY, ticket.secret.encode())
            socket.setsockopt(zmq.CURVE_SERVERKEY, ticket.server_public.encode())
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ConfigError(f"{endpoint} is no address to connect to ({error}): give --server HOST:PORT") from error
        if kind == zmq.DEALER:
            self._ends = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        return socket

    def _has_ended(self) -> bool:
        """Whether the connection has ended since this was asked last. A new one knows nothing of what was asked on it."""
        found = False
        while self._ends.poll(0):
            recv_monitor_message(self._ends)
            found = True
        return found

    def _say(self, question: Question) -> None:
        """Without waiting for a server that is not there: silence is noticed by the call that waits for an answer."""
        try:
            self._socket.send(encode(question), zmq.NOBLOCK)
        except OverflowError as error:
            raise CommandError(10002, "a number is too large: ids and numbers have at most 63 bits") from error
        except zmq.Again:
            pass

    def _answers(self, ask: Ask, timeout_s: float | None, connect_s: float = CONNECT_S) -> Iterator[Answer]:
        """Every answer to an ask; says now and then that somebody waits.

        :param connect_s: how long to wait for the first one
        :raises CommandError: the command failed, or nobody answers there
        """
        self._has_ended()
        self._say(ask)
        began = said = monotonic()
        heard = False
        while True:
            now = monotonic()
            if now - said >= limits.ADMIN_ALIVE_S / 2:
                said = now
                self._say(Alive([ask.id]))
            if not self._socket.poll(int(limits.ADMIN_ALIVE_S * 500)):
                if not heard and now - began >= connect_s:
                    raise CommandError(
                        503,
                        f"nobody answers at {self.address.commands}: {NAME_DATA if self.address.data else CHECK_KEY}",
                    )
                if heard and self._has_ended():
                    raise CommandError(
                        503, "the server ended before it answered; `jobs list` and `audit list` say what it had begun"
                    )
                if timeout_s is not None and now - began > timeout_s + connect_s:
                    raise CommandError(408, f"no answer within {timeout_s:g} s; give it more with --timeout")
                continue
            answer = decode_answer(self._socket.recv())
            heard = True
            if answer.id != ask.id:
                continue
            if isinstance(answer, Failed):
                raise CommandError(answer.code, answer.message)
            if isinstance(answer, Progress):
                self.on_progress(answer.done, answer.total, answer.text)
                continue
            yield answer
            if isinstance(answer, Done | Again):
                return


def read_ticket(file: Path) -> Ticket:
    """A console's key file. :raises ConfigError: not readable or none"""
    try:
        return msgspec.json.decode(texts.read(file, _NEW_KEY), type=Ticket)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{file}: not a console's key ({error}); {_NEW_KEY}") from error
