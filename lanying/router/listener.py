"""The edge of the router: accepts, reads, performs what :mod:`~lanying.router.arrival` decides.

Client descriptors are bare integers in one ``select.epoll``, which is itself one descriptor of the loop: no transport, task
or timer per connection. A descriptor leaves that epoll before it is handed over, because its open file description lives on
in the receiver and would go on to report events here.

A write that the kernel does not take as a whole closes the connection: before its login a client is owed a few hundred bytes,
so it either does not read or floods.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from lanying.base import limits, logs, watched
from lanying.base.acceptor import Acceptor
from lanying.base.clock import monotonic
from lanying.base.failpoints import failpoint
from lanying.base.figures import Figure, labelled
from lanying.base.goodbye import say_end
from lanying.base.peers import Proxies, peer_key
from lanying.base.places import Places
from lanying.base.throttle import Throttle
from lanying.base.wheel import Wheel
from lanying.bus.handoff.records import Login, Visitor, encode
from lanying.bus.handoff.sender import Sender
from lanying.bus.handoff.wire import RESTARTING, HandoffRefused, Lost, Result
from lanying.cluster.directory import Directory, Moved
from lanying.protocol.frame import STATUS_NAMES
from lanying.protocol.handshake import error_response
from lanying.router.arrival import (
    HANDED,
    LOGIN,
    NOBODY,
    RETRY_IDLE_S,
    VISITING,
    Action,
    Arrival,
    Close,
    LoginRefusal,
    ToGateway,
    ToShard,
    Write,
)
from lanying.router.login import Doorkeeper
from lanying.router.refusals import QUIET_S, Refusals

log = logging.getLogger(__name__)

EVENTS_PER_TURN: Final = 256
TICK_S: Final = 1.0
DRAIN_S: Final = 2.0
"""How long a drain waits for logins and hand-offs under way."""

_TOO_FAST: Final = error_response(429, "too many connections from this address", {"Retry-After": "1"})
_FULL: Final = error_response(503, "too many connections", {"Retry-After": "1"})


class _Guest:
    """A client socket in the hands of the router.

    :ivar moved: the first shard named another one
    :ivar places: where it has a place: among the heads, the logins, or nowhere while it moves
    """

    __slots__ = ("arrival", "fd", "moved", "places")

    def __init__(self, fd: int, arrival: Arrival) -> None:
        self.fd = fd
        self.arrival = arrival
        self.moved = False
        self.places: Places[_Guest] | None = None


class Listener:
    """Takes connections from a listening socket and gives each to a shard or to the gateway.

    :param listener: listening TCP socket, IPv4, IPv6 or both; None: all come through :meth:`Listener.welcome`
    :param shards: a sender per shard
    :param proxies: whose word about their clients is believed
    :param places: connections that may wait with their request's head, and as many with their login
    :param clock: monotonic seconds
    :ivar counts: ``accepted``, ``turned_away_…``, ``handed_over``, ``visitors``, ``refused`` (logins), ``lost`` and, by the
        reason of :class:`~lanying.router.arrival.Close`, ``closed_…``
    :ivar refusals: refused logins by status
    """

    def __init__(
        self,
        listener: socket.socket | None,
        doorkeeper: Doorkeeper,
        directory: Directory,
        shards: Mapping[int, Sender],
        gateway: Sender,
        loop: asyncio.AbstractEventLoop,
        *,
        proxies: Proxies = NOBODY,
        places: int = limits.PENDING_CONNECTIONS,
        places_per_peer: int = limits.PENDING_CONNECTIONS_PER_PEER,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self._listener = listener
        self._doorkeeper = doorkeeper
        self._directory = directory
        self._shards = shards
        self._gateway = gateway
        self._loop = loop
        self._proxies = proxies
        self._throttle = Throttle(proxies)
        # Apart, so that a flood of logins leaves room for requests, and the other way round.
        self._heads: Places[_Guest] = Places(places, places_per_peer)
        self._logins: Places[_Guest] = Places(places, places_per_peer)
        self._unsaid = Refusals()
        self._clock = clock
        self._epoll = select.epoll()
        self._guests: dict[int, _Guest] = {}
        self._moving = 0
        self._wheel: Wheel[_Guest] = Wheel(clock())
        self._acceptor = Acceptor(listener, loop, self._arrived)
        self._drained: Callable[[], None] | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._tick_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept connections."""
        if self._listener is not None:  # inherited by every connection: no system call for each
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._epoll.fileno(), self._on_readable)
        self._tick_timer = self._loop.call_later(TICK_S, self._on_timer)
        self._acceptor.start()

    def figures(self) -> list[Figure]:
        """Counters since the start, and gauges: ``waiting`` for a login, ``moving`` to a receiver."""
        refusals = {STATUS_NAMES.get(code, str(code)): count for code, count in self.refusals.items()}
        return [
            *labelled("arrivals", "end", self.counts),
            *labelled("logins_refused", "status", refusals),
            Figure("waiting", float(len(self._guests) - self._moving)),
            Figure("moving", float(self._moving)),
        ]

    def drain(self, done: Callable[[], None]) -> None:
        """Stop accepting, give those that are logging in up to ``DRAIN_S``, then call ``done`` (once, from the loop)."""
        if self._drained is not None:
            return
        self._drained = done
        self._acceptor.close()
        for guest in [*self._guests.values()]:
            # Refused ones only sit out their time. The others are mid-login, a matter of milliseconds.
            if guest.arrival.idle:
                self._perform(guest, guest.arrival.drain())
        self._drain_timer = self._loop.call_later(DRAIN_S, self._end_drain)
        self._check_drain()

    def close(self) -> None:
        """Close what is left; the listening socket stays open for the next router."""
        self._acceptor.close()
        for guest in [*self._guests.values()]:
            if guest.arrival.state in (HANDED, VISITING):
                self._moving -= 1
                self._forget(guest)  # its descriptor is the sender's
            else:
                self._perform(guest, guest.arrival.drain())
        for timer in (self._tick_timer, self._drain_timer):
            if timer is not None:
                timer.cancel()
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    # --- accepting ---------------------------------------------------------------------------------------------

    def _arrived(self, connection: socket.socket, address: str) -> None:
        self._welcome(connection.detach(), address)
        failpoint("router.accepted")

    def welcome(self, fd: int, address: str, *, secure: bool, first: bytes = b"") -> None:
        """A connection of the port for TLS; ``secure``: it came through TLS, whose process has looked at how fast they come, and has read
        its ``first`` bytes."""
        self._welcome(fd, address, secure, first, leads=not secure)

    def _welcome(self, fd: int, address: str, secure: bool = False, first: bytes = b"", leads: bool = False) -> None:
        now = self._clock()
        if not secure and not self._throttle.admit(address, now):
            self.counts["turned_away_too_fast"] += 1
            _turn_away(fd, _TOO_FAST)
            return
        arrival = Arrival(self._doorkeeper, address, now, self._proxies, secure=secure, only_trust=leads)
        guest = _Guest(fd, arrival)
        if not self._take_place(guest, self._heads, now):
            self.counts["turned_away_full"] += 1
            _turn_away(fd, _FULL)
            return
        self.counts["accepted"] += 1
        self._guests[fd] = guest
        self._watch(guest)
        if first:
            self._receive(guest, first, now)

    def _take_place(self, guest: _Guest, places: Places[_Guest], now: float) -> bool:
        """Whether there was a place, or somebody idle who made room."""
        address = guest.arrival.address
        key = peer_key(address)
        if places.full(key, limited=self._throttle.limited(address)):
            idlest = places.make_room(key, now)
            if idlest is None:
                return False
            self._perform(idlest, idlest.arrival.displaced())
        self._leave_place(guest)
        places.enter(guest, key, now)
        guest.places = places
        return True

    # --- reading -----------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        now = self._clock()
        for fd, _ in self._epoll.poll(0, EVENTS_PER_TURN):
            guest = self._guests.get(fd)
            if guest is not None:
                self._read(guest, now)

    def _read(self, guest: _Guest, now: float) -> None:
        try:
            data = os.read(guest.fd, limits.READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # reset, timed out, unreachable: gone in one way or another
            data = b""
        if not data:
            self.counts["closed_left"] += 1
            self._close(guest)
            return
        self._receive(guest, data, now)

    def _receive(self, guest: _Guest, data: bytes, now: float) -> None:
        arrival, before = guest.arrival, guest.arrival.address
        actions = arrival.receive(data, now)
        if arrival.state is LOGIN and guest.places is self._heads:
            fast = arrival.address != before and not self._throttle.admit(arrival.address, now)
            if fast or not self._take_place(guest, self._logins, now):
                actions += arrival.displaced()
        elif guest.places is not None:
            guest.places.heard(guest, now)
        self._perform(guest, actions)

    def _on_timer(self) -> None:
        self.tick()
        self._tick_timer = self._loop.call_later(TICK_S, self._on_timer)

    def tick(self) -> None:
        """Close connections past their deadline; called every second."""
        now = self._clock()
        for guest in self._wheel.due(now):
            if guest.arrival.deadline > now:
                self._wheel.schedule(guest, guest.arrival.deadline)
            else:
                self._perform(guest, guest.arrival.timed_out())
        for peer, count in self._unsaid.due(now):
            log.info("event=logins_refused address=%s count=%d seconds=%.0f", peer or "others", count, QUIET_S)
        self._acceptor.resume()

    # --- acting ------------------------------------------------------------------------------------------------

    def _perform(self, guest: _Guest, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Write):
                if not _write(guest.fd, action.data):
                    self.counts["closed_stuck"] += 1
                    self._close(guest)
                    return
            elif isinstance(action, ToShard):
                if watched.users:
                    text = "event=login uid=%d address=%s shard=%d"
                    logs.about(log, logging.DEBUG, action.login.uid, text, guest.arrival.address, action.shard)
                self._hand_over(guest, self._shards[action.shard], action.login)
            elif isinstance(action, ToGateway):
                self._hand_over(guest, self._gateway, action.visitor)
            elif isinstance(action, LoginRefusal):
                self.counts["refused"] += 1
                self.refusals[action.code] += 1
                self._log_refusal(action, guest.arrival.address)
            else:
                assert isinstance(action, Close)
                self.counts["closed_" + action.why] += 1
                self._close(guest)

    def _watch(self, guest: _Guest) -> None:
        self._epoll.register(guest.fd, select.EPOLLIN)
        self._wheel.schedule(guest, guest.arrival.deadline)

    def _unwatch(self, guest: _Guest) -> None:
        self._epoll.unregister(guest.fd)
        self._wheel.cancel(guest)

    def _hand_over(self, guest: _Guest, sender: Sender, record: Login | Visitor) -> None:
        self._unwatch(guest)
        guest.moved = False
        self._leave_place(guest)
        self._moving += 1
        failpoint("router.before_handoff")
        sender.send(guest.fd, encode(record), partial(self._on_result, guest, record))

    def _on_result(self, guest: _Guest, record: Login | Visitor, result: Result) -> None:
        """The receiver has answered, or never will."""
        if self._guests.get(guest.fd) is not guest:  # forgotten at the end of a drain
            if isinstance(result, HandoffRefused | Moved):
                os.close(guest.fd)
            return
        if isinstance(result, Moved):
            if not guest.moved and self._directory.learn(result):
                guest.moved = True
                sender = self._shards[self._directory.map.slots[result.slot]]
                sender.send(guest.fd, encode(record), partial(self._on_result, guest, record))
                return
            result = RESTARTING  # nobody owns the user just now: the client tries again, logged in as it is
        self._moving -= 1
        if not isinstance(result, HandoffRefused):
            if isinstance(result, Lost):
                self.counts["lost"] += 1
            else:
                failpoint("router.after_handoff")
                self.counts["handed_over" if guest.arrival.state is HANDED else "visitors"] += 1
            self._forget(guest)
        else:
            idle_s = limits.LOGIN_REFUSED_IDLE_S if result.sent else RETRY_IDLE_S
            now = self._clock()
            actions = guest.arrival.refused(result.code, result.reason, now, idle_s)
            if guest.arrival.state is LOGIN and not self._take_place(guest, self._logins, now):
                actions += guest.arrival.displaced()
            self._watch(guest)
            self._perform(guest, actions)
        self._check_drain()

    def _close(self, guest: _Guest) -> None:
        self._unwatch(guest)
        self._forget(guest)
        say_end(guest.fd)
        os.close(guest.fd)

    def _forget(self, guest: _Guest) -> None:
        self._leave_place(guest)
        del self._guests[guest.fd]
        self._acceptor.resume()
        self._check_drain()

    def _leave_place(self, guest: _Guest) -> None:
        if guest.places is not None:
            guest.places.leave(guest)
            guest.places = None

    def _log_refusal(self, refusal: LoginRefusal, address: str) -> None:
        if self._unsaid.first(peer_key(address), self._clock()) or watched.users:
            text = "event=login_refused uid=%d address=%s code=%d reason=%r"
            logs.about(log, logging.INFO, refusal.uid, text, address, refusal.code, refusal.reason)

    # --- the end -----------------------------------------------------------------------------------------------

    def _check_drain(self) -> None:
        if self._drained is not None and not self._guests and self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
            self._loop.call_soon(self._drained)

    def _end_drain(self) -> None:
        self._drain_timer = None
        log.info("event=drain_cut_short waiting=%d moving=%d", len(self._guests) - self._moving, self._moving)
        assert self._drained is not None
        self._drained()


def _write(fd: int, data: bytes) -> bool:
    """Whether the kernel took all of it."""
    try:
        return os.write(fd, data) == len(data)
    except OSError:
        return False


def _turn_away(fd: int, answer: bytes) -> None:
    """Close with an answer. What the client has sent is read first: closing on unread bytes resets the connection, and
    the reset would overtake the answer."""
    try:
        os.read(fd, limits.READ_BYTES)
    except OSError:
        pass
    _write(fd, answer)
    say_end(fd)
    os.close(fd)
