"""A certificate for tests, and the client's end of a TLS connection."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY, server_context
from lanying.tls import authority
from lanying.tls.tunnel import Tunnel

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@cache
def made() -> Path:
    """A directory with an authority and a certificate for ``localhost`` and 127.0.0.1."""
    directory = Path(mkdtemp(prefix="lanying-tls-"))
    authority.ensure(directory, ["localhost", "127.0.0.1"], datetime.now(UTC))
    return directory


def shown() -> ssl.SSLContext:
    """What the server shows."""
    return server_context(made() / SERVER, made() / SERVER_KEY)


def trusting() -> ssl.SSLContext:
    """A client that trusts the authority."""
    return ssl.create_default_context(cafile=made() / AUTHORITY)


class ClientEnd:
    """A client's TLS over memory."""

    def __init__(self, name: str = "localhost", context: ssl.SSLContext | None = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trusting()).wrap_bio(self._in, self._out, server_hostname=name)

    def step(self, data: bytes = b"") -> bytes:
        """Take bytes, go on with the handshake; what is to be sent."""
        self._in.write(data)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    def write(self, plain: bytes) -> bytes:
        self.tls.write(plain)
        return self._out.read()

    def read(self, data: bytes) -> bytes:
        self._in.write(data)
        plain = b""
        try:
            while piece := self.tls.read():
                plain += piece
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return plain

    def end(self) -> bytes:
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()


def joined_with(directory: Path, name: str) -> ClientEnd:
    """A client that trusts the authority of a directory, connected to its server by this name. :raises ssl.SSLError: it does not go on"""
    client = ClientEnd(name, ssl.create_default_context(cafile=directory / AUTHORITY))
    server = Tunnel(server_context(directory / SERVER, directory / SERVER_KEY))
    data = client.step()
    while data:
        server.receive(data)
        data = client.step(server.pending())
    assert server.open
    return client
