"""Takes connections from a listening socket, some at a time; without descriptors it pauses, and loses nobody."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

from lanying.base.peers import plain_address

log = logging.getLogger(__name__)

ACCEPTS_PER_TURN: Final = 64
"""Connections accepted in one loop turn, so that a storm of them does not starve those that are there."""
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts from :meth:`open` to :meth:`close`; the listening socket stays open for the next process.

    :param listener: listening TCP socket, IPv4, IPv6 or both; None: nobody comes
    :param welcome: called with each connection, which does not block, and the address of its client
    """

    def __init__(
        self,
        listener: socket.socket | None,
        loop: asyncio.AbstractEventLoop,
        welcome: Callable[[socket.socket, str], None],
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._welcome = welcome
        self._open = False
        self._watching = False
        self._short = False

    def start(self) -> None:
        """Accept connections from now on."""
        if self._listener is None:
            return
        self._listener.setblocking(False)
        self._open = True
        self.resume()

    def close(self) -> None:
        """Accept nobody more."""
        self._open = False
        self._pause()

    def resume(self) -> None:
        """A descriptor may be free again: to be called when a connection is closed, and now and then."""
        if self._open and not self._watching:
            assert self._listener is not None
            self._watching = True
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _pause(self) -> None:
        if self._watching:
            assert self._listener is not None
            self._watching = False
            self._loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        assert self._listener is not None
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, peer = self._listener.accept()
            except BlockingIOError:
                self._short = False
                return
            except OSError as error:
                if error.errno not in _NO_DESCRIPTORS:
                    continue  # the client went away between its connect and our accept (accept(2) lists many errors)
                if not self._short:
                    self._short = True  # until a backlog has been emptied: one line for each shortage
                    log.error("event=accept_paused error=%s", os.strerror(error.errno or 0))
                self._pause()
                return
            connection.setblocking(False)
            self._welcome(connection, plain_address(peer[0]))
