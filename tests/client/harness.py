"""A client session joined to the simulated server, byte for byte in both directions; either direction can lose everything."""

from __future__ import annotations

from lanying.client import Event, Message, Session
from lanying.client.events import Answer, Page, Rejected, Sent
from lanying.client.outgoing import Outgoing, message
from lanying.protocol import frame
from lanying.protocol.connection import XSYNC, Connection, wrap
from lanying.protocol.frame import parse_frame
from lanying.protocol.handshake import accept_upgrade, connection_kind, parse_head
from lanying.protocol.schema.xsync_pb2 import Provision
from lanying.shard.core.session import Session as ServerSession
from lanying.testing.simulation import Simulation, User, login


class Phone:
    """A client on the simulated network.

    :ivar deaf: what the server sends is lost
    :ivar mute: what the client sends is lost
    :ivar happened: every event, in order
    :ivar answers: every answer, in order
    """

    def __init__(self, user: User, guid: str = "phone", kind: int = XSYNC, piece: int = 0, online: bool = True) -> None:
        self.user = user
        self.simulation: Simulation = user.simulation
        self.client = Session(kind, user.uid, "token", guid, chance=lambda: 0.0)
        self.guid = guid
        self.piece = piece
        self.deaf = self.mute = self.closed = False
        self.happened: list[Event] = []
        self.answers: list[Answer] = []
        self._connection: Connection | None = None
        self.session: ServerSession | None = None
        if online:
            self.connect()

    # --- the client's side -----------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new socket; returns when nothing moves any more."""
        self.deaf = self.mute = self.closed = False
        self._connection = self.session = None
        self.client.connect("im.example:8480", self.simulation.now)
        self.settle()

    def send(self, to: User, what: str | Outgoing, run: bool = True) -> int:
        """Send a text or anything else; the client id."""
        outgoing = message(to.uid, what) if isinstance(what, str) else what
        client_mid = self.client.send(outgoing, self.simulation.now_ms)
        if run:
            self.settle()
        return client_mid

    def take(self, to: User, what: str | Outgoing) -> int:
        """Send something the server takes; the server's id."""
        client_mid = self.send(to, what)
        return self.sent[client_mid]

    def settle(self) -> None:
        """Let everything arrive that is on its way."""
        while data := self.client.data_to_send():
            self._to_server(data)
            self.simulation.run()
        self.collect()

    def collect(self) -> None:
        """Take what the session reports."""
        for item in self.client.take():
            if isinstance(item, Event):
                self.happened.append(item)
            else:
                self.answers.append(item)
        if self.client.broken and self.session is not None:
            self.cut()

    def cut(self) -> None:
        """The connection breaks; both sides notice."""
        if self.session is not None:
            self.user.shard.left(self.session)
            self.simulation.devices.pop((self.user.uid, self.session.sn), None)
        self._connection = self.session = None
        self.client.lost("cut", self.simulation.now)
        self.collect()

    @property
    def texts(self) -> list[str]:
        """Texts shown, in order."""
        return [event.text for event in self.happened if isinstance(event, Message)]

    @property
    def sent(self) -> dict[int, int]:
        """client id -> server id of everything acknowledged."""
        return {answer.client_mid: answer.mid for answer in self.answers if isinstance(answer, Sent)}

    @property
    def rejected(self) -> dict[int, tuple[int, str]]:
        """client id -> (code, reason)."""
        return {a.client_mid: (a.error.code, a.error.reason) for a in self.answers if isinstance(a, Rejected)}

    @property
    def pages(self) -> list[Page]:
        """History pages."""
        return [answer for answer in self.answers if isinstance(answer, Page)]

    # --- the server's side, as the router and the runner do it --------------------------------------------------------

    def _to_server(self, data: bytes) -> None:
        if self.mute or self.closed:
            return
        if self._connection is None:
            head = parse_head(data)
            assert head is not None
            connection = self._connection = Connection(connection_kind(head))
            data = data[head.size :]
            self.read(accept_upgrade(head) + connection.opening())
        for received in self._connection.receive(data):
            if self.session is None:
                self._log_in(received)
            else:
                self.user.shard.received(self.session, received)
        if pongs := self._connection.take_replies():
            self.read(pongs)

    def _log_in(self, received: bytes) -> None:
        command, payload = parse_frame(received)
        assert command == frame.PROVISION, "the login comes first"
        provision = Provision.FromString(payload)
        assert (provision.xid.uid, provision.token, provision.device_guid) == (self.user.uid, "token", self.guid)
        simulation, user, connection = self.simulation, self.user, self._connection
        assert connection is not None
        fd = simulation.next_fd()
        session = user.shard.admit(fd, connection, login(user, self.guid, os_type=provision.os_type))
        simulation.greeting[fd] = []
        if simulation.devices.get((user.uid, session.sn)) is not None:
            simulation.commit(user.shard)  # the kick is for the old one, the greeting for this one
        self.session = session
        simulation.devices[user.uid, session.sn] = self  # type: ignore[assignment]
        for data in simulation.greeting.pop(fd):
            self.read(data)

    def serve(self, *frames: bytes) -> None:
        """The server says something the simulation would not."""
        self.read(b"".join(wrap(self.client.kind, data) for data in frames))
        self.collect()

    def read(self, data: bytes) -> None:
        """Bytes from the server, in pieces if so wanted."""
        if self.deaf or self.closed:
            return
        step = self.piece or max(len(data), 1)
        for at in range(0, len(data), step):
            self.client.receive(data[at : at + step], self.simulation.now)
        # Answers go up at once, like those of a client that is faster than the server's next tick.
        if self.session is not None and (more := self.client.data_to_send()):
            self._to_server(more)
        self.collect()


__all__ = ["Phone"]
