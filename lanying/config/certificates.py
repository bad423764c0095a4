"""What the server shows to clients: a certificate chain and its key from files, read again when they change."""

from __future__ import annotations

import hashlib
import logging
import ssl
from pathlib import Path
from typing import Final

from lanying.base.errors import ConfigError

log = logging.getLogger(__name__)

LOOKED_AT_S: Final = 10.0
"""How often files are looked at."""
DIRECTORY: Final = "tls"
"""In the data directory: the server's own authority and what it has issued (:mod:`lanying.tls.authority`)."""
AUTHORITY: Final = "authority.pem"
SERVER: Final = "server.pem"
SERVER_KEY: Final = "server-key.pem"
CHALLENGES: Final = "challenges"
"""In there: what proves to a public authority that a name leads here (:mod:`lanying.tls.acme`)."""
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption; TLS 1.3 has nothing else."""


def server_context(chain: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with this certificate.

    :param chain: PEM: the server's certificate, then those that lead to its authority
    :param key: PEM: its private key, not encrypted
    :raises ConfigError: a file cannot be read, or the two do not belong together
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 1
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(chain, key, password="")
    except ssl.SSLError as error:
        raise ConfigError(
            f"tls_certificate = {chain}, tls_key = {key}: {_reason(error)}; give PEM files, first the server's own certificate, "
            "and the key it was made with, not encrypted"
        ) from error
    except OSError as error:
        wrong = chain if not chain.is_file() else key
        raise ConfigError(
            f"{wrong}: {error.strerror}; the user the server runs as has to be able to read it"
        ) from error
    return context


def _reason(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not the certificate's"
    return (error.reason or str(error)).lower().replace("_", " ")


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, as people compare it: ``AB:CD:…``."""
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


Files = tuple[Path, Path]
"""Of a certificate chain and its key."""


class Certificates:
    """The files of one certificate, and what they say now.

    :param until: what is shown until those are there
    """

    def __init__(self, files: Files, until: Files | None = None) -> None:
        self._wanted = files
        self._until = until
        self._seen: tuple[tuple[int, int, int], ...] = ()
        self._context: ssl.SSLContext | None = None

    def read(self) -> None:
        """:raises ConfigError: there is nothing good to show"""
        self._seen = self._state()
        self._context = server_context(*self._files())

    def context(self) -> ssl.SSLContext:
        """For a newcomer; connections that are there keep theirs."""
        assert self._context is not None, "read first"
        return self._context

    def look(self) -> bool:
        """Read the files again if they have changed; whether there is a new certificate. One that is no good is logged and not taken."""
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        try:
            self._context = server_context(*self._files())
        except ConfigError as error:
            log.error("event=certificate_refused error=%r remedy='the old one goes on being shown'", str(error))
            return False
        log.info("event=certificate_changed file=%s", self._files()[0])
        return True

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(_file_state(path) for path in self._files())

    def _files(self) -> Files:
        return self._wanted if self._until is None or self._wanted[0].exists() else self._until


def _file_state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns
