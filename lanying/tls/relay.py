"""Two descriptors for each client, the client's own and our end of a socket pair, in one ``select.epoll``, itself one of the loop's.

What one side cannot take yet is kept, and the other side is not read meanwhile: a connection has at most one read's worth in either
direction, whoever does not read. A side that has said everything is not read any more, and its other direction goes on.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from typing import Final

from lanying.tls.tunnel import Tunnel

EVENTS_PER_TURN: Final = 256
READ_BYTES: Final = 65_536
RECORD_AROUND: Final = 64
"""A record with one byte in it has 23; what is sent with so many around each is talk."""
IDLE_BYTES: Final = 20 * 1024
"""So much may come with nothing in it, beyond what is around messages: the beginning of a large record, and a little. A change of keys
is 27 bytes and takes 13 us, 32 when it asks for ours (measured); no client does so before it has sent a gigabyte (RFC 8446 section 5.5)."""
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_GONE: Final = select.EPOLLRDHUP


class Side:
    """One descriptor of a connection.

    :ivar owed: bytes that it does not take yet; while there are any, the other side is not read
    :ivar ends: nothing follows what is owed
    :ivar silent: it has said everything, or what it says is of no use to anybody: it is not read
    """

    __slots__ = ("ends", "owed", "relay", "silent", "socket", "watched")

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.socket = sock
        self.owed = b""
        self.ends = False
        self.silent = False
        self.watched = 0

    def read(self, most: int = READ_BYTES) -> bytes | None:
        """What there is; empty at the end; None: nothing yet."""
        try:
            return self.socket.recv(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""


class Relay:
    """A client's connection.

    :ivar inner: our end of the socket pair; None: the handshake is not over
    :ivar idle_bytes: received with nothing in them: changes of keys, empty records
    :ivar start: what came before the TLS, as far as it is there; behind the handshake, what is inside of it
    """

    __slots__ = ("address", "idle_bytes", "inner", "outer", "start", "tunnel")

    def __init__(self, client: socket.socket, address: str) -> None:
        self.address = address
        self.outer = Side(self, client)
        self.inner: Side | None = None
        self.tunnel: Tunnel | None = None
        self.idle_bytes = 0
        self.start = b""

    def is_idle_talk(self, size: int, plain: int) -> bool:
        """Of bytes that came, and what was in them: is it too much by now with nothing in it?"""
        idle = self.idle_bytes + size - RECORD_AROUND * plain
        self.idle_bytes = idle if idle > 0 else 0
        return idle > IDLE_BYTES


class Relays:
    """All connections.

    :param close: called for one that has come to its end, with a word for why
    """

    def __init__(self, close: Callable[[Relay, str], None]) -> None:
        self._close = close
        self._epoll = select.epoll()
        self._sides: dict[int, Side] = {}
        self._members: set[Relay] = set()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, relay: object) -> bool:
        return relay in self._members

    def __iter__(self) -> Iterator[Relay]:
        return iter([*self._members])

    @property
    def owed(self) -> int:
        """Bytes kept for sides that do not take them."""
        return sum(len(side.owed) for side in self._sides.values())

    def fileno(self) -> int:
        """Readable when there is something for :meth:`ready`."""
        return self._epoll.fileno()

    def stop(self) -> None:
        """Nothing is watched any more."""
        self._epoll.close()

    def add(self, relay: Relay) -> None:
        """A newcomer: its client is read."""
        self._members.add(relay)
        self._watch(relay.outer, _IN)

    def wait(self, relay: Relay) -> None:
        """Leave what a newcomer has sent in the kernel, and only notice when they have gone."""
        self._watch(relay.outer, _GONE)

    def awake(self, relay: Relay) -> None:
        """A newcomer's client is read again."""
        self._watch(relay.outer, _IN)

    def join(self, relay: Relay, ours: socket.socket) -> None:
        """Its handshake is over: this end is relayed to."""
        relay.inner = Side(relay, ours)
        self._watch(relay.inner, _IN)

    def ready(self) -> list[Side]:
        """Sides that have something to read; what was owed to others is written on the way."""
        readable: list[Side] = []
        for fd, event in self._epoll.poll(0, EVENTS_PER_TURN):
            side = self._sides.get(fd)
            if side is None:
                continue
            if event & _OUT:
                self.flush(side)
            else:
                readable.append(side)
        return readable

    def put(self, side: Side, data: bytes) -> None:
        """Write behind what is kept already, and keep what the kernel does not take."""
        side.owed += data
        self.flush(side)

    def flush(self, side: Side) -> None:
        """Write what is owed, as far as it goes."""
        relay = side.relay
        if side.owed:
            try:
                sent = side.socket.send(side.owed)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._deaf(side)
                return
            side.owed = side.owed[sent:]
        other = relay.inner if side is relay.outer else relay.outer
        if side.owed:
            self._watch(side, side.watched | _OUT)
            if other is not None and not other.silent:
                self._watch(other, other.watched & ~_IN)
            return
        if side.watched & _OUT:
            self._watch(side, side.watched & ~_OUT)
        if side.ends:
            self._finish(side)
        elif other is not None and not other.silent:
            self._watch(other, other.watched | _IN)

    def end(self, side: Side) -> None:
        """Nothing more comes for this side: close its direction behind what is owed."""
        side.ends = True
        if not side.owed:
            self._finish(side)

    def hush(self, side: Side) -> None:
        """Read nothing more of it, only notice when it has gone."""
        side.silent = True
        self._watch(side, side.watched & ~_IN)

    def ended(self, side: Side) -> None:
        """It has said everything and takes nothing: not looked at any more, for the kernel would report that again and again."""
        side.ends = side.silent = True
        side.owed = b""
        if self._sides.pop(side.socket.fileno(), None):
            self._epoll.unregister(side.socket.fileno())

    def release(self, relay: Relay) -> int:
        """Give up a client's own socket, which is not closed; its descriptor."""
        self._members.discard(relay)
        fd = relay.outer.socket.fileno()
        del self._sides[fd]
        self._epoll.unregister(fd)
        relay.tunnel = None
        return relay.outer.socket.detach()

    def remove(self, relay: Relay) -> None:
        """Close both sides."""
        self._members.discard(relay)
        for side in (relay.outer, relay.inner):
            if side is not None:
                self._sides.pop(side.socket.fileno(), None)
                side.socket.close()  # which takes it out of the epoll: nobody else has this end
                side.owed = b""
        relay.tunnel = None  # the two refer to each other: 46 KB of OpenSSL's do not wait for the collector

    def _deaf(self, side: Side) -> None:
        """It takes nothing any more. A client that does so has gone; a process behind may have answered before it closed, and is read."""
        relay = side.relay
        if side is relay.outer:
            self._close(relay, "left")
            return
        side.owed = b""
        side.ends = True
        self._watch(side, (side.watched & ~_OUT) if relay.outer.owed else _IN)
        self.hush(relay.outer)

    def _finish(self, side: Side) -> None:
        relay = side.relay
        if side is relay.outer:
            self._close(relay, "ended")
            return
        try:
            side.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._deaf(side)
            return
        self.hush(relay.outer)  # answers may still come

    def _watch(self, side: Side, events: int) -> None:
        fd = side.socket.fileno()
        if fd not in self._sides:
            self._sides[fd] = side
            self._epoll.register(fd, events)
        elif events != side.watched:
            self._epoll.modify(fd, events)
        side.watched = events
