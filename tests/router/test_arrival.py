"""One connection before its login: bytes in, actions out, whole and byte by byte."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.errors import UnexpectedEvent
from lanying.base.peers import Proxies
from lanying.bus.handoff.records import Visitor
from lanying.protocol import frame as frames
from lanying.protocol.connection import SOCKETIO, XSYNC, Connection, wrap_client
from lanying.protocol.handshake import check_upgrade_response, client_path, new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import Frame, Provision, Status, SyncDL
from lanying.protocol.websocket import BINARY, PING, TEXT, encode_frame
from lanying.router.arrival import (
    CLOSED,
    HANDED,
    HEAD,
    LOGIN,
    RETRY_IDLE_S,
    TRANSITIONS,
    VISITING,
    Action,
    Arrival,
    ArrivalEvent,
    Close,
    LoginRefusal,
    ToGateway,
    ToShard,
    Write,
)
from tests.router.test_login import DOORKEEPER, UID, token

NOW = 1000.0
KINDS = [SOCKETIO, XSYNC]


class Client:
    """The other side of an :class:`Arrival`: sends bytes, keeps the actions, reads what was written to it.

    :ivar step: bytes per read, 0 for all at once
    """

    def __init__(self, kind: int = SOCKETIO, step: int = 0) -> None:
        self.arrival = Arrival(DOORKEEPER, "192.0.2.1", NOW)
        self.kind = kind
        self.step = step
        self.key = new_key()
        self.actions: list[Action] = []
        self.unsent = b""
        self.frames: list[tuple[int, bytes]] = []
        self._raw = b""
        self._connection: Connection | None = None

    def send(self, data: bytes, now: float = NOW) -> None:
        """What does not fit before a hand-off stays in the kernel: ``unsent``."""
        step = self.step or limits.READ_BYTES
        while data and self.arrival.state in (HEAD, LOGIN):
            self.perform(self.arrival.receive(data[:step], now))
            data = data[step:]
        self.unsent += data

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Write):
                self._read(action.data)
            else:
                self.actions.append(action)

    def _read(self, data: bytes) -> None:
        if self._connection is None:
            self._raw += data
            size = check_upgrade_response(self._raw, self.key) if self._raw.startswith(b"HTTP/1.1 101") else None
            if size is None:
                return
            self._connection = Connection(self.kind, "client")
            data = self._raw[size:]
        self._connection.feed(data)
        while (found := self._connection.next_frame()) is not None:
            self.frames.append(frames.parse_frame(found))

    @property
    def opened(self) -> bool:
        return self._connection is not None and self._connection.opened

    @property
    def closed_with(self) -> int:
        """Close code of the server's close frame."""
        assert self._connection is not None
        return self._connection.close_code

    @property
    def text(self) -> bytes:
        """What was written when it was not an upgrade."""
        return self._raw

    def head(self) -> bytes:
        return upgrade_request("im.example:8480", client_path(self.kind), self.key)

    def frame(self, frame: bytes) -> bytes:
        return wrap_client(self.kind, frame)

    def login(self, good: bool = True) -> bytes:
        return self.frame(frames.provision(UID, token(expires=0 if good else 1_700_000_000), "guid", "Web"))

    def statuses(self) -> list[tuple[int, int, str]]:
        """Command, code and reason of every answer."""
        found = []
        for command, payload in self.frames:
            status = (Provision if command == frames.PROVISION else SyncDL).FromString(payload).status
            found.append((command, status.code, status.reason))
        return found

    def handed(self) -> ToShard:
        """The only hand-off so far."""
        [action] = [action for action in self.actions if isinstance(action, ToShard)]
        return action


EXPIRED = (frames.PROVISION, Status.INVALID_TOKEN, "token expired")
FIRST = (frames.SYNC, Status.UNAUTHORIZED, "you must login first")


