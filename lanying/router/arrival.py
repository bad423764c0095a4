"""One connection from its first byte to its login, as a value: bytes in, actions out; no socket, no loop, no clock.

:data:`TRANSITIONS` is the whole machine (drawn in ``docs/states.md``):

- HEAD: the head of an HTTP request is being read.
- LOGIN: it is a WebSocket, and its frames are read up to a login.
- HANDED: a login went to a shard, and the socket with it. Accepted or lost, the listener lets go of it.
- VISITING: another HTTP request went to the gateway.
- CLOSED: nothing follows.

In HANDED and VISITING nothing is read, so the kernel holds what a client sends meanwhile. What was read behind the login frame
travels with the socket, and stays here as well for the case that the shard refuses.

A refused login keeps the connection: closing at once makes the web SDK connect and fail again for ever (xsync 5.1).
Only another login moves the deadline, pings do not, and nothing moves it beyond ``ARRIVAL_S``. Up to the login there are
``LOGIN_FRAMES`` frames, none of them compressed.

A trusted proxy speaks for its client: with a PROXY header in front of everything, or with ``X-Forwarded-For`` in an upgrade.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto
from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.errors import ProtocolError
from lanying.base.peers import Proxies
from lanying.base.states import State, transitions
from lanying.bus.handoff.records import Login, Visitor
from lanying.protocol import frame as frames
from lanying.protocol.connection import Connection, wrap
from lanying.protocol.frame import FrameError
from lanying.protocol.handshake import (
    SOCKETIO_PATH,
    XSYNC_PATH,
    BadRequest,
    Head,
    accept_upgrade,
    connection_kind,
    error_response,
    is_upgrade,
    parse_head,
)
from lanying.protocol.proxy import may_begin, parse_proxy
from lanying.protocol.websocket import GOING_AWAY, MESSAGE_TOO_BIG, POLICY_VIOLATION, TRY_AGAIN_LATER, close_frame
from lanying.router.login import Doorkeeper, Handoff, refuse_sync

NOBODY: Final = Proxies()
RETRY_IDLE_S: Final = 5.0
"""A login refused because its shard is down: the client has to connect again soon, not to show an error and wait."""

_NEVER_UPGRADE = re.compile(rb"(?!GET )[A-Z]{1,16} [!-~\x80-\xff]+ HTTP/1\.[01]\r\n")
"""A request line that decides: only a GET becomes a WebSocket (RFC 6455 section 4.1)."""
_TRUST = re.compile("/trust(/.*)?")
_WEBSOCKET_PATHS = (SOCKETIO_PATH, SOCKETIO_PATH[:-1], XSYNC_PATH)


class ArrivalEvent(IntEnum):
    """What happens to a connection before its login."""

    BYTES = auto()
    """Bytes from the client."""
    UPGRADE = auto()
    """The head asks for a WebSocket."""
    REQUEST = auto()
    """The head is another HTTP request."""
    GARBAGE = auto()
    """The head is none."""
    ADMITTED = auto()
    """A login that goes to a shard."""
    REFUSED = auto()
    """The hand-off was refused, the socket is the router's again."""
    LEFT = auto()
    """The client closed the WebSocket."""
    VIOLATION = auto()
    """A frame breaks the protocol."""
    FLOOD = auto()
    """More bytes or frames than a login needs."""
    DISPLACED = auto()
    """Its place is needed for somebody else."""
    DEADLINE = auto()
    """The time for the request or the login is over."""
    DRAIN = auto()
    """The router ends."""


HEAD: Final = State[ArrivalEvent, str]("HEAD")
LOGIN: Final = State[ArrivalEvent, str]("LOGIN")
HANDED: Final = State[ArrivalEvent, str]("HANDED")
VISITING: Final = State[ArrivalEvent, str]("VISITING")
CLOSED: Final = State[ArrivalEvent, str]("CLOSED")

