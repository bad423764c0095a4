"""Sockets the router hands over become HTTP connections: :class:`~lanying.gateway.http.connection.HttpConnection`.

The router has read the head of the first request to know that it is one; those bytes travel with the socket and are
fed before anything is read from it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from email.utils import formatdate
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from lanying.base import limits
from lanying.base.peers import Proxies
from lanying.gateway.http.connection import Hall, HttpConnection

log = logging.getLogger(__name__)

CHECK_S: Final = 1.0
"""How often deadlines are looked at: one look at 4,000 connections takes a few milliseconds."""


class HttpServer:
    """Serves an ASGI application on sockets from elsewhere.

    :param hall: who may have how many connections
    """

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop, hall: Hall | None = None) -> None:
        self._loop = loop
        self._hall = hall or Hall(Proxies())
        self._state = ServerState()
        self._config = Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(limits.REST_IDLE_S),
        )
        self._config.load()
        self._adopting: set[asyncio.Task[Any]] = set()
        self._checks: asyncio.TimerHandle | None = None
        self.tell_time()

    def adopt(self, sock: socket.socket, data: bytes, address: str = "", secure: bool = False) -> None:
        """Serve this connection of a client at ``address``, beginning with ``data``. The socket is the server's from now on.

        :param secure: the client came over TLS
        """
        sock.setblocking(False)
        task = self._loop.create_task(self._connect(sock, data, address, secure), name="adopt")
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def protocol(self, first: bytes = b"", address: str = "", secure: bool = False) -> HttpConnection:
        """A new connection, for a listener of its own."""
        if self._checks is None:
            self._checks = self._loop.call_later(CHECK_S, self._check)
        return HttpConnection(self._config, self._state, self._hall, self._loop, first, address, secure)

    def tell_time(self) -> None:
        """Renew the Date header; to be called about every second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._state.connections)

    async def drain(self, timeout_s: float) -> None:
        """Close idle connections, let running requests finish, cut what is left after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._adopting:
                    await asyncio.wait(self._adopting)
                for connection in self._open:
                    connection.shutdown()
                while self._state.tasks:
                    await asyncio.wait(self._state.tasks)
        except TimeoutError:
            log.info("event=drain_cut_short connections=%d requests=%d", self.connections, len(self._state.tasks))
        for connection in self._open:
            connection.transport.close()
        if self._checks is not None:
            self._checks.cancel()
            self._checks = None

    @property
    def _open(self) -> list[HttpConnection]:
        return [connection for connection in self._state.connections if isinstance(connection, HttpConnection)]

    def _check(self) -> None:
        now = self._loop.time()
        for connection in self._open:
            connection.check(now)
        self._checks = self._loop.call_later(CHECK_S, self._check) if self._state.connections else None

    async def _connect(self, sock: socket.socket, data: bytes, address: str, secure: bool) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self.protocol(data, address, secure), sock)
        except OSError as error:
            log.info("event=adopt_failed error=%s", error)
            sock.close()
