"""TLS by the kernel (Linux, module ``tls``; Documentation/networking/tls.rst): it encrypts and decrypts, and the socket is used like a
plain one, by any process.

What it does not do are records that are not data. When one comes, a plain read fails with EIO, and its connection is closed as one that
was lost: it is an alert, mostly that the client has ended (close_notify), or a change of keys, which no client of ours and no browser
asks for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from lanying.base.goodbye import SOL_TLS, TCP_ULP, ULP_NAME
from lanying.tls.keys import CIPHERS, KeyLog, traffic_keys

TLS_TX: Final = 1
TLS_RX: Final = 2
_TLS_1_3: Final = 0x0304
_NUMBERS: Final = {"TLS_AES_128_GCM_SHA256": 51, "TLS_AES_256_GCM_SHA384": 52, "TLS_CHACHA20_POLY1305_SHA256": 54}
_CHACHA20: Final = 54
_SALT_BYTES: Final = 4
"""Of the IV of AES-GCM, which the kernel wants apart and behind the key."""


class Direction(NamedTuple):
    """What the kernel has to know of one direction.

    :ivar records: how many were encrypted with these keys already
    """

    secret: bytes
    records: int


class Established(NamedTuple):
    """A connection behind its handshake, between two records.

    :ivar cipher: as OpenSSL names it
    """

    cipher: str
    sent: Direction
    received: Direction


class Kernel:
    """The kernel of this machine.

    :param ciphers: those that it knows
    :ivar log: where contexts have to log secrets to
    """

    def __init__(self, ciphers: frozenset[str]) -> None:
        self._ciphers = ciphers
        self.log = KeyLog()

    @classmethod
    def find(cls) -> Kernel | None:
        """None: it has no TLS (or its module is not loaded, and this process may not), or Python's library keeps secrets to itself."""
        known = frozenset(name for name in CIPHERS if _knows(name))
        return cls(known) if known and hasattr(ssl.SSLContext, "keylog_filename") else None

    def take(self, sock: socket.socket, established: Established) -> bool:
        """From now on it encrypts and decrypts. False: it does not, and the socket is as it was.

        :raises OSError: it did half of it; the socket is of no use to anybody any more
        """
        if established.cipher not in self._ciphers:
            return False
        try:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, ULP_NAME)
        except OSError:  # the client has left
            return False
        _hand_keys(sock, established)
        return True

    def close(self) -> None:
        """Release the log."""
        self.log.close()


def _hand_keys(sock: socket.socket, established: Established) -> None:
    sock.setsockopt(SOL_TLS, TLS_TX, _crypto_info(established.cipher, established.sent))
    sock.setsockopt(SOL_TLS, TLS_RX, _crypto_info(established.cipher, established.received))


def _knows(cipher: str) -> bool:
    some = Direction(bytes(32), 0)
    try:
        with _pair() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, ULP_NAME)
            _hand_keys(sock, Established(cipher, some, some))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _pair() -> Iterator[socket.socket]:
    """One end of a connection of this process to itself: there is no other way to ask."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as end:
        yield end


def _crypto_info(cipher: str, direction: Direction) -> bytes:
    """``struct tls12_crypto_info_…`` of linux/tls.h: two u16 in the machine's order, then IV, key, salt and number of the next record."""
    number = _NUMBERS[cipher]
    key, iv = traffic_keys(direction.secret, CIPHERS[cipher])
    head = struct.pack("=HH", _TLS_1_3, number)
    if number == _CHACHA20:
        return head + iv + key + direction.records.to_bytes(8)
    return head + iv[_SALT_BYTES:] + key + iv[:_SALT_BYTES] + direction.records.to_bytes(8)
