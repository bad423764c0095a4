"""The ``websockets`` library against a real server: its client, our protocol package only for the bytes inside."""

from __future__ import annotations

import time

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lanying.protocol import frame
from lanying.protocol.frame import parse_frame
from lanying.protocol.schema.xsync_pb2 import Frame, MessageBody, Meta, Provision, Status, SyncDL
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S
from lanying.testing.raw import rest

EVENT = '451-["frame",{"_placeholder":true,"num":0}]'
SOCKETIO = "/socket.io/?EIO=3&transport=websocket"


@pytest.fixture
def someone(cluster: Cluster) -> tuple[int, str]:
    account = {"username": f"ws_{time.time_ns()}", "password": "correct-horse1"}
    rest(cluster.url, "/user/register/v2", account)
    grant = rest(cluster.url, "/token/user", {"name": account["username"], "password": account["password"]})
    return grant["user_id"], grant["token"]


def open_socket(cluster: Cluster, path: str, **options: object) -> ClientConnection:
    return connect(cluster.url.replace("http", "ws", 1) + path, open_timeout=PATIENCE_S, **options)  # type: ignore[arg-type]


def note_to_self(uid: int, client_mid: int, text: str) -> bytes:
    body = MessageBody(type=MessageBody.CHAT, content=text).SerializeToString()
    return frame.send_meta(client_mid, uid, 0, uid, 1, Meta.MESSAGE, body)


def test_xsync(cluster: Cluster, someone: tuple[int, str]) -> None:
    uid, token = someone
    with open_socket(cluster, "/xsync", compression="deflate") as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers, "compression is offered and declined"
        socket.send(frame.provision(uid, token, "guid"))
        command, payload = parse_frame(bytes(socket.recv(timeout=PATIENCE_S)))
        login = Provision.FromString(payload)
        assert (command, login.status.code, login.xid.uid) == (Frame.PROVISION, Status.OK, uid)
        # A message in pieces, as a library may send it, with a ping between two of them.
        whole = note_to_self(uid, 4711, "x" * 5000)
        socket.send([whole[:10], whole[10:2000], whole[2000:]])
        answer = SyncDL.FromString(parse_frame(bytes(socket.recv(timeout=PATIENCE_S)))[1])
        assert (answer.client_mid, answer.status.code) == (4711, Status.OK)
        assert socket.ping().wait(PATIENCE_S), "pong"


def test_socketio(cluster: Cluster, someone: tuple[int, str]) -> None:
    uid, token = someone
    with open_socket(cluster, SOCKETIO) as socket:
        assert str(socket.recv(timeout=PATIENCE_S)).startswith('0{"sid":')
        assert socket.recv(timeout=PATIENCE_S) == "40"
        for data in (frame.provision(uid, token, "guid"), note_to_self(uid, 4711, "hello")):
            socket.send(EVENT)
            socket.send(b"\x04" + data)
        got = []
        for _ in range(2):
            assert socket.recv(timeout=PATIENCE_S) == EVENT
            data = bytes(socket.recv(timeout=PATIENCE_S))
            assert data[:1] == b"\x04"
            got.append(parse_frame(data[1:]))
        assert Provision.FromString(got[0][1]).status.code == Status.OK
        assert SyncDL.FromString(got[1][1]).client_mid == 4711
        socket.send("2")
        assert socket.recv(timeout=PATIENCE_S) == "3"
        # The other form of a frame: an array of byte values.
        socket.send(f'42["frame",{list(frame.unread_request())}]')
        assert socket.recv(timeout=PATIENCE_S) == EVENT
        assert parse_frame(bytes(socket.recv(timeout=PATIENCE_S))[1:])[0] == Frame.UNREAD


def test_violations_close_with_their_code(cluster: Cluster) -> None:
    with open_socket(cluster, "/xsync") as socket:
        socket.send("text")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


@pytest.mark.parametrize(
    "path", ["/nothing", "/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=3&transport=polling"]
)
def test_other_addresses_are_refused_by_http(cluster: Cluster, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(cluster, path)
    assert 400 <= refused.value.response.status_code < 500
