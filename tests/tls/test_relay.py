"""Both descriptors of a connection, without a loop: what is kept, and who is read meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lanying.tls.relay import Relay, Relays


class World:
    """One connection: ``client`` and ``server`` are the far ends."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.relays = Relays(self._close)
        self.client, outer = socket.socketpair()
        self.server, inner = socket.socketpair()
        for each in (self.client, outer, self.server, inner):
            each.setblocking(False)
        self.relay = Relay(outer, "203.0.113.9")
        self.relays.add(self.relay)
        self.relays.join(self.relay, inner)
        assert self.relay.inner
        self.inner = self.relay.inner

    def _close(self, relay: Relay, why: str) -> None:
        self.closed.append(why)
        self.relays.remove(relay)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.relays.remove(made.relay)
    made.relays.stop()
    made.client.close()
    made.server.close()


def taken(sock: socket.socket) -> bytes:
    data = b""
    try:
        while piece := sock.recv(1 << 20):
            data += piece
    except BlockingIOError:
        pass
    return data


def test_who_has_something_is_ready(world):
    assert world.relays.ready() == []
    world.client.send(b"x")
    assert world.relays.ready() == [world.relay.outer]
    assert world.relay.outer.read() == b"x" and world.relay.outer.read() is None
    world.server.send(b"y")
    assert world.relays.ready() == [world.inner]


@pytest.mark.parametrize("outwards", [True, False])
def test_while_one_side_is_owed_something_the_other_is_not_read(world, outwards):
    side, far, other = (
        (world.relay.outer, world.client, world.server) if outwards else (world.inner, world.server, world.client)
    )
    data = bytes(range(256)) * 8192
    world.relays.put(side, data)
    assert world.relays.owed
    other.send(b"waits")
    assert world.relays.ready() == []
    got = b""
    while len(got) < len(data):
        got += taken(far)
        world.relays.ready()
    assert got == data and not world.relays.owed
    assert len(world.relays.ready()) == 1, "and is read again when it has gone"


def test_what_is_owed_goes_out_before_the_end(world):
    data = b"z" * (1 << 20)
    world.relays.put(world.relay.outer, data)
    world.relays.end(world.relay.outer)
    got = b""
    while not world.closed:
        got += taken(world.client)
        world.relays.ready()
    assert got + taken(world.client) == data and world.closed == ["ended"]
    assert world.relay not in world.relays and len(world.relays) == 0


def test_the_servers_direction_is_closed_alone(world):
    world.relays.put(world.inner, b"question")
    world.relays.end(world.inner)
    assert taken(world.server) == b"question"
    world.server.send(b"answer")
    assert world.relays.ready() == [world.inner] and world.inner.read() == b"answer"
    assert not world.closed


def test_an_end_that_was_seen_is_not_reported_again(world):
    world.server.close()
    assert world.relays.ready() == [world.inner] and world.inner.read() == b""
    world.relays.ended(world.inner)
    assert [world.relays.ready() for _ in range(3)] == [[], [], []]


def test_a_side_that_is_gone_closes_the_connection(world):
    world.client.close()
    world.relays.put(world.relay.outer, b"x")
    assert world.closed == ["left"]


def test_a_socket_that_is_given_up_stays_open_and_is_not_watched(world):
    fd = world.relays.release(world.relay)
    left = socket.socket(fileno=fd)
    world.client.send(b"plain")
    assert world.relays.ready() == [] and left.recv(10) == b"plain"
    left.close()


def fill(world):
    """The client is owed more than its socket takes."""
    world.relays.put(world.relay.outer, bytes(1 << 20))
    assert world.relay.outer.owed


def test_who_has_said_everything_and_takes_nothing_is_not_read_for(world):
    world.relays.end(world.inner)
    fill(world)
    world.server.send(b"answer")
    assert world.relays.ready() == [], "the process behind waits"
    while world.relay.outer.owed:
        taken(world.client)
        world.relays.ready()
    assert world.relays.ready() == [world.inner]


def test_a_process_that_refuses_and_closes_is_still_heard(world):
    """It answered before it closed; what the client goes on saying is of no use."""
    world.server.send(b"refused")
    world.server.close()
    world.relays.put(world.inner, b"the rest of a body")
    assert not world.closed and world.relays.ready() == [world.inner] and world.inner.read() == b"refused"
    world.client.send(b"still more")
    assert world.relays.ready() == [world.inner] and world.inner.read() == b""
    world.relays.ended(world.inner)
    fill(world)
    assert world.relays.ready() == []
