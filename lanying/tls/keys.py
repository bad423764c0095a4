"""Keys of a TLS 1.3 connection, from the secrets that the TLS library logs (RFC 8446 section 7; draft-ietf-tls-keylogfile).

The log is a pipe of this process: secrets are in its memory and never on a disk. Whoever has just let the library go on with a handshake
takes out what it has written; so there is nobody else's in it, and a pipe's 64 KB are never full.
"""

from __future__ import annotations

import hmac
import os
import ssl
import struct
from typing import Final, NamedTuple

READ_BYTES: Final = 65_536
CLIENT: Final = "CLIENT_TRAFFIC_SECRET_0"
"""Label of the secret behind what the client sends once its handshake is over."""
SERVER: Final = "SERVER_TRAFFIC_SECRET_0"
IV_BYTES: Final = 12


class Cipher(NamedTuple):
    """Of TLS 1.3.

    :ivar key_bytes: of the key of its AEAD
    :ivar digest: hash of its key schedule, as :mod:`hashlib` names it
    """

    key_bytes: int
    digest: str


CIPHERS: Final = {
    "TLS_AES_128_GCM_SHA256": Cipher(16, "sha256"),
    "TLS_AES_256_GCM_SHA384": Cipher(32, "sha384"),
    "TLS_CHACHA20_POLY1305_SHA256": Cipher(32, "sha256"),
}


class Keys(NamedTuple):
    """Of one direction."""

    key: bytes
    iv: bytes


def traffic_keys(secret: bytes, cipher: Cipher) -> Keys:
    """Section 7.3."""
    key = expand_label(secret, "key", cipher.key_bytes, cipher.digest)
    return Keys(key, expand_label(secret, "iv", IV_BYTES, cipher.digest))


def expand_label(secret: bytes, label: str, size: int, digest: str) -> bytes:
    """HKDF-Expand-Label with an empty context (section 7.1); one round of HKDF-Expand (RFC 5869), so ``size`` is one hash at most."""
    name = b"tls13 " + label.encode()
    info = struct.pack(">HB", size, len(name)) + name + b"\x00"
    made = hmac.digest(secret, info + b"\x01", digest)
    assert size <= len(made), "one round gives no more"
    return made[:size]


class KeyLog:
    """Where the library's contexts log to."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._path = f"/proc/self/fd/{self._writes}"

    def follow(self, context: ssl.SSLContext) -> None:
        """Have a context log here."""
        if context.keylog_filename != self._path:
            context.keylog_filename = self._path

    def take(self) -> dict[str, bytes]:
        """Secrets by label that were logged since the last call."""
        try:
            lines = os.read(self._reads, READ_BYTES)
        except BlockingIOError:
            return {}
        return {words[0].decode(): bytes.fromhex(words[2].decode()) for words in map(bytes.split, lines.splitlines())}

    def close(self) -> None:
        """Contexts that log here keep their own end."""
        os.close(self._reads)
        os.close(self._writes)
