"""The edge of the tls process: accepts, shakes hands, and has :mod:`~lanying.tls.relay` carry what follows. Who comes without TLS is
redirected, on the port for TLS and on others that are there for that alone.

Handshakes are the dear part (half a millisecond of CPU each), so they come last in a turn and have :data:`HANDSHAKES_S` of it: what is
open is relayed first, whoever else comes in. Those that are nearer to their end come first, and few are begun at a time
(:mod:`~lanying.tls.newcomers`): the others wait unread.

Before its handshake is over a connection has a deadline and a place like every other one
before its login; after that the router's own deadlines hold, and the router closing its end closes the client's.

Where the kernel can (:mod:`~lanying.tls.kernel`), it gets the keys after the handshake, and the router the client's own socket: nothing of
that connection is left here.

Over 400 lines: the way of a connection from its first byte to its last is one thing, and all of it shares this state.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from lanying.base import limits
from lanying.base.acceptor import Acceptor
from lanying.base.clock import monotonic
from lanying.base.figures import Figure, labelled
from lanying.base.peers import Proxies, peer_key
from lanying.base.places import Places
from lanying.base.throttle import Throttle
from lanying.base.wheel import Wheel
from lanying.bus.handoff.records import Tunnelled, encode
from lanying.bus.handoff.sender import Sender
from lanying.bus.handoff.wire import HandoffRefused, Result
from lanying.protocol.handshake import BadRequest
from lanying.protocol.proxy import may_begin, parse_proxy
from lanying.tls.kernel import Kernel
from lanying.tls.newcomers import Newcomers
from lanying.tls.relay import READ_BYTES, Relay, Relays, Side
from lanying.tls.strays import elsewhere, is_plain
from lanying.tls.tunnel import HANDSHAKE, Tunnel

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
HANDSHAKES_S: Final = 0.01
"""Seconds of a turn that handshakes get: messages wait no longer for newcomers."""
AGAIN_S: Final = 0.05
"""When it is looked again whether somebody who waits may begin, if nobody could."""
HELLO_BYTES: Final = 4096
"""Of one read during a handshake; what a client sends right behind it travels to the router beside its socket."""
ASKED_BYTES: Final = 2 * READ_BYTES
"""More than one read's worth is only kept for a client that asks for new keys again and again and does not take them (RFC 8446 section
4.6.3)."""
IDLE_COSTS: Final = 100
"""Newcomers an address may not send for each that talked so: 30 ms are 50 handshakes."""
PIECE_BYTES: Final = 16 * 1024
"""Looked into at a time: what it takes is known before more of it is taken."""


class Terminator:
    """Takes TLS connections from a listening socket and gives the router what is inside.

    :param listeners: listening TCP sockets
    :param context: what to show a newcomer whose first bytes are these
    :param router: hands sockets over to the router
    :param connections: relayed at most
    :param proxies: addresses that may put a PROXY header in front of the TLS
    :param places: connections that wait for their handshake, or for their client to take the rest
    :param port: the one for TLS, to which requests without TLS at other listeners are redirected
    :param kernel: takes over what is open; None: everything is relayed
    :param leads_to_trust: a request for ``/`` without TLS is redirected to the page that shows how to trust this server
    :param clock: monotonic seconds
    :ivar counts: ``accepted``, ``turned_away``, ``opened``, ``kernel`` (of these, not relayed), ``plain`` (led to trust without TLS),
        ``closed_…``
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        context: Callable[[bytes], ssl.SSLContext],
        router: Sender,
        loop: asyncio.AbstractEventLoop,
        *,
        connections: int,
        proxies: Proxies,
        places: int = limits.PENDING_CONNECTIONS,
        places_per_peer: int = limits.PENDING_CONNECTIONS_PER_PEER,
        port: int = 443,
        kernel: Kernel | None = None,
        leads_to_trust: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._context = context
        self._router = router
        self._loop = loop
        self._most = connections
        self._proxies = proxies
        self._port = port
        self._kernel = kernel
        self._leads_to_trust = leads_to_trust
        self._throttle = Throttle(proxies)
        self._places: Places[Relay] = Places(places, places_per_peer)
        self._newcomers: Newcomers[Relay] = Newcomers()
        self._wheel: Wheel[Relay] = Wheel(clock())
        self._clock = clock
        self._relays = Relays(self._close)
        self._acceptors = [Acceptor(listener, loop, self._welcome) for listener in listeners]
        self._timer: asyncio.TimerHandle | None = None
        self._next: asyncio.Handle | None = None
        self._drained: Callable[[], None] | None = None

    def start(self) -> None:
        """Accept connections."""
        self._loop.add_reader(self._relays.fileno(), self.turn)
        for acceptor in self._acceptors:
            acceptor.start()
        self._on_timer()

    def drain(self, done: Callable[[], None]) -> None:
        """Accept nobody more, relay until the last connection is closed, then call ``done``: the others end first, and say good-bye."""
        if self._drained is None:
            self._drained = done
            self._stop_accepting()
            for relay in self._relays:
                if relay.inner is None:
                    self._close(relay, "drain")
            self._check_drained()

    def close(self) -> None:
        """Close what is left; the listening socket stays open for the next process."""
        self._stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
        if self._next is not None:
            self._next.cancel()
        for relay in self._relays:
            self._close(relay, "shutdown")
        self._loop.remove_reader(self._relays.fileno())
        self._relays.stop()

    def figures(self) -> list[Figure]:
        """Counters since the start, and what is relayed and shaking hands now."""
        return [
            *labelled("tls", "event", self.counts),
            Figure("relayed", float(len(self._relays) - len(self._places) - self._newcomers.shaking)),
            Figure("handshakes", float(self._newcomers.shaking)),
            Figure("handshakes_waiting", float(self._newcomers.waiting)),
        ]

    # --- accepting ---------------------------------------------------------------------------------------------------

    def _welcome(self, client: socket.socket, address: str) -> None:
        now = self._clock()
        if len(self._relays) >= self._most or not self._throttle.admit(address, now):
            self.counts["turned_away"] += 1
            client.close()
            return
        relay = Relay(client, address)
        if not self._enter(relay, now):
            self.counts["turned_away"] += 1
            client.close()
            return
        self.counts["accepted"] += 1
        self._relays.add(relay)
        self._wheel.schedule(relay, now + limits.LOGIN_TIMEOUT_S)

    def _enter(self, relay: Relay, now: float) -> bool:
        """Whether there was a place, or somebody idle who made room."""
        key = peer_key(relay.address)
        if self._places.full(key, limited=self._throttle.limited(relay.address)):
            idlest = self._places.make_room(key, now)
            if idlest is None:
                return False
            self._close(idlest, "displaced")
        self._places.enter(relay, key, now)
        return True

    def _resume(self) -> None:
        for acceptor in self._acceptors:
            acceptor.resume()

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()

    def _on_timer(self) -> None:
        now = self._clock()
        for relay in self._wheel.due(now):
            self._close(relay, "deadline")
        self._resume()
        self._timer = self._loop.call_later(TICK_S, self._on_timer)

    # --- a turn ------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Relay what is there, then go on with handshakes as long as there is time; the others' bytes stay in the kernel."""
        shaking: list[Relay] = []
        for side in self._relays.ready():
            relay = side.relay
            if relay not in self._relays:
                continue  # closed by what came before it in this turn
            if relay.inner is not None:
                if side is relay.outer:
                    self._from_client(relay)
                else:
                    self._to_client(relay)
            elif relay.tunnel is not None:
                shaking.append(relay)
            elif self._newcomers.waits(relay):
                self._close(relay, "left")  # nothing else is looked for while they wait
            else:
                self._relays.wait(relay)
                self._newcomers.wait(relay, peer_key(relay.address), limited=self._throttle.limited(relay.address))
        if shaking or self._newcomers.waiting:
            self._handshakes(shaking)

    def _handshakes(self, shaking: list[Relay]) -> None:
        """Those that are nearer to their end first."""
        stop = self._clock() + HANDSHAKES_S
        for relay in shaking:
            if relay in self._relays:
                self._shake_hands(relay)
                if self._clock() > stop:
                    break
        begun = False
        while self._clock() <= stop and self._begin_next():
            begun = True
        if self._newcomers.waiting and self._next is None:
            self._next = self._loop.call_later(0.0 if begun else AGAIN_S, self._go_on)

    def _go_on(self) -> None:
        self._next = None
        self.turn()

    def _begin_next(self) -> bool:
        """Whether somebody who waited could begin."""
        now = self._clock()
        found = self._newcomers.next(now)
        if found is None:
            return False
        relay = found.member
        if found.leaves is not None:
            self._close(found.leaves, "displaced")
        self._places.leave(relay)
        if not relay.start:  # a PROXY header that comes in pieces has one deadline
            self._wheel.schedule(relay, now + limits.LOGIN_TIMEOUT_S)
        self._relays.awake(relay)
        self._shake_hands(relay)
        return True

    def _shake_hands(self, relay: Relay) -> None:
        if relay.tunnel is None and not relay.start and is_plain(relay.outer.socket):
            self.counts["plain"] += 1
            self._hand_over(relay, secure=False)
            return
        tunnel = relay.tunnel
        data = relay.outer.read(tunnel.missing if tunnel is not None and tunnel.open else HELLO_BYTES)
        if data is None:
            return
        if not data:
            self._close(relay, "left")
            return
        if tunnel is None:
            begun = self._begin(relay, relay.start + data)
            if begun is None:
                return
            data, tunnel = begun, relay.tunnel
            assert tunnel is not None
        try:
            plain = tunnel.receive(data)
        except ssl.SSLError as error:
            self._refuse(relay, tunnel.pending(), "handshake")
            log.debug("event=handshake_failed address=%s error=%r", relay.address, str(error))
            return
        self._relays.put(relay.outer, tunnel.pending())
        if tunnel.open and relay in self._relays:
            relay.start += plain
            if not tunnel.missing:
                self._opened(relay, tunnel)

    def _begin(self, relay: Relay, data: bytes) -> bytes | None:
        """The first bytes, up to the first of TLS; None: more have to come, or it is over."""
        if relay.address in self._proxies and may_begin(data):
            try:
                proxied = parse_proxy(data)
            except BadRequest as error:
                self._refuse(relay, error.response(), "garbage")
                return None
            if proxied is None:
                relay.start = data
                return None
            relay.address = proxied.address or relay.address
            data = data[proxied.size :]
        relay.start = b""
        if not data:
            return None
        if data[0] != HANDSHAKE:
            port = None if relay.outer.socket.getsockname()[1] == self._port else self._port
            self._refuse(relay, elsewhere(data, leads_to_trust=self._leads_to_trust, port=port), "not_tls")
            return None
        relay.tunnel = Tunnel(self._context(data), self._kernel.log if self._kernel is not None else None)
        return data

    def _opened(self, relay: Relay, tunnel: Tunnel) -> None:
        """The handshake is over: the router gets the client's own socket, or the other end of a pair."""
        self.counts["opened"] += 1
        if not self._give_to_kernel(relay, tunnel):
            tunnel.forget()
            self._join(relay, tunnel)

    def _give_to_kernel(self, relay: Relay, tunnel: Tunnel) -> bool:
        """Whether it is out of our hands."""
        established = tunnel.established
        if self._kernel is None or established is None or relay.outer.owed:
            return False
        try:
            if not self._kernel.take(relay.outer.socket, established):
                return False
        except OSError:
            self._close(relay, "no_keys")
            return True
        self.counts["kernel"] += 1
        self._hand_over(relay, secure=True)
        return True

    def _join(self, relay: Relay, tunnel: Tunnel) -> None:
        """The router gets the other end of a pair."""
        self._newcomers.leave(relay)
        self._wheel.cancel(relay)
        plain, relay.start = relay.start, b""
        try:
            ours, theirs = socket.socketpair()
        except OSError:  # no descriptors left
            self._close(relay, "no_descriptors")
            return
        ours.setblocking(False)
        theirs.setblocking(False)
        self._relays.join(relay, ours)
        assert relay.inner is not None

        def handed(result: Result) -> None:
            if isinstance(result, HandoffRefused):
                os.close(fd)
                self._close(relay, "router_away")

        fd = theirs.detach()
        self._router.send(fd, encode(Tunnelled(relay.address, True)), handed)
        if plain:
            self._relays.put(relay.inner, plain)
        if tunnel.ended and relay in self._relays:
            self._relays.end(relay.inner)

    def _hand_over(self, relay: Relay, *, secure: bool) -> None:
        """The client's own socket goes to the router."""
        self._newcomers.leave(relay)
        self._wheel.cancel(relay)
        fd = self._relays.release(relay)

        def handed(result: Result) -> None:
            if isinstance(result, HandoffRefused):
                os.close(fd)
                self.counts["closed_router_away"] += 1

        self._router.send(fd, encode(Tunnelled(relay.address, secure, relay.start)), handed)
        self._resume()
        self._check_drained()

    def _from_client(self, relay: Relay) -> None:
        tunnel, inner = relay.tunnel, relay.inner
        assert tunnel is not None and inner is not None
        data = relay.outer.read()
        if data is None:
            return
        if not data or relay.outer.silent:  # the latter is only looked at when it has gone
            self._close(relay, "left")
            return
        for at in range(0, len(data), PIECE_BYTES):
            try:
                plain = tunnel.receive(data[at : at + PIECE_BYTES] if len(data) > PIECE_BYTES else data)
            except ssl.SSLError:
                self._refuse(relay, tunnel.pending(), "broken")
                return
            if plain:
                self._relays.put(inner, plain)
            if relay.is_idle_talk(min(PIECE_BYTES, len(data) - at), len(plain)):
                self._throttle.owe(relay.address, self._clock(), IDLE_COSTS)
                self._close(relay, "idle_talk")
                return
        if answer := tunnel.pending():
            self._relays.put(relay.outer, answer)
            if len(relay.outer.owed) > ASKED_BYTES:
                self._close(relay, "greedy")
        if tunnel.ended and relay in self._relays:
            self._relays.end(inner)

    def _to_client(self, relay: Relay) -> None:
        tunnel, inner = relay.tunnel, relay.inner
        assert tunnel is not None and inner is not None
        data = inner.read()
        if data is None:
            return
        if not data:
            self._say_last(relay, inner, tunnel)
            return
        tunnel.send(data)
        self._relays.put(relay.outer, tunnel.pending())

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _say_last(self, relay: Relay, inner: Side, tunnel: Tunnel) -> None:
        """The process behind has closed. A client that has not taken everything yet is nobody's connection but ours from now on, so it
        has a place again like a newcomer, and not for long."""
        self._relays.ended(inner)
        self._relays.hush(relay.outer)
        tunnel.end()
        relay.outer.ends = True
        self._relays.put(relay.outer, tunnel.pending())
        if relay not in self._relays:
            return
        now = self._clock()
        if self._enter(relay, now):
            self._wheel.schedule(relay, now + limits.LAST_BYTES_S)
        else:
            self._close(relay, "displaced")

    def _refuse(self, relay: Relay, last: bytes, why: str) -> None:
        if last:
            try:
                relay.outer.socket.send(last)
            except OSError:
                pass
        self._close(relay, why)

    def _close(self, relay: Relay, why: str) -> None:
        if relay not in self._relays:
            return
        self.counts["closed_" + why] += 1
        self._places.leave(relay)
        self._newcomers.leave(relay)
        self._wheel.cancel(relay)
        self._relays.remove(relay)
        self._resume()
        self._check_drained()

    def _check_drained(self) -> None:
        if self._drained is not None and not self._relays:
            self._loop.call_soon(self._drained)
