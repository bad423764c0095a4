"""One TLS connection of a client as a value: encrypted bytes in, plain bytes out, and the other way round. No socket, no clock."""

from __future__ import annotations

import ssl
from typing import Final

RECORD_BYTES: Final = 16_384
"""Most plain bytes of one TLS record (RFC 8446 section 5.1)."""
PLAIN_BYTES: Final = 65_536
HANDSHAKE: Final = 0x16
"""First byte of every TLS connection: the type of a record with a ClientHello."""


class Tunnel:
    """The server's end.

    :ivar open: the handshake is over
    :ivar ended: the client has said that nothing follows (close_notify)
    """

    __slots__ = ("_in", "_out", "_tls", "ended", "open")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.open = False
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """Bytes from the network; the plain ones that are complete by now.

        :raises ssl.SSLError: no TLS, or broken; :meth:`pending` has the alert
        """
        self._in.write(data)
        if not self.open:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return b""
            self.open = True
        plain: list[bytes] = []
        try:
            while piece := self._tls.read(PLAIN_BYTES):
                plain.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def send(self, plain: bytes) -> None:
        """Encrypt; :meth:`pending` has it. The handshake is over."""
        assert self.open, "nothing is sent before the handshake is over"
        self._tls.write(plain)

    def end(self) -> None:
        """Say that nothing follows."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:  # the client has not said so yet, and may never do
            pass

    def pending(self) -> bytes:
        """What is to go to the network: answers of the handshake, what was encrypted, alerts. Taken out."""
        return self._out.read() if self._out.pending else b""

    @property
    def version(self) -> str:
        """``TLSv1.3``; empty before the handshake is over."""
        return self._tls.version() or ""