@pytest.fixture(params=[0, 1], ids=["whole", "byte by byte"])
def step(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_upgrade_login_hand_off(kind: int, step: int) -> None:
    client = Client(kind, step)
    client.send(client.head())
    assert client.opened
    assert client.actions == []
    client.send(client.login())
    handed = client.handed()
    assert (handed.login.uid, handed.login.kind, handed.login.address) == (UID, kind, "192.0.2.1")
    assert handed.login.leftover == b""
    assert client.arrival.state is HANDED


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_the_login_is_never_lost(kind: int, step: int) -> None:
    client = Client(kind, step)
    behind = client.frame(frames.unread_request()) + client.frame(frames.sync_pull(7, 8)) + b"\x82"
    client.send(client.head() + client.login() + behind)
    assert client.opened
    assert client.handed().login.leftover + client.unsent == behind


def test_pings_are_answered_before_the_login() -> None:
    client = Client()
    client.send(client.head())
    [action] = client.arrival.receive(encode_frame(TEXT, b"2probe", True), NOW)
    assert action == Write(encode_frame(TEXT, b"3probe"))
    actions = client.arrival.receive(encode_frame(PING, b"x", True) + client.login(), NOW)
    assert isinstance(actions[0], Write)
    assert isinstance(actions[1], ToShard)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_login_may_try_again(kind: int, step: int) -> None:
    client = Client(kind, step)
    client.send(client.head() + client.login(good=False) + client.frame(frames.unread_request()), NOW + 3)
    assert client.statuses() == [EXPIRED]
    assert client.actions == [LoginRefusal(UID, Status.INVALID_TOKEN, "token expired")]
    assert client.arrival.deadline == NOW + 3 + limits.LOGIN_REFUSED_IDLE_S
    client.send(client.login(), NOW + 20)
    assert client.handed().login.uid == UID


def test_only_another_login_moves_the_deadline() -> None:
    client = Client()
    client.send(client.head() + client.login(good=False), NOW)
    client.send(encode_frame(TEXT, b"2", True) + client.frame(frames.unread_request()), NOW + 20)
    client.send(client.frame(frames.sync_pull(7)), NOW + 20)
    assert client.arrival.deadline == NOW + limits.LOGIN_REFUSED_IDLE_S
    client.perform(client.arrival.timed_out())
    assert client.actions[-1] == Close("deadline")
    assert client.closed_with == 1008


@pytest.mark.parametrize("kind", KINDS)
def test_frames_before_a_login(kind: int, step: int) -> None:
    client = Client(kind, step)
    message = frames.send_meta(1_732_000_000_000, UID, 1, 9, 0, 1, b"")
    client.send(client.head() + client.frame(frames.unread_request()) + client.frame(frames.sync_pull(7)))
    client.send(client.frame(message) + client.frame(b"\xff\xff") + client.frame(b"\x18\x63"))
    assert client.statuses() == [FIRST, FIRST, (frames.SYNC, Status.PB_PARSER_ERROR, "not a frame")]
    assert SyncDL.FromString(client.frames[0][1]).HasField("xid")
    assert SyncDL.FromString(client.frames[1][1]).client_mid == 1_732_000_000_000


def test_a_refusal_of_the_shard_is_passed_on_and_what_waited_is_answered() -> None:
    client = Client()
    client.send(client.head() + client.login() + client.frame(frames.sync_pull(7)) + client.login(good=False))
    client.actions.clear()
    client.perform(client.arrival.refused(Status.USER_BANNED, "banned", NOW + 1))
    assert client.statuses() == [(frames.PROVISION, Status.USER_BANNED, "banned"), FIRST, EXPIRED]
    assert client.actions == [
        LoginRefusal(UID, Status.USER_BANNED, "banned"),
        LoginRefusal(UID, Status.INVALID_TOKEN, "token expired"),
    ]
    assert client.arrival.state is LOGIN


def test_a_second_login_waits_in_the_leftover() -> None:
    client = Client()
    client.send(client.head() + client.login() + client.login())
    client.actions.clear()
    client.perform(client.arrival.refused(Status.FAIL, "shard restarting", NOW, RETRY_IDLE_S))
    assert client.handed().login.leftover == b""
    client.perform(client.arrival.refused(Status.FAIL, "shard restarting", NOW + 1, RETRY_IDLE_S))
    assert client.arrival.deadline == NOW + 1 + RETRY_IDLE_S


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /app.js?v=1 HTTP/1.0\r\n\r\n",
        b'POST /token/user HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"a": 1}\n',
        b"OPTIONS /x HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_http_goes_to_the_gateway_with_every_byte(request_bytes: bytes, step: int) -> None:
    client = Client(step=step)
    client.send(request_bytes)
    [action] = client.actions
    assert isinstance(action, ToGateway)
    assert action.visitor.address == "192.0.2.1"
    assert action.visitor.first_bytes + client.unsent == request_bytes
    assert client.text == b""


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("line", ["GET /trust", "HEAD /trust/lanying.crt", "GET /trust?x=1", "GET //trust/"])
def test_who_comes_to_the_port_for_tls_without_any_gets_one_page(line: str, step: int) -> None:
    """What would follow it is no more read, and the answer is the last: passwords belong into TLS."""
    client = Client(step=step)
    client.arrival = Arrival(DOORKEEPER, "192.0.2.1", NOW, only_trust=True)
    head = f"{line} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n".encode()
    client.send(head + b"POST /token/user HTTP/1.1\r\n\r\n")
    [action] = client.actions
    assert isinstance(action, ToGateway)
    first = action.visitor.first_bytes
    assert first.startswith(f"{line} HTTP/1.1\r\nConnection: close\r\n".encode())
    assert first.endswith(b"\r\n\r\n") and b"/token/user" not in first
    assert not action.visitor.secure


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    "first",
    [
        b"GET /trust HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /trusted HTTP/1.1\r\n\r\n",
        b"GET /admin HTTP/1.1\r\n\r\n",
        b"POST /token/user HTTP/1.1\r\nContent-Length: 2\r\n\r\n",
        b"POST /trust HTTP/1.1\r\nContent-Length: 2\r\n\r\n",
        upgrade_request("im.example", client_path(SOCKETIO), new_key()),
    ],
)
def test_there_is_nothing_else_without_tls(first: bytes, step: int) -> None:
    client = Client(step=step)
    client.arrival = Arrival(DOORKEEPER, "192.0.2.1", NOW, only_trust=True)
    client.send(first)
    assert client.actions == [Close("garbage")]
    assert client.text.startswith(b"HTTP/1.1 400") and b"https://" in client.text


