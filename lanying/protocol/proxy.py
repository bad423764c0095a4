"""The PROXY protocol (haproxy.org, proxy-protocol.txt): what a TCP proxy says about its client, in front of the client's own bytes.

Version 1 (section 2.1), a line of at most 107 bytes; UNKNOWN is the proxy's own connection, a health check::

    PROXY TCP4|TCP6|UNKNOWN source destination source-port destination-port CR LF

Version 2 (section 2.2), integers big-endian; command 0 (LOCAL) is the proxy's own. Only TCP over IPv4 and IPv6 names a client::

    12 signature | u8 version 2, command | u8 family, protocol | u16 length | addresses and ports | type-length-values
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from lanying.protocol.handshake import BadRequest

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LINE: Final = b"PROXY "
LINE_BYTES: Final = 107
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
    return any(data.startswith(start) or start.startswith(data) for start in (SIGNATURE, LINE))


def parse_proxy(data: bytes) -> Proxied | None:
    """The header at the start of ``data``, for which :func:`may_begin` holds; None: read more.

    :raises BadRequest: another version, or malformed
    """
    return _line(data) if data.startswith(LINE) else _binary(data)


def _line(data: bytes) -> Proxied | None:
    line, end, _ = data[:LINE_BYTES].partition(b"\r\n")
    if not end:
        if len(data) >= LINE_BYTES:
            raise BadRequest(400, "PROXY line too long")
        return None
    size = len(line) + len(end)
    match line.decode("latin-1").split(" "):
        case ["PROXY", "UNKNOWN", *_]:
            return Proxied("", False, size)
        case ["PROXY", "TCP4" | "TCP6" as family, source, _, _, _]:
            try:
                found = ip_address(source)
            except ValueError:
                found = None
            if found is not None and found.version == int(family[-1]):
                return Proxied(_plain(found), False, size)
    raise BadRequest(400, "malformed PROXY line")


def _binary(data: bytes) -> Proxied | None:
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
    return Proxied(_plain(ip_address(data[at : at + width])), _secure(data[at + 2 * width + 4 : size]), size)


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _secure(values: bytes) -> bool:
    at = 0
    while at + 3 <= len(values):
        kind, length = values[at], int.from_bytes(values[at + 1 : at + 3], "big")
        if kind == _TLS and length:
            return bool(values[at + 3 : at + 4] and values[at + 3] & 1)
        at += 3 + length
    return False
