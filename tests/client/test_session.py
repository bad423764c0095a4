"""The client session against the simulated server: conversations, losses in both directions, time, bad input."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base import limits
from lanying.client import (
    Closed,
    Connected,
    Disconnected,
    Kicked,
    LoggedOut,
    LoginRefused,
    Message,
    Notice,
    Operation,
    ServerError,
    Session,
    Typing,
    outgoing,
)
from lanying.client.events import UnreadList
from lanying.client.session import SessionState
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, Connection, goodbye, wrap
from lanying.protocol.handshake import accept_upgrade, parse_head
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta, Status
from lanying.testing.simulation import Simulation, User
from tests.client.harness import Phone


def people(shards: int = 2) -> tuple[Simulation, User, User]:
    """Alice and Bob, on different shards when there are two."""
    sim = Simulation(shards)
    alice = sim.user("alice")
    names = (f"bob{n}" for n in range(100))
    name = next(n for n in names if shards == 1 or sim.map.shard_of_name("lanying", n) != alice.shard.work.index)
    return sim, alice, sim.user(name)


# --- conversations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [0, 1, 7], ids=["whole", "byte by byte", "sevens"])
@pytest.mark.parametrize("kind", [XSYNC, SOCKETIO], ids=["xsync", "socketio"])
def test_messages_go_both_ways_and_are_acknowledged(kind: int, piece: int) -> None:
    _, alice, bob = people()
    a, b = Phone(alice, kind=kind, piece=piece), Phone(bob, kind=kind, piece=piece)
    assert a.happened == [Connected(a.client.sn)]
    assert a.client.sn > 0
    there = a.send(bob, "hello")
    back = b.send(alice, "x" * 60_000)
    assert b.texts == ["hello"]
    assert a.texts == ["x" * 60_000]
    message = b.happened[-1]
    assert (message.mid, message.peer, message.sender) == (a.sent[there], alice.uid, alice.uid)
    assert b.sent[back]


def test_what_was_sent_while_away_comes_with_the_login() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    b.cut()
    for number in range(250):
        a.send(bob, str(number))
    b.connect()
    assert b.texts == [str(number) for number in range(250)]
    assert isinstance(b.happened[1], Disconnected)


def test_the_users_other_device_gets_the_message_under_the_same_peer() -> None:
    _, alice, bob = people()
    phone, laptop = Phone(alice, "phone"), Phone(alice, "laptop")
    phone.send(bob, "hello")
    assert (laptop.texts, laptop.happened[-1].peer, laptop.happened[-1].sender) == (["hello"], bob.uid, alice.uid)
    assert phone.texts == []


def test_typing_is_an_event_of_its_own() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    a.send(bob, outgoing.typing(bob.uid))
    a.send(bob, outgoing.typing(bob.uid, active=False))
    assert b.happened[1:] == [Typing(alice.uid, True), Typing(alice.uid, False)]


@pytest.mark.parametrize(
    ("make", "kind", "seen_by_peer", "seen_by_laptop"),
    [
        (outgoing.recall, MessageOperation.RECALL, True, True),
        (lambda peer, mid: outgoing.append(peer, mid, "!"), MessageOperation.APPEND, True, True),
        (lambda peer, mid: outgoing.replace(peer, mid, "new"), MessageOperation.REPLACE, True, True),
        (outgoing.delete, MessageOperation.DELETE, False, True),
        (outgoing.mark_unread, MessageOperation.READ_CANCEL, False, True),
    ],
    ids=["recall", "append", "replace", "delete", "mark unread"],
)
def test_operations_reach_whom_they_concern(make, kind: int, seen_by_peer: bool, seen_by_laptop: bool) -> None:
    _, alice, bob = people()
    phone, laptop, desk = Phone(alice, "phone"), Phone(alice, "laptop"), Phone(bob)
    mid = phone.take(bob, "hello")
    done = phone.send(bob, make(bob.uid, mid))
    assert phone.sent[done]
    for device, expected, peer in ((desk, seen_by_peer, alice.uid), (laptop, seen_by_laptop, bob.uid)):
        seen = [(e.kind, e.target, e.peer, e.sender) for e in device.happened if isinstance(e, Operation)]
        assert seen == ([(kind, mid, peer, alice.uid)] if expected else [])


def test_read_marks_reach_the_author_and_show_in_history() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    mid = a.take(bob, "hello")
    b.send(alice, outgoing.read_ack(alice.uid, mid))
    assert [(e.kind, e.target, e.peer) for e in a.happened if isinstance(e, Operation)] == [
        (MessageOperation.READ_ACK, mid, bob.uid)
    ]
    a.client.ask_history(bob.uid, 0, 20)
    a.settle()
    assert [(m.text, m.read) for m in a.pages[0].messages] == [("hello", True)]


def test_deleting_a_conversation_tells_the_other_device() -> None:
    _, alice, bob = people()
    phone, laptop = Phone(alice, "phone"), Phone(alice, "laptop")
    phone.send(bob, "hello")
    phone.send(bob, outgoing.delete_conversation(bob.uid))
    assert [e.ns for e in laptop.happened if isinstance(e, Notice)] == [Meta.CONVERSATION]


def test_history_comes_newest_first_and_in_the_order_asked() -> None:
    _, alice, bob = people()
    a = Phone(alice)
    for number in range(5):
        a.send(bob, str(number))
    a.cut()
    a.client.ask_history(bob.uid, 0, 2)  # asked without a connection: sent with the next login
    a.client.ask_history(alice.uid, 0, 2)
    a.connect()
    assert [(page.peer, [m.text for m in page.messages]) for page in a.pages] == [
        (bob.uid, ["4", "3"]),
        (alice.uid, []),
    ]
    a.client.ask_history(bob.uid, a.pages[0].next_key, 20)
    a.settle()
    assert [m.text for m in a.pages[2].messages] == ["2", "1", "0"]


def test_the_unread_list_is_told_to_whom_asked() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    a.send(bob, "hello")
    b.cut()
    b.client.ask_unread()
    b.connect()
    lists = [answer for answer in b.answers if isinstance(answer, UnreadList)]
    assert [answer.asked for answer in lists] == [False, True]
    assert [(c.peer, c.pending, c.is_group) for c in lists[1].conversations] == [(alice.uid, 0, False)]


# --- refusals ------------------------------------------------------------------------------------------------------


def test_a_refused_message_names_code_and_reason() -> None:
    _, alice, _ = people()
    a = Phone(alice)
    refused = a.client.send(outgoing.message(1, "to nobody"), a.simulation.now_ms)
    a.settle()
    assert a.rejected == {refused: (Status.INVALID_PARAMETER, "the recipient does not exist")}
    assert a.client.unanswered == 0


def test_a_refused_recall_is_found_although_the_server_does_not_name_it() -> None:
    sim, alice, bob = people()
    a = Phone(alice)
    old = a.take(bob, "old")
    sim.advance(600)
    new = a.take(bob, "new")
    text = a.send(bob, "between", run=False)
    good = a.send(bob, outgoing.recall(bob.uid, new), run=False)
    late = a.send(bob, outgoing.recall(bob.uid, old), run=False)
    a.settle()
    assert a.sent.keys() >= {text, good}
    assert a.rejected == {late: (Status.FAIL, "exceed recall time limit")}


def test_a_refusal_of_nothing_in_particular_is_an_event() -> None:
    _, alice, _ = people()
    a = Phone(alice)
    a.serve(frame.refusal(0, Status.PB_PARSER_ERROR, "not a frame"))
    assert a.happened[-1] == ServerError(Status.PB_PARSER_ERROR, "not a frame")


# --- losses --------------------------------------------------------------------------------------------------------


def test_a_lost_acknowledgement_sends_the_message_again_and_it_arrives_once() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    a.deaf = True
    client_mid = a.send(bob, "once")
    assert (b.texts, a.sent) == (["once"], {})
    a.cut()
    a.connect()
    assert b.texts == ["once"]
    assert a.sent == {client_mid: b.happened[-1].mid}


def test_a_lost_upload_is_sent_again_before_what_came_later() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    a.mute = True
    a.send(bob, "first")
    a.cut()
    a.send(bob, "second")
    a.connect()
    a.send(bob, "third")
    assert b.texts == ["first", "second", "third"]
    assert len(a.sent) == 3


def test_a_batch_whose_acknowledgement_was_lost_is_shown_once() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    b.mute = True
    a.send(bob, "hello")
    b.cut()
    a.send(bob, "again")
    b.connect()
    assert b.texts == ["hello", "again"]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_lost_everything_arrives_once_and_in_order(seed: int) -> None:
    dice = random.Random(seed)
    sim, alice, bob = people()
    phones = [Phone(alice, kind=XSYNC), Phone(bob, kind=SOCKETIO)]
    users = [alice, bob]
    said: list[list[str]] = [[], []]
    for step in range(120):
        who = dice.randrange(2)
        phone, other = phones[who], users[1 - who]
        move = dice.random()
        if move < 0.55:
            text = f"{who}:{step}"
            said[who].append(text)
            phone.send(other, text, run=dice.random() < 0.7)
        elif move < 0.65:
            phone.deaf = True
        elif move < 0.72:
            phone.mute = True
        elif move < 0.9:
            phone.cut()
            phone.connect()
        elif move < 0.95:
            sim.advance(dice.uniform(0.1, 3))
        else:
            # Power failure: what was acknowledged is flushed, the rest is sent again.
            index = dice.randrange(2)
            for each in phones:
                if each.user.shard.work.index == index:
                    each.session = None
                    each.client.lost("crash", sim.now)
            sim.crash(index)
            for each in phones:
                if each.user.shard.work.index == index:
                    each.connect()
    for phone in phones:
        phone.cut()
    for phone in phones:
        phone.connect()
    for _ in range(4):
        sim.advance(2)  # links resend
        for phone in phones:
            phone.settle()
    assert phones[1].texts == said[0]
    assert phones[0].texts == said[1]
    for who, phone in enumerate(phones):
        assert phone.client.unanswered == 0
        assert len(phone.sent) == len(said[who])
        assert max(Counter(phone.sent.values()).values(), default=1) == 1


# --- an application that does not keep up ----------------------------------------------------------------------------


def test_a_paused_client_stops_the_server_and_goes_on_where_it_was() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    b.client.pause()
    for number in range(500):
        a.send(bob, str(number))
    assert len(b.texts) <= limits.BATCH_METAS
    a.send(bob, outgoing.typing(bob.uid))
    assert not any(isinstance(event, Typing) for event in b.happened)
    b.client.resume()
    b.settle()
    assert b.texts == [str(number) for number in range(500)]
    a.send(bob, "live again")
    assert b.texts[-1] == "live again"


def test_a_client_that_reconnects_while_paused_loses_and_repeats_nothing() -> None:
    _, alice, bob = people()
    a, b = Phone(alice), Phone(bob)
    b.client.pause()
    a.send(bob, "1")
    a.send(bob, "2")
    b.cut()
    b.connect()
    assert b.texts == ["1"]
    b.client.resume()
    b.settle()
    assert b.texts == ["1", "2"]


def test_more_unanswered_messages_than_allowed_are_the_owners_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT_UNANSWERED", 2)
    _, alice, bob = people()
    a = Phone(alice, online=False)
    a.send(bob, "1", run=False)
    a.send(bob, "2", run=False)
    with pytest.raises(AssertionError):
        a.send(bob, "3", run=False)


# --- the end of a session --------------------------------------------------------------------------------------------


def test_the_same_device_again_ends_the_old_session() -> None:
    _, alice, bob = people()
    old = Phone(alice, "tab")
    new = Phone(alice, "tab")
    assert old.happened[-1] == Kicked(4)
    assert isinstance(old.client.error, LoggedOut)
    assert (old.client.error.kind, old.client.state) == (4, SessionState.ENDED)
    assert new.client.ready
    with pytest.raises(LoggedOut, match="KICK_BY_SAME_DEVICE"):
        old.send(bob, "too late")
    assert old.client.next_timer() is None


@pytest.mark.parametrize("kind", [1, 2, 3, 5, 10])
def test_a_notice_that_logs_out_ends_the_session(kind: int) -> None:
    _, alice, _ = people()
    a = Phone(alice)
    a.serve(frame.user_notice(99, alice.uid, 1, kind))
    assert isinstance(a.client.error, LoggedOut)


@pytest.mark.parametrize("kind", [6, 7, 8, 9, 13])
def test_a_notice_that_informs_is_an_event(kind: int) -> None:
    _, alice, _ = people()
    a = Phone(alice)
    a.serve(frame.user_notice(99, alice.uid, 1, kind))
    assert a.client.ready
    assert isinstance(a.happened[-1], Notice)


def test_leaving_says_good_bye() -> None:
    _, alice, bob = people()
    a = Phone(alice, kind=SOCKETIO)
    a.client.leave()
    assert a.client.data_to_send()[-len(goodbye(SOCKETIO, mask=True)) :] != b""
    with pytest.raises(Closed):
        a.send(bob, "gone")


# --- logins, over a wire of their own ------------------------------------------------------------------------------------


class Wire:
    """A client and hand-made server answers."""

    def __init__(self, kind: int = XSYNC, chance: float = 0.0) -> None:
        self.client = Session(kind, 4711, "token", "guid", chance=lambda: chance)
        self.now = 100.0
        self.server = Connection(kind)

    def connect(self) -> None:
        self.client.connect("im.example", self.now)
        head = parse_head(self.client.data_to_send())
        assert head is not None
        self.server = Connection(self.client.kind)
        self.client.receive(accept_upgrade(head) + self.server.opening(), self.now)

    def say(self, *frames: bytes) -> None:
        self.client.receive(b"".join(wrap(self.client.kind, data) for data in frames), self.now)

    def log_in(self) -> None:
        self.connect()
        self.say(frame.provision_ok(4711, 7))
        assert self.client.ready
        self.client.data_to_send()

    def sent(self) -> list[bytes]:
        """Frames the client has sent since the last time."""
        return self.server.receive(self.client.data_to_send())


@pytest.mark.parametrize("code", [Status.INVALID_TOKEN, Status.USER_BANNED, Status.TOO_MANY_DEVICES, Status.APP_FROZEN])
def test_a_login_refused_for_good_ends_the_session(code: int) -> None:
    wire = Wire()
    wire.connect()
    wire.say(frame.provision_refused(code, "no"))
    assert isinstance(wire.client.error, LoginRefused)
    assert (wire.client.error.code, wire.client.error.reason) == (code, "no")


@pytest.mark.parametrize("code", [Status.FAIL, Status.RATE_LIMIT_EXCEEDED])
def test_a_login_refused_for_now_is_tried_again(code: int) -> None:
    wire = Wire()
    wire.connect()
    wire.say(frame.provision_refused(code, "the shard restarts"))
    assert wire.client.broken == "login refused: the shard restarts"
    wire.client.lost(wire.client.broken, wire.now)
    assert not wire.client.due(wire.now)
    assert wire.client.due(wire.now + 1)
    wire.now += 1
    wire.log_in()


def test_the_serial_number_is_told_at_the_next_login() -> None:
    wire = Wire()
    wire.log_in()
    wire.client.lost("cut", wire.now)
    wire.connect()
    assert wire.sent() == [frame.provision(4711, "token", "guid", "lanying.client", 5, sn=7)]


def test_answers_in_the_same_read_as_the_upgrade_are_not_lost() -> None:
    client = Session(XSYNC, 1, "token", "guid")
    client.connect("im.example", 0.0)
    head = parse_head(client.data_to_send())
    assert head is not None
    client.receive(accept_upgrade(head) + wrap(XSYNC, frame.provision_ok(1, 7)), 0.0)
    assert client.ready


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", "upgrade refused: HTTP/1.1 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP response"),
        (
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
            "not to this",
        ),
    ],
    ids=["503", "not HTTP", "another handshake"],
)
def test_an_upgrade_that_fails_hangs_up(answer: bytes, reason: str) -> None:
    client = Session(XSYNC, 1, "token", "guid")
    client.connect("im.example", 0.0)
    client.receive(answer, 0.0)
    assert reason in client.broken


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [XSYNC, SOCKETIO])
def test_pings_and_heartbeats_keep_the_connection(kind: int) -> None:
    wire = Wire(kind)
    wire.log_in()
    beats = pings = 0
    for _ in range(10):
        timer = wire.client.next_timer()
        assert timer is not None
        wire.now = timer
        wire.client.timeout(wire.now)
        frames = wire.sent()
        beats += frames.count(frame.unread_request())
        if pong := wire.server.take_replies():
            pings += 1
            wire.client.receive(pong, wire.now)
    assert wire.now <= 100 + 10 * 25
    assert pings >= 6
    assert beats == (wire.now - 100) // limits.HEARTBEAT_S


def test_a_silent_server_is_given_up() -> None:
    wire = Wire()
    wire.log_in()
    while not wire.client.broken:
        timer = wire.client.next_timer()
        assert timer is not None
        wire.now = timer
        wire.client.timeout(wire.now)
    assert wire.client.broken == "the server does not answer"
    assert wire.now == 100 + limits.PING_INTERVAL_MS / 1000 + limits.CLIENT_PONG_TIMEOUT_S


def test_a_login_without_an_answer_is_given_up() -> None:
    wire = Wire()
    wire.connect()
    assert wire.client.next_timer() == 100 + limits.CLIENT_LOGIN_TIMEOUT_S
    wire.client.timeout(100 + limits.CLIENT_LOGIN_TIMEOUT_S)
    assert wire.client.broken


@pytest.mark.parametrize("chance", [0.0, 0.999])
def test_the_backoff_doubles_up_to_its_limit_and_starts_over_after_a_stable_connection(chance: float) -> None:
    wire = Wire(chance=chance)
    waits = []
    for _ in range(12):
        wire.connect()
        wire.client.lost("cut", wire.now)
        timer = wire.client.next_timer()
        assert timer is not None
        waits.append(timer - wire.now)
        wire.now = timer
    share = 0.5 + chance / 2
    expected = [min(limits.CLIENT_BACKOFF_FIRST_S * 2**n, limits.CLIENT_BACKOFF_MAX_S) * share for n in range(12)]
    assert waits == pytest.approx(expected)
    wire.log_in()
    wire.now += limits.CLIENT_STABLE_S
    wire.client.lost("cut", wire.now)
    timer = wire.client.next_timer()
    assert timer is not None
    assert timer - wire.now == pytest.approx(expected[0])


def test_client_ids_increase_when_the_clock_does_not() -> None:
    client = Session(XSYNC, 1, "token", "guid")
    ids = [client.send(outgoing.message(2, "x"), now_ms) for now_ms in (1000, 1000, 900, 2000, 2000)]
    assert ids == [1000, 1001, 1002, 2000, 2001]


# --- bad input ---------------------------------------------------------------------------------------------------------


def _reads_on_or_hangs_up(wire: Wire) -> bool:
    """It is online, or has said why not and logs in again (unless it was logged out). Is it online?"""
    client = wire.client
    if client.error is not None:
        assert isinstance(client.error, LoggedOut), "nothing else ends a session that is online"
        return False
    online = not client.broken
    assert client.ready, "what is broken is said, and the owner drops the socket"
    assert (client.next_timer() is not None) == online
    if not online:
        client.data_to_send()
        client.lost(client.broken, wire.now)
        wire.now = client.next_timer() or 0.0
        assert client.due(wire.now)
        wire.log_in()
    return online


@given(data=st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_after_the_upgrade_are_read_or_hang_up(data: list[bytes]) -> None:
    wire = Wire()
    wire.log_in()
    for piece in data:
        wire.client.receive(piece, wire.now)
    _reads_on_or_hangs_up(wire)


@given(
    payloads=st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=200)), max_size=6),
    kind=st.sampled_from([XSYNC, SOCKETIO]),
)
def test_any_payload_of_any_frame_is_read_or_hangs_up(payloads: list[tuple[int, bytes]], kind: int) -> None:
    wire = Wire(kind)
    wire.log_in()
    wire.client.ask_history(1, 0, 20)
    for command, payload in payloads:
        wire.say(b"\x18" + bytes([command]) + b"\x22" + frame.varint(len(payload)) + payload)
    if _reads_on_or_hangs_up(wire):
        body = MessageBody(type=MessageBody.CHAT, content="still there").SerializeToString()
        wire.say(frame.batch(9, [frame.meta(1 << 52, 9, 1, 4711, 0, Meta.MESSAGE, body)], 1))
        assert "still there" in [event.text for event in wire.client.take() if isinstance(event, Message)]
