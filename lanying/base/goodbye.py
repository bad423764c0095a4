"""The end of a client's connection whose TLS is the kernel's: it does not say by itself that nothing follows."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

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
    with contextlib.suppress(OSError):  # a socket pair has no such option; the client may have gone
        if sock.getsockopt(socket.IPPROTO_TCP, TCP_ULP, _NAME_BYTES).startswith(ULP_NAME):
            sock.sendmsg([_CLOSE_NOTIFY], [(SOL_TLS, _SET_RECORD_TYPE, _ALERT)], socket.MSG_DONTWAIT)
    sock.detach()
