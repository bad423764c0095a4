"""The generator's codec against the server's own logic: a device of ours on a session of a simulated shard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.client import READY, Member, Route, Setting
from bench.tally import Tally, Window
from bench.wire import UPGRADING, Device
from lanying.protocol import frame, handshake
from lanying.protocol.connection import SOCKETIO, XSYNC, Connection, wrap
from lanying.protocol.frame import parse_frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, SyncUL
from lanying.testing.simulation import Simulation, User, login

BASE = 1_700_000_000_000
MARKER = b"LBtest"


def make(tally: Tally, index: int, uid: int, target: int, size: int = 38, protocol: str = "xsync") -> Device:
    """A device that writes to ``target`` as stream ``index``."""
    member = Member(index, uid, "token", (Route(target, index),))
    return Device(tally, member, Setting("h", 1, MARKER, BASE, size=size, protocol=protocol))


class Client:
    """A generator's device in place of the simulation's own."""

    def __init__(self, user: User, target: User, index: int, kind: int = XSYNC, size: int = 100) -> None:
        self.tally = Tally()
        self.device = make(self.tally, index, user.uid, target.uid, size, "socketio" if kind == SOCKETIO else "xsync")
        self.kind = kind
        self.user = user
        self.simulation = user.simulation
        shard = user.shard
        self.connection = Connection(kind)
        self.session = shard.admit(self.simulation.next_fd(), Connection(kind), login(user, self.device.guid))
        self.closed = False
        self.now = 0
        self.device.state = UPGRADING
        self.device.feed(_upgraded(), 0)
        if kind == SOCKETIO:
            self.device.feed(Connection(kind).opening(), 0)
        assert parse_frame(self.take()[0])[0] == frame.PROVISION
        self.simulation.devices[user.uid, self.session.sn] = self  # type: ignore[assignment]
        self.simulation.run()
        assert self.device.state == READY and self.device.sn == self.session.sn

    def take(self) -> list[bytes]:
        """Frames the device wants to send."""
        data = b"".join(self.device.out)
        self.device.out.clear()
        return self.connection.receive(data)

    def read(self, data: bytes) -> None:
        """Bytes of the server; one at a time, which must not matter."""
        for at in range(0, len(data), 7):
            self.device.feed(data[at : at + 7], self.now)
        for one in self.take():
            self.user.shard.received(self.session, one)

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.device.send(0, self.now, frame.varint(BASE))
        for one in self.take():
            self.user.shard.received(self.session, one)
        self.simulation.run()


def _upgraded() -> bytes:
    request = handshake.upgrade_request("h", "/xsync", "bGFueWluZy1iZW5jaC0wMQ==")
    head = handshake.parse_head(request)
    assert head is not None
    return handshake.accept_upgrade(head)


@pytest.fixture(params=["xsync", "socketio"])
def kind(request: pytest.FixtureRequest) -> Iterator[int]:
    yield XSYNC if request.param == "xsync" else SOCKETIO


@pytest.mark.parametrize("size", [38, 100, 200, 5000])
def test_messages_both_ways_are_counted(kind: int, size: int) -> None:
    simulation = Simulation()
    alice, bob = simulation.user("alice"), simulation.user("bob")
    a, b = Client(alice, bob, 0, kind, size), Client(bob, alice, 1, kind, size)
    a.tally.window, b.tally.window = Window(0, 1_000_000), Window(0, 1_000_000)
    for _ in range(3):
        a.send(5)
        b.send(2)
    assert (a.tally.sent, a.tally.acknowledged, a.tally.received) == (15, 15, 6)
    assert (b.tally.sent, b.tally.acknowledged, b.tally.received) == (6, 6, 15)
    for client in (a, b):
        assert not client.tally.errors and not client.device.waiting and not client.device.missing
        assert not (client.tally.duplicated or client.tally.reordered or client.tally.foreign)
        assert client.tally.batches >= client.tally.ends > 0
    assert len(b.tally.window.delivered[0]) == 15 and len(a.tally.window.acknowledged[0]) == 15
    assert b.tally.freed == [0] * 15 and a.tally.owed == 15


def test_a_group_gets_every_copy_also_of_pictures() -> None:
    simulation = Simulation()
    users = [simulation.user(name) for name in ("alice", "bob", "carol", "dave")]
    clients = [Client(user, users[0], number) for number, user in enumerate(users)]
    gid = simulation.group(*users)
    sender = clients[0].device
    sender.routes = (Route(gid, 7, 3, group=True), Route(gid, 8, 3, group=True, picture=True))
    sender.sequences = [0, 0]
    for number in (0, 1, 1, 0, 1):
        sender.send(number, 0, frame.varint(BASE))
    for one in clients[0].take():
        users[0].shard.received(clients[0].session, one)
    simulation.run()
    assert (sender.tally.sent, sender.tally.owed, sender.tally.acknowledged) == (5, 15, 5)
    for client in clients[1:]:
        assert client.tally.received == 5 and client.device.expected == {7: 2, 8: 3}
        assert not (client.tally.duplicated or client.tally.reordered or client.tally.errors)
    assert sender.tally.received == 0


def test_every_push_is_acknowledged_with_its_key() -> None:
    simulation = Simulation()
    alice, bob = simulation.user("alice"), simulation.user("bob")
    a, b = Client(alice, bob, 0), Client(bob, alice, 1)
    a.send(3)
    assert bob.shard.work.mailboxes.cursor(bob.uid, b.session.sn, alice.uid) == 3


def test_what_a_message_is() -> None:
    simulation = Simulation()
    alice, bob = simulation.user("alice"), simulation.user("bob")
    a = Client(alice, bob, 7)
    a.device.send(0, 123_456, frame.varint(BASE + 5))
    (data,) = a.take()
    upload = SyncUL.FromString(parse_frame(data)[1])
    assert (upload.meta.id, upload.meta.to.uid, upload.meta.timestamp, upload.meta.ns) == (BASE, bob.uid, BASE + 5, 1)
    body = MessageBody.FromString(upload.meta.payload)
    assert body.type == MessageBody.CHAT and len(body.content.encode()) == 100
    assert body.content.startswith("LBtest0000000700000000" + f"{123_456:016x}")


def test_pending_messages_are_pulled_after_the_unread_list() -> None:
    simulation = Simulation()
    alice, bob = simulation.user("alice"), simulation.user("bob")
    a, b = Client(alice, bob, 0), Client(bob, alice, 1)
    bob.shard.left(b.session)
    del simulation.devices[bob.uid, b.session.sn]
    a.send(250)
    b.session = bob.shard.admit(simulation.next_fd(), Connection(XSYNC), login(bob, b.device.guid))
    simulation.devices[bob.uid, b.session.sn] = b  # type: ignore[assignment]
    bob.shard.received(b.session, frame.unread_request())
    simulation.run()
    assert b.tally.received == 250 and not b.device.missing and not b.tally.reordered


def test_gaps_repetitions_and_late_messages() -> None:
    tally = Tally()
    device = make(tally, 1, 5, 6)

    def arrive(*sequences: int, marker: bytes = MARKER) -> None:
        metas = [
            frame.meta(99, 6, 1, 5, BASE, 1, b"\x08\x02\x22\x26" + marker + b"%08x%08x%016x" % (0, sequence, 0))
            for sequence in sequences
        ]
        device.feed(wrap(XSYNC, frame.batch(6, metas, 7, eager=True, prev_mid=3)), 10)

    arrive(0, 1)
    arrive(3)
    assert device.missing == {0: {2}} and tally.received == 3
    arrive(3)
    assert tally.duplicated == 1 and tally.received == 3
    arrive(2)
    assert tally.reordered == 1 and tally.received == 4 and device.missing == {0: set()}
    arrive(2)
    assert tally.duplicated == 2
    arrive(9, marker=b"LBelse")
    assert tally.foreign == 1 and device.expected == {0: 4}


def test_unusual_frames_take_the_slow_way() -> None:
    tally = Tally()
    device = make(tally, 1, 5, 6)
    device.send(0, 0, frame.varint(BASE))
    device.send(0, 0, frame.varint(BASE))
    device.send(0, 0, frame.varint(BASE))
    device.feed(wrap(XSYNC, frame.refusal(BASE + 1, 2, "no")), 1)
    assert tally.refused == 1 and device.refused == [(1, 1)] and list(tally.errors) == ["message refused: 2 no"]
    device.feed(wrap(XSYNC, frame.acknowledgement(BASE + 2, 1 << 44, BASE)), 1)  # not the first in the row
    device.feed(wrap(XSYNC, frame.acknowledgement(BASE, 1 << 44, BASE)), 1)
    assert tally.acknowledged == 2 and not device.waiting
    device.feed(wrap(XSYNC, frame.acknowledgement(BASE, 1 << 44, BASE)), 1)
    assert tally.unknown_acknowledgements == 1
    device.out.clear()
    device.feed(wrap(XSYNC, frame.notice(6)), 1)
    assert device.out == [b"\x82\x8c\0\0\0\0" + frame.sync_pull(6)] and tally.notices == 1
    device.feed(wrap(XSYNC, frame.batch(6, [], 0)), 1)
    assert tally.ends == 1
    tally.window = Window(1, 10)
    device.page_asked = 1
    device.feed(wrap(XSYNC, frame.batch(6, [], 5, full=True)), 3)
    assert list(tally.pages) == [2]
    page = frame.batch(6, [frame.meta(9, 6, 1, 5, BASE, 1, b"\x08\x02")], 5, full=True)
    device.page_asked = 2
    device.feed(wrap(XSYNC, page), 6)
    assert list(tally.pages) == [2, 4] and tally.received == 0
    device.feed(b"\x88\x02\x03\xe9", 6)
    assert any(text.startswith("closed by the server: 1001") for text in tally.errors)


def test_a_refused_login_or_upgrade_is_an_error() -> None:
    tally = Tally()
    device = make(tally, 1, 5, 6)
    device.hello("h")
    device.feed(b"HTTP/1.1 429 Too Many Requests\r\n\r\n", 0)
    assert device.state == 0 and list(tally.errors) == ["upgrade: HTTP/1.1 429 Too Many Requests"]
    device.hello("h")
    device.feed(_upgraded() + wrap(XSYNC, frame.provision_refused(7, "bad token")), 0)
    assert device.state == 0 and "login refused: 7 bad token" in tally.errors
