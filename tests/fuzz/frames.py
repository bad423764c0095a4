"""What a client sends behind its upgrade, up to the messages in it, and what a server sends: WebSocket, transports, Frame, payloads."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from lanying.base.errors import LanyingError, ProtocolError
from lanying.client.events import read_meta
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, Connection, Role, wrap_client
from lanying.protocol.frame import FrameError, parse_frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Provision, SyncDL, SyncUL, UnreadDL
from lanying.protocol.websocket import CLOSE, PING, TEXT, encode_frame
from lanying.shard.chat import door
from tests.fuzz.target import Found, Target

_ROLES: tuple[Role, ...] = ("server", "server", "server", "client")
_MOST_BYTES = 64 * 1024


class Frames(Target):
    """The first byte chooses transport and role, the second where the bytes are cut, which changes nothing."""

    unit = "frames"
    words = (
        b"\x82\xfe",
        b"\x81\x80",
        b'451-["frame",{"_placeholder":true,"num":0}]',
        b'42["frame",[8,0,16]]',
        b"\x08\x00\x10\x00\x18\x01\x22",
    )

    def seeds(self) -> list[bytes]:
        body = MessageBody(content="x", config='{"a":1}', operation={"mid": 1 << 60}).SerializeToString()
        single = [
            frame.send_meta(1, 2, 3, 4, 5, 1, body),
            frame.sync_pull(7, 9),
            frame.history_request(7, 9, 20),
            frame.unread_request(),
            frame.provision(7, "a.b.c", "guid", "Web"),
            frame.refusal(1, 2, "no"),
            frame.user_notice(1, 2, 3, 4),
        ]
        control = [encode_frame(code, b"x", True, b"abcd") for code in (TEXT, PING, CLOSE)]
        return [
            bytes((kind, cut)) + b"".join([wrap_client(transport, data, b"abcd"), *control])
            for data in single
            for kind, transport in ((0, XSYNC), (1, SOCKETIO))
            for cut in (0, 3)
        ]

    def judge(self, data: bytes) -> None:
        kind, cut, data = (*data[:2], data[2:]) if len(data) > 1 else (0, 0, data)  # type: ignore[misc]
        transport, role = (XSYNC, SOCKETIO)[kind & 1], _ROLES[kind >> 1 & 3]
        whole, ended = read(transport, role, data, 0)
        pieces, ended_too = read(transport, role, data, cut)
        if pieces != whole[: len(pieces)] or (pieces != whole and not ended) or ended != ended_too:
            raise Found(f"cut by {cut} it reads {pieces!r} {ended_too}, as a whole {whole!r} {ended}")
        self.units += max(len(pieces), len(whole), 1)
        for one in {data, *pieces}:
            payloads(one)


def read(transport: int, role: Role, data: bytes, cut: int) -> tuple[list[bytes], int]:
    """Frames, and the code of the violation that ended them."""
    connection, frames = Connection(transport, role, _MOST_BYTES), []
    step = cut or len(data) or 1
    try:
        for at in range(0, len(data), step):
            connection.feed(data[at : at + step])
            while (one := connection.next_frame()) is not None:
                frames.append(one)
    except ProtocolError as error:
        assert error.close_code
        return frames, error.close_code
    if len(connection.replies) > 2 * len(data) + 100 or len(connection.unread) > len(data):
        raise Found("more is kept than was sent")
    if not cut and role == "server":
        again = Connection(transport, role, _MOST_BYTES).receive(data)
        if again != frames:
            raise Found(f"receive() reads {again!r}, next_frame() {frames!r}")
    return frames, 0


def payloads(data: bytes) -> None:
    """A Frame, and its payload as everything that it may be."""
    try:
        _, payload = parse_frame(data)
    except FrameError as error:
        assert error.status_code
        assert error.reason
        return
    if len(payload) > 1 << 20:
        raise Found(f"{len(payload)} bytes out of {len(data)}")
    for kind in (SyncUL, Provision, SyncDL, UnreadDL):
        try:
            found = kind.FromString(payload)
        except DecodeError:
            continue
        metas = [found.meta] if isinstance(found, SyncUL) else list(found.metas) if isinstance(found, SyncDL) else []
        for meta in metas:
            read_meta(meta, 7)
            try:
                door.body_of(meta)
            except LanyingError:
                continue
            found.SerializeToString()