def test_an_upload_goes_to_the_gateway_with_its_request_line() -> None:
    client = Client()
    client.send(b"PUT /file HTTP/1.1\r\n")
    assert client.actions == [ToGateway(Visitor("192.0.2.1", b"PUT /file HTTP/1.1\r\n"))]


def test_a_gateway_that_is_down() -> None:
    client = Client()
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    client.perform(client.arrival.refused(Status.FAIL, "shard restarting", NOW))
    head, _, body = client.text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert msgspec.json.decode(body)["code"] == 503
    assert client.actions[-1] == Close("gateway")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nbroken\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (b"GET /" + bytes(range(97, 123)) * 700, b"431"),
        (b"GET /elsewhere HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"404"),
        (b"GET /xsync HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
        (b"GET /socket.io/?EIO=3&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"400"),
    ],
)
def test_garbage_is_answered_and_closed(data: bytes, status: bytes, step: int) -> None:
    client = Client(step=step)
    client.send(data)
    assert client.text.split(b" ")[1] == status
    assert client.actions == [Close("garbage")]


def test_deadline_of_a_silent_a_slow_and_an_upgraded_connection() -> None:
    silent, slow, upgraded = Client(), Client(), Client()
    assert silent.arrival.deadline == NOW + limits.LOGIN_TIMEOUT_S
    slow.send(b"GET / HT", NOW + 9)
    upgraded.send(upgraded.head(), NOW + 9)
    for client in (silent, slow, upgraded):
        assert client.arrival.deadline == NOW + limits.LOGIN_TIMEOUT_S  # nothing but a login moves it
        client.perform(client.arrival.timed_out())
        assert client.actions == [Close("deadline")]
    assert silent.text == b""
    assert slow.text.startswith(b"HTTP/1.1 408 ")
    assert upgraded.closed_with == 1008


@pytest.mark.parametrize("farewell", [b"41", b"1"])
def test_good_bye_before_the_login(farewell: bytes) -> None:
    client = Client()
    client.send(client.head() + encode_frame(TEXT, farewell, True))
    assert client.actions == [Close("left")]


def test_violations_are_answered_with_their_close_code() -> None:
    client = Client()
    client.send(client.head() + client.frame(frames.sync_pull(7)) + encode_frame(BINARY, b"unmasked"))
    assert client.statuses() == [FIRST]
    assert client.closed_with == 1002
    assert client.actions == [Close("violation")]


def test_a_message_no_login_can_have_is_refused_by_its_length() -> None:
    client = Client(XSYNC)
    client.send(client.head() + b"\x82\xff" + (limits.LOGIN_BYTES + 1).to_bytes(8, "big") + b"mask")
    assert client.closed_with == 1009
    assert client.actions == [Close("violation")]


def test_too_much_before_a_login() -> None:
    client = Client()
    client.send(client.head())
    client.send(encode_frame(TEXT, b"2", True) * 4000)
    assert client.actions == [Close("flood")]
    assert client.closed_with == 1009
    assert client.arrival.received <= limits.LOGIN_BYTES + limits.READ_BYTES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["refused login", "unread", "pull", "garbage", "deep JSON"])
