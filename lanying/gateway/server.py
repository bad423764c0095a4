"""Sockets the router hands over become HTTP connections of uvicorn.

The router has read the head of the first request to know that it is one; those bytes travel with the socket and are
fed before anything is read from it. Beside uvicorn's own keep-alive limit a connection has a deadline and a size for
every request head, so a slow or endless one costs little.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from email.utils import formatdate
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from lanying.base import limits

log = logging.getLogger(__name__)


class HttpConnection(HttpToolsProtocol):
    """uvicorn's protocol, begun with bytes that were already read and with limits on every request head."""

    def __init__(self, config: Config, state: ServerState, first: bytes, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self._first = first
        self._in_head = True
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()
        if self._first:
            first, self._first = self._first, b""
            self.data_received(first)

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > limits.MAX_HTTP_HEAD_BYTES:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_done()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_done()
        self._in_head = True
        self._deadline = self.loop.call_later(limits.REST_HEAD_TIMEOUT_S, self.transport.close)

    def _head_done(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Adopter:
    """Serves an ASGI application on sockets from elsewhere."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._state = ServerState()
        self._config = Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(limits.REST_IDLE_S),
        )
        self._config.load()
        self._adopting: set[asyncio.Task[Any]] = set()
        self.tell_time()

    def adopt(self, sock: socket.socket, data: bytes) -> None:
        """Serve this connection, beginning with ``data``. The socket is the adopter's from now on."""
        sock.setblocking(False)
        task = self._loop.create_task(self._connect(sock, data), name="adopt")
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def protocol(self, first: bytes = b"") -> HttpConnection:
        """A new connection, for a listener of its own."""
        return HttpConnection(self._config, self._state, first, self._loop)

    def tell_time(self) -> None:
        """Renew the Date header; to be called about every second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._state.connections)

    async def drain(self, timeout_s: float) -> None:
        """Close idle connections, let running requests finish, close what is left after ``timeout_s``."""
        if self._adopting:
            await asyncio.wait(self._adopting, timeout=timeout_s)
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=timeout_s)
        for connection in list(self._state.connections):
            connection.transport.close()

    async def _connect(self, sock: socket.socket, data: bytes) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self.protocol(data), sock)
        except OSError as error:
            log.info("event=adopt_failed error=%s", error)
            sock.close()
