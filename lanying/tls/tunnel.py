"""One TLS connection of a client as a value: encrypted bytes in, plain bytes out, and the other way round. No socket, no clock."""

from __future__ import annotations

import ssl
from typing import Final

from lanying.tls.kernel import Direction, Established
from lanying.tls.keys import CLIENT, SERVER, KeyLog
from lanying.tls.records import APPLICATION_DATA, Records

RECORD_BYTES: Final = 16_384
"""Most plain bytes of one TLS record (RFC 8446 section 5.1)."""
PLAIN_BYTES: Final = 65_536
HANDSHAKE: Final = 0x16
"""First byte of every TLS connection: the type of a record with a ClientHello."""


class Tunnel:
    """The server's end.

    :param log: for secrets, if the kernel may take the connection over
    :ivar open: the handshake is over
    :ivar ended: the client has said that nothing follows (close_notify)
    """

    __slots__ = ("_in", "_out", "_tls", "_trace", "ended", "open")

    def __init__(self, context: ssl.SSLContext, log: KeyLog | None = None) -> None:
        if log is not None:
            log.follow(context)
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._trace = Trace(log) if log is not None else None
        self.open = False
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """Bytes from the network; the plain ones that are complete by now.

        :raises ssl.SSLError: no TLS, or broken; :meth:`pending` has the alert
        """
        trace = self._trace
        if trace is None:
            return self._receive(data)
        plain: list[bytes] = []
        for piece, kind in trace.incoming.split(data):
            behind = self.open
            got = self._receive(piece)
            if behind and kind:
                trace.received += 1
                trace.only_data = trace.only_data and kind == APPLICATION_DATA and bool(got)
            plain.append(got)
        return b"".join(plain)

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
        data = self._out.read() if self._out.pending else b""
        if data and self._trace is not None and self.open:
            self._trace.sent += sum(kind == APPLICATION_DATA for _, kind in self._trace.outgoing.split(data))
        return data

    @property
    def version(self) -> str:
        """``TLSv1.3``; empty before the handshake is over."""
        return self._tls.version() or ""

    @property
    def missing(self) -> int:
        """Bytes that the kernel could not take over, because it wants to begin between two records; 0 if it is not to."""
        return self._trace.incoming.missing if self._trace is not None else 0

    @property
    def established(self) -> Established | None:
        """For the kernel; None: only this tunnel can go on."""
        trace = self._trace
        cipher = self._tls.cipher()
        if trace is None or cipher is None or trace.incoming.missing or self.ended or not trace.only_data:
            return None
        if CLIENT not in trace.secrets or SERVER not in trace.secrets:
            return None  # TLS 1.2
        sent, received = Direction(trace.secrets[SERVER], trace.sent), Direction(trace.secrets[CLIENT], trace.received)
        return Established(cipher[0], sent, received)

    def forget(self) -> None:
        """The kernel is not to take it over."""
        self._trace = None

    def _receive(self, data: bytes) -> bytes:
        self._in.write(data)
        if not self.open:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return b""
            finally:
                if self._trace is not None:
                    self._trace.secrets.update(self._trace.log.take())
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


class Trace:
    """What the kernel has to know to take a connection over.

    Records of the client are given to the library one at a time: the one that ends the handshake is the last of its keys, and those that
    follow are counted. Of ours, those count that come out when the handshake is over: tickets.

    :ivar only_data: whatever the client sent behind its handshake was data; a change of keys is none
    """

    __slots__ = ("incoming", "log", "only_data", "outgoing", "received", "secrets", "sent")

    def __init__(self, log: KeyLog) -> None:
        self.log = log
        self.incoming = Records()
        self.outgoing = Records()
        self.secrets: dict[str, bytes] = {}
        self.sent = 0
        self.received = 0
        self.only_data = True
