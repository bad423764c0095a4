"""The admin endpoint's sockets: one ROUTER and one PUB per place to listen at, and what runs for whom behind a ROUTER."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import zmq
import zmq.asyncio

from lanying.admin.keys import Ring
from lanying.base import limits
from lanying.base.clock import monotonic

log = logging.getLogger(__name__)

DOMAIN: Final = "lanying-admin"
LINGER_MS: Final = 200
BIND_S: Final = 5.0
"""An address that was ours a moment ago is free as soon as ZeroMQ's thread has closed it."""
RETRY_S: Final = 0.02

Socket = zmq.asyncio.Socket


@dataclass(slots=True)
class Running:
    """An ask being worked on.

    :ivar key: public key of the console, empty for a local one
    :ivar heard: when the console was last heard of, monotonic
    """

    task: asyncio.Task[None]
    key: str
    heard: float
    streams: bool = False


@dataclass(slots=True)
class Place:
    """A socket that listens. ``ring`` None: local."""

    socket: Socket
    address: str
    ring: Callable[[], Ring] | None
    moving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def open(cls, context: zmq.asyncio.Context, kind: int, address: str, ring: Callable[[], Ring] | None) -> Self:
        """Listen, with CURVE if there is a ring. :raises zmq.ZMQError: the address cannot be had"""
        socket = context.socket(kind)
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, limits.ADMIN_QUEUE)
        if kind == zmq.ROUTER:
            socket.setsockopt(zmq.MAXMSGSIZE, limits.ADMIN_MESSAGE_BYTES)
        if ring is not None:
            pair = ring().server
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret.encode())
            socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public.encode())
            socket.setsockopt_string(zmq.ZAP_DOMAIN, DOMAIN)
            socket.setsockopt(zmq.IPV6, 1)
        socket.bind(address)
        return cls(socket, address, ring)

    async def readmit(self) -> None:
        """End every connection; consoles with a key connect again by themselves. An address that was taken meanwhile is waited for."""
        async with self.moving:
            self.socket.unbind(self.socket.getsockopt_string(zmq.LAST_ENDPOINT))  # and with it all that came in there
            began, told = monotonic(), False
            while True:
                try:
                    self.socket.bind(self.address)
                    return
                except zmq.ZMQError as error:
                    if not told and monotonic() - began > BIND_S:
                        told = True
                        log.error(
                            "event=cannot_listen address=%s error=%r remedy='stop what listens there'",
                            self.address,
                            str(error),
                        )
                    await asyncio.sleep(RETRY_S)


@dataclass(slots=True)
class Door(Place):
    """A ROUTER socket and the asks that came through it, by console and number."""

    running: dict[tuple[bytes, int], Running] = field(default_factory=dict)

    async def readmit(self) -> None:
        """As soon as nothing runs: an answer to a connection that has ended would be lost."""
        while self.running:
            await asyncio.wait([one.task for one in self.running.values()])
            await asyncio.sleep(0)  # tasks take themselves off the list
        await Place.readmit(self)
