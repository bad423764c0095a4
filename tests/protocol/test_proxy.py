"""What a TCP proxy says about its client, byte by byte: nothing it says wrongly names somebody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.protocol.handshake import BadRequest
from lanying.protocol.proxy import HEADER_BYTES, SIGNATURE, Proxied, may_begin, parse_proxy

V4 = bytes([203, 0, 113, 9, 192, 0, 2, 1]) + b"\x10\x00\x20\x00"
V6 = bytes.fromhex("20010db8000000000000000000000007") + bytes(16) + b"\x10\x00\x20\x00"
MAPPED = bytes.fromhex("00000000000000000000ffffcb007109") + bytes(16) + b"\x10\x00\x20\x00"


def header(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


def value(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(2, "big") + content


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (header(0x21, 0x11, V4), "203.0.113.9"),
        (header(0x21, 0x21, V6), "2001:db8::7"),
        (header(0x21, 0x21, MAPPED), "203.0.113.9"),
        (header(0x20, 0x11, V4), ""),
        (header(0x20, 0x00, b""), ""),
        (header(0x21, 0x31, bytes(216)), ""),
        (header(0x21, 0x12, V4), ""),
    ],
    ids=["IPv4", "IPv6", "IPv4 in IPv6", "health check", "health check without address", "unix socket", "datagrams"],
)
def test_an_address_is_taken_from_tcp_alone(data: bytes, address: str) -> None:
    assert parse_proxy(data + b"GET / HTTP/1.1\r\n") == Proxied(address, False, len(data))


@pytest.mark.parametrize(
    ("values", "secure"),
    [
        (b"", False),
        (value(0x20, b"\x01\0\0\0\0"), True),
        (value(0x20, b"\x06\0\0\0\0"), False),
        (value(0x20, b""), False),
        (value(0x02, b"host") + value(0x20, b"\x05\0\0\0\0"), True),
        (value(0x02, b"\x20\x00\x01\x01"), False),
        (b"\x20\x00\x05", False),
        (b"\x20\x00", False),
    ],
    ids=["nothing", "TLS", "a certificate only", "empty", "behind another", "inside another", "cut", "cut shorter"],
)
def test_tls_is_what_the_proxy_says_of_its_client(values: bytes, secure: bool) -> None:
    found = parse_proxy(header(0x21, 0x11, V4 + values))
    assert found is not None and (found.address, found.secure) == ("203.0.113.9", secure)


@pytest.mark.parametrize(
    "data",
    [
        header(0x11, 0x11, V4),
        header(0x22, 0x11, V4),
        header(0x21, 0x11, V4[:-1]),
        header(0x21, 0x21, V6[:-1]),
        SIGNATURE + b"\x21\x11" + (HEADER_BYTES - 15).to_bytes(2, "big"),
    ],
    ids=["version 1", "an unknown command", "short for IPv4", "short for IPv6", "too large"],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_proxy(data)


def test_the_largest_header_is_waited_for_and_taken() -> None:
    data = header(0x21, 0x11, V4 + bytes(HEADER_BYTES - 16 - len(V4)))
    assert parse_proxy(data[:-1]) is None
    assert parse_proxy(data) == Proxied("203.0.113.9", False, HEADER_BYTES)


@given(st.integers(0, 27), st.binary(max_size=8))
def test_every_piece_of_a_header_waits_for_the_rest(cut: int, behind: bytes) -> None:
    data = header(0x21, 0x11, V4)
    assert len(data) == 28
    assert may_begin(data[:cut]) and parse_proxy(data[:cut]) is None
    assert parse_proxy(data + behind) == Proxied("203.0.113.9", False, 28)


@pytest.mark.parametrize("data", [b"\r\n\r\n\x00\r\nQUIX", b"GET / HTTP/1.1", b"\r\nGET", b"\x16\x03\x01"])
def test_other_bytes_cannot_begin_a_header(data: bytes) -> None:
    assert not may_begin(data)


@given(st.binary(max_size=80))
def test_any_bytes_behind_a_signature_are_read_or_refused(rest: bytes) -> None:
    data = SIGNATURE + rest
    try:
        found = parse_proxy(data)
    except BadRequest:
        return
    assert found is None or 16 <= found.size <= len(data)


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n", "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 56324 443\r\n", "203.0.113.9"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ""),
    ],
)
def test_a_line_of_version_1_names_its_client_however_it_is_cut(line: bytes, address: str) -> None:
    assert parse_proxy(line + b"GET / HTTP/1.1\r\n") == Proxied(address, False, len(line))
    for end in range(1, len(line)):
        assert may_begin(line[:end]) and parse_proxy(line[:end]) is None


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1\r\n",
        b"PROXY TCP4 203.0.113.999 192.0.2.1 1 2\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4  203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY \xff\xff\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\n" + b"x" * 100,
    ],
)
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_proxy(line)
