"""The HTTP head in front of a WebSocket (RFC 9112, RFC 6455 section 4), as values; server and client side.

The router peeks at the first bytes of a connection: :func:`parse_head`, then by path :func:`connection_kind` and
:func:`accept_upgrade`. Everything that cannot go on raises :class:`BadRequest`, whose :meth:`~BadRequest.response` is
the answer to send before closing. The parser is strict where laxness is a risk (bare line feeds, folded lines, spaces
before a colon, two Host headers) and knows nothing of bodies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import msgspec

from lanying.base.errors import LanyingError, ProtocolError
from lanying.base.limits import MAX_HTTP_HEAD_BYTES
from lanying.protocol.connection import SOCKETIO, XSYNC
from lanying.protocol.websocket import PROTOCOL_ERROR

SOCKETIO_PATH: Final = "/socket.io/"
XSYNC_PATH: Final = "/xsync"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""

_REASONS: Final = {
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/(\d\.\d)")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: .*)?")
_FIRST_LINE_START = re.compile(rb"[ -~\x80-\xff]*\r?\n?")
"""What the beginning of a request line may look like: neither a TLS greeting nor another binary protocol."""
_SLASHES = re.compile("//+")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class BadRequest(LanyingError):
    """The request cannot be served.

    :ivar status: HTTP status
    :ivar reason: one line for the peer, sent as the body unless ``body`` is given
    :ivar headers: of the response
    :ivar body: JSON
    """

    def __init__(
        self, status: int, reason: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})
        self.body = body

    def response(self) -> bytes:
        """The complete HTTP response, after which the connection is to be closed."""
        return error_response(self.status, self.reason, self.headers, self.body)


class Head(NamedTuple):
    """A request head.

    :ivar target: as sent, for example ``/socket.io/?EIO=3&transport=websocket``
    :ivar path: without query, not percent-decoded, doubled slashes made one
    :ivar query: behind the question mark, not decoded; may be empty
    :ivar headers: by lower-case name; repeated ones joined by ``", "``
    :ivar size: bytes of the head with the empty line; what follows belongs to the connection
    :ivar version: ``1.1`` or ``1.0``
    """

    method: str
    target: str
    path: str
    query: str
    headers: dict[str, str]
    size: int
    version: str = "1.1"

    @property
    def parameters(self) -> dict[str, str]:
        """The decoded query, the last value of each name."""
        return {name: values[-1] for name, values in parse_qs(self.query, keep_blank_values=True).items()}


# --- request ---------------------------------------------------------------------------------------------------


def parse_head(data: bytes) -> Head | None:
    """The request head at the start of ``data``, or None: read more.

    :raises BadRequest: 400 not HTTP, 431 over ``MAX_HTTP_HEAD_BYTES``, 505 not HTTP/1
    """
    end = data.find(_END, 0, MAX_HTTP_HEAD_BYTES)
    if end < 0:
        if len(data) >= MAX_HTTP_HEAD_BYTES:
            raise BadRequest(431, f"request head over {MAX_HTTP_HEAD_BYTES} bytes")
        line = data[: data.find(b"\n") + 1] or data
        if not _FIRST_LINE_START.fullmatch(line):
            raise BadRequest(400, "not an HTTP request")
        return None
    line, _, rest = data[:end].partition(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequest(400, "malformed request line")
    method, target, version = (part.decode("latin-1") for part in match.groups())
    if version not in ("1.1", "1.0"):
        raise BadRequest(505, "HTTP/1.1 expected")
    headers = _parse_headers(rest)
    if headers is None:
        raise BadRequest(400, "malformed header")
    if "," in headers.get("host", ""):
        raise BadRequest(400, "more than one Host header")
    location = target
    if target[0] != "/" and "://" in target:  # absolute form, as through a proxy
        location = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = location.partition("#")[0].partition("?")
    path = _SLASHES.sub("/", path)
    return Head(method, target, path, query, headers, end + len(_END), version)


def _parse_headers(lines: bytes) -> dict[str, str] | None:
    """Header lines without the final empty line; None if one is malformed."""
    headers: dict[str, str] = {}
    for line in lines.split(b"\r\n") if lines else ():
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].decode("latin-1").lower()
        value = match[2].decode("latin-1").rstrip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _tokens(headers: Mapping[str, str], name: str) -> set[str]:
    """The comma-separated, case-insensitive elements of a header."""
    return {token.strip().lower() for token in headers.get(name, "").split(",")}


def is_upgrade(head: Head) -> bool:
    """Whether the request asks for a WebSocket (well-formed or not)."""
    return "websocket" in _tokens(head.headers, "upgrade")


def connection_kind(head: Head) -> int:
    """``SOCKETIO`` or ``XSYNC``, by path; ``/`` is ``XSYNC`` unless a subprotocol is asked for.

    :raises BadRequest: 404 another path; 400 with an explanation in JSON for anything but Engine.IO 3 over WebSocket
    """
    if head.path == XSYNC_PATH or (head.path == "/" and "sec-websocket-protocol" not in head.headers):
        return XSYNC  # SDKs for apps and mini programs open the bare address
    if head.path not in (SOCKETIO_PATH, SOCKETIO_PATH[:-1]):
        raise BadRequest(404, f"no WebSocket at {head.path[:100]}")
    parameters = head.parameters
    if parameters.get("transport") != "websocket":
        raise _socketio_refusal(0, "Transport unknown: this server speaks WebSocket only, use transport=websocket")
    if parameters.get("EIO") != "3":
        raise _socketio_refusal(5, "Unsupported protocol version: this server speaks Socket.IO 2.x, EIO=3")
    return SOCKETIO


def _socketio_refusal(code: int, message: str) -> BadRequest:
    # The shape of engine.io's own errors, readable by pages of any origin.
    body = msgspec.json.encode({"code": code, "message": message})
    return BadRequest(400, message, {"Access-Control-Allow-Origin": "*"}, body)


def accept_upgrade(head: Head) -> bytes:
    """The 101 response.

    :raises BadRequest: 400, 405, 426 (with the version this server speaks) or 505, for a request that is not a
        WebSocket handshake
    """
    headers = head.headers
    if head.method != "GET":
        raise BadRequest(405, "GET expected", {"Allow": "GET"})
    if head.version != "1.1":
        raise BadRequest(505, "HTTP/1.1 expected")
    if not is_upgrade(head):
        raise BadRequest(426, "this address speaks WebSocket", {"Upgrade": "websocket", "Connection": "Upgrade"})
    if "upgrade" not in _tokens(headers, "connection"):
        raise BadRequest(400, "header Connection: Upgrade expected")
    if headers.get("sec-websocket-version") != "13":
        raise BadRequest(426, "WebSocket version 13 expected", {"Sec-WebSocket-Version": "13"})
    key = headers.get("sec-websocket-key", "")
    if not _valid_key(key):
        raise BadRequest(400, "header Sec-WebSocket-Key with 16 bytes in base64 expected")
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
    ).encode()


def _valid_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode(), validate=True)) == 16
    except binascii.Error:
        return False


def accept_key(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


GUARDS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}
"""What keeps a browser from making more of an answer than it is, on every answer that has no stricter one of its own."""


def error_response(
    status: int, reason: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """A response that ends the connection. Without ``body`` (JSON), ``reason`` is sent as plain text."""
    content_type = "text/plain; charset=utf-8" if body is None else "application/json"
    if body is None:
        body = reason.encode("utf-8", "replace") + b"\n"
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n"
    for name, value in (dict(headers or {}) | GUARDS).items():
        head += f"{name}: {value}\r\n"
    if not headers or "Connection" not in headers:
        head += "Connection: close\r\n"
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# --- client ----------------------------------------------------------------------------------------------------


def client_path(kind: int) -> str:
    """The request target a client asks for."""
    return XSYNC_PATH if kind == XSYNC else f"{SOCKETIO_PATH}?EIO=3&transport=websocket"


def new_key() -> str:
    """A random Sec-WebSocket-Key."""
    return base64.b64encode(secrets.token_bytes(16)).decode()


def upgrade_request(host: str, path: str, key: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The request of a client; ``host`` with its port unless that is the usual one."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    ).encode("latin-1")


def check_upgrade_response(data: bytes, key: str) -> int | None:
    """Size of the 101 response at the start of ``data``, None: read more. What follows is the connection's.

    :raises ProtocolError: the server refused, or its answer does not belong to ``key``
    """
    end = data.find(_END, 0, MAX_HTTP_HEAD_BYTES)
    if end < 0:
        if len(data) >= MAX_HTTP_HEAD_BYTES:
            raise ProtocolError(PROTOCOL_ERROR, f"response head over {MAX_HTTP_HEAD_BYTES} bytes")
        return None
    line, _, rest = data[:end].partition(b"\r\n")
    status = _STATUS_LINE.fullmatch(line)
    headers = _parse_headers(rest)
    if status is None or headers is None:
        raise ProtocolError(PROTOCOL_ERROR, "not an HTTP response")
    if status[1] != b"101":
        detail = data[end + len(_END) :][:200].decode("utf-8", "replace").strip()
        raise ProtocolError(PROTOCOL_ERROR, f"upgrade refused: {line.decode('latin-1')} {detail}".strip())
    if (
        "websocket" not in _tokens(headers, "upgrade")
        or "upgrade" not in _tokens(headers, "connection")
        or headers.get("sec-websocket-accept") != accept_key(key)
    ):
        raise ProtocolError(PROTOCOL_ERROR, "the answer is not to this handshake")
    if "sec-websocket-extensions" in headers or "sec-websocket-protocol" in headers:
        raise ProtocolError(PROTOCOL_ERROR, "the server chose an extension or subprotocol nobody offered")
    return end + len(_END)
