"""A client down to the bytes, for tests of what no library would send."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

from lanying.protocol.connection import XSYNC, Connection, wrap_client
from lanying.protocol.frame import parse_frame
from lanying.protocol.handshake import client_path, new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import Frame, Notice, Provision, SyncDL, UnreadDL
from lanying.testing.poll import PATIENCE_S

_PAYLOADS: dict[int, type[Any]] = {
    Frame.UNREAD: UnreadDL,
    Frame.SYNC: SyncDL,
    Frame.NOTICE: Notice,
    Frame.PROVISION: Provision,
}


def rest(url: str, path: str, body: dict[str, Any], app_id: str = "lanying") -> Any:
    """``data`` of a POST; a business error raises."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    headers = {"app-id": app_id, "content-type": "application/json"}
    connection.request("POST", urlsplit(url).path + path, json.dumps(body), headers)
    envelope = json.loads(connection.getresponse().read())
    connection.close()
    assert envelope["code"] == 200, envelope
    return envelope["data"]


class RawClient:
    """A WebSocket on a blocking socket.

    :ivar close_code: of the server's close frame, 0 before one came
    """

    def __init__(self, url: str, kind: int = XSYNC, *, first: bytes = b"") -> None:
        """Upgrade, with ``first`` in the same write."""
        address = urlsplit(url)
        self.kind = kind
        self.socket = socket.create_connection((address.hostname or "", address.port or 80), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(upgrade_request(address.netloc, address.path + client_path(kind), new_key()) + first)
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(1)
            assert data, f"the server closed after {head!r}"
            head += data
        assert head.startswith(b"HTTP/1.1 101"), head
        self._connection = Connection(kind, "client")
        self._frames: list[bytes] = []

    def put(self, *frames: bytes) -> None:
        """Send frames in one write."""
        self.socket.sendall(b"".join(wrap_client(self.kind, frame) for frame in frames))

    def get(self) -> tuple[int, Any]:
        """The next frame's command and decoded payload.

        :raises EOFError: the server closed; ``close_code`` says how
        """
        while not self._frames:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._frames += self._connection.receive(data)
            if self._connection.closed and not self._frames:
                raise EOFError
        command, payload = parse_frame(self._frames.pop(0))
        return command, _PAYLOADS[command].FromString(payload)

    @property
    def close_code(self) -> int:
        """Code of the server's close frame."""
        return self._connection.close_code

    def reset(self) -> None:
        """Vanish with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
