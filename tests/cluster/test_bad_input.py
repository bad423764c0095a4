"""What a client gets for input that is wrong, on a real server; and that the server goes on afterwards."""

from __future__ import annotations

import itertools
import socket
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from lanying.base import tokens
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, wrap_client
from lanying.protocol.schema.xsync_pb2 import Frame, MessageBody, Meta, Status
from lanying.protocol.websocket import BINARY, TEXT, encode_frame
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S
from lanying.testing.raw import RawClient, rest

_numbers = itertools.count()


class Account(NamedTuple):
    uid: int
    token: str


def account(cluster: Cluster) -> Account:
    name = f"careless_{next(_numbers)}_{time.time_ns()}"
    rest(cluster.url, "/user/register/v2", {"username": name, "password": "correct-horse1"})
    grant = rest(cluster.url, "/token/user", {"name": name, "password": "correct-horse1"})
    return Account(grant["user_id"], grant["token"])


@pytest.fixture
def someone(cluster: Cluster) -> Account:
    return account(cluster)


@pytest.fixture
def client(cluster: Cluster, someone: Account) -> Iterator[RawClient]:
    raw = RawClient(cluster.url)
    raw.put(frame.provision(someone.uid, someone.token, "guid"))
    command, answer = raw.get()
    assert (command, answer.status.code) == (Frame.PROVISION, Status.OK)
    yield raw
    raw.socket.close()


def body(text: str = "x") -> bytes:
    return bytes(MessageBody(type=MessageBody.CHAT, content=text).SerializeToString())


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (encode_frame(BINARY, b"\x18\x00"), 1002),
        (encode_frame(TEXT, b"hello", True), 1003),
        (b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0", 1009),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\xc2\x80\0\0\0\0", 1002),
    ],
    ids=["unmasked", "text on xsync", "oversized", "reserved opcode", "reserved bit"],
)
def test_a_broken_websocket_is_closed_with_its_code(client: RawClient, wire: bytes, code: int) -> None:
    client.socket.sendall(wire)
    with pytest.raises(EOFError):
        client.get()
    assert client.close_code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xff\xff", Status.PB_PARSER_ERROR),
        (b"\x18\x01\x22\x02\x1a\x7f", Status.PB_PARSER_ERROR),
        (b"\x18\x09\x22\x00", Status.UNKNOWN_COMMAND),
        (b"\x18\x01\x22\x00\x28\x01", Status.ENCRYPT_METHOD_UNSUPPORTED),
        (b"\x10\x01\x18\x01\x22\x03abc", Status.PB_PARSER_ERROR),
        (
            Frame(compress_method=1, command=1, payload=zlib.compress(bytes(50 << 20))).SerializeToString(),
            Status.PB_PARSER_ERROR,
        ),
    ],
    ids=["no frame", "truncated payload", "unknown command", "encrypted", "not zlib", "inflates too far"],
)
def test_a_broken_frame_is_answered_with_its_status(client: RawClient, data: bytes, code: int) -> None:
    client.put(data)
    command, answer = client.get()
    assert (command, answer.status.code) == (Frame.SYNC, code)
    assert answer.status.reason
    client.put(frame.unread_request())
    assert client.get()[0] == Frame.UNREAD, "the connection goes on"


@pytest.mark.parametrize(
    ("ns", "sender", "payload", "code"),
    [
        (Meta.MESSAGE, 1, body(), Status.INVALID_PARAMETER),
        (Meta.MESSAGE, 0, b"\xff", Status.PB_PARSER_ERROR),
        (Meta.MESSAGE, 0, body(), Status.INVALID_PARAMETER),
        (Meta.PUSH, 0, b"anything", Status.OK),
        (77, 0, b"anything", Status.OK),
    ],
    ids=[
        "foreign sender",
        "broken body",
        "unknown recipient",
        "push namespace is dropped",
        "unknown namespace is dropped",
    ],
)
def test_a_wrong_upload_is_refused_by_its_client_id(
    client: RawClient, someone: Account, ns: int, sender: int, payload: bytes, code: int
) -> None:
    client.put(frame.send_meta(4711, sender or someone.uid, 1, 3, 1, ns, payload))
    _, answer = client.get()
    assert (answer.client_mid, answer.status.code) == (4711, code)


