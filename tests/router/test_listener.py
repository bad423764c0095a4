"""The edge: real sockets on the loopback, a fake shard and a fake gateway in the same loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from lanying.base import limits
from lanying.base.clock import wall_ms
from lanying.base.figures import totals
from lanying.base.ids import slot_of
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import Login, Visitor, decode_login, decode_visitor
from lanying.bus.handoff.sender import Sender
from lanying.cluster.directory import Directory, Moved
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.protocol import frame as frames
from lanying.protocol.connection import SOCKETIO, Connection, wrap, wrap_client
from lanying.protocol.handshake import client_path, new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.protocol.websocket import TEXT, encode_frame
from lanying.router.listener import Listener
from lanying.router.login import Doorkeeper
from tests.router.test_login import KEY, UID, token

HEAD = upgrade_request("im.example", client_path(SOCKETIO), new_key())
UNREAD = wrap_client(SOCKETIO, frames.unread_request())


def login(uid: int = UID, good: bool = True) -> bytes:
    access = token(uid=uid, expires=0 if good else 1_700_000_000)
    return wrap_client(SOCKETIO, frames.provision(uid, access, "guid", "Web"))


class World:
    """A router with two shards and a gateway.

    :ivar sessions: what the shards took over, by uid
    :ivar verdict: what the shards answer; a callable is asked
    :ivar now: the router's clock
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self.loop = uvloop.new_event_loop()
        self.directory = directory
        self.now = 1000.0
        self.sessions: dict[int, tuple[int, Login, int]] = {}
        self.visitors: list[tuple[int, Visitor]] = []
        self.verdict: wire.Verdict = wire.ACCEPTED
        self.elsewhere: dict[int, Moved] = {}
        self.receivers = {
            index: Receiver(self.path(index), lambda fd, data, index=index: self._adopt(index, fd, data), self.loop)
            for index in range(2)
        }
        self.receivers[-1] = Receiver(self.path(-1), self._visit, self.loop)
        self.senders = {index: Sender(self.path(index), self.loop, wait_s=0.05) for index in (0, 1, -1)}
        self.newest: ShardMap | None = None
        known = Directory(ShardMap.even(2), RunDirectory(directory), lambda: self.newest)
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = listening.getsockname()
        self.socket = listening
        self.router = Listener(
            listening,
            Doorkeeper({"school": App("school", "School", KEY.hex())}, known, wall_ms),
            known,
            {0: self.senders[0], 1: self.senders[1]},
            self.senders[-1],
            self.loop,
            clock=lambda: self.now,
            **options,
        )
        self.clients: list[socket.socket] = []

    def path(self, index: int) -> str:
        return str(self.directory / f"handoff-{index}.sock")

    def start(self, *receivers: int) -> None:
        for index in receivers:
            self.receivers[index].start()
        for sender in self.senders.values():
            sender.start()
        self.router.start()

    def _adopt(self, shard: int, fd: int, record: bytes) -> wire.Verdict:
        login = decode_login(record)
        if shard in self.elsewhere:
            return self.elsewhere[shard]
        if self.verdict == wire.ACCEPTED:
            self.sessions[login.uid] = fd, login, shard
        return self.verdict

    def _visit(self, fd: int, record: bytes) -> wire.Verdict:
        self.visitors.append((fd, decode_visitor(record)))
        return wire.ACCEPTED

    def until(self, what: str, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Run the loop until ``condition`` holds."""

        async def poll() -> None:
            end = time.monotonic() + timeout_s
            while not condition():
                assert time.monotonic() < end, f"waited for {what}; {self.router.figures()}"
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(poll())

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        client = socket.create_connection(self.address, source_address=(source, 0))
        client.setblocking(False)
        self.clients.append(client)
        return client

    def read(self, client: socket.socket, enough: Callable[[bytes], object]) -> bytes:
        """What the client receives until it is ``enough`` or the end."""
        data, ended = b"", False

        def more() -> bool:
            nonlocal data, ended
            try:
                piece = client.recv(65536)
            except BlockingIOError:
                return bool(enough(data))
            except ConnectionResetError:
                piece = b""
            data += piece
            ended = not piece
            return ended or bool(enough(data))

        self.until(f"an answer after {data!r}", more)
        return data

    def ends(self, client: socket.socket) -> bytes:
        """Everything up to the end of the connection."""
        return self.read(client, lambda data: False)

    def counts(self, key: str) -> int:
        return self.router.counts[key]

    def close(self) -> None:
        self.router.close()
        for sender in self.senders.values():
            sender.close()
        for receiver in self.receivers.values():
            receiver.close()
        for fd in [fd for fd, _, _ in self.sessions.values()] + [fd for fd, _ in self.visitors]:
            os.close(fd)
        for client in self.clients:
            client.close()
        self.socket.close()
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_bytes_pipelined_behind_the_login_are_not_lost(world: World) -> None:
    world.start(0, 1)
    client = world.connect()
    behind = b"".join(wrap_client(SOCKETIO, frames.sync_pull(1000 + number)) for number in range(1000))
    everything = HEAD + login() + behind
    world.loop.call_soon(client.sendall, everything[:700])  # the login is cut in two
    world.until("the head", lambda: world.counts("accepted"))
    client.setblocking(True)
    client.sendall(everything[700:])
    client.setblocking(False)
    world.until("the hand-off", lambda: world.counts("handed_over"))

    fd, record, shard = world.sessions[UID]
    assert shard == ShardMap.even(2).shard_of(UID)
    assert record.address == "127.0.0.1"
    connection, received = Connection(record.kind), []
    data = record.leftover
    while data:
        connection.feed(data)
        while (found := connection.next_frame()) is not None:
            received.append(frames.parse_frame(found))
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            data = b""
    assert received == [frames.parse_frame(frames.sync_pull(1000 + number)) for number in range(1000)]
    # And the shard speaks on the socket the router upgraded.
    os.write(fd, wrap(SOCKETIO, frames.provision_ok(UID, 5)))
    answer = world.read(client, lambda data: data.endswith(frames.provision_ok(UID, 5)))
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert totals(world.router.figures())["waiting"] == 0


def test_many_logins_leave_no_descriptor_behind(world: World) -> None:
    world.start(0, 1)
    world.until("the channels", lambda: world.senders[0].connected and world.senders[1].connected)
    before = len(os.listdir("/proc/self/fd"))
    users = range(3_000_000, 3_000_400)
    for start in range(0, 400, 100):
        for uid in users[start : start + 100]:
            world.connect().sendall(HEAD + login(uid))
        world.until("100 hand-offs", lambda done=start + 100: world.counts("handed_over") == done)
    assert set(world.sessions) == set(users)
    assert {shard for _, _, shard in world.sessions.values()} == {0, 1}
    for fd, _, _ in world.sessions.values():
        os.close(fd)
    world.sessions.clear()
    for client in world.clients:
        client.close()
    world.until("the end", lambda: totals(world.router.figures())["moving"] == 0)
    # One descriptor per receiver is its end of the channel, made while the logins ran.
    assert len(os.listdir("/proc/self/fd")) - before in (0, 1, 2)


def test_a_refused_login_stays_open_and_a_good_one_follows(world: World) -> None:
    world.start(0, 1)
    client = world.connect()
    client.sendall(HEAD + login(good=False))
    world.read(client, lambda data: b"token expired" in data)
    world.verdict = wire.HandoffRefused(Status.USER_BANNED, "banned")
    client.sendall(login() + UNREAD)
    world.read(client, lambda data: b"banned" in data)
    assert world.counts("refused") == 2
    assert totals(world.router.figures())["waiting"] == 1
    world.verdict = wire.ACCEPTED
    client.sendall(encode_frame(TEXT, b"2", True) + login())
    world.until("the hand-off", lambda: world.counts("handed_over"))
    assert UID in world.sessions


def test_a_login_follows_its_slot_to_another_shard(world: World) -> None:
    world.start(0, 1)
    before = ShardMap.even(2).shard_of(UID)
    after = 1 - before
    world.newest = msgspec.structs.replace(ShardMap.even(2).moved({slot_of(UID)}, after), version=2)
    world.elsewhere[before] = Moved(slot_of(UID), after, 2)
    for number in (1, 2):  # the second one goes there at once
        world.connect().sendall(HEAD + login())
        world.until("the hand-off", lambda number=number: world.counts("handed_over") == number)
        assert world.sessions.pop(UID)[2] == after
    assert world.counts("refused") == 0


@pytest.mark.parametrize("version", [1, 9])
def test_a_login_nobody_owns_is_told_to_try_again_and_stays_logged_in(world: World, version: int) -> None:
    """Two shards that name each other: the router follows once."""
    world.start(0, 1)
    world.elsewhere = {0: Moved(slot_of(UID), 1, version), 1: Moved(slot_of(UID), 0, version)}
    client = world.connect()
    client.sendall(HEAD + login())
    answer = world.read(client, lambda data: b"shard restarting" in data)
    assert b"shard restarting" in answer
    world.elsewhere.clear()
    client.sendall(login())
    world.until("the hand-off", lambda: world.counts("handed_over"))


def test_refused_logins_are_closed_after_their_silence(world: World) -> None:
    world.start(0, 1)
    client = world.connect()
    client.sendall(HEAD + login(good=False))
    world.read(client, lambda data: b"token expired" in data)
    world.now += limits.LOGIN_REFUSED_IDLE_S - 1
    world.router.tick()
    assert totals(world.router.figures())["waiting"] == 1
    world.now += 2
    world.router.tick()
    world.ends(client)
    assert world.counts("closed_deadline") == 1


def test_a_trickling_client_is_dropped_at_its_deadline(world: World) -> None:
    world.start(0, 1)
    silent, slow = world.connect(), world.connect()
    world.until("both", lambda: world.counts("accepted") == 2)
    for byte in HEAD[:10]:
        slow.sendall(bytes((byte,)))
        world.now += 0.9
        world.router.tick()
        assert totals(world.router.figures())["waiting"] == 2
    world.until("what it sent", lambda: True)
    world.now += 2.1
    world.router.tick()
    assert totals(world.router.figures())["waiting"] == 0
    assert world.ends(silent) == b""
    world.ends(slow)
    assert world.counts("closed_deadline") == 2


def test_garbage_and_a_head_without_end(world: World) -> None:
    world.start(0, 1)
    client = world.connect()
    client.sendall(b"\x16\x03\x01\x02\x00")
    assert world.ends(client).startswith(b"HTTP/1.1 400 ")
    client = world.connect()
    client.sendall(b"GET / HTTP/1.1\r\nCookie: " + b"c" * (limits.MAX_HTTP_HEAD_BYTES - 24))
    assert world.ends(client).startswith(b"HTTP/1.1 431 ")
    assert world.counts("closed_garbage") == 2


def test_http_goes_to_the_gateway(world: World) -> None:
    world.start(0, 1, -1)
    client = world.connect()
    client.sendall(b"POST /token/user HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    world.until("the visitor", lambda: world.counts("visitors"))
    fd, visitor = world.visitors[0]
    assert visitor == Visitor("127.0.0.1", b"POST /token/user HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    os.write(fd, b"HTTP/1.1 200 OK\r\n\r\n")
    assert world.read(client, len) == b"HTTP/1.1 200 OK\r\n\r\n"


def test_what_the_port_for_tls_has_read_already_comes_first(world: World) -> None:
    world.start(0, 1, -1)
    client, server = socket.socketpair()
    server.setblocking(False)
    client.send(b"Content-Length: 2\r\n\r\n{}")
    first = b"POST /token/user HTTP/1.1\r\n"
    world.router.welcome(server.detach(), "203.0.113.5", secure=True, first=first)
    world.until("the visitor", lambda: world.counts("visitors"))
    fd, visitor = world.visitors[0]
    assert visitor == Visitor("203.0.113.5", first, secure=True)
    assert os.read(fd, 100) == b"Content-Length: 2\r\n\r\n{}"
    client.close()


def test_without_a_gateway(world: World) -> None:
    world.start(0, 1)
    client = world.connect()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    head, _, body = world.ends(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert msgspec.json.decode(body) == {"code": 503, "data": None, "message": "the gateway is restarting, try again"}


def test_without_its_shard_a_login_fails_and_may_be_tried_again(world: World) -> None:
    other = UID + 1
    down = ShardMap.even(2).shard_of(UID)
    world.start(1 - down)
    client = world.connect()
    client.sendall(HEAD + login())
    answer = world.read(client, lambda data: b"shard restarting" in data)
    assert frames.provision_refused(Status.FAIL, "shard restarting", UID) in answer
    client.sendall(login(other))
    world.until("the other shard's hand-off", lambda: other in world.sessions)
    world.receivers[down].start()
    world.until("the channel", lambda: world.senders[down].connected)
    client = world.connect()
    client.sendall(HEAD + login())
    world.until("the hand-off", lambda: UID in world.sessions)


def test_a_shard_that_vanishes_costs_the_connection(world: World) -> None:
    down = ShardMap.even(2).shard_of(UID)
    world.start(1 - down)
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.bind(world.path(down))
    silent.listen()
    client = world.connect()
    world.until("the channel", lambda: world.senders[down].connected)
    channel, _ = silent.accept()
    client.sendall(HEAD + login())
    world.until("the record in flight", lambda: world.senders[down].pending)
    assert totals(world.router.figures())["moving"] == 1
    channel.close()
    silent.close()
    assert world.ends(client).startswith(b"HTTP/1.1 101 ")
    assert world.counts("lost") == 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, places=2, places_per_peer=2)
    yield world
    world.close()


def test_a_storm_is_answered(small: World) -> None:
    small.start(0, 1)
    held = [small.connect(), small.connect()]
    small.until("both", lambda: small.counts("accepted") == 2)
    assert small.ends(small.connect()).startswith(b"HTTP/1.1 503 ")
    held[0].sendall(HEAD + login())
    small.until("the hand-off", lambda: small.counts("handed_over"))
    third = small.connect()
    third.sendall(HEAD)
    assert small.read(third, len).startswith(b"HTTP/1.1 101 ")
    assert small.counts("turned_away_full") == 1


def test_requests_are_served_while_all_places_for_logins_are_taken_and_logins_while_those_for_heads_are(
    small: World,
) -> None:
    small.start(0, 1, -1)
    for _ in range(2):
        small.connect().sendall(HEAD + login(good=False))
    small.until("both refused", lambda: small.counts("refused") == 2)
    client = small.connect()
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    small.until("the visitor", lambda: small.counts("visitors"))

    for _ in range(2):
        small.connect().sendall(b"GET /slow")
    small.until("two heads", lambda: small.counts("accepted") == 5)
    honest = small.connect("127.0.0.2")
    honest.sendall(HEAD + login())
    small.until("the hand-off", lambda: small.counts("handed_over"))
    assert small.counts("closed_displaced") == 1


def test_who_floods_makes_room_with_their_idlest(small: World) -> None:
    small.start(0, 1)
    first, second = small.connect(), small.connect()
    for client in (first, second):
        client.sendall(HEAD + login(good=False))
        small.read(client, lambda data: b"token expired" in data)
    small.now += 1
    first.sendall(login(good=False))
    small.read(first, lambda data: b"token expired" in data)
    honest = small.connect("127.0.0.2")
    honest.sendall(HEAD)
    small.read(honest, len)
    assert small.ends(second).endswith(b"too many connections")
    assert totals(small.router.figures())["waiting"] == 2


def test_refused_logins_are_one_line_per_peer_and_ten_seconds(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world.start(0, 1)
    for number in range(20):
        client = world.connect("127.0.0.2" if number % 2 else "127.0.0.1")
        client.sendall(HEAD + login(good=False))
        world.read(client, lambda data: b"token expired" in data)
    world.now += 11
    world.router.tick()
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert lines == [
        f"event=login_refused uid={UID} address=127.0.0.1 code={Status.INVALID_TOKEN} reason='token expired'",
        f"event=login_refused uid={UID} address=127.0.0.2 code={Status.INVALID_TOKEN} reason='token expired'",
        "event=logins_refused address=127.0.0.1 count=9 seconds=10",
        "event=logins_refused address=127.0.0.2 count=9 seconds=10",
    ]


def test_accepting_pauses_without_descriptors(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.start(0, 1)
    first = world.connect()
    world.until("the first", lambda: world.counts("accepted") == 1)
    tried = []

    class Starved:
        """The listening socket of a process that may open no more files."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.socket, name)

        def accept(self) -> object:
            tried.append(1)
            raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(world.router._acceptor, "_listener", Starved())
    second = world.connect()
    second.sendall(HEAD)
    world.until("the pause", lambda: tried)
    world.router.tick()
    world.until("another try", lambda: len(tried) == 2)
    monkeypatch.setattr(world.router._acceptor, "_listener", world.socket)
    first.close()  # a descriptor comes free: at once, not with the next tick
    assert world.read(second, len).startswith(b"HTTP/1.1 101 ")
    assert len([record for record in caplog.records if "accept_paused" in record.message]) == 1


def test_drain_finishes_logins_closes_refused_ones_and_accepts_no_more(world: World) -> None:
    world.start(0, 1)
    refused, busy = world.connect(), world.connect()
    refused.sendall(HEAD + login(good=False))
    busy.sendall(HEAD)
    world.read(refused, lambda data: b"token expired" in data)
    world.until("two guests", lambda: world.counts("accepted") == 2)
    done: list[int] = []
    world.router.drain(lambda: done.append(1))
    world.ends(refused)
    late = world.connect()
    late.sendall(HEAD)
    busy.sendall(login())
    world.until("the end of the drain", lambda: done)
    assert UID in world.sessions
    assert world.counts("accepted") == 2
    assert done == [1]
    with pytest.raises(BlockingIOError):
        late.recv(1)  # it waits in the backlog, for the next router


def test_drain_ends_although_somebody_never_logs_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanying.router.listener.DRAIN_S", 0.05)
    world.start(0, 1)
    client = world.connect()
    client.sendall(HEAD)
    world.read(client, len)
    done: list[int] = []
    world.router.drain(lambda: done.append(1))
    world.until("the end of the drain", lambda: done)
    world.router.close()
    assert world.ends(client) == encode_frame(8, b"\x03\xe9restart")
