"""The HTTP head: requests of browsers and clients, garbage, and the upgrade on both sides."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base.errors import ProtocolError
from lanying.base.limits import MAX_HTTP_HEAD_BYTES
from lanying.protocol.connection import SOCKETIO, XSYNC
from lanying.protocol.handshake import (
    GUARDS,
    BadRequest,
    Head,
    accept_key,
    accept_upgrade,
    check_upgrade_response,
    client_path,
    connection_kind,
    error_response,
    is_upgrade,
    new_key,
    parse_head,
    upgrade_request,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""RFC 6455 section 1.3."""

BROWSER = (
    "GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\n"
    "Host: im.example.com\r\nConnection: keep-alive, Upgrade\r\nPragma: no-cache\r\nUpgrade: WebSocket\r\n"
    f"Origin: https://chat.example.com\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
).encode()


def head_of(data: bytes) -> Head:
    head = parse_head(data)
    assert head is not None
    return head


def changed(old: str, new: str) -> bytes:
    assert old.encode() in BROWSER
    return BROWSER.replace(old.encode(), new.encode())


# --- request head ----------------------------------------------------------------------------------------------


def test_a_browser() -> None:
    head = head_of(BROWSER + b"rest")
    assert (head.method, head.path, head.query) == ("GET", "/socket.io/", "EIO=3&transport=websocket")
    assert head.target == "/socket.io/?EIO=3&transport=websocket"
    assert head.headers["host"] == "im.example.com" and head.headers["upgrade"] == "WebSocket"
    assert head.size == len(BROWSER) and head.version == "1.1"
    assert head.parameters == {"EIO": "3", "transport": "websocket"}
    assert is_upgrade(head) and connection_kind(head) == SOCKETIO


def test_every_prefix_is_incomplete() -> None:
    for size in range(len(BROWSER)):
        assert parse_head(BROWSER[:size]) is None


def test_other_requests() -> None:
    head = head_of(b"POST http://im.example.com/user/login?x=%20y&x= HTTP/1.0\r\nA: 1\r\na:2 \r\nEmpty:\r\n\r\n")
    assert (head.method, head.path, head.version) == ("POST", "/user/login", "1.0")
    assert head.headers == {"a": "1, 2", "empty": ""}
    assert head.parameters == {"x": ""}
    assert not is_upgrade(head)
    assert head_of(b"OPTIONS * HTTP/1.1\r\n\r\n").headers == {}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"\x00", 400),
        (b"GET /\x00", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\nB: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * MAX_HTTP_HEAD_BYTES, 431),
        (b"G" * MAX_HTTP_HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * MAX_HTTP_HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_garbage(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_head(data)
    assert caught.value.status == status
    assert caught.value.response().startswith(b"HTTP/1.1 %d " % status)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda b: b"GET /" + b + b"\r\n\r\n"),
                 st.binary(max_size=100).map(lambda b: b"GET / HTTP/1.1\r\nA" + b + b"\r\n\r\n")))  # fmt: skip
@settings(max_examples=500)
def test_any_bytes(data: bytes) -> None:
    """A head, None or BadRequest, through everything the router does with it."""
    try:
        head = parse_head(data)
        if head is not None:
            assert head.size <= len(data)
            connection_kind(head)
    except BadRequest as error:
        assert error.response().endswith(b"}") or error.response().endswith(b"\n")
    else:
        if head is not None:
            with pytest.raises(BadRequest):
                accept_upgrade(head)


# --- upgrade ---------------------------------------------------------------------------------------------------


