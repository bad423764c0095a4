"""Frames: the 32 vectors of the specification, builders against protobuf, the parser against anything."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lanying.base.limits import MAX_INFLATED_BYTES
from lanying.protocol import frame
from lanying.protocol.frame import FrameError, parse_frame, varint
from lanying.protocol.schema import xsync_pb2 as pb

VECTORS = json.loads((Path(__file__).parent / "wire_vectors.json").read_text())["vectors"]
UP = {vector["name"]: vector for vector in VECTORS["client_to_server"]}
DOWN = {vector["name"]: vector for vector in VECTORS["server_to_client"]}
HEX = {name: bytes.fromhex(vector["hex"]) for side in (UP, DOWN) for name, vector in side.items()}
UP_TYPES: dict[int, type[Message]] = {0: pb.UnreadUL, 1: pb.SyncUL, 3: pb.Provision}
DOWN_TYPES: dict[int, type[Message]] = {0: pb.UnreadDL, 1: pb.SyncDL, 2: pb.Notice, 3: pb.Provision}
META_TYPES: dict[int, type[Message]] = {pb.Meta.MESSAGE: pb.MessageBody, pb.Meta.CONVERSATION: pb.Conversation}

uint64 = st.one_of(st.integers(0, 2**64 - 1), *(st.integers(0, 2**bits) for bits in (7, 14, 21, 41, 48, 53)))
positive = uint64.filter(bool)


def test_there_are_32_vectors() -> None:
    assert len(UP) == 19 and len(DOWN) == 13


# --- in --------------------------------------------------------------------------------------------------------


def as_json(message: Message) -> dict[str, Any]:
    result: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return result


def canonical(message_type: type[Message], fields: dict[str, Any]) -> dict[str, Any]:
    """The dict as protobuf writes it: explicit zeros of scalars are left out."""
    return as_json(ParseDict(fields, message_type()))


@pytest.mark.parametrize("name", UP)
def test_client_vector(name: str) -> None:
    decoded = UP[name]["decoded"]
    command, payload = parse_frame(HEX[name])
    assert command == pb.Frame.Command.Value(decoded["command"])
    expected = decoded.get("payload", {})
    message_type = UP_TYPES[command]
    parsed = message_type.FromString(payload)
    body = expected.get("meta", {}).pop("payload", None) if "meta" in expected else None
    if body is not None:
        body_type = META_TYPES[parsed.meta.ns]  # type: ignore[attr-defined]
        inner = body_type.FromString(parsed.meta.payload)  # type: ignore[attr-defined]
        assert as_json(inner) == canonical(body_type, body)
        parsed.meta.ClearField("payload")  # type: ignore[attr-defined]
    assert as_json(parsed) == canonical(message_type, expected)
    if body is not None:
        expected["meta"]["payload"] = body


@pytest.mark.parametrize("name", DOWN)
def test_server_vector(name: str) -> None:
    command, payload = parse_frame(HEX[name])
    assert command == pb.Frame.Command.Value(DOWN[name]["frame"]["command"])
    parsed = DOWN_TYPES[command].FromString(payload)
    expected = json.loads(json.dumps(DOWN[name]["payload"]))
    for meta, sent in zip(getattr(parsed, "metas", []), expected.get("metas", []), strict=True):
        assert meta.payload.hex() == sent.pop("payload")["hex"]
        meta.ClearField("payload")
    assert as_json(parsed) == canonical(DOWN_TYPES[command], expected)


@pytest.mark.parametrize("name", HEX)
def test_the_fast_path_reads_what_protobuf_reads(name: str) -> None:
    wire = HEX[name]
    expected = pb.Frame.FromString(wire)
    assert parse_frame(wire) == (expected.command, expected.payload)
    # The same frame with a field the fast path does not know, which sends it through protobuf.
    assert parse_frame(wire + b"\x38\x05") == (expected.command, expected.payload)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 16383, 16384, 40000])
@pytest.mark.parametrize("start", [b"", b"\x08\x00\x10\x00", b"\x08\x01", b"\x10\x00"])
def test_payload_sizes(size: int, start: bytes) -> None:
    payload = bytes(i * 7 & 255 for i in range(size))
    wire = start + b"\x18\x01\x22" + varint(size) + payload
    assert parse_frame(wire) == (1, payload)


def compressed(payload: bytes, method: int = pb.Frame.ZLIB) -> bytes:
    message = pb.Frame(command=pb.Frame.SYNC, payload=payload)
    message.compress_method = method  # type: ignore[assignment]
    return message.SerializeToString()


def test_zlib() -> None:
    assert parse_frame(compressed(zlib.compress(b"x" * 5000))) == (1, b"x" * 5000)
    assert parse_frame(compressed(zlib.compress(bytes(MAX_INFLATED_BYTES))))[1] == bytes(MAX_INFLATED_BYTES)


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\xff", pb.Status.PB_PARSER_ERROR),
        (b"\x08\x00\x10\x00\x18\x01\x22\x05abc", pb.Status.PB_PARSER_ERROR),
        (b"\x18\x01\x22", pb.Status.PB_PARSER_ERROR),
        (b"\x18", pb.Status.PB_PARSER_ERROR),
        (b"\x42\x01\xff", pb.Status.PB_PARSER_ERROR),  # a string that is not UTF-8
        (compressed(zlib.compress(bytes(MAX_INFLATED_BYTES + 1))), pb.Status.PB_PARSER_ERROR),
        (compressed(zlib.compress(b"x" * 5000)[:-3]), pb.Status.PB_PARSER_ERROR),
        (compressed(b"not zlib"), pb.Status.PB_PARSER_ERROR),
        (compressed(b""), pb.Status.PB_PARSER_ERROR),
        (compressed(b"x", 2), pb.Status.PB_PARSER_ERROR),
        (b"\x18\x01\x22\x01x\x28\x01", pb.Status.ENCRYPT_METHOD_UNSUPPORTED),
        (b"\x28\x03\x18\x01\x22\x01x", pb.Status.ENCRYPT_METHOD_UNSUPPORTED),
    ],
)
def test_refused_frames(wire: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse_frame(wire)
    assert caught.value.status_code == code
    assert caught.value.reason


def test_unknown_commands_are_the_callers() -> None:
    assert parse_frame(b"\x18\x09\x22\x01x") == (9, b"x")
    assert parse_frame(b"\x18\xac\x02") == (300, b"")
    assert parse_frame(b"") == (0, b"")
    assert parse_frame(b"\x18" + b"\xff" * 9 + b"\x01") == (-1, b"")


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda b: b"\x08\0\x10\0\x18" + b)))
@example(b"\x18\x01\x22\x80\x81" + bytes(16384 + 2))
@settings(max_examples=500)
def test_any_bytes(data: bytes) -> None:
    """A frame as protobuf reads it, or FrameError."""
    try:
        result = parse_frame(data)
    except FrameError as error:
        assert error.status_code in (pb.Status.PB_PARSER_ERROR, pb.Status.ENCRYPT_METHOD_UNSUPPORTED)
        return
    expected = pb.Frame.FromString(data)
    if not expected.compress_method:
        assert result == (expected.command, expected.payload)


# --- out -------------------------------------------------------------------------------------------------------


@given(uint64)
@example(2**64 - 1)
@example(2**63)
@settings(max_examples=500)
def test_varint(n: int) -> None:
    assert varint(n) == (pb.XID(uid=n).SerializeToString()[1:] or b"\x00")


@pytest.mark.parametrize("bits", range(65))
def test_varint_around_every_power_of_two(bits: int) -> None:
    for n in (2**bits - 1, 2**bits, 2**bits + 1):
        if n < 2**64:
            assert varint(n) == (pb.XID(uid=n).SerializeToString()[1:] or b"\x00")


def test_what_is_no_unsigned_number_is_our_bug() -> None:
    for n in (-1, -200, 2**64):
        with pytest.raises(AssertionError):
            varint(n)


A, B, G = 2302128618880, 2199040544848, 2306414607729
T = 1700000000000
HELLO = bytes.fromhex("0802220568656c6c6f2800")


def history_meta(n: int) -> bytes:
    return frame.meta(n, B, 1, A, T + n, 1, bytes.fromhex(f"080222036839{0x30 + n - 90:x}28007002"))


def notice_payload(name: str) -> bytes:
    return bytes.fromhex(DOWN[name]["payload"]["metas"][0]["payload"]["hex"])


BUILT: dict[str, Callable[[], bytes]] = {
    "provision ok": lambda: frame.provision_ok(A, 7),
    "provision bad token": lambda: frame.provision_refused(pb.Status.INVALID_TOKEN, "token expired", A),
    "unread list": lambda: frame.unread_list([(B, 2, 1), (G, 0, 2)]),
    "notice": lambda: frame.notice(B),
    "notice for the system conversation": lambda: frame.notice(0),
    "sync batch": lambda: frame.batch(B, [frame.meta(5004, B, 1, A, T, 1, HELLO)], 5004),
    "sync end of queue": lambda: frame.batch(B, []),
    "send acknowledged": lambda: frame.acknowledgement(T, 6880000000001, T + 5),
    "send refused": lambda: frame.refusal(T, frame.FAIL, "you have been blocked by the recipient"),
    "history page (newest first)": lambda: frame.batch(B, [history_meta(92), history_meta(91)], 91, full=True),
    "roster notice ACCEPTED": lambda: frame.batch(
        0, [frame.meta(7001, 0, 0, A, T, pb.Meta.ROSTER_NOTICE, notice_payload("roster notice ACCEPTED"))], 7001
    ),
    "group notice INFO_UPDATED": lambda: frame.batch(
        0, [frame.meta(7002, B, 0, A, T, pb.Meta.GROUP_NOTICE, notice_payload("group notice INFO_UPDATED"))], 7002
    ),
    "user notice KICK_BY_SAME_DEVICE": lambda: frame.user_notice(7003, A, T, pb.UserNotice.KICK_BY_SAME_DEVICE),
    "provision": lambda: frame.provision(A, "TOK", "2302128618880_1746976599", "Web", sn=1002074773),
    "unread (also the 50 s heartbeat)": frame.unread_request,
    "sync pull after NOTICE": lambda: frame.sync_pull(B),
    "sync acknowledge key": lambda: frame.sync_pull(B, 5004),
    "history pull": lambda: frame.history_request(B, 0, 20),
}


def sent_meta(name: str) -> bytes:
    """A client vector with a Meta, built by :func:`frame.send_meta` from what it decodes to."""
    meta = pb.SyncUL.FromString(parse_frame(HEX[name])[1]).meta
    sender = getattr(meta, "from")
    to_uid = meta.to.uid if meta.HasField("to") else None
    return frame.send_meta(
        meta.id, sender.uid, sender.deviceSN, to_uid, meta.timestamp, meta.ns, meta.payload, to_sn=meta.to.deviceSN
    )


@pytest.mark.parametrize("name", HEX)
def test_builders_reproduce_the_vectors(name: str) -> None:
    built = BUILT[name]() if name in BUILT else sent_meta(name)
    assert built.hex() == HEX[name].hex()


def sync_dl(wire: bytes) -> pb.SyncDL:
    command, payload = parse_frame(wire)
    assert command == frame.SYNC
    return pb.SyncDL.FromString(payload)


@given(positive, positive, uint64, uint64)
@example(2**42 - 1, 2**49 - 1, 2**42 - 1, 0)
@example(2**35, 2**42, 2**42, 0)
@example(2**42, 2**49, T, T)
def test_acknowledgement(client_mid: int, server_mid: int, time: int, edited: int) -> None:
    assert sync_dl(frame.acknowledgement(client_mid, server_mid, time, edited)) == pb.SyncDL(
        status=pb.Status(code=pb.Status.OK),
        client_mid=client_mid,
        server_mid=server_mid,
        server_time=time,
        edit_timestamp=edited,
    )


@given(uint64, st.integers(2, 20), st.text(max_size=200))
def test_refusal(client_mid: int, code: int, reason: str) -> None:
    answer = sync_dl(frame.refusal(client_mid, code, reason))
    assert (answer.client_mid, answer.status.code, answer.status.reason) == (client_mid, code, reason)
    assert answer.HasField("xid") == (client_mid == 0)


metas = st.tuples(positive, uint64, st.integers(0, 2**31), uint64, uint64, st.integers(1, 8), st.binary(max_size=300))


def expected_meta(values: tuple[int, int, int, int, int, int, bytes]) -> pb.Meta:
    mid, from_uid, from_sn, to_uid, time, ns, payload = values
    message = pb.Meta(id=mid, to=pb.XID(uid=to_uid), timestamp=time, ns=ns, payload=payload)  # type: ignore[arg-type]
    getattr(message, "from").CopyFrom(pb.XID(uid=from_uid, deviceSN=from_sn))
    return message


@given(metas)
def test_meta(values: tuple[int, int, int, int, int, int, bytes]) -> None:
    wire = frame.meta(*values)
    message = pb.Meta.FromString(wire)
    assert message == expected_meta(values)
    assert message.HasField("from") and message.HasField("to")
    assert wire.endswith(varint(len(values[-1])) + values[-1]), "the payload is last"


@given(uint64, st.lists(metas, max_size=5), uint64, st.booleans(), st.booleans(), uint64)
def test_batch(uid: int, rows: list[Any], key: int, full: bool, eager: bool, prev: int) -> None:
    answer = sync_dl(
        frame.batch(uid, [frame.meta(*values) for values in rows], key, full=full, eager=eager, prev_mid=prev)
    )
    assert answer == pb.SyncDL(
        status=pb.Status(code=pb.Status.OK),
        metas=[expected_meta(values) for values in rows],
        next_key=key,
        xid=pb.XID(uid=uid),
        is_full_sync=full,
        is_eager_sync=eager,
        prev_mid=prev,
    )


@given(uint64)
def test_notice(uid: int) -> None:
    command, payload = parse_frame(frame.notice(uid))
    assert command == frame.NOTICE
    assert pb.Notice.FromString(payload) == pb.Notice(xid=pb.XID(uid=uid))
    assert uid or payload == b"\x0a\x00"


@given(st.lists(st.tuples(uint64, st.integers(0, 2**32 - 1), st.integers(0, 2)), max_size=20))
def test_unread_list(entries: list[tuple[int, int, int]]) -> None:
    command, payload = parse_frame(frame.unread_list(iter(entries)))
    answer = pb.UnreadDL.FromString(payload)
    assert command == frame.UNREAD and answer.status.code == frame.OK
    assert [(entry.xid.uid, entry.n, entry.type) for entry in answer.unread] == entries
    assert all(entry.HasField("xid") for entry in answer.unread)


def test_provision_refused_without_uid_and_with_a_long_reason() -> None:
    command, payload = parse_frame(frame.provision_refused(pb.Status.FAIL, "é" * 200))
    answer = pb.Provision.FromString(payload)
    assert command == frame.PROVISION and answer.status.reason == "é" * 200
    assert not answer.HasField("xid")


def test_user_notice_with_content() -> None:
    answer = sync_dl(frame.user_notice(9, A, T, pb.UserNotice.DEVICE_LOGIN, '{"sn":7}'))
    assert pb.UserNotice.FromString(answer.metas[0].payload).content == '{"sn":7}'
    assert answer.next_key == 0 and answer.HasField("xid")


@given(uint64, st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.integers(0, 6))
def test_provision(uid: int, token: str, guid: str, info: str, os_type: int) -> None:
    command, payload = parse_frame(frame.provision(uid, token, guid, info, os_type))
    message = pb.Provision.FromString(payload)
    assert command == frame.PROVISION
    assert (message.xid.uid, message.token, message.device_guid) == (uid, token, guid)
    assert (message.device_info, message.os_type, message.sdk_vsn) == (info, os_type, "2.0.0")


@given(uint64, uint64, st.integers(0, 1000))
def test_history_request(uid: int, key: int, amount: int) -> None:
    message = pb.SyncUL.FromString(parse_frame(frame.history_request(uid, key, amount))[1])
    assert (message.xid.uid, message.key, message.is_full_sync, message.full_sync_num) == (uid, key, True, amount)


@given(st.binary(max_size=400))
def test_sync_frame(payload: bytes) -> None:
    assert (
        frame.sync_frame(payload) == pb.Frame(command=pb.Frame.SYNC, payload=payload).SerializeToString() or not payload
    )
    assert parse_frame(frame.sync_frame(payload)) == (frame.SYNC, payload)
