"""Every field of every message a client may send, at its edges, in every combination that hypothesis finds: refused or taken, and no event
of any shard fails."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lanying.protocol.schema.xsync_pb2 import Conversation, Frame, MessageBody, Meta, Provision, SyncUL
from lanying.testing.simulation import Device, Simulation

F = FieldDescriptor
U64 = (0, 1, (1 << 31) - 1, 1 << 31, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
U32 = (0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
I32 = (0, 1, -1, (1 << 31) - 1, -(1 << 31))
I64 = (0, 1, -1, (1 << 63) - 1, -(1 << 63))
TEXTS = ("", "x", "\0", "é\u202e", "[" * 33, "{" * 5000, '{"a":' * 31 + "1" + "}" * 31, "9" * 400, "x" * 66_000)
BYTES = (b"", b"\0", b"\xff" * 9, b"x" * 66_000)
NUMBERS = {
    F.TYPE_UINT64: U64,
    F.TYPE_FIXED64: U64,
    F.TYPE_UINT32: U32,
    F.TYPE_FIXED32: U32,
    F.TYPE_INT32: I32,
    F.TYPE_SINT32: I32,
    F.TYPE_SFIXED32: I32,
    F.TYPE_INT64: I64,
    F.TYPE_SINT64: I64,
    F.TYPE_SFIXED64: I64,
    F.TYPE_BOOL: (False, True),
}
UPLOADS: tuple[type[Message], ...] = (SyncUL, Meta, MessageBody, Conversation, Provision)


def edges(field: FieldDescriptor) -> tuple[Any, ...]:
    """Values of a field that is no message, all of which protobuf carries."""
    if field.type == F.TYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        return (*known, max(known) + 1, 99, I32[-2], -1, I32[-1])
    if field.type == F.TYPE_STRING:
        return TEXTS
    if field.type == F.TYPE_BYTES:
        return BYTES
    return NUMBERS[field.type]


def fields(descriptor: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> list[tuple[FieldDescriptor, ...]]:
    """Every field that is no message, by its way from the top; a message within itself once."""
    found: list[tuple[FieldDescriptor, ...]] = []
    for field in descriptor.fields:
        if field.type != F.TYPE_MESSAGE:
            found.append((*path, field))
        elif field.message_type not in [it.message_type for it in path]:
            found += fields(field.message_type, (*path, field))
    return found


def put(message: Message, path: tuple[FieldDescriptor, ...], value: Any) -> None:
    """Set a field down a path; of lists one element."""
    for field in path[:-1]:
        below = getattr(message, field.name)
        message = below.add() if field.is_repeated else below
    last = path[-1]
    if last.is_repeated:
        getattr(message, last.name).append(value)
    else:
        setattr(message, last.name, value)


class Town:
    """Alice, bob on another shard, and a group with both; something was said in both conversations."""

    def __init__(self) -> None:
        self.sim = Simulation(2)
        self.alice = self.sim.user("alice")
        self.bob = next(u for n in range(50) if (u := self.sim.user(f"bob{n}")).shard is not self.alice.shard)
        self.gid = self.sim.group(self.alice, self.bob)
        self.device = self.alice.device()
        self.mid = self.device.acknowledged[self.device.send(self.bob, "one")]
        self.device.send(self.gid, "two", type=MessageBody.GROUPCHAT)

    def usual(self, kind: type[Message]) -> Message:
        """A message of this kind as clients send it."""
        if kind is MessageBody:
            return MessageBody(type=MessageBody.CHAT, content="x")
        if kind is Meta:
            meta = Meta(id=7, ns=Meta.MESSAGE, payload=self.usual(MessageBody).SerializeToString())
            meta.to.uid = self.bob.uid
            return meta
        if kind is Conversation:
            conversation = Conversation()
            conversation.operation.xid.uid = self.bob.uid
            return conversation
        return kind()

    def upload(self, message: Message) -> None:
        """Send a message as the client's frame that carries it."""
        if isinstance(message, Provision):
            self.put(Frame(command=Frame.PROVISION, payload=message.SerializeToString()))
            return
        if isinstance(message, MessageBody | Conversation):
            meta = self.usual(Meta)
            assert isinstance(meta, Meta)
            meta.payload = message.SerializeToString()
            meta.ns = Meta.MESSAGE if isinstance(message, MessageBody) else Meta.CONVERSATION
            message = meta
        if isinstance(message, Meta):
            message = SyncUL(meta=message)
        self.put(Frame(command=Frame.SYNC, payload=message.SerializeToString()))

    def put(self, sent: Frame) -> None:
        if self.device.closed or self.device.session.left:
            self.device = self.alice.device()
        self.device.put(sent.SerializeToString())

    def check(self) -> None:
        """Nothing failed, and everybody is served as ever."""
        assert not sum(shard.work.failed_events for shard in self.sim.shards)
        self.sim.advance(70)
        device: Device = self.bob.device("another")
        device.pull(self.alice.uid, 0)
        device.history(self.alice)
        device.history(self.gid)
        assert not device.closed
        assert not sum(shard.work.failed_events for shard in self.sim.shards)


CASES = [(kind, path) for kind in UPLOADS for path in fields(kind.DESCRIPTOR)]


def name(case: Any) -> str:
    return case.DESCRIPTOR.name if isinstance(case, type) else ".".join(field.name for field in case)


def test_every_kind_of_field_has_its_edges() -> None:
    assert len(CASES) > 50
    for _, path in CASES:
        assert edges(path[-1])


@pytest.mark.parametrize("kind", UPLOADS, ids=name)
def test_every_field_at_its_edges(kind: type[Message]) -> None:
    town = Town()
    for path in fields(kind.DESCRIPTOR):
        for value in edges(path[-1]):
            message = town.usual(kind)
            put(message, path, value)
            town.upload(message)
            assert not sum(shard.work.failed_events for shard in town.sim.shards), (name(path), str(value)[:40])
        town.sim.advance(2)  # budgets are of the test of budgets
    town.check()


@st.composite
def changes(draw: st.DrawFn) -> tuple[type[Message], list[tuple[tuple[FieldDescriptor, ...], Any]]]:
    kind = draw(st.sampled_from(UPLOADS))
    paths = draw(st.lists(st.sampled_from(fields(kind.DESCRIPTOR)), min_size=1, max_size=6))
    return kind, [(path, draw(st.sampled_from(edges(path[-1])))) for path in paths]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes(), min_size=1, max_size=8))
def test_any_edges_together(uploads: list[tuple[type[Message], list[tuple[tuple[FieldDescriptor, ...], Any]]]]) -> None:
    town = Town()
    for kind, several in uploads:
        message = town.usual(kind)
        for path, value in several:
            put(message, path, value)
        if isinstance(message, MessageBody) and message.type == MessageBody.OPER and not message.operation.mid:
            message.operation.mid = town.mid
        town.upload(message)
    town.check()
