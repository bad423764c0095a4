"""What all clients of a generator share, whatever protocol they speak: what they sent, what came, in which order.

A worker owns the sockets. It asks a client for its first bytes (:meth:`Client.hello`), feeds it with what arrived
(:meth:`Client.feed`) and writes whatever the client has put into ``out``; nothing in a client does I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from binascii import unhexlify
from collections import deque
from dataclasses import dataclass
from typing import Final

from bench.tally import MARKER_BYTES, STAMP_BYTES, Tally, unpack_stamp

CLOSED: Final = 0
CONNECTING: Final = 1
LOGIN: Final = 2
"""Connected, not logged in; subclasses keep their own steps within."""
READY: Final = 3


@dataclass(frozen=True)
class Route:
    """A conversation somebody writes to.

    :ivar to: uid or gid
    :ivar stream: number of (sender, conversation) in this run, in every stamp
    :ivar copies: how many recipients
    :ivar picture: its messages are pictures (a group's)
    """

    to: int
    stream: int
    copies: int = 1
    group: bool = False
    picture: bool = False


@dataclass(frozen=True)
class Member:
    """A user as a worker needs it.

    :ivar index: number in this run
    :ivar routes: whom it writes to
    :ivar probe: its arrivals free the senders of the closed loop
    """

    index: int
    uid: int
    token: str
    routes: tuple[Route, ...] = ()
    probe: bool = True


@dataclass(frozen=True)
class Setting:
    """What is the same for all workers.

    :ivar protocol: a name of :data:`bench.protocols.PROTOCOLS`
    :ivar marker: first bytes of every stamp
    :ivar base: client id of the first message of a device
    :ivar addresses: loopback source addresses used in turn; one address has 28,000 ports and a rate limit at the server
    :ivar size: bytes of content per message
    :ivar tls: every connection is one of TLS; ``authority``: PEM file of the authority to trust, empty: those of the system
    """

    host: str
    port: int
    marker: bytes
    base: int
    size: int = 100
    protocol: str = "xsync"
    addresses: int = 250
    seed: int = 1
    guid: str = "bench"
    tls: bool = False
    authority: str = ""


class Client(ABC):
    """One logged-in device.

    :ivar sequences: next sequence by route
    :ivar waiting: messages sent and not acknowledged: (client id, intended time, route number, sequence)
    :ivar expected: next sequence by stream; ``missing``: sequences skipped so far, by stream
    :ivar refused: (stream, sequence)
    :ivar out: bytes for the socket; ``unsent``: what the socket did not take
    :ivar beat_us: how often :meth:`beat` wants to be called once logged in
    """

    __slots__ = (
        "_marker",
        "_probe",
        "_size",
        "beat_us",
        "expected",
        "fd",
        "index",
        "missing",
        "out",
        "page_asked",
        "refused",
        "rest",
        "routes",
        "sequences",
        "started",
        "state",
        "tally",
        "token",
        "uid",
        "unsent",
        "waiting",
    )

    def __init__(self, tally: Tally, member: Member, setting: Setting) -> None:
        assert len(setting.marker) == MARKER_BYTES and setting.size >= STAMP_BYTES
        self.tally = tally
        self.index = member.index
        self.uid = member.uid
        self.token = member.token
        self.routes = member.routes
        self.sequences = [0] * len(member.routes)
        self.fd = -1
        self.state = CLOSED
        self.started = 0
        self.beat_us = 50_000_000
        self.rest = b""
        self.out: list[bytes] = []
        self.unsent = b""
        self.waiting: deque[tuple[bytes, int, int, int]] = deque()
        self.expected: dict[int, int] = {}
        self.missing: dict[int, set[int]] = {}
        self.refused: list[tuple[int, int]] = []
        self.page_asked = 0
        self._probe = member.probe
        self._marker = setting.marker
        self._size = setting.size

    @abstractmethod
    def hello(self, host: str) -> bytes:
        """The first bytes of a new connection to ``host`` (name:port)."""

    @abstractmethod
    def feed(self, data: bytes, now: int) -> None:
        """Bytes from the socket, read at ``now`` (microseconds)."""

    @abstractmethod
    def send(self, number: int, intended: int, time_ms: bytes) -> None:
        """Owe the socket the next message of route ``number``.

        :param intended: microseconds, when it should have left
        :param time_ms: the wall clock as a protobuf varint of six bytes
        """

    @abstractmethod
    def beat(self) -> None:
        """Owe the socket what keeps a session alive."""

    def ready(self, unread: bool) -> None:
        """Logged in. ``unread``: ask what is pending, as an app does. Nothing by default: the server sends it."""
        return

    def catch_up(self) -> None:
        """Ask again for what may be pending. Nothing by default: the protocol resends by itself."""
        return

    def ask_page(self, amount: int, now: int) -> None:
        """Ask for the newest history page of the first route."""
        raise NotImplementedError

    def stamp(self, number: int, intended: int) -> tuple[bytes, int]:
        """Stamp and sequence of the next message of route ``number``, which is counted as sent."""
        sequence = self.sequences[number]
        self.sequences[number] = sequence + 1
        route = self.routes[number]
        tally = self.tally
        tally.sent += 1
        tally.owed += route.copies
        return b"%b%08x%08x%016x" % (self._marker, route.stream, sequence, intended), sequence

    def acknowledged(self, intended: int, now: int) -> None:
        """The server has taken a message."""
        tally = self.tally
        tally.acknowledged += 1
        window = tally.window
        if window.start <= intended < window.stop:
            window.acknowledged[(intended - window.start) // 1_000_000].append(max(0, now - intended))

    def was_refused(self, number: int, sequence: int, text: str) -> None:
        """The server did not take a message."""
        route = self.routes[number]
        tally = self.tally
        tally.refused += 1
        tally.owed -= route.copies
        tally.freed.append(route.stream)
        self.refused.append((route.stream, sequence))
        tally.error(f"message refused: {text}")

    def arrived(self, stamp: bytes, now: int) -> None:
        """A message whose content starts with ``stamp``."""
        tally = self.tally
        if stamp[:MARKER_BYTES] != self._marker:
            tally.foreign += 1
            return
        stream, sequence, intended = unpack_stamp(unhexlify(stamp[MARKER_BYTES:]))
        expected = self.expected
        wanted = expected.get(stream, 0)
        if sequence == wanted:
            expected[stream] = wanted + 1
        elif not self._out_of_turn(stream, sequence, wanted):
            return
        tally.received += 1
        if self._probe:
            tally.freed.append(stream)
        window = tally.window
        if window.start <= intended < window.stop:
            window.delivered[(intended - window.start) // 1_000_000].append(max(0, now - intended))

    def _out_of_turn(self, stream: int, sequence: int, wanted: int) -> bool:
        """A sequence that is not the next one. False: it was there before."""
        missing = self.missing.setdefault(stream, set())
        if sequence > wanted:
            missing.update(range(wanted, sequence))
            self.expected[stream] = sequence + 1
            return True
        if sequence in missing:
            missing.discard(sequence)
            self.tally.reordered += 1
            return True
        self.tally.duplicated += 1
        return False