def test_a_connection_may_send_a_login_and_five_more_frames(kind: int, what: str) -> None:
    client = Client(kind)
    frame = {
        "refused login": client.login(good=False),
        "unread": client.frame(frames.unread_request()),
        "pull": client.frame(frames.sync_pull(7)),
        "garbage": client.frame(b"\xff\xff"),
        "deep JSON": client.frame(
            frames.provision(UID, "a." + urlsafe_b64encode(b"[" * 1500).decode() + ".c", "g", "Web")
        ),
    }[what]
    client.send(client.head() + frame * limits.LOGIN_FRAMES)
    assert client.arrival.state is LOGIN
    client.send(frame, NOW + 1)
    assert client.actions[-1] == Close("flood")
    assert client.closed_with == 1008


def test_frames_are_not_inflated_for_strangers() -> None:
    client = Client()
    bomb = Frame(
        command=frames.SYNC, compress_method=Frame.ZLIB, payload=zlib.compress(bytes(250_000))
    ).SerializeToString()
    client.send(client.head() + client.frame(bomb))
    assert client.statuses() == [(frames.SYNC, Status.PB_PARSER_ERROR, "frames up to the login are sent plain")]


def test_nothing_keeps_a_connection_in_the_router_for_more_than_a_minute() -> None:
    client = Client()
    client.send(client.head())
    for second in range(0, 60, 15):
        client.send(client.login(good=False), NOW + second)
    assert client.arrival.deadline == NOW + limits.ARRIVAL_S
    client.send(client.login(), NOW + 50)
    client.perform(client.arrival.refused(Status.FAIL, "no", NOW + 55))
    assert client.arrival.deadline == NOW + limits.ARRIVAL_S


def test_who_is_displaced_is_told() -> None:
    head, login = Client(), Client()
    login.send(login.head())
    for client in (head, login):
        client.perform(client.arrival.displaced())
        assert client.actions == [Close("displaced")]
    assert head.text.startswith(b"HTTP/1.1 503 ")
    assert login.closed_with == 1013


def test_an_upgrade_at_the_bare_address_is_xsync() -> None:
    client = Client(XSYNC)
    client.send(upgrade_request("im.example", "/", client.key) + client.login())
    assert client.handed().login.kind == XSYNC
    other = Client(XSYNC)
    other.send(upgrade_request("im.example", "/", other.key, {"Sec-WebSocket-Protocol": "mqtt"}))
    assert other.text.startswith(b"HTTP/1.1 404 ")
    doubled = Client(SOCKETIO)
    doubled.send(upgrade_request("im.example", "//socket.io//?EIO=3&transport=websocket", doubled.key))
    assert doubled.opened


# --- behind a proxy --------------------------------------------------------------------------------------------

TRUSTED = Proxies(["192.0.2.0/24"])
PROXY = b"\r\n\r\n\x00\r\nQUIT\n"
TCP4 = PROXY + b"\x21\x11" + (12).to_bytes(2, "big") + bytes([203, 0, 113, 9, 192, 0, 2, 1]) + b"\x10\x00\x20\x00"
TLS = PROXY + b"\x21\x11" + (20).to_bytes(2, "big") + TCP4[16:] + b"\x20\x00\x05\x01\x00\x00\x00\x00"
LOCAL = PROXY + b"\x20\x00\x00\x00"


def behind(proxies: Proxies, step: int = 0) -> Client:
    client = Client(step=step)
    client.arrival = Arrival(DOORKEEPER, "192.0.2.1", NOW, proxies)
    return client


def test_a_trusted_proxy_names_the_client_of_an_upgrade(step: int) -> None:
    for proxies, address in ((TRUSTED, "203.0.113.9"), (Proxies(), "192.0.2.1")):
        client = behind(proxies, step)
        header = {"X-Forwarded-For": "8.8.8.8, 203.0.113.9"}
        client.send(upgrade_request("im.example", client_path(SOCKETIO), client.key, header) + client.login())
        assert client.handed().login.address == address


@pytest.mark.parametrize(("header", "address"), [(TCP4, "203.0.113.9"), (TLS, "203.0.113.9"), (LOCAL, "192.0.2.1")])
def test_a_proxy_header_names_the_client(header: bytes, address: str, step: int) -> None:
    client = behind(TRUSTED, step)
    client.send(header + client.head() + client.login())
    assert client.handed().login.address == address
    visitor = behind(TRUSTED, step)
    visitor.send(header + b"GET /x HTTP/1.1\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n")
    [action] = visitor.actions
    assert isinstance(action, ToGateway)
    assert (action.visitor.address, action.visitor.secure) == (address, header is TLS)
    assert (action.visitor.first_bytes + visitor.unsent).startswith(b"GET /x ")


