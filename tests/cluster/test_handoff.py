"""The hand-off on a real server: nothing a client sends behind its login is lost, and the router keeps no descriptor."""

from __future__ import annotations

import itertools
import os
import resource
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, Connection, wrap_client
from lanying.protocol.frame import parse_frame
from lanying.protocol.handshake import check_upgrade_response, client_path, new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import Frame, MessageBody, Meta, Provision, Status
from lanying.testing.cluster import Cluster
from lanying.testing.poll import until
from lanying.testing.raw import RawClient, rest

CONNECTIONS = 2000
MESSAGES = limits.PARKED_SENDS
PER_ADDRESS = limits.CONNECTIONS_PER_ADDRESS_PER_S // 2
PASSWORD = "correct-horse1"
_numbers = itertools.count()


def account(cluster: Cluster) -> tuple[int, str]:
    """uid and token of somebody new."""
    name = f"handed_{next(_numbers)}_{time.time_ns()}"
    rest(cluster.url, "/user/register/v2", {"username": name, "password": PASSWORD})
    grant = rest(cluster.url, "/token/user", {"name": name, "password": PASSWORD})
    return grant["user_id"], grant["token"]


@pytest.mark.parametrize("kind", [XSYNC, SOCKETIO], ids=["xsync", "socketio"])
def test_one_write_with_upgrade_login_and_messages_loses_nothing(cluster: Cluster, kind: int) -> None:
    uid, token = account(cluster)
    peer, peer_token = account(cluster)
    with ExitStack() as stack:
        reader = RawClient(cluster.url)
        stack.callback(reader.socket.close)
        reader.put(frame.provision(peer, peer_token, "reader"))
        assert reader.get()[1].status.code == Status.OK

        frames = [frame.provision(uid, token, "writer"), frame.unread_request()]
        for number in range(1, MESSAGES + 1):
            body = MessageBody(type=MessageBody.CHAT, content=f"{number}").SerializeToString()
            frames.append(frame.send_meta(number, uid, 0, peer, 1, Meta.MESSAGE, body))
        writer = RawClient(cluster.url, kind, first=b"".join(wrap_client(kind, data) for data in frames))
        stack.callback(writer.socket.close)

        assert writer.get()[0] == Frame.PROVISION, "the login is answered first"
        commands, acknowledged = [], []
        while len(acknowledged) < MESSAGES:
            command, answer = writer.get()
            commands.append(command)
            if command == Frame.SYNC:
                assert answer.status.code == Status.OK
                acknowledged.append(answer.client_mid)
        assert acknowledged == list(range(1, MESSAGES + 1))
        assert commands.count(Frame.UNREAD) == 1

        received: list[str] = []
        while len(received) < MESSAGES:
            command, answer = reader.get()
            if command == Frame.NOTICE:
                reader.put(frame.sync_pull(answer.xid.uid))
                continue
            received += [MessageBody.FromString(meta.payload).content for meta in answer.metas]
            if answer.next_key:
                reader.put(frame.sync_pull(answer.xid.uid, answer.next_key))
        assert received == [f"{number}" for number in range(1, MESSAGES + 1)]


def log_in(url: str, source: str, uid: int, token: str, guid: str) -> socket.socket:
    """A logged-in connection from a loopback address of its own choice: the server limits new ones per address."""
    address = urlsplit(url)
    client = socket.create_connection((address.hostname or "", address.port or 80), 15, source_address=(source, 0))
    key = new_key()
    login = wrap_client(XSYNC, frame.provision(uid, token, guid))
    client.sendall(upgrade_request(address.netloc, client_path(XSYNC), key) + login)
    connection, data, size = Connection(XSYNC, "client"), b"", None
    while size is None:
        part = client.recv(4096)
        assert part, f"closed after {data!r}"
        data += part
        size = check_upgrade_response(data, key)
    connection.feed(data[size:])
    while (answer := connection.next_frame()) is None:
        part = client.recv(4096)
        assert part, "closed before the login was answered"
        connection.feed(part)
    command, payload = parse_frame(answer)
    assert command == Frame.PROVISION
    assert Provision.FromString(payload).status.code == Status.OK, payload
    return client


def descriptors(pid: int | None) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.timeout(120)
def test_two_thousand_connections_leave_no_descriptor_in_the_router(cluster: Cluster, own_process: None) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + 500
    if hard < needed:
        pytest.skip(f"the hard limit of open files is {hard}, this needs {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    accounts = [account(cluster) for _ in range(CONNECTIONS // limits.DEVICES_PER_USER)]
    pids = cluster.pids()
    shards = [pid for name, pid in pids.items() if name.startswith("shard-")]
    router_before, shards_before = descriptors(pids["router"]), sum(map(descriptors, shards))
    with ExitStack() as stack:
        for number in range(CONNECTIONS):
            uid, token = accounts[number // limits.DEVICES_PER_USER]
            source = f"127.0.{1 + number // PER_ADDRESS}.1"
            client = log_in(cluster.url, source, uid, token, f"device-{number % limits.DEVICES_PER_USER}")
            stack.callback(client.close)
        until(
            "the router holds what it held before",
            lambda: descriptors(pids["router"]) <= router_before,
            saw=lambda: (router_before, descriptors(pids["router"])),
        )
        held = sum(map(descriptors, shards)) - shards_before
        assert abs(held - CONNECTIONS) < 20, f"the shards hold {held} more"  # tables of the store come and go
    until(
        "the shards let go as well",
        lambda: sum(map(descriptors, shards)) <= shards_before + 20,
        saw=lambda: (shards_before, sum(map(descriptors, shards))),
    )
    assert cluster.pids() == pids, "no process was started again"