def test_accept() -> None:
    assert accept_key(KEY) == ACCEPT
    response = accept_upgrade(head_of(BROWSER))
    assert response == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("request_bytes", "status", "header"),
    [
        (changed("GET ", "POST "), 405, b"Allow: GET"),
        (changed("HTTP/1.1", "HTTP/1.0"), 505, b""),
        (changed("Upgrade: WebSocket", "Upgrade: h2c"), 426, b"Upgrade: websocket"),
        (changed("keep-alive, Upgrade", "keep-alive"), 400, b""),
        (changed("Version: 13", "Version: 8"), 426, b"Sec-WebSocket-Version: 13"),
        (changed("Sec-WebSocket-Version: 13\r\n", ""), 426, b"Sec-WebSocket-Version: 13"),
        (changed(KEY, "short"), 400, b""),
        (changed(KEY, "dGhlIHNhbXBsZSBub25j"), 400, b""),
        (changed(KEY, KEY + " " + KEY), 400, b""),
        (changed(KEY, "dGhlIHNhbXBsZSBub25jZQ=\xff"), 400, b""),
        (changed(f"Sec-WebSocket-Key: {KEY}\r\n", ""), 400, b""),
        (changed("Pragma: no-cache", f"Sec-WebSocket-Key: {KEY}"), 400, b""),
    ],
)
def test_refused_upgrades(request_bytes: bytes, status: int, header: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        accept_upgrade(head_of(request_bytes))
    response = caught.value.response()
    assert caught.value.status == status and response.startswith(b"HTTP/1.1 %d " % status)
    assert header in response


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/socket.io/?EIO=3&transport=websocket", SOCKETIO),
        ("/socket.io/?transport=websocket&EIO=3&t=abc", SOCKETIO),
        ("/socket.io?transport=websocket&EIO=3", SOCKETIO),
        ("/xsync", XSYNC),
        ("/xsync?x=1", XSYNC),
    ],
)
def test_paths(target: str, kind: int) -> None:
    assert connection_kind(head_of(f"GET {target} HTTP/1.1\r\n\r\n".encode())) == kind


@pytest.mark.parametrize(
    ("target", "status", "word"),
    [
        ("/socket.io/", 400, "transport=websocket"),
        ("/socket.io/?EIO=3&transport=polling", 400, "transport=websocket"),
        ("/socket.io/?EIO=4&transport=websocket", 400, "EIO=3"),
        ("/socket.io/?transport=websocket", 400, "EIO=3"),
        ("/xsync/", 404, ""),
        ("/other", 404, ""),
    ],
)
def test_refused_paths(target: str, status: int, word: str) -> None:
    with pytest.raises(BadRequest) as caught:
        connection_kind(head_of(f"GET {target} HTTP/1.1\r\n\r\n".encode()))
    assert caught.value.status == status
    if word:
        head, _, body = caught.value.response().partition(b"\r\n\r\n")
        assert b"Content-Type: application/json" in head and b"Access-Control-Allow-Origin: *" in head
        assert word in json.loads(body)["message"]


def test_error_response() -> None:
    answer = error_response(431, "too large")
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert answer.endswith(
        b"Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\ntoo large\n"
    )
    assert all(f"{name}: {value}\r\n".encode() in answer for name, value in GUARDS.items())
    assert error_response(307, "x").startswith(b"HTTP/1.1 307 Temporary Redirect\r\n")
    assert b"HTTP/1.1 499 Error\r\nRetry-After: 5\r\n" in error_response(499, "x", {"Retry-After": "5"})


# --- client side -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SOCKETIO, XSYNC])
def test_both_sides(kind: int) -> None:
    key = new_key()
    request = upgrade_request("im.example.com:8443", client_path(kind), key, {"User-Agent": "test"})
    head = head_of(request)
    assert head.size == len(request) and head.headers["user-agent"] == "test"
    assert connection_kind(head) == kind
    response = accept_upgrade(head)
    for size in range(len(response)):
        assert check_upgrade_response(response[:size], key) is None
    assert check_upgrade_response(response + b"\x81\x00", key) == len(response)


GOOD = f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode()


def test_a_good_answer() -> None:
    assert check_upgrade_response(GOOD, KEY) == len(GOOD)


@pytest.mark.parametrize(
    "response",
    [
        error_response(503, "no shard"),
        b"garbage\r\n\r\n",
        b"HTTP/1.1 101\r\nbroken\r\n\r\n",
        b"x" * MAX_HTTP_HEAD_BYTES,
        GOOD.replace(b"s3p", b"S3p"),
        GOOD.replace(b"websocket", b"h2c"),
        GOOD.replace(b"upgrade\r", b"close\r"),
        GOOD[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        GOOD[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n",
    ],
)
def test_bad_answers(response: bytes) -> None:
    with pytest.raises(ProtocolError):
        check_upgrade_response(response, KEY)


@given(st.binary(max_size=200).map(lambda b: b + b"\r\n\r\n"))
def test_any_answer(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        check_upgrade_response(data, KEY)