@pytest.mark.parametrize(
    "header", [TCP4, PROXY + b"\x11\x11\x00\x00", PROXY + b"\x21\x11\xff\xff", PROXY + b"\x21\x11\x00\x01a"]
)
def test_a_proxy_header_of_a_stranger_or_a_broken_one_is_garbage(header: bytes, step: int) -> None:
    client = behind(Proxies() if header is TCP4 else TRUSTED, step)
    client.send(header + b"GET / HTTP/1.1\r\n\r\n")
    assert client.text.startswith(b"HTTP/1.1 400 ")
    assert client.actions == [Close("garbage")]


def test_drain() -> None:
    client = Client()
    client.send(client.head())
    client.perform(client.arrival.drain())
    assert client.closed_with == 1001
    assert client.actions == [Close("drain")]


# --- any bytes -------------------------------------------------------------------------------------------------

_client = Client()
PIECES = st.sampled_from(
    [
        _client.head(),
        _client.login(),
        _client.login(good=False),
        _client.frame(frames.sync_pull(7)),
        _client.frame(frames.unread_request()),
        b"GET / HTTP/1.1\r\n",
        b"\r\n",
        encode_frame(TEXT, b"2", True),
        b"\x82\xff\x00",
        bytes(5000),
        b"A" * 8000,
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    prefix=st.sampled_from([b"", _client.head()]),
    pieces=st.lists(st.one_of(PIECES, st.binary(max_size=200)), max_size=30),
    cuts=st.lists(st.integers(1, limits.READ_BYTES), min_size=1, max_size=10),
)
def test_any_bytes_give_actions_and_a_bounded_buffer(prefix: bytes, pieces: list[bytes], cuts: list[int]) -> None:
    arrival = Arrival(DOORKEEPER, "192.0.2.1", NOW)
    data, turn = prefix + b"".join(pieces), 0
    while data:
        size = cuts[turn % len(cuts)]
        turn += 1
        actions = arrival.receive(data[:size], NOW)
        data = data[size:]
        ends = [action for action in actions if isinstance(action, Close | ToShard | ToGateway)]
        assert len(ends) <= 1
        assert not ends or actions[-1] is ends[0]
        assert arrival.received <= max(limits.LOGIN_BYTES, limits.MAX_HTTP_HEAD_BYTES) + limits.READ_BYTES
        if isinstance(actions[-1] if actions else None, ToShard):
            assert arrival.state is HANDED
            arrival.refused(Status.FAIL, "no", NOW)
        if arrival.state not in (HEAD, LOGIN):
            break
    if arrival.state in (HEAD, LOGIN):
        assert arrival.timed_out()[-1] == Close("deadline")


def _in_state(state: object) -> Arrival:
    client = Client()
    if state in (LOGIN, HANDED):
        client.send(client.head())
    if state is HANDED:
        client.send(client.login())
    if state is VISITING:
        client.send(b"POST / HTTP/1.1\r\n\r\n")
    if state is CLOSED:
        client.perform(client.arrival.drain())
    assert client.arrival.state is state
    return client.arrival


CALLS = {
    ArrivalEvent.BYTES: lambda arrival: arrival.receive(b"", NOW),
    ArrivalEvent.REFUSED: lambda arrival: arrival.refused(Status.FAIL, "no", NOW),
    ArrivalEvent.DEADLINE: lambda arrival: arrival.timed_out(),
    ArrivalEvent.DISPLACED: lambda arrival: arrival.displaced(),
    ArrivalEvent.DRAIN: lambda arrival: arrival.drain(),
}
STATES = (HEAD, LOGIN, HANDED, VISITING, CLOSED)


@pytest.mark.parametrize("event", CALLS, ids=lambda event: event.name)
@pytest.mark.parametrize("state", STATES, ids=repr)
def test_what_the_listener_may_do_in_a_state_is_in_the_table(state, event) -> None:
    arrival = _in_state(state)
    if (state, event) not in TRANSITIONS:
        with pytest.raises(UnexpectedEvent, match=f"{event.name} in state {state.name}"):
            CALLS[event](arrival)
        assert arrival.state is state
        return
    actions = CALLS[event](arrival)
    why, then = TRANSITIONS[state, event]
    assert arrival.state is then
    assert [action.why for action in actions if isinstance(action, Close)] == ([why] if why else [])


def test_no_state_but_the_last_is_a_dead_end_and_every_state_can_be_reached() -> None:
    assert {state for state, _ in TRANSITIONS} == set(STATES) - {CLOSED}
    assert {then for _, then in TRANSITIONS.values()} == set(STATES)
