"""What clients write, and what is stored from before there was a door, never ends a shard, and never keeps a device from the rest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lanying
from lanying.base import jsons
from lanying.base.errors import Refused
from lanying.bus.messages import GetGroupPushFacts, GetPage, GetPushFacts, ListUnread, TakePushes
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import XID, MessageBody, MessageOperation, Meta, Status, SyncUL
from lanying.shard.chat import door
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation, User

DEEP = '{"action":"call","callId":' + "[" * 1010 + "]" * 1010 + "}"
WIDE = '{"a":' + "[[]," * 400 + "[]" + "]" * 400 + "}"
MOST = (1 << 64) - 1


def pair(shards: int = 2) -> tuple[Simulation, User, User]:
    sim = Simulation(shards)
    alice = sim.user("alice")
    bob = next(u for n in range(50) if (u := sim.user(f"bob{n}")).shard is not alice.shard)
    return sim, alice, bob


def failures(sim: Simulation) -> int:
    return sum(shard.work.failed_events for shard in sim.shards)


# --- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", door.JSON_FIELDS)
@pytest.mark.parametrize("text", [DEEP, WIDE, "[" * 33 + "]" * 33])
def test_json_that_is_nested_too_deeply_is_refused(name: str, text: str) -> None:
    sim, alice, bob = pair()
    a = alice.device()
    sent = a.send(bob, "hello", **{name: text})
    assert a.refused[sent] == (Status.INVALID_PARAMETER, f"{name} is nested deeper than 32 levels")
    assert not failures(sim)


@pytest.mark.parametrize("text", ["[" * 32 + "]" * 32, "no JSON [[[", "[" * 100, '"' + "[" * 100 + '"', "{}"])
def test_other_texts_are_taken_as_they_are(text: str) -> None:
    sim, alice, bob = pair()
    b = bob.device()
    alice.device().send(bob, "hello", ext=text)
    assert MessageBody.FromString(b.metas[-1].payload).ext == text
    assert not failures(sim)


def test_what_only_the_server_says_is_cleared() -> None:
    _, alice, bob = pair()
    b = bob.device()
    forged: dict[str, object] = {"is_system": True, "status": MessageBody.READ, "edit_timestamp": MOST}
    assert forged.keys() == set(door.SERVER_ONLY)
    alice.device().send(bob, "hello", **forged)
    body = MessageBody.FromString(b.metas[-1].payload)
    assert (body.content, body.is_system, body.status, body.edit_timestamp) == ("hello", False, 0, 0)


def test_the_server_itself_may_look_like_the_server() -> None:
    meta = Meta(payload=MessageBody(content="hello", is_system=True, edit_timestamp=5).SerializeToString())
    body = door.body_of(meta, system=True)
    assert body.is_system and not body.edit_timestamp
    assert MessageBody.FromString(meta.payload) == body


@pytest.mark.parametrize("number", [1 << 63, MOST])
def test_ids_that_fit_no_signed_number_are_refused(number: int) -> None:
    sim, alice, bob = pair()
    a = alice.device()
    for kind in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        a.send(bob, type=MessageBody.OPER, operation=MessageOperation(type=kind, mid=number))  # type: ignore[arg-type]
        a.send(bob, type=MessageBody.OPER, operation=MessageOperation(type=kind, mid=5, xid=XID(uid=number)))  # type: ignore[arg-type]
    assert len(a.refused) >= 16  # recalls are refused without their client id
    assert a.send(bob, "hello", client_mid=number) in a.refused
    assert all(code == Status.INVALID_PARAMETER for code, _ in a.refused.values())
    assert a.refused[a.send(number, "hello")] == (Status.INVALID_PARAMETER, "the recipient does not exist")
    a.refused.clear()
    for sync in (SyncUL(xid=XID(uid=number)), SyncUL(xid=XID(uid=bob.uid), key=number, is_full_sync=True)):
        a.put(frame.sync_frame(sync.SerializeToString()))
        assert a.refused.pop(0)[0] == Status.INVALID_PARAMETER
    assert not failures(sim)


@pytest.mark.parametrize("field", ["ctype", "qos"])
def test_values_the_schema_does_not_have_are_refused(field: str) -> None:
    _, alice, bob = pair()
    a = alice.device()
    assert a.send(bob, "hello", **{field: 99}) in a.refused


def test_the_two_frames_that_ended_a_shard_are_answered() -> None:
    sim, alice, bob = pair()
    a, b = alice.device(), bob.device()
    mid = a.acknowledged[a.send(bob, "one", edit_timestamp=MOST)]
    edited = a.operate(bob, MessageOperation.APPEND, mid, content=" two")
    assert edited in a.acknowledged
    deep = a.send(bob, "one", config='{"a":' * 400 + "1" + "}" * 400)
    assert deep in a.refused
    assert b.history_texts(alice) == ["one two"]
    assert not failures(sim)


# --- what is stored already ------------------------------------------------------------------------------------------

hostile_texts = st.sampled_from(
    [
        "",
        DEEP,
        WIDE,
        "{",
        "null",
        "[]",
        '{"action":"call","callId":1e999}',
        '{"action":"call","callId":"\\ud800"}',
        "1" * 5000,
    ]
) | st.text(max_size=20)
bodies = st.builds(
    lambda config, ext, ctype, status, edited, kind: MessageBody(
        type=kind, ctype=ctype, config=config, ext=ext, status=status, edit_timestamp=edited, content="x"
    ).SerializeToString(),
    hostile_texts,
    hostile_texts,
    st.sampled_from([0, MessageBody.RTC, 99]),
    st.sampled_from([0, 2, 77]),
    st.sampled_from([0, MOST]),
    st.sampled_from([0, 1, 2, 3, 55]),
)
payloads = bodies | st.binary(max_size=30)


def stored(payload: bytes, sim: Simulation, sender: int, to: int, mid: int) -> bytes:
    return frame.meta(mid, sender, 1, to, sim.now_ms - 120_000, Meta.MESSAGE, payload)


def states(user: User) -> Iterator[Device]:
    """A device that is there, one that comes, one that does not answer."""
    yield user.device("second")
    yield user.device("third", automatic=False)
    yield user.device("fourth", listing=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(payloads, min_size=1, max_size=4))
@example([MessageBody(type=2, ctype=MessageBody.RTC, config=DEEP).SerializeToString()])
@example([b"\xff\xff\xff"])
def test_whatever_is_stored_every_device_gets_what_is_behind_it(hostile: list[bytes]) -> None:
    sim, alice, bob = pair()
    present = bob.device()
    shard = bob.shard
    for payload in hostile:
        mid = shard.work.next_mid()
        shard.delivery.send_to(bob.uid, alice.uid, mid, stored(payload, sim, alice.uid, bob.uid, mid))
    head = shard.work.mailboxes.head(bob.uid, alice.uid)
    sim.run()
    shard.work.put(schema.QUEUE, head.key + schema.pack_u64(1), b"\x08\xff")  # the disk's, no Meta at all
    sim.run()
    alice.device().send(bob, "behind")
    sim.advance(70)
    for device in (present, *states(bob)):
        assert not device.closed
        device.pull(alice.uid, 0)
        pulled: list[Meta] = [*device.metas]
        page = device.history(alice)
        assert b"behind" in b"".join(meta.payload for meta in (*pulled, *page.metas))
    index = sim.map.shard_of(bob.uid)
    sim.call(index, ListUnread(bob.uid))
    sim.call(index, GetPage(bob.uid, alice.uid, 0, 20))
    sim.call(index, GetPushFacts(bob.uid, mid, alice.uid, False))
    device = bob.device("fifth")
    for kind in (
        MessageOperation.READ_ACK,
        MessageOperation.APPEND,
        MessageOperation.DELETE,
        MessageOperation.READ_ALL,
    ):
        device.operate(alice, kind, mid, conversation=alice.uid)
    assert not device.closed
    assert not failures(sim)


@settings(max_examples=25, deadline=None)
@given(st.lists(payloads, min_size=1, max_size=3))
@example([MessageBody(type=3, ctype=MessageBody.RTC, config=DEEP).SerializeToString()])
def test_in_a_group_too(hostile: list[bytes]) -> None:
    sim, alice, bob = pair()
    gid = sim.group(alice, bob)
    home = sim.shards[sim.map.shard_of(gid)]
    head = home.work.mailboxes.head(gid, gid)
    for payload in hostile:
        mid = home.work.next_mid()
        entry = stored(payload, sim, alice.uid, gid, mid)
        put = partial(home.timelines.put, head, mid, entry, listed=True, author=alice.uid, sn=1)
        assert home.work.event(put)
    sim.run()
    a = alice.device()
    a.send(gid, "behind", type=MessageBody.GROUPCHAT)
    sim.advance(70)
    for device in states(bob):
        assert not device.closed
        device.pull(gid, 0)
        assert device.history(gid).metas[0].payload
        device.operate(alice, MessageOperation.READ_ACK, mid)
        assert not device.closed
    sim.call(sim.map.shard_of(gid), GetGroupPushFacts(gid, mid, bob.uid))
    sim.call(sim.map.shard_of(bob.uid), TakePushes(0, 0))
    assert not failures(sim)


@given(st.binary(max_size=200) | bodies)
def test_the_door_takes_or_refuses_and_nothing_else(payload: bytes) -> None:
    meta = Meta(payload=payload)
    try:
        body = door.body_of(meta)
    except Refused:
        return
    assert not any(getattr(body, name) for name in door.SERVER_ONLY)
    assert MessageBody.FromString(meta.payload) == body
    for name in door.JSON_FIELDS:
        found = jsons.loads_object(getattr(body, name))
        if found is not None:
            try:
                msgspec.json.encode(found)
            except (OverflowError, ValueError):
                pass


# --- nothing else reads clients' JSON --------------------------------------------------------------------------------

READS_OWN: set[str] = {
    "lanying/base/logs.py",
    "lanying/router/login.py",
    "lanying/base/jsons.py",
    "lanying/gateway/contract/contract.py",
    "lanying/push/service.py",
    "lanying/push/vendors/fcm.py",
}
"""Modules with JSON of their own making or of the operator's, and the claims of a token, which have one shape."""


def decodes(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if names & {"json", "orjson"}:
                return True
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("decode", "Decoder")
            and ast.unparse(node.value).endswith("msgspec.json")
        ):
            return True
    return False


def test_nothing_else_in_the_server_decodes_json() -> None:
    root = Path(lanying.__file__).parent
    rooms = ("base", "bus", "gateway", "protocol", "push", "router", "shard")
    found = {
        path.relative_to(root.parent).as_posix()
        for room in rooms
        for path in (root / room).rglob("*.py")
        if decodes(ast.parse(path.read_text()))
    }
    assert found == READS_OWN, "read what others wrote with lanying.base.jsons"
