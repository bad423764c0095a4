"""One HTTP connection, with a budget from its first byte to its last; uvicorn's protocol underneath.

- **Head and framing**: everything of a request that is not its body (head, chunk sizes and their extensions, trailers) has room of
  ``MAX_HTTP_HEAD_BYTES`` and a sixteenth of the body. Trailers are dropped as they come.
- **One request at a time**: the parser is given bytes up to the end of one request. What follows waits as it is, up to
  ``REST_WAITING_BYTES``; with more, the answer under way is the last.
- **Time**: to the end of a head, a least rate for bodies, and an end to answers that nobody takes; looked at once a second.
- **Place**: :class:`~lanying.base.places.Places`, so that no peer has all of them.

A client that has sent a whole request and closes its side (``shutdown(SHUT_WR)``) gets its answer.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from lanying.base import limits
from lanying.base.goodbye import Partings
from lanying.base.peers import Proxies, peer_key, plain_address
from lanying.base.places import Places
from lanying.protocol.handshake import error_response

logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
"""Its warnings are lines that any stranger may cause, one per request."""

BODY_SHARE: Final = 16
"""One byte of framing for so many of body: chunks of 100 bytes are fine."""
_END_OF_HEAD: Final = b"\r\n\r\n"
_FULL: Final = error_response(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", {"Retry-After": "1"})
_TOO_LARGE: Final = error_response(431, f"over {limits.MAX_HTTP_HEAD_BYTES} bytes around the body of a request")


class Hall:
    """What the connections of one server share.

    :param proxies: peers whose place is not limited: each speaks for many
    """

    __slots__ = ("partings", "places", "proxies")

    def __init__(
        self,
        proxies: Proxies | None = None,
        total: int = limits.REST_CONNECTIONS,
        each: int = limits.REST_CONNECTIONS_PER_PEER,
    ) -> None:
        self.places: Places[HttpConnection] = Places(total, each)
        self.proxies = proxies or Proxies()
        self.partings = Partings()


class HttpConnection(HttpToolsProtocol):
    """See the module.

    :param first: bytes that were read before, from the first of the request on
    :param address: the client's, where the socket's peer is not it
    :param secure: the client came over TLS, to a proxy that says so
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        hall: Hall,
        loop: asyncio.AbstractEventLoop,
        first: bytes = b"",
        address: str = "",
        secure: bool = False,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._hall = hall
        self._first = first
        self._address = address
        self._secure = secure
        self._in_head = True
        self._since = 0.0
        """When the head began, or the body; moved on while we do not read."""
        self._framing = 0
        self._body = 0
        self._spilt = 0
        """Of a body that came when its request was answered already."""
        self._tail = b""
        """The last bytes of a head so far: its end may be cut in two."""
        self._held = b""
        self._last = False
        """Nothing is read from this client any more; the answer under way is the last."""
        self._unsent = 0
        self._stuck_since = 0.0

    # --- the transport's events --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._address:
            self.client = (self._address, 0)
        if self._secure:
            self.scheme = "https"
        address = plain_address(self.client[0]) if self.client else ""
        self._since = self.loop.time()
        if not self._take_place(address):
            transport.write(_FULL)
            transport.close()
            return
        if self._first:
            first, self._first = self._first, b""
            self.data_received(first)

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing() or self._last:
            return
        self._hall.places.heard(self, self.loop.time())
        if self._answering:
            self._hold(data)
        else:
            self._feed(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """True: the request is here as a whole, and the client waits for its answer."""
        self._last = True
        return self._answering

    def connection_lost(self, exc: Exception | None) -> None:
        self._hall.places.leave(self)
        self._held = b""
        if exc is None:
            self._hall.partings.part(self.transport.get_extra_info("socket").fileno(), self.loop)
        super().connection_lost(exc)

    # --- reading -----------------------------------------------------------------------------------------------

    @property
    def _answering(self) -> bool:
        """A request is here as a whole, its answer is not out."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _feed(self, data: bytes) -> None:
        """Give the parser what belongs to the present request."""
        at = 0
        if not self._framing:
            self._since = self.loop.time()
        while at < len(data) and not self._answering and not self.transport.is_closing():
            end = self._end_of_head(data, at) if self._in_head else len(data)
            self._framing += end - at
            super().data_received(data[at:end] if end - at < len(data) else data)
            at = end
            if self._framing > limits.MAX_HTTP_HEAD_BYTES + self._body // BODY_SHARE:
                self._refuse()
        if at < len(data):
            self._hold(data[at:])

    def _end_of_head(self, data: bytes, at: int) -> int:
        """Where to cut: behind the end of the head, so that what follows a request without a body is not parsed yet."""
        tail = self._tail
        found = (tail + data[at : at + 3]).find(_END_OF_HEAD) if tail else -1
        if found >= 0:
            end = at + found + len(_END_OF_HEAD) - len(tail)
        else:
            found = data.find(_END_OF_HEAD, at)
            end = found + len(_END_OF_HEAD) if found >= 0 else len(data)
        most = at + limits.MAX_HTTP_HEAD_BYTES + 1 - self._framing
        if end > most:
            return most  # too large, and no more of it is parsed than shows that
        self._tail = b"" if found >= 0 else (tail + data[at:])[-3:]
        return end

    def _hold(self, data: bytes) -> None:
        """Keep what follows the present request for later."""
        self._held += data
        self.flow.pause_reading()
        if len(self._held) > limits.REST_WAITING_BYTES:
            self._held = b""
            self._end_after_answer()

    def _end_after_answer(self) -> None:
        self._last = True
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    # --- the parser's events -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answering:
            # Chunked bodies end where only the parser knows, so this one came in the same read. Those who do that may ask again.
            self._end_after_answer()
            raise ValueError("pipelined behind a chunked body")
        super().on_message_begin()
        self._in_head = True
        self._body = self._spilt = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._since = self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        self._body += len(body)
        if self.cycle.response_complete:
            self._spilt += len(body)
            if self._spilt > limits.REST_SPILT_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._framing = 0
        self._since = self.loop.time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._in_head:
            self._since = self.loop.time()
        held, self._held = self._held, b""
        if held:
            self._unset_keepalive_if_required()
            self._feed(held)
        if self._last and not self._answering:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Served as what it is besides."""

    def send_400_response(self, msg: str) -> None:
        if not self._answering:
            self.transport.write(error_response(HTTPStatus.BAD_REQUEST, msg))
            self.transport.close()

    # --- once a second -----------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Close when a deadline has passed. ``now``: the loop's time."""
        if self._stuck(now):
            self.transport.abort()
        elif self._late(now):
            self.transport.close()

    def _stuck(self, now: float) -> bool:
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        self._unsent = unsent
        if not unsent or unsent < before or not self._stuck_since:
            if unsent < before:
                self._hall.places.heard(self, now)
            self._stuck_since = now
            return False
        return now - self._stuck_since >= limits.REST_STUCK_S

    def _late(self, now: float) -> bool:
        if self._answering:
            return False
        if self._in_head:
            begun = self.cycle is None or self._framing
            return now - self._since >= (limits.REST_HEAD_TIMEOUT_S if begun else limits.REST_IDLE_S)
        if self.flow.read_paused:
            self._since += 1.0
            return False
        rated = now - self._since - limits.REST_BODY_GRACE_S
        return rated > 0 and self._body < rated * limits.REST_BODY_MIN_BYTES_PER_S

    # --- places ------------------------------------------------------------------------------------------------

    def _take_place(self, address: str) -> bool:
        places, now = self._hall.places, self.loop.time()
        key = peer_key(address)
        if places.full(key, limited=address not in self._hall.proxies):
            idlest = places.make_room(key, now)
            if idlest is None:
                return False
            idlest.give_way()
        places.enter(self, key, now)
        return True

    def give_way(self) -> None:
        """Somebody else needs the place."""
        self._hall.places.leave(self)
        self.transport.abort()
