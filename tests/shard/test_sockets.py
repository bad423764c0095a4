"""What clients may cost: those that do not read (one, all of a user's, all of a shard's together), and those that ask much at once."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.protocol import frame
from lanying.protocol.connection import XSYNC, Connection, wrap_client
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.protocol.websocket import close_frame
from lanying.shard.core.session import Session
from lanying.shard.sockets import Sockets
from lanying.testing.poll import eventually
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


def leaves(clients: Clients, session: Session) -> None:
    """It is owed something, and has left."""
    clients.owe(session, 20_000)
    assert session.unsent
    clients.shard.left(session, "displaced")
    clients.shard.tick.closing.append(session)
    clients.sockets.end(clients.shard.seal())


def test_who_has_left_and_goes_on_sending_does_not_stay(clients: Clients) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    leaves(clients, session)
    for second in range(int(limits.LEAVING_S) + 2):
        assert session.fd >= 0, "it has its time for the last bytes"
        clients.shard.turn(clients.sim.now + second, clients.sim.now_ms)
        with suppress(BlockingIOError):  # it is not read, so its socket is full sooner or later
            clients.far[session].send(b"\x82\x80\0\0\0\0")
        clients.sockets.readable()
        clients.sockets.end_idle(clients.sim.now + second)
    assert session.fd == -1


def test_who_has_left_takes_what_is_owed(clients: Clients) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    leaves(clients, session)
    clients.drain(session)
    assert session.fd == -1 and session.left == "displaced"


def test_many_who_have_left_make_room(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same device again and again: each time it is displaced, and takes none of its last bytes."""
    monkeypatch.setattr(limits, "LEAVING", 2)
    alice = clients.sim.user("alice")
    sessions = [clients.connect(alice, guid) for guid in ("one", "two", "three")]
    for session in sessions:
        leaves(clients, session)
    assert [session.fd >= 0 for session in sessions] == [False, True, True]


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


def test_all_of_a_shard_have_one_together_and_the_count_is_exact(clients: Clients) -> None:
    clients.sockets._most_unsent = 3_000_000
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
    monkeypatch.setattr(limits, "SLOW_S", -1.0)
    monkeypatch.setattr(limits, "COSTLY_S", -1.0)
    clients.far[other].send(b"x")
    clients.sockets.readable()
    assert clients.sockets.slow_reads == 1


# --- a turn is shared ---------------------------------------------------------------------------------------------------


