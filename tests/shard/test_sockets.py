"""What clients that do not read may cost: one, all of a user's, and all of a shard's together."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lanying.base import limits
from lanying.protocol.connection import XSYNC, Connection
from lanying.shard.core.session import Session
from lanying.shard.sockets import Sockets
from lanying.testing.simulation import Simulation, User, login


class Turns:
    """A ticker without ticks."""

    def begin_turn(self) -> None: ...

    def end_turn(self) -> None: ...


class Clients:
    """Sessions of one shard on socket pairs, whose clients read nothing."""

    def __init__(self, stack: ExitStack) -> None:
        self.sim = Simulation(1)
        self.shard = self.sim.shards[0]
        self.sockets = Sockets(self.shard, Turns())  # type: ignore[arg-type]
        stack.callback(self.sockets.close)
        self._stack = stack
        self.far: dict[Session, socket.socket] = {}

    def connect(self, user: User, guid: str) -> Session:
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        session = self.shard.admit(near.detach(), Connection(XSYNC), login(user, guid))
        self.sockets.adopt(session, b"")
        self._stack.callback(self.sockets.close_session, session, "over")
        self._stack.callback(far.close)
        self.far[session] = far
        return session

    def owe(self, session: Session, size: int) -> None:
        tick = self.shard.seal()
        tick.outs.clear()
        tick.send_raw(session, bytes(size))
        self.sockets.write(tick)

    def drain(self, session: Session) -> None:
        """The client reads everything."""
        while session.fd >= 0 and session.unsent:
            try:
                self.far[session].recv(1 << 20)
            except BlockingIOError:
                pass
            self.sockets.readable()


@pytest.fixture
def clients() -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(stack)


def test_what_a_client_that_does_not_read_asks_stays_in_its_socket(clients: Clients) -> None:
    alice = clients.sim.user("alice")
    session = clients.connect(alice, "phone")
    clients.owe(session, limits.OUT_SOFT_BYTES * 2)
    assert session.fd >= 0
    clients.far[session].send(b"\x82\x00")
    before = session.last_read
    clients.shard.turn(clients.sim.now + 5, clients.sim.now_ms)
    clients.sockets.readable()
    assert session.last_read == before
    clients.drain(session)
    clients.sockets.readable()
    assert session.last_read == clients.sim.now + 5


def test_one_session_has_a_limit(clients: Clients) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    clients.owe(session, limits.OUT_HARD_BYTES + (1 << 20))
    assert session.fd == -1
    assert session.left == "slow_reader"


def test_all_sessions_of_a_user_have_one_together(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OUT_USER_BYTES", 1_000_000)
    alice, bob = clients.sim.user("alice"), clients.sim.user("bob")
    other = clients.connect(bob, "phone")
    clients.owe(other, 700_000)
    fullest, second = (clients.connect(alice, guid) for guid in ("one", "two"))
    clients.owe(fullest, 800_000)
    clients.owe(second, 400_000)
    assert (fullest.fd, second.fd >= 0, other.fd >= 0) == (-1, True, True)


def test_all_of_a_shard_have_one_together_and_the_count_is_exact(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUT_ALL_BYTES", 3_000_000)
    users = [clients.sim.user(f"user{n}") for n in range(8)]
    sessions = [clients.connect(user, "phone") for user in users]
    for n, session in enumerate(sessions):
        clients.owe(session, 500_000 + n * 10_000)
        assert clients.sockets._unsent == sum(len(one.unsent) for one in sessions) <= 3_000_000
    gone = [n for n, session in enumerate(sessions) if session.fd < 0]
    assert gone
    assert sessions[0].fd >= 0  # never the emptiest
    for session in sessions:
        clients.drain(session)
    assert clients.sockets._unsent == 0
    assert all(os.fstat(session.fd) for session in sessions if session.fd >= 0)


def test_frames_that_keep_others_waiting_are_counted(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    clients.far[session].send(b"x")
    clients.sockets.readable()
    assert clients.sockets.slow_reads == 0
    other = clients.connect(clients.sim.user("bob"), "phone")
    monkeypatch.setattr(limits, "SLOW_FRAMES_S", -1.0)
    clients.far[other].send(b"x")
    clients.sockets.readable()
    assert clients.sockets.slow_reads == 1