def test_a_compressed_frame_is_taken(client: RawClient, someone: Account) -> None:
    plain = Frame.FromString(frame.send_meta(5, someone.uid, 1, someone.uid, 1, Meta.MESSAGE, body("to myself")))
    plain.payload = zlib.compress(plain.payload)
    plain.compress_method = Frame.ZLIB
    client.put(plain.SerializeToString())
    assert client.get()[1].status.code == Status.OK


def forged(cluster: Cluster, someone: Account) -> dict[str, str]:
    other = account(cluster)
    return {
        "garbage": "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        "of another user": other.token,
        "wrong key": tokens.issue(b"k" * 32, tokens.Identity("lanying", someone.uid, 1, 0)),
        "admin": cluster.admin_token,
    }


@pytest.mark.parametrize("kind", [XSYNC, SOCKETIO])
@pytest.mark.parametrize("which", ["garbage", "of another user", "wrong key", "admin"])
def test_a_token_that_is_not_mine_is_refused_and_the_socket_stays(
    cluster: Cluster, someone: Account, which: str, kind: int
) -> None:
    raw = RawClient(cluster.url, kind)
    raw.put(frame.provision(someone.uid, forged(cluster, someone)[which], "guid"))
    command, answer = raw.get()
    assert (command, answer.status.code) == (Frame.PROVISION, Status.INVALID_TOKEN)
    raw.put(frame.provision(someone.uid, someone.token, "guid"))
    assert raw.get()[1].status.code == Status.OK


def test_frames_before_a_login_are_unauthorized(cluster: Cluster, someone: Account) -> None:
    raw = RawClient(cluster.url)
    raw.put(frame.send_meta(9, someone.uid, 1, someone.uid, 1, Meta.MESSAGE, body()))
    command, answer = raw.get()
    assert (command, answer.status.code, answer.status.reason) == (
        Frame.SYNC,
        Status.UNAUTHORIZED,
        "you must login first",
    )


@pytest.mark.parametrize("kind", [XSYNC, SOCKETIO])
def test_bytes_right_behind_the_login_are_not_lost(cluster: Cluster, someone: Account, kind: int) -> None:
    frames = [frame.provision(someone.uid, someone.token, "guid"), frame.unread_request()]
    frames += [frame.send_meta(n, someone.uid, 1, someone.uid, 1, Meta.MESSAGE, body(f"{n}")) for n in range(1, 200)]
    raw = RawClient(cluster.url, kind, first=b"".join(wrap_client(kind, data) for data in frames))
    answered: list[int] = []
    while len(answered) < 199:
        command, answer = raw.get()
        if command == Frame.SYNC and answer.client_mid:
            assert answer.status.code == Status.OK
            answered.append(answer.client_mid)
    assert answered == list(range(1, 200))


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00 tls hello\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"\0" * 100 + b"\r\n\r\n"]
)
def test_garbage_gets_400_and_a_close(cluster: Cluster, data: bytes) -> None:
    address = urlsplit(cluster.url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout=PATIENCE_S) as raw:
        raw.sendall(data)
        answer = b""
        while part := raw.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400")


def test_a_password_change_ends_the_session_and_its_token(cluster: Cluster) -> None:
    name = f"changer_{time.time_ns()}"
    rest(cluster.url, "/user/register/v2", {"username": name, "password": "correct-horse1"})
    grant = rest(cluster.url, "/token/user", {"name": name, "password": "correct-horse1"})
    raw = RawClient(cluster.url)
    raw.put(frame.provision(grant["user_id"], grant["token"], "guid"))
    assert raw.get()[1].status.code == Status.OK
    change = {"old_password": "correct-horse1", "new_password": "wrong-donkey2", "access-token": grant["token"]}
    rest_with_token(cluster, "/user/change_password", change, grant["token"])
    _, notice = raw.get()
    assert [meta.ns for meta in notice.metas] == [Meta.USER_NOTICE]
    again = RawClient(cluster.url)
    again.put(frame.provision(grant["user_id"], grant["token"], "guid"))
    assert again.get()[1].status.code == Status.INVALID_TOKEN


def rest_with_token(cluster: Cluster, path: str, data: dict[str, str], token: str) -> None:
    import http.client
    import json

    connection = http.client.HTTPConnection(urlsplit(cluster.url).netloc, timeout=PATIENCE_S)
    headers = {"app_id": "lanying", "access-token": token, "content-type": "application/json"}
    connection.request("POST", path, json.dumps(data), headers)
    envelope = json.loads(connection.getresponse().read())
    assert envelope["code"] == 200, envelope
