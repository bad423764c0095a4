"""A certificate for tests, the client's end of a TLS connection, and records made by hand."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY, server_context
from lanying.tls import authority
from lanying.tls.kernel import Direction
from lanying.tls.keys import CIPHERS, KeyLog, traffic_keys
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


@contextmanager
def door(context: ssl.SSLContext) -> Iterator[int]:
    """A port that shows this certificate to everybody, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            try:
                with context.wrap_socket(plain, server_side=True) as tls:
                    tls.recv(1)
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


class ClientEnd:
    """A client's TLS over memory."""

    def __init__(
        self, name: str = "localhost", context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
    ) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trusting()).wrap_bio(self._in, self._out, server_hostname=name, session=session)

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


def joined(
    piece_bytes: int = 1 << 20,
    trusted: ssl.SSLContext | None = None,
    context: ssl.SSLContext | None = None,
    log: KeyLog | None = None,
) -> tuple[ClientEnd, Tunnel]:
    """Both ends behind the handshake, the server's tickets with the client; bytes to the server come in pieces."""
    client, server = ClientEnd(context=trusted), Tunnel(context or shown(), log)
    data = client.step()
    for _ in range(5):
        for at in range(0, len(data), piece_bytes):
            assert server.receive(data[at : at + piece_bytes]) == b""
        data = client.step(server.pending())
        if server.open and not data:
            break
    assert server.open
    assert client.read(b"") == b""  # which takes the tickets
    return client, server


DATA, ALERT, HANDSHAKE = 23, 21, 22
CLOSE_NOTIFY = b"\x01\x00"
KEY_UPDATE = b"\x18\x00\x00\x01\x00"
"""RFC 8446 section 4.6.3: of the sender's keys, with no demand for the other's."""


class Sealer:
    """Makes and opens records by the keys that the kernel would be given."""

    def __init__(self, cipher: str, direction: Direction) -> None:
        keys = traffic_keys(direction.secret, CIPHERS[cipher])
        self._aead = ChaCha20Poly1305(keys.key) if "CHACHA20" in cipher else AESGCM(keys.key)
        self._iv = int.from_bytes(keys.iv)
        self._record = direction.records

    def _nonce(self) -> bytes:
        nonce = (self._iv ^ self._record).to_bytes(12)
        self._record += 1
        return nonce

    def seal(self, content: bytes, kind: int = DATA) -> bytes:
        head = b"\x17\x03\x03" + (len(content) + 1 + 16).to_bytes(2)
        return head + self._aead.encrypt(self._nonce(), content + bytes([kind]), head)

    def open(self, record: bytes) -> tuple[bytes, int]:
        """Content and kind of one whole record. :raises cryptography.exceptions.InvalidTag: other keys, or another number"""
        inner = self._aead.decrypt(self._nonce(), record[5:], record[:5])
        return inner[:-1], inner[-1]
