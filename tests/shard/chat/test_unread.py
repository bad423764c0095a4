"""The unread list: first everything in the order devices ask, then only what is pending."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import ConversationUnread, UnreadDL
from lanying.shard.chat.unread import unread_list
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation, User


def listed(device: Device, *, first: bool = True) -> list[tuple[int, int, int]]:
    shard = device.user.shard
    device.session.listed = not first
    found = UnreadDL.FromString(frame.parse_frame(unread_list(shard.work, shard.pulls.loop, device.session))[1])
    assert device.session.listed
    return [(row.xid.uid, row.n, row.type) for row in found.unread]


def town(writers: int) -> tuple[Simulation, User, list[Device]]:
    sim = Simulation(2)
    ann = sim.user("ann")
    return sim, ann, [sim.user(f"writer{n}").device() for n in range(writers)]


def test_all_conversations_come_first_notices_before_them_then_the_newest() -> None:
    sim, ann, writers = town(3)
    ann.device().leave()
    for index in (1, 0, 2, 0):
        writers[index].send(ann, "x")
        sim.advance(1)
    device = ann.device("later", automatic=False, listing=False)
    ids = [writer.user.uid for writer in writers]
    rows = [row for row in listed(device) if row[0]]
    assert [row[:2] for row in rows] == [(ids[0], 2), (ids[2], 1), (ids[1], 1)]
    assert {kind for _, _, kind in rows} == {ConversationUnread.CHAT}


def test_what_was_read_is_listed_with_nothing_unread_and_later_not_at_all() -> None:
    _, ann, [writer] = town(1)
    device = ann.device()
    writer.send(ann, "x")
    uid = writer.user.uid
    assert [row[:2] for row in listed(device) if row[0]] == [(uid, 0)]
    assert listed(device, first=False) == []


def test_later_only_what_is_pending_is_listed() -> None:
    _, ann, writers = town(2)
    device = ann.device(automatic=False)
    device.session.unsent = b"x" * (limits.OUT_SOFT_BYTES + 1)  # nothing is pushed to it
    for writer in writers:
        writer.send(ann, "x")
    device.session.unsent = b""
    rows = listed(device, first=False)
    assert sorted(row[:2] for row in rows) == sorted((writer.user.uid, 1) for writer in writers)


@pytest.mark.parametrize("flag", ["unlisted", "dropped here"])
def test_a_conversation_that_was_taken_off_the_list_is_not_on_it(flag: str) -> None:
    _, ann, [writer] = town(1)
    device = ann.device()
    writer.send(ann, "x")
    work = ann.shard.work
    head = work.mailboxes.head(ann.uid, writer.user.uid)
    if flag == "unlisted":
        head.flags |= schema.UNLISTED
    else:
        head.flags |= schema.NOTED
        work.put(schema.MARKS, head.key + schema.pack_u64(device.sn), schema.pack_u64(head.last_mid))
    assert [row for row in listed(device) if row[0]] == []


def test_a_group_is_said_to_be_one_and_queue_0_what_it_is() -> None:
    sim, ann, [writer] = town(1)
    gid = sim.group(ann, writer.user)
    device = ann.device()
    kinds = {uid: kind for uid, _, kind in listed(device)}
    assert kinds[gid] == ConversationUnread.GROUPCHAT
    assert kinds.get(0, ConversationUnread.UNKNOWN) == ConversationUnread.UNKNOWN


def test_a_list_has_a_largest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, ann, writers = town(4)
    ann.device().leave()
    for writer in writers:
        writer.send(ann, "x")
        sim.advance(1)
    monkeypatch.setattr(limits, "UNREAD_CONVERSATIONS", 2)
    device = ann.device("later", automatic=False, listing=False)
    assert [uid for uid, _, _ in listed(device)] == [writers[3].user.uid, writers[2].user.uid], "the newest"