TRANSITIONS: Final = transitions(
    {
        (HEAD, ArrivalEvent.BYTES): ("", HEAD),
        (HEAD, ArrivalEvent.UPGRADE): ("", LOGIN),
        (HEAD, ArrivalEvent.REQUEST): ("", VISITING),
        (HEAD, ArrivalEvent.GARBAGE): ("garbage", CLOSED),
        (HEAD, ArrivalEvent.DEADLINE): ("deadline", CLOSED),
        (HEAD, ArrivalEvent.DISPLACED): ("displaced", CLOSED),
        (HEAD, ArrivalEvent.DRAIN): ("drain", CLOSED),
        (LOGIN, ArrivalEvent.BYTES): ("", LOGIN),
        (LOGIN, ArrivalEvent.ADMITTED): ("", HANDED),
        (LOGIN, ArrivalEvent.LEFT): ("left", CLOSED),
        (LOGIN, ArrivalEvent.VIOLATION): ("violation", CLOSED),
        (LOGIN, ArrivalEvent.FLOOD): ("flood", CLOSED),
        (LOGIN, ArrivalEvent.DEADLINE): ("deadline", CLOSED),
        (LOGIN, ArrivalEvent.DISPLACED): ("displaced", CLOSED),
        (LOGIN, ArrivalEvent.DRAIN): ("drain", CLOSED),
        (HANDED, ArrivalEvent.REFUSED): ("", LOGIN),
        (VISITING, ArrivalEvent.REFUSED): ("gateway", CLOSED),
    }
)
"""With why the socket is closed, if it is."""


class Write(msgspec.Struct, frozen=True):
    """Send ``data`` to the client."""

    data: bytes


class ToShard(msgspec.Struct, frozen=True):
    """Stop reading and hand the socket to a shard."""

    shard: int
    login: Login


class ToGateway(msgspec.Struct, frozen=True):
    """Stop reading and hand the socket to the gateway."""

    visitor: Visitor


class LoginRefusal(msgspec.Struct, frozen=True):
    """For the log and the figures: a login was refused; a :class:`Write` answers the client."""

    uid: int
    code: int
    reason: str


class Close(msgspec.Struct, frozen=True):
    """Close the socket. ``why``: as in :data:`TRANSITIONS`."""

    why: str


Action = Write | ToShard | ToGateway | LoginRefusal | Close


