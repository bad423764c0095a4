"""WebSocket framing beyond the Autobahn cases: limits, hand-over, pairs of both roles, fuzz, and an oracle."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import SERVER, Protocol

from lanying.base.errors import ProtocolError
from lanying.protocol import websocket
from lanying.protocol.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    WebSocket,
    apply_mask,
    apply_mask_fallback,
    binary_header,
    close_frame,
    encode_frame,
)

from .test_rfc6455 import chopped, drive, frame

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("role", ["server", "client"])
def test_what_one_role_encodes_the_other_reads(role: websocket.Role, size: int) -> None:
    masked = role == "server"
    reader = WebSocket(role)
    for opcode, payload in ((BINARY, bytes(i & 255 for i in range(size))), (TEXT, b"t" * size)):
        reader.feed(encode_frame(opcode, payload, masked))
        assert reader.next_message() == (opcode, payload)
        assert reader.next_message() is None
        assert reader.unread == b""


@pytest.mark.parametrize("size", SIZES)
def test_binary_header_is_the_header_of_encode_frame(size: int) -> None:
    assert binary_header(size) + bytes(size) == encode_frame(BINARY, bytes(size))


def test_ping_pong_and_close_between_two_ends() -> None:
    server, client = WebSocket("server"), WebSocket("client")
    server.feed(encode_frame(PING, b"are you there", True))
    assert server.next_message() is None
    client.feed(server.take_replies())
    assert client.next_message() is None and not client.closed and client.take_replies() == b""
    client.feed(encode_frame(PING, b"and you"))
    assert client.next_message() is None
    server.feed(client.take_replies())
    assert server.next_message() is None
    client.feed(close_frame(4001, "bye"))
    assert client.next_message() is None
    assert client.closed and client.close_code == 4001
    server.feed(client.take_replies())
    assert server.next_message() is None
    assert server.closed and server.close_code == 4001


def test_a_client_refuses_masked_frames() -> None:
    client = WebSocket("client")
    client.feed(encode_frame(TEXT, b"x", True))
    with pytest.raises(ProtocolError) as caught:
        client.next_message()
    assert caught.value.close_code == 1002
    client.feed(encode_frame(TEXT, b"x"))
    assert client.next_message() is None, "nothing is read after a violation"
    assert client.unread == b""


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("", ""), ("why", "why"), ("x" * 200, "x" * 123), ("é" * 100, "é" * 61)],
)
def test_close_frame_cuts_its_reason(reason: str, expected: str) -> None:
    sent = close_frame(1008, reason)
    assert sent == encode_frame(CLOSE, b"\x03\xf0" + expected.encode())
    client = WebSocket("client")
    client.feed(sent)
    assert client.next_message() is None
    assert client.close_code == 1008


def test_close_frame_without_code() -> None:
    assert close_frame(1005) == b"\x88\x00"


def test_unread_continues_in_another_process() -> None:
    messages = [(BINARY, bytes([i]) * i) for i in range(1, 6)]
    wire = b"".join(frame(*message) for message in messages)
    for split in range(len(wire)):
        first = WebSocket("server")
        first.feed(wire[:split])
        got = first.next_message()
        second = WebSocket("server")
        second.feed(first.unread)
        second.feed(wire[split:])
        received = [got] if got else []
        while (message := second.next_message()) is not None:
            received.append(message)
        assert received == messages


def test_the_limit_is_applied_to_the_header_alone() -> None:
    socket = WebSocket("server", 1000)
    socket.feed(encode_frame(BINARY, bytes(1000), True))
    assert socket.next_message() == (BINARY, bytes(1000))
    socket.feed(encode_frame(BINARY, bytes(1001), True)[:4])
    with pytest.raises(ProtocolError) as caught:
        socket.next_message()
    assert caught.value.close_code == 1009


def test_the_limit_below_a_short_length() -> None:
    socket = WebSocket("server", 100)
    socket.feed(encode_frame(BINARY, bytes(101), True))
    with pytest.raises(ProtocolError):
        socket.next_message()


def test_empty_fragments_take_no_memory() -> None:
    socket = WebSocket("server", 1000)
    socket.feed(frame(BINARY, b"", False) + frame(CONTINUATION, b"", False) * 10_000)
    assert socket.next_message() is None
    assert len(socket._fragments or b"") == 0 and socket.unread == b""


def test_byte_by_byte_looks_at_the_buffer_only_when_it_can_go_on() -> None:
    """Linear, not quadratic: an incomplete frame is copied when a header part or the frame is complete, not per byte."""
    socket = WebSocket("server")
    identities = set()
    wire = encode_frame(BINARY, bytes(200_000), True)
    for at in range(len(wire) - 1):
        socket.feed(wire[at : at + 1])
        assert socket.next_message() is None
        identities.add(id(socket._buffer))
    assert len(identities) < 100, "the same buffer grows"
    socket.feed(wire[-1:])
    assert socket.next_message() == (BINARY, bytes(200_000))


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_mask_fallback(data: bytes, key: bytes) -> None:
    assert apply_mask_fallback(data, key) == apply_mask(data, key)


# --- fuzz ------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=30), st.sampled_from(["server", "client"]), st.integers(1, 200))
@settings(max_examples=400)
def test_any_bytes(pieces: list[bytes], role: websocket.Role, limit: int) -> None:
    """Messages or ProtocolError, nothing else, and never more memory than the limit and one read."""
    socket = WebSocket(role, limit)
    try:
        for piece in pieces:
            socket.feed(piece)
            while (message := socket.next_message()) is not None:
                assert len(message[1]) <= limit
            assert len(socket.unread) <= max(limit, 125) + 14
            assert len(socket._fragments or b"") <= limit
    except ProtocolError as error:
        assert error.close_code in (1002, 1007, 1009)
        assert socket.closed and socket.unread == b""


headers = st.tuples(
    st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x08, 0x83, 0xC1]),
    st.binary(max_size=140),
    st.sampled_from([True] * 9 + [False]),
)


@given(st.lists(headers, max_size=12), st.data())
@settings(max_examples=400)
def test_pieces_do_not_matter(parts: list[tuple[int, bytes, bool]], data: st.DataObject) -> None:
    """Whatever frames come, valid or not, the outcome is the same whole, byte by byte, and in random pieces."""
    wire = b"".join(bytes([first]) + frame(0, payload, masked=masked)[1:] for first, payload, masked in parts)
    whole = drive([wire], 200)
    assert drive(chopped(wire, 1), 200) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in itertools.pairwise([0, *cuts, len(wire)])]
    assert drive(pieces, 200) == whole


# --- oracle: the websockets library --------------------------------------------------------------------------------

operations = st.one_of(
    st.tuples(st.just(TEXT), st.text(max_size=300).map(str.encode), st.integers(1, 5)),
    st.tuples(
        st.just(BINARY), st.one_of(st.binary(max_size=300), st.integers(0, 70_000).map(bytes)), st.integers(1, 5)
    ),
    st.tuples(st.just(PING), st.binary(max_size=125), st.just(0)),
)


def oracle(wire: bytes) -> tuple[list[tuple[int, bytes]], bytes, int]:
    """Messages, bytes to send and the code of a failure, as the websockets library sees them."""
    protocol = Protocol(SERVER, max_size=None)
    protocol.receive_data(wire)
    messages: list[tuple[int, bytes]] = []
    pending = bytearray()
    opcode = 0
    for event in protocol.events_received():
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            opcode = int(event.opcode) or opcode
            pending += event.data
            if event.fin:
                messages.append((opcode, bytes(pending)))
                pending.clear()
    failure = protocol.close_sent.code if protocol.parser_exc is not None and protocol.close_sent else 0
    return messages, b"".join(protocol.data_to_send()), int(failure)


@given(st.lists(operations, max_size=12), st.randoms(use_true_random=False), st.sampled_from([0, 1000, 1005, 4000]))
@settings(max_examples=300)
def test_valid_sequences_as_the_oracle_reads_them(
    sequence: list[tuple[int, bytes, int]], rng: random.Random, code: int
) -> None:
    parts = []
    for opcode, payload, count in sequence:
        if opcode == PING:
            parts.append(frame(PING, payload))
            continue
        cuts = sorted(rng.randrange(len(payload) + 1) for _ in range(count - 1))
        pieces = [payload[a:b] for a, b in itertools.pairwise([0, *cuts, len(payload)])]
        for i, piece in enumerate(pieces):
            parts.append(frame(0 if i else opcode, piece, i == len(pieces) - 1))
            if rng.random() < 0.2:
                parts.append(frame(PING, b"between"))
    if code:
        parts.append(close_frame(code, "bye", True))
    wire = b"".join(parts)
    messages, sent, failure = oracle(wire)
    assert failure == 0
    socket = WebSocket("server")
    socket.feed(wire)
    for expected in messages:
        assert socket.next_message() == expected
    assert socket.next_message() is None
    replies = socket.take_replies()
    # The oracle repeats the reason in its echo, we send the code alone; RFC 6455 leaves that open.
    assert replies == sent or (code in (1000, 4000) and replies[:-4] == sent[: len(replies) - 4])
    assert socket.close_code == code


@given(st.lists(headers, max_size=12))
@settings(max_examples=300)
def test_violations_as_the_oracle_sees_them(parts: list[tuple[int, bytes, bool]]) -> None:
    wire = b"".join(
        bytes([first]) + frame(0, bytes(byte & 0x7F for byte in payload), masked=masked)[1:]
        for first, payload, masked in parts
        if first & 0x0F != CLOSE
    )
    messages, _, failure = oracle(wire)
    outcome = drive([wire])
    assert outcome.messages == messages
    assert outcome.error == failure
