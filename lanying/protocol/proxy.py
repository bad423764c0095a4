"""The PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt section 2.2): what a TCP proxy says about its client, in front of
the client's own bytes. Integers big-endian::

    12 signature | u8 version 2, command | u8 family, protocol | u16 length | addresses and ports | type-length-values

Command 0 (LOCAL) is the proxy's own connection, a health check. Only TCP over IPv4 and IPv6 names a client.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from lanying.protocol.handshake import BadRequest

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
HEADER_BYTES: Final = 2048
"""Largest header taken; a proxy's own is below 300."""

_FIXED = struct.Struct(">12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_BYTES = {_TCP4: 4, _TCP6: 16}
_TLS = 0x20
"""Type of the value about TLS; bit 0 of its first byte: the client came over TLS."""


class Proxied(NamedTuple):
    """A header.

    :ivar address: the client's, empty: the proxy itself
    :ivar secure: the client came over TLS, as far as the proxy says
    :ivar size: bytes of the header; what follows is the client's
    """

    address: str
    secure: bool
    size: int


def may_begin(data: bytes) -> bool:
    """Whether a header may stand, or go on, at the start of ``data``."""
    return data.startswith(SIGNATURE) or (len(data) < len(SIGNATURE) and SIGNATURE.startswith(data))


def parse_proxy(data: bytes) -> Proxied | None:
    """The header at the start of ``data``, for which :func:`may_begin` holds; None: read more.

    :raises BadRequest: another version, or malformed
    """
    if len(data) < _FIXED.size:
        return None
    _, command, family, length = _FIXED.unpack_from(data)
    size = _FIXED.size + length
    if command not in (_LOCAL, _PROXY) or size > HEADER_BYTES:
        raise BadRequest(400, "PROXY protocol version 2 expected")
    if len(data) < size:
        return None
    width = _ADDRESS_BYTES.get(family)
    if command == _LOCAL or width is None:
        return Proxied("", False, size)
    if length < 2 * width + 4:
        raise BadRequest(400, "PROXY header too short for its addresses")
    at = _FIXED.size
    found = ip_address(data[at : at + width])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return Proxied(str(mapped or found), _secure(data[at + 2 * width + 4 : size]), size)


def _secure(values: bytes) -> bool:
    at = 0
    while at + 3 <= len(values):
        kind, length = values[at], int.from_bytes(values[at + 1 : at + 3], "big")
        if kind == _TLS and length:
            return bool(values[at + 3 : at + 4] and values[at + 3] & 1)
        at += 3 + length
    return False