class Seen:
    """Whose frames the shard got, in order."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.frames: list[tuple[Session, bytes]] = []
        clients.shard.received = lambda session, data: self.frames.append((session, data))

    def turn(self) -> list[tuple[Session, bytes]]:
        self.frames.clear()
        self.clients.sockets.readable()
        return list(self.frames)


def burst(count: int) -> bytes:
    return b"".join(wrap_client(XSYNC, b"%d" % number) for number in range(count))


def test_a_burst_of_one_session_is_a_share_a_turn_and_keeps_its_order(clients: Clients) -> None:
    fast, other = (clients.connect(clients.sim.user(name), "phone") for name in ("alice", "bob"))
    seen, count = Seen(clients), 10 * limits.SHARE_FRAMES + 3
    clients.far[fast].send(burst(count))
    clients.far[other].send(burst(1))
    first = seen.turn()
    assert (other, b"0") in first
    assert [frame for session, frame in first if session is fast] == [b"%d" % n for n in range(limits.SHARE_FRAMES)]
    clients.far[fast].send(wrap_client(XSYNC, b"behind"))
    got, before = [frame for session, frame in first if session is fast], fast.last_read
    clients.shard.turn(clients.sim.now + 5, clients.sim.now_ms)
    while len(got) < count:
        clients.far[other].send(wrap_client(XSYNC, b"again"))
        turn = seen.turn()
        assert (other, b"again") in turn and 1 < len(turn) <= limits.SHARE_FRAMES + 1
        assert fast.last_read == before, "it is not read while its frames wait"
        got += [frame for session, frame in turn if session is fast]
    assert got == [b"%d" % n for n in range(count)]
    assert seen.turn() == [(fast, b"behind")]
    assert seen.turn() == []


def test_sessions_that_wait_get_a_share_each(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [clients.connect(clients.sim.user(f"user{n}"), "phone") for n in range(5)]
    seen = Seen(clients)
    for session in sessions:
        clients.far[session].send(burst(3 * limits.SHARE_FRAMES))
    for _ in range(3):
        assert dict.fromkeys(sessions, limits.SHARE_FRAMES) == Counter(s for s, _ in seen.turn())
    for session in sessions:
        clients.far[session].send(burst(3 * limits.SHARE_FRAMES))
    monkeypatch.setattr(limits, "TURN_S", 0.0)  # a turn is over when somebody had a share
    turns = [seen.turn() for _ in range(15 + len(sessions))]
    assert max(map(len, turns)) <= 2 * limits.SHARE_FRAMES, "one that is read and one that has waited"
    assert Counter(s for turn in turns for s, _ in turn) == dict.fromkeys(sessions, 3 * limits.SHARE_FRAMES)


def test_all_sessions_of_a_user_have_one_share_together_in_turns(clients: Clients) -> None:
    alice, bob = clients.sim.user("alice"), clients.sim.user("bob")
    sessions = [clients.connect(alice, f"device{n}") for n in range(4)]
    other = clients.connect(bob, "phone")
    seen, each = Seen(clients), 2 * limits.SHARE_FRAMES
    for session in sessions:
        clients.far[session].send(burst(each))
    turns: list[list[tuple[Session, bytes]]] = []
    for _ in range(2 * len(sessions)):
        clients.far[other].send(burst(2))
        turns.append(seen.turn())
    assert [Counter(s.uid for s, _ in turn) for turn in turns] == [{alice.uid: limits.SHARE_FRAMES, bob.uid: 2}] * len(
        turns
    )
    for session in sessions:
        assert [frame for turn in turns for s, frame in turn if s is session] == [b"%d" % n for n in range(each)]
    assert {s for turn in turns[: len(sessions) + 1] for s, _ in turn} == {*sessions, other}, (
        "none waits for another's end"
    )


def test_a_session_that_sends_without_end_does_not_take_the_share_of_the_users_others(clients: Clients) -> None:
    alice = clients.sim.user("alice")
    waiting, busy = clients.connect(alice, "phone"), clients.connect(alice, "pad")
    seen, each = Seen(clients), 3 * limits.SHARE_FRAMES
    clients.far[waiting].send(burst(each))
    got: Counter[Session] = Counter()
    for _ in range(7):
        clients.far[busy].send(burst(2))
        got.update(session for session, _ in seen.turn())
    assert got[waiting] == each and got[busy]


def test_questions_are_answered_before_more_are_taken(clients: Clients) -> None:
    """While a commit is under way turns go on, and the tick behind it would gather questions for half a second."""
    sessions = [clients.connect(clients.sim.user(f"user{n}"), "phone") for n in range(4)]
    for session in sessions:
        asked = b"".join(wrap_client(XSYNC, frame.history_request(session.uid, 0, 100)) for _ in range(100))
        clients.far[session].send(asked)
    for _ in range(60):
        clients.sockets.readable()
    tick = clients.shard.tick
    assert limits.TICK_ASKS < len(tick.histories) <= limits.TICK_ASKS + len(sessions) * limits.SHARE_FRAMES
    answered = len(tick.histories)
    for _ in range(60):
        clients.sockets.write(clients.shard.seal())
        clients.sockets.readable()
        answered += len(clients.shard.tick.histories)
    assert answered == 100 * len(sessions), "nothing is forgotten"


def test_frames_that_cost_much_are_a_smaller_share(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    seen = Seen(clients)
    monkeypatch.setattr(limits, "SHARE_S", 0.0)
    clients.far[session].send(burst(4))
    assert [seen.turn() for _ in range(4)] == [[(session, b"%d" % n)] for n in range(4)]


def test_a_turn_without_time_leaves_sockets_to_the_next_where_they_come_first(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [clients.connect(clients.sim.user(f"user{n}"), "phone") for n in range(4)]
    seen = Seen(clients)
    monkeypatch.setattr(limits, "TURN_S", 0.0)
    served = set()
    for session in sessions:
        clients.far[session].send(burst(1))
    for _ in sessions:
        [(session, _)] = seen.turn()
        served.add(session)
        clients.far[session].send(burst(1))  # whoever was served asks at once again
    assert served == set(sessions)


def test_a_good_bye_is_heard_behind_the_frames_before_it(clients: Clients) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    seen, count = Seen(clients), 2 * limits.SHARE_FRAMES
    clients.far[session].send(burst(count) + close_frame(1000, "", True))
    assert len(seen.turn()) == limits.SHARE_FRAMES and not session.left
    assert len(seen.turn()) == limits.SHARE_FRAMES and session.left == "client_left"
    assert clients.shard.tick.closing == [session]


def test_what_waits_is_forgotten_with_its_session(clients: Clients) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    seen = Seen(clients)
    clients.far[session].send(burst(2 * limits.SHARE_FRAMES))
    seen.turn()
    clients.sockets.close_session(session, "over")
    assert seen.turn() == [] and not clients.sockets._waiting


def test_a_turn_follows_for_what_waits_though_no_socket_is_ready(clients: Clients) -> None:
    session = clients.connect(clients.sim.user("alice"), "phone")
    seen, count = Seen(clients), 5 * limits.SHARE_FRAMES

    async def scenario() -> None:
        clients.sockets.start(asyncio.get_running_loop())
        clients.far[session].send(burst(count))
        await eventually("all frames were taken", lambda: len(seen.frames) == count)
        clients.sockets.pause()
        clients.far[session].send(burst(1))
        clients.sockets.resume()
        await eventually("and what came while it paused", lambda: len(seen.frames) == count + 1)
        clients.sockets.pause()

    asyncio.run(scenario())


def test_a_user_whose_frames_take_more_than_a_share_of_the_shard_sends_nothing_for_a_while(clients: Clients) -> None:
    alice, bob = clients.sim.user("alice"), clients.sim.user("bob")
    a, b = clients.connect(alice, "first"), clients.connect(bob, "first")
    now = clients.shard.tick.now
    for session in (a, b):
        clients.sockets._costly(session, now, limits.COSTLY_S * 2)
    clients.sockets._costly(a, now, limits.COSTLY_S_PER_MINUTE + 1)
    budgets = clients.shard.policy.budgets
    budgets.send(b.sends, now, 10)
    with pytest.raises(Refused) as refused:
        budgets.send(a.sends, now, 10)
    assert refused.value.status == Status.RATE_LIMIT_EXCEEDED
    budgets.send(a.sends, now + 11.0, 10)