class Arrival:
    """A connection before its login. ``now`` is monotonic seconds.

    :param proxies: whose word about their clients is believed
    :param secure: it came through TLS
    :param only_trust: it came to the port for TLS without any: it gets one page, how to come to trust this server, and nothing else
    :ivar address: the client's; of a proxy, until it has said whose
    :ivar state: see the module
    :ivar deadline: when :meth:`timed_out` is to be called, unless the state is HANDED or VISITING
    :ivar received: bytes received, of the head and then of what follows it; ``LOGIN_BYTES`` and one read at most
    :ivar idle: its login was refused and it has not tried again
    """

    __slots__ = (
        "_connection",
        "_doorkeeper",
        "_end",
        "_frames",
        "_head",
        "_only_trust",
        "_proxies",
        "_secure",
        "_uid",
        "address",
        "deadline",
        "idle",
        "received",
        "state",
    )

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        address: str,
        now: float,
        proxies: Proxies = NOBODY,
        *,
        secure: bool = False,
        only_trust: bool = False,
    ) -> None:
        self._doorkeeper = doorkeeper
        self._proxies = proxies
        self._head = b""
        self._frames = 0
        self._secure = secure
        self._only_trust = only_trust
        self._end = now + limits.ARRIVAL_S
        self._uid = 0
        self._connection: Connection | None = None
        self.address = address
        self.deadline = now + limits.LOGIN_TIMEOUT_S
        self.received = 0
        self.idle = False
        self.state = HEAD

    # --- events ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Action]:
        """Bytes from the client, at most ``READ_BYTES``."""
        self._move(ArrivalEvent.BYTES)
        self.received += len(data)
        if self.state is HEAD:
            return self._read_head(data, now)
        assert self._connection is not None
        self._connection.feed(data)
        return self._read_frames([], now)

    def refused(self, code: int, reason: str, now: float, idle_s: float = limits.LOGIN_REFUSED_IDLE_S) -> list[Action]:
        """The hand-off was refused and the socket is ours again: answer the client, go on with what it sent meanwhile.

        :param idle_s: patience for another login
        """
        if self.state is VISITING:
            body = msgspec.json.encode({"code": 503, "data": None, "message": "the gateway is restarting, try again"})
            headers = {"Access-Control-Allow-Origin": "*", "Retry-After": "1"}
            return self._close(ArrivalEvent.REFUSED, [error_response(503, reason, headers, body)])
        self._move(ArrivalEvent.REFUSED)
        self.idle = True
        self.deadline = min(now + idle_s, self._end)
        out = [self._wrap(frames.provision_refused(code, reason, self._uid))]
        return [LoginRefusal(self._uid, code, reason), *self._read_frames(out, now)]

    def timed_out(self) -> list[Action]:
        """The deadline has passed."""
        if self.state is LOGIN:
            return self._close(ArrivalEvent.DEADLINE, [close_frame(POLICY_VIOLATION, "no login")])
        return self._close(ArrivalEvent.DEADLINE, [error_response(408, "no request")] if self.received else [])

    def displaced(self) -> list[Action]:
        """The place is needed for somebody else."""
        if self.state is LOGIN:
            return self._close(ArrivalEvent.DISPLACED, [close_frame(TRY_AGAIN_LATER, "too many connections")])
        return self._close(ArrivalEvent.DISPLACED, [error_response(503, "too many connections", {"Retry-After": "1"})])

    def drain(self) -> list[Action]:
        """The router ends: whoever has not logged in connects again."""
        return self._close(ArrivalEvent.DRAIN, [close_frame(GOING_AWAY, "restart")] if self.state is LOGIN else [])

    # --- head --------------------------------------------------------------------------------------------------

    def _read_head(self, data: bytes, now: float) -> list[Action]:
        first = not self._head
        head = self._head = self._head + data if self._head else data
        if not first and b"\n" not in data and len(head) < limits.MAX_HTTP_HEAD_BYTES:
            return []  # nothing can have become complete: a head sent byte by byte is not parsed byte by byte
        if self._proxies and self.address in self._proxies and may_begin(head):
            try:
                proxied = parse_proxy(head)
            except BadRequest as error:
                return self._close(ArrivalEvent.GARBAGE, [error.response()])
            if proxied is None:
                return []
            self.address = proxied.address or self.address
            self._secure = self._secure or proxied.secure
            self._head = head = head[proxied.size :]
        if _NEVER_UPGRADE.match(head) and not self._only_trust:
            return self._visit()
        try:
            parsed = parse_head(head)
            if parsed is None:
                return []
            if self._only_trust:
                return self._visit_once(parsed)
            if parsed.path not in _WEBSOCKET_PATHS and not is_upgrade(parsed):
                return self._visit()
            self.address = self._proxies.client(self.address, parsed.headers.get("x-forwarded-for", ""))
            kind = connection_kind(parsed)
            answer = accept_upgrade(parsed)
        except BadRequest as error:
            return self._close(ArrivalEvent.GARBAGE, [error.response()])
        self._head = b""
        self.received = len(head) - parsed.size
        self._move(ArrivalEvent.UPGRADE)
        connection = self._connection = Connection(kind, "server", limits.LOGIN_BYTES)
        out = [answer, connection.opening()]
        if len(head) == parsed.size:
            return [Write(b"".join(out))]
        connection.feed(head[parsed.size :])
        return self._read_frames(out, now)

    def _visit(self) -> list[Action]:
        visitor = Visitor(self.address, self._head, self._secure)
        self._head = b""
        self._move(ArrivalEvent.REQUEST)
        return [ToGateway(visitor)]

    def _visit_once(self, head: Head) -> list[Action]:
        """The gateway closes behind its answer: what would follow, a password for example, belongs into TLS. :raises BadRequest: no page"""
        if head.method not in ("GET", "HEAD") or _TRUST.fullmatch(head.path) is None or is_upgrade(head):
            raise BadRequest(400, "this port speaks TLS: write https:// in front of the address")
        line, _, rest = self._head[: head.size].partition(b"\r\n")
        self._head = line + b"\r\nConnection: close\r\n" + rest
        return self._visit()

    # --- frames ------------------------------------------------------------------------------------------------

    def _read_frames(self, out: list[bytes], now: float) -> list[Action]:
        """Answer frames up to a login that goes to a shard. ``out``: what is to be sent before their answers."""
        connection = self._connection
        assert connection is not None
        actions: list[Action] = []
        try:
            while (data := connection.next_frame()) is not None:
                if connection.replies:
                    out.append(connection.take_replies())
                self._frames += 1
                if self._frames > limits.LOGIN_FRAMES:
                    return actions + self._close(ArrivalEvent.FLOOD, [*out, close_frame(POLICY_VIOLATION, "no login")])
                decision = self._frame(data, out, actions, now)
                if decision is not None:
                    self._move(ArrivalEvent.ADMITTED)
                    if out:
                        actions.append(Write(b"".join(out)))
                    actions.append(ToShard(decision.shard, decision.login))
                    return actions
        except ProtocolError as error:
            return actions + self._close(ArrivalEvent.VIOLATION, [*out, close_frame(error.close_code, error.reason)])
        if connection.replies:
            out.append(connection.take_replies())
        if connection.left:
            return actions + self._close(ArrivalEvent.LEFT, out)
        if self.received > limits.LOGIN_BYTES:
            return actions + self._close(
                ArrivalEvent.FLOOD, [*out, close_frame(MESSAGE_TOO_BIG, "too much before a login")]
            )
        if out:
            actions.append(Write(b"".join(out)))
        return actions

    def _frame(self, data: bytes, out: list[bytes], actions: list[Action], now: float) -> Handoff | None:
        """One frame: a login that goes to a shard, or an answer in ``out``."""
        try:
            command, payload = frames.parse_frame(data, inflates=False)
        except FrameError as error:
            out.append(self._wrap(frames.refusal(0, error.status_code, error.reason)))
            return None
        if command == frames.PROVISION:
            return self._provision(payload, out, actions, now)
        if command == frames.SYNC:
            out.append(self._wrap(frames.refusal(*refuse_sync(payload))))
        # UNREAD: the web SDK does not look at the status of an answer, and an empty list would be a lie.
        return None

    def _provision(self, payload: bytes, out: list[bytes], actions: list[Action], now: float) -> Handoff | None:
        connection = self._connection
        assert connection is not None
        decision = self._doorkeeper.decide(payload, connection.kind, self.address, connection.unread)
        if isinstance(decision, Handoff):
            self._uid = decision.login.uid
            self.idle = False
            return decision
        out.append(self._wrap(frames.provision_refused(decision.code, decision.reason, decision.uid)))
        actions.append(LoginRefusal(decision.uid, decision.code, decision.reason))
        self.idle = True
        self.deadline = min(now + limits.LOGIN_REFUSED_IDLE_S, self._end)
        return None

    def _wrap(self, data: bytes) -> bytes:
        assert self._connection is not None
        return wrap(self._connection.kind, data)

    def _move(self, event: ArrivalEvent) -> str:
        why, self.state = self.state.on[event]
        return why

    def _close(self, event: ArrivalEvent, out: list[bytes]) -> list[Action]:
        why = self._move(event)
        assert self.state is CLOSED, f"{event.name} closes nothing"
        self._head = b""
        data = b"".join(out)
        return [Write(data), Close(why)] if data else [Close(why)]
