"""TLS of a generator's connections as values: encrypted bytes in, plain bytes out, and the other way round."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

PLAIN_BYTES: Final = 32_768


def trusting(authority: str | Path | None) -> ssl.SSLContext:
    """A context that checks certificates. ``authority``: PEM file of the one to trust; none or empty: those of the system."""
    return ssl.create_default_context(cafile=str(authority) if authority else None)


class Secure:
    """The client's end of one TLS connection.

    :param session: of an earlier connection of the same context, to be resumed; None: a full handshake
    :ivar open: the handshake is over
    """

    __slots__ = ("_in", "_out", "_tls", "open")

    def __init__(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host, session=session)
        self.open = False
        self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
            self.open = True
        except ssl.SSLWantReadError:
            pass

    def receive(self, data: bytes) -> bytes:
        """Bytes from the network; the plain ones that are complete by now.

        :raises ssl.SSLError: broken, or a certificate that is not trusted
        """
        self._in.write(data)
        if not self.open:
            self._shake()
            if not self.open:
                return b""
        plain: list[bytes] = []
        try:
            while piece := self._tls.read(PLAIN_BYTES):
                plain.append(piece)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def send(self, plain: bytes) -> None:
        """Encrypt; :meth:`pending` has it. The handshake is over."""
        self._tls.write(plain)

    def pending(self) -> bytes:
        """What is to go to the network. Taken out."""
        return self._out.read() if self._out.pending else b""

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection resumes."""
        return self._tls.session

    @property
    def resumed(self) -> bool:
        """The handshake took up an earlier session."""
        return bool(self._tls.session_reused)
