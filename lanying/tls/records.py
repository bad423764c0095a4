"""Where one TLS record ends and the next begins (RFC 8446 section 5.1); what is in them does not matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

HEAD_BYTES: Final = 5
APPLICATION_DATA: Final = 0x17
"""Type of every encrypted record of TLS 1.3, whatever is in it."""


class Records:
    """The bytes of one direction, in pieces of any size.

    :ivar missing: bytes to the end of the record that has begun, as far as is known: of its head first; 0: between two
    """

    __slots__ = ("_head", "missing")

    def __init__(self) -> None:
        self._head = b""
        self.missing = 0

    def split(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Pieces, none of which goes beyond the end of a record, each with the type of the record that it completes; 0: of none yet."""
        at = 0
        while at < len(data):
            begun = at
            if len(self._head) < HEAD_BYTES:
                at = min(at + HEAD_BYTES - len(self._head), len(data))
                self._head += data[begun:at]
                whole = len(self._head) == HEAD_BYTES
                self.missing = int.from_bytes(self._head[3:]) if whole else HEAD_BYTES - len(self._head)
                if not whole:
                    yield data[begun:at], 0
                    return
            taken = min(self.missing, len(data) - at)
            at += taken
            self.missing -= taken
            kind = 0
            if not self.missing:
                kind, self._head = self._head[0], b""
            yield data[begun:at], kind
