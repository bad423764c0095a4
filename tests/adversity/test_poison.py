"""Frames that no client would send: answered, or the connection closed, and never an exception.

An exception in a shard ends its process, because memory may be half changed: a frame that raises one would be a way to take a shard
down again and again.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.protocol.frame import SYNC, UNREAD
from lanying.protocol.schema.xsync_pb2 import (
    Conversation,
    Frame,
    MessageBody,
    MessageOperation,
    Meta,
    SyncUL,
)
from lanying.testing.simulation import Device, Simulation
from tests.fuzz.answers import NOTHING, is_answered

EXTREMES = (0, 1, 2, 5, 1 << 31, (1 << 53) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
GROUP = 1_000 * 1024 + 7
numbers = st.sampled_from(EXTREMES)
texts = st.sampled_from(
    ("", "x", '{"a":{"b":1}}', "{" * 50, "[" * 50, '{"input_status":1}', "\0", "ä" * 300, '{"a":1e999}', "null")
)


class Town:
    """Two people who have written to each other, and everything they know by number."""

    def __init__(self) -> None:
        self.sim = Simulation(2)
        users = [self.sim.user(f"user{n}") for n in range(8)]
        self.alice = users[0]
        self.near = next(user for user in users[1:] if user.shard is self.alice.shard)
        self.far = next(user for user in users if user.shard is not self.alice.shard)
        self.phone: Device = self.alice.device("phone")
        self.mids = [self.phone.acknowledged[self.phone.send(peer, '{"a":1}')] for peer in (self.near, self.far)]
        self.uids = [user.uid for user in (self.alice, self.near, self.far)]


town = Town()
ids = st.sampled_from((*EXTREMES, *town.uids, GROUP))
mids = st.sampled_from((*EXTREMES, *town.mids))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A MessageBody with anything in it."""
    body = MessageBody(content=draw(texts), ext=draw(texts), config=draw(texts), attachment=draw(texts))
    body.type = draw(st.sampled_from((0, 1, 2, 3, 4, 99)))
    body.ctype = draw(st.sampled_from((0, 1, 6, 7, 99)))
    body.qos = draw(st.sampled_from((0, 1, 2)))
    if draw(st.booleans()):
        body.operation.type = draw(st.sampled_from((*MessageOperation.OpType.values(), 77)))
        body.operation.mid = draw(mids)
        body.operation.xid.uid = draw(ids)
    return body.SerializeToString()


@st.composite
def metas(draw: st.DrawFn) -> Meta:
    meta = Meta(id=draw(mids), timestamp=draw(numbers))
    meta.ns = draw(st.sampled_from((0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 99)))
    getattr(meta, "from").uid = draw(st.sampled_from((0, town.alice.uid)))
    meta.to.uid = draw(ids)
    conversation = Conversation()
    conversation.operation.xid.uid = draw(ids)
    conversation.operation.type = draw(st.sampled_from((0, 1, 2, 9)))
    meta.payload = draw(st.one_of(bodies(), st.binary(max_size=30), st.just(conversation.SerializeToString())))
    return meta


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    sync = SyncUL()
    sync.xid.uid = draw(ids)
    sync.key = draw(mids)
    kind = draw(st.sampled_from(("meta", "history", "pull", "raw", "unread")))
    if kind == "meta":
        sync.meta.CopyFrom(draw(metas()))
    elif kind == "history":
        sync.is_full_sync = True
        sync.full_sync_num = draw(st.sampled_from((0, 1, -1, 20, (1 << 31) - 1, -(1 << 31))))
    command: Any = UNREAD if kind == "unread" else SYNC
    payload = draw(st.binary(max_size=40)) if kind == "raw" else sync.SerializeToString()
    return bytes(Frame(command=command, payload=payload).SerializeToString())


def send(sequence: list[bytes]) -> None:
    """Each frame is answered, at the latest when a second has passed, or the connection is closed."""
    phone = town.phone if not town.phone.closed else town.alice.device("phone")
    town.phone = phone
    town.sim.advance(1.0)
    before = len(phone.frames)
    phone.unread = NOTHING
    for data in sequence:
        phone.put(data, run=False)
    town.sim.run()
    town.sim.advance(1.0)
    if not phone.closed:
        syncs = [sync for kind, sync in phone.frames[before:] if kind == SYNC]
        unanswered = [data for data in sequence if not is_answered(phone, data, syncs)]
        assert unanswered == []


@settings(max_examples=150, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=6))
def test_any_frame_is_answered(sequence: list[bytes]) -> None:
    send(sequence)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None)
@given(st.lists(frames(), min_size=1, max_size=6))
def test_any_frame_is_answered_for_long(sequence: list[bytes]) -> None:
    send(sequence)
