"""The end of a client's connection whose TLS is the kernel's: it does not say by itself that nothing follows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from typing import Final

from lanying.base import limits

TCP_ULP: Final = 31
"""Of linux/tcp.h: option of a TCP socket, the name of what works on top of it."""
SOL_TLS: Final = 282
ULP_NAME: Final = b"tls"
_SET_RECORD_TYPE: Final = 1
_ALERT: Final = b"\x15"
_CLOSE_NOTIFY: Final = b"\x01\x00"
_NAME_BYTES: Final = 16


def say_end(fd: int) -> None:
    """Before a client's descriptor is closed: with kernel TLS the client is sent a close_notify (RFC 8446 section 6.1), as far as its
    socket takes it; every other socket is left alone."""
    sock = socket.socket(fileno=fd)
    with contextlib.suppress(OSError):  # the client may have gone
        if _by_kernel(sock):
            sock.sendmsg([_CLOSE_NOTIFY], [(SOL_TLS, _SET_RECORD_TYPE, _ALERT)], socket.MSG_DONTWAIT)
    sock.detach()


class Partings:
    """Connections that their owner has closed while the client has not taken the last bytes.

    TCP sends what it has after a close, but with kernel TLS the last record may not be TCP's yet: the socket was full, the record waits
    beside it, and a close drops it. So a copy of a full socket's descriptor is kept until there is room; then the close sends all.

    :param most: with more the first is closed at once
    :param wait_s: a client has so long
    """

    def __init__(self, most: int = limits.LEAVING, wait_s: float = limits.LAST_BYTES_S) -> None:
        self._most = most
        self._wait_s = wait_s
        self._kept: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def part(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        """Before the owner closes it, who has written everything: as :func:`say_end`, in time."""
        if not _is_full(fd):
            say_end(fd)
            return
        try:
            kept = os.dup(fd)
        except OSError:  # no descriptors left
            return
        self._kept[kept] = loop, loop.call_later(self._wait_s, self._end, kept)
        loop.add_writer(kept, self._end, kept)
        if len(self._kept) > self._most:
            self._end(next(iter(self._kept)))

    def _end(self, kept: int) -> None:
        loop, timer = self._kept.pop(kept)
        timer.cancel()
        loop.remove_writer(kept)
        say_end(kept)
        os.close(kept)


def _by_kernel(sock: socket.socket) -> bool:
    """:raises OSError: it is no TCP socket"""
    return sock.getsockopt(socket.IPPROTO_TCP, TCP_ULP, _NAME_BYTES).startswith(ULP_NAME)


def _is_full(fd: int) -> bool:
    """Whether its TLS is the kernel's and has no room: what TCP calls writable is more than the longest record."""
    sock = socket.socket(fileno=fd)
    try:
        if not _by_kernel(sock):
            return False
    except OSError:
        return False
    finally:
        sock.detach()
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return not poll.poll(0)
