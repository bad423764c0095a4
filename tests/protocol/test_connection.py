"""The two framings: what the web SDK sends, what it may send, what nobody may send, and both ends against each other."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base.errors import ProtocolError
from lanying.protocol import connection, frame
from lanying.protocol.connection import (
    SOCKETIO,
    XSYNC,
    Connection,
    goodbye,
    wrap,
    wrap_client,
    wrap_socketio,
    wrap_xsync,
)
from lanying.protocol.websocket import BINARY, CLOSE, PING, PONG, TEXT, Role, WebSocket, close_frame, encode_frame

HEADER = '451-["frame",{"_placeholder":true,"num":0}]'
UNREAD = frame.unread_request()
KINDS = [SOCKETIO, XSYNC]


def text(content: str | bytes) -> bytes:
    return encode_frame(TEXT, content.encode() if isinstance(content, str) else content, True)


def binary(content: bytes) -> bytes:
    return encode_frame(BINARY, content, True)


ATTACHED = binary(b"\x04" + UNREAD)
SENT = text(HEADER) + ATTACHED


def messages(wire: bytes, role: Role = "client") -> list[tuple[int, bytes]]:
    socket = WebSocket(role, 1 << 24)
    socket.feed(wire)
    return list(iter(socket.next_message, None))  # type: ignore[arg-type]


def receive_both_ways(wire: bytes, kind: int = SOCKETIO) -> tuple[list[bytes], Connection]:
    """Frames of ``wire``, fed whole and in pieces of several sizes with the same outcome."""
    whole = Connection(kind)
    frames = whole.receive(wire)
    replies = whole.take_replies()
    for size in (1, 2, 3, 7, 50):
        pieces = Connection(kind)
        assert [f for at in range(0, len(wire), size) for f in pieces.receive(wire[at : at + size])] == frames
        assert (pieces.left, pieces.closed, pieces.close_code) == (whole.left, whole.closed, whole.close_code)
        assert pieces.take_replies() == replies
    whole.replies = replies
    return frames, whole


# --- server, Socket.IO -----------------------------------------------------------------------------------------


def test_opening_of_socketio() -> None:
    opened, connected = messages(Connection(SOCKETIO).opening())
    assert opened[0] == TEXT and opened[1][:1] == b"0"
    fields = json.loads(opened[1][1:])
    assert len(fields.pop("sid")) == 20
    assert fields == {"upgrades": [], "pingInterval": 25000, "pingTimeout": 5000}
    assert connected == (TEXT, b"40")
    assert Connection(SOCKETIO).opening() != Connection(SOCKETIO).opening(), "a sid for each"


def test_opening_of_xsync() -> None:
    assert Connection(XSYNC).opening() == b""


@pytest.mark.parametrize("size", [0, 1, 120, 123, 124, 125, 126, 5000, 65534, 65535, 70000])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_every_size(kind: int, size: int) -> None:
    content = bytes(i & 255 for i in range(size))
    wire = wrap_client(kind, content)
    assert Connection(kind).receive(wire * 3) == [content] * 3
    assert Connection(kind).receive(wire_with_key(kind, content)) == [content]
    slow = Connection(kind)
    slow.feed(wire)
    assert slow.next_frame() == content and slow.next_frame() is None


def wire_with_key(kind: int, content: bytes) -> bytes:
    return wrap_client(kind, content, b"\x01\x02\x03\x04")


@pytest.mark.parametrize(
    "header",
    [
        '451-["frame", {"_placeholder": true, "num": 0}]',
        '451-["frame",{"num":0,"_placeholder":true}]',
        '451-/,["frame",{"_placeholder":true,"num":0}]',
        '451-/?token=x,["frame",{"_placeholder":true,"num":0}]',
        '451-17["frame",{"_placeholder":true,"num":0}]',
        '451-/,17["frame",{"_placeholder":true,"num":0},{"more":1}]',
        ' 451-["frame",{"_placeholder":true,"num":0}]'.strip(),
    ],
)
def test_header_variants(header: str) -> None:
    frames, end = receive_both_ways((text(header) + ATTACHED) * 2)
    assert frames == [UNREAD, UNREAD] and not end.left and not end.replies


def test_another_attachment_than_the_first() -> None:
    wire = text('453-["frame",{"_placeholder":true,"num":1}]') + binary(b"\x04a") + ATTACHED + binary(b"\x04c")
    assert receive_both_ways(wire + SENT)[0] == [UNREAD, UNREAD]


@pytest.mark.parametrize(
    "event",
    ['42["frame",[8,0,16,0,24,0]]', '42/,["frame", [8, 0,16,0,24,0]]', '4212["frame",[8,0,16,0,24,0]]',
     '450-["frame",[8,0,16,0,24,0]]'],
)  # fmt: skip
def test_frame_as_numbers(event: str) -> None:
    assert receive_both_ways(text(event) + SENT)[0] == [UNREAD, UNREAD]


@pytest.mark.parametrize(
    "ignored",
    [
        text('42["other",1]'), text('42["other"]'), text("42[7]"), text('42/chat,["frame",[1]]'),
        text('451-["other",{"_placeholder":true,"num":0}]') + binary(b"\x04x"),
        text('452-["other",{"_placeholder":true,"num":0}]') + binary(b"\x04x") + binary(b"\x04"),
        text('451-/chat,["frame",{"_placeholder":true,"num":0}]') + binary(b"\x04x"),
        text("461-5[{\"_placeholder\":true,\"num\":0}]") + binary(b"\x04x"),
        text("435[1]"), text('44"error"'), text("40"), text("40/chat"), text("41/chat"), text("49"),
        text("3"), text("5"), text("6"), text("9"), text(""), text("0{}"),
        encode_frame(PONG, b"", True), text(HEADER) + text("3") + ATTACHED[:0] + binary(b"\x04") ,
    ],
)  # fmt: skip
def test_what_is_ignored(ignored: bytes) -> None:
    frames, end = receive_both_ways(SENT + ignored + SENT)
    assert [f for f in frames if f] == [UNREAD, UNREAD]
    assert not end.left and not end.replies


@pytest.mark.parametrize(
    "broken",
    [
        text('42["frame"]'), text('42["frame",5]'), text('42["frame","x"]'), text('42["frame",[256]]'),
        text('42["frame",[-1]]'), text('42["frame",[1.5]]'), text('42["frame",[[1]]]'), text('42["frame",[null]]'),
        text('42["frame",{"_placeholder":true,"num":0}]'), text('451-["frame",{"_placeholder":true,"num":1}]'),
        text('451-["frame",{"_placeholder":true,"num":-1}]'), text('451-["frame",{"_placeholder":true,"num":true}]'),
        text('451-["frame",{"_placeholder":true}]'), text('451-["frame",{"num":0}]'), text('45["frame",[1]]'),
        text("42"), text("42{}"), text("42[]"), text('42["frame",[1]'), text('42["frame",[1]] x'), text("4"), text("4x"),
        text("42" + "[" * 100_000), text("42" + "[" * 2000 + "]" * 2000), text('4599999-["x"]'), text('4517-["x"]'),
        ATTACHED, text(HEADER) + binary(b"\x03x"), text(HEADER) + binary(b""), text(HEADER) + text(HEADER),
        text(HEADER) + text('42["other"]'), binary(b""), text('451-["other",1]') + text("40"),
    ],
)  # fmt: skip
def test_violations_of_socketio(broken: bytes) -> None:
    end = Connection(SOCKETIO)
    assert end.receive(SENT) == [UNREAD]
    with pytest.raises(ProtocolError) as caught:
        end.receive(broken)
    assert caught.value.close_code == 1002
    assert end.left and end.unread == b"" and end.receive(SENT) == []


def test_pings_are_answered() -> None:
    wire = text("2") + SENT + text("2probe") + encode_frame(PING, b"hi", True)
    frames, end = receive_both_ways(wire)
    assert frames == [UNREAD]
    assert end.take_replies() == encode_frame(TEXT, b"3") + encode_frame(TEXT, b"3probe") + encode_frame(PONG, b"hi")
    assert end.take_replies() == b""


def test_a_ping_between_header_and_attachment() -> None:
    frames, end = receive_both_ways(text(HEADER) + text("2") + encode_frame(PING, b"", True) + ATTACHED)
    assert frames == [UNREAD]
    assert messages(bytes(end.replies)) == [(TEXT, b"3")]


@pytest.mark.parametrize(("farewell", "code"), [(text("41"), 0), (text("41/,"), 0), (text("41/"), 0), (text("1"), 0),
                         (close_frame(1001, "", True), 1001)])  # fmt: skip
def test_leaving(farewell: bytes, code: int) -> None:
    frames, end = receive_both_ways(SENT + farewell + SENT + text("2"))
    assert frames == [UNREAD] and end.left and end.close_code == code
    assert bytes(end.replies) == (encode_frame(CLOSE, code.to_bytes(2, "big")) if code else b"")


# --- server, bare XSync ----------------------------------------------------------------------------------------


def test_xsync_frames() -> None:
    frames, end = receive_both_ways(binary(UNREAD) + encode_frame(PING, b"", True) + binary(b"x" * 300), XSYNC)
    assert frames == [UNREAD, b"x" * 300]
    assert end.take_replies() == encode_frame(PONG, b"")


def test_xsync_has_no_text() -> None:
    with pytest.raises(ProtocolError) as caught:
        Connection(XSYNC).receive(text("2"))
    assert caught.value.close_code == 1003


@pytest.mark.parametrize("kind", KINDS)
def test_fragmented_frames(kind: int) -> None:
    payload = b"\x04" * (kind == SOCKETIO) + UNREAD
    pieces = [payload[:3], payload[3:5], payload[5:]]
    wire = text(HEADER) if kind == SOCKETIO else b""
    for i, piece in enumerate(pieces):
        masked = encode_frame(0 if i else BINARY, piece, True)
        wire += bytes([masked[0] & 0x7F if i < 2 else masked[0]]) + masked[1:]
    assert receive_both_ways(wire + wrap_client(kind, b"next"), kind)[0] == [UNREAD, b"next"]


@pytest.mark.parametrize("kind", KINDS)
def test_limit(kind: int) -> None:
    end = Connection(kind, max_message_bytes=1000)
    assert end.receive(wrap_client(kind, bytes(990))) == [bytes(990)]
    with pytest.raises(ProtocolError) as caught:
        end.receive(wrap_client(kind, bytes(1001)))
    assert caught.value.close_code == 1009


# --- hand-over -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_hand_over_after_the_first_frame(kind: int) -> None:
    """Wherever a read ends: the first frame is taken here, everything else there."""
    sent = [b"login", b"first", b"", b"third" * 50]
    wire = b"".join(wrap_client(kind, one) for one in sent)
    for split in range(len(wire) + 1):
        here, there = Connection(kind), Connection(kind)
        here.feed(wire[:split])
        got = here.next_frame()
        if got is None:
            here.feed(wire[split:])
            assert here.next_frame() == b"login"
            rest = here.unread
        else:
            assert got == b"login"
            rest = here.unread + wire[split:]
        assert there.receive(rest) == sent[1:]


# --- out, and both ends against each other ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 124, 125, 126, 200, 65534, 65535, 65536])
def test_wrap(size: int) -> None:
    content = bytes(size)
    assert wrap_socketio(content) == encode_frame(TEXT, HEADER.encode()) + encode_frame(BINARY, b"\x04" + content)
    assert wrap_xsync(content) == encode_frame(BINARY, content)
    assert wrap(SOCKETIO, content) == connection.WRAPPERS[SOCKETIO](content) == wrap_socketio(content)
    assert wrap(XSYNC, content) == connection.WRAPPERS[XSYNC](content) == wrap_xsync(content)


def test_goodbye() -> None:
    assert goodbye(SOCKETIO) == encode_frame(TEXT, b"41") + close_frame(1000)
    assert goodbye(XSYNC, 1001, "restart") == close_frame(1001, "restart")
    for kind in KINDS:
        end = Connection(kind)
        assert end.receive(goodbye(kind, mask=True)) == [] and end.left


def test_the_client_opens() -> None:
    client = Connection(SOCKETIO, "client")
    opening = Connection(SOCKETIO).opening()
    assert not client.opened
    for at in range(len(opening)):
        assert client.receive(opening[at : at + 1]) == []
        assert client.opened == (at == len(opening) - 1)
    assert client.ping_interval_ms == 25000
    assert client.opening() == b"" and Connection(XSYNC, "client").opened


@pytest.mark.parametrize("packet", [b"0", b"0{}", b"0[]", b'0{"pingInterval":0}', b'0{"pingInterval":"x"}', b"0{"])
def test_the_client_refuses_a_malformed_open(packet: bytes) -> None:
    with pytest.raises(ProtocolError):
        Connection(SOCKETIO, "client").receive(encode_frame(TEXT, packet))


@pytest.mark.parametrize("kind", KINDS)
def test_client_keep_alive(kind: int) -> None:
    client, server = Connection(kind, "client"), Connection(kind)
    assert server.receive(client.ping()) == []
    pong = server.take_replies()
    assert pong and client.receive(pong) == [] and not client.replies


@pytest.mark.parametrize("kind", KINDS)
@given(sent=st.lists(st.binary(max_size=300), max_size=6), answers=st.lists(st.binary(max_size=300), max_size=6),
       size=st.integers(1, 400))  # fmt: skip
@settings(max_examples=60)
def test_both_ends(kind: int, sent: list[bytes], answers: list[bytes], size: int) -> None:
    client, server = Connection(kind, "client"), Connection(kind, "server")

    def through(reader: Connection, wire: bytes) -> list[bytes]:
        return [f for at in range(0, len(wire), size) for f in reader.receive(wire[at : at + size])]

    assert through(client, server.opening()) == []
    assert client.opened
    assert through(server, b"".join(wrap_client(kind, one) for one in sent)) == sent
    assert through(client, b"".join(wrap(kind, one) for one in answers)) == answers
    assert through(server, goodbye(kind, mask=True)) == [] and server.left
    assert through(client, goodbye(kind)) == [] and client.left


# --- fuzz ------------------------------------------------------------------------------------------------------

packets = st.one_of(
    st.sampled_from([HEADER, "2", "3", "40", '451-["x",{}]', '42["frame",[1,2]]', '452-["frame",{"_placeholder":true,"num":1}]'])
    .map(text),
    st.text(max_size=30).map(text),
    st.from_regex(r"4[0-9](\d-)?(/a?,)?\d?\[.{0,10}\]", fullmatch=True).map(text),
    st.binary(max_size=30).map(lambda b: binary(b"\x04" + b)),
    st.binary(max_size=10),
    st.binary(max_size=10).map(binary),
)  # fmt: skip


def outcome(pieces: list[bytes], kind: int, role: Role) -> tuple[list[bytes], int, bool, bytes]:
    end = Connection(kind, role, 500)
    frames: list[bytes] = []
    code = 0
    try:
        for piece in pieces:
            end.feed(piece)
            while (one := end.next_frame()) is not None:
                frames.append(one)
            assert len(end.unread) <= 500 + 14 or end.left
    except ProtocolError as error:
        code = error.close_code
        assert code in (1002, 1003, 1007, 1009)
    return frames, code, end.left, b"" if role == "client" else end.take_replies()


@given(st.lists(packets, max_size=12), st.sampled_from(KINDS), st.sampled_from(["server", "client"]), st.data())
@settings(max_examples=500)
def test_anything(parts: list[bytes], kind: int, role: Role, data: st.DataObject) -> None:
    """Frames or ProtocolError, and the same whatever the pieces; receive agrees with next_frame."""
    wire = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in itertools.pairwise([0, *cuts, len(wire)])]
    whole = outcome([wire], kind, role)
    assert outcome(pieces, kind, role) == whole
    for feeds in ([wire], pieces):
        end = Connection(kind, role, 500)
        frames: list[bytes] = []
        try:
            for piece in feeds:
                frames += end.receive(piece)
        except ProtocolError as error:
            # The frames in front of a violation in the same read are lost.
            assert error.close_code == whole[1]
            assert frames == whole[0][: len(frames)]
        else:
            assert whole[1] == 0 and frames == whole[0]
        assert end.left == whole[2]
