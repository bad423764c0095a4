"""Queues and positions: what is put is found again, whatever a crash takes; what an event changed it changes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base import limits
from lanying.shard.core.mailbox import Conversation, Mailboxes, restore
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.overlay import Overlay

UID, PEER, GID = 5, 7, 9
numbers = st.integers(0, (1 << 64) - 1)


class Box:
    """Mailboxes over a store: one open batch, written by :meth:`write`."""

    def __init__(self, store: MemoryStore | None = None, owns: bool = True) -> None:
        self.below = store or MemoryStore()
        self.store = Overlay(self.below)
        self.lazy = 0
        self.undone: list[tuple[Any, ...]] = []
        self.undo = self.undone.append
        self._open()
        self.boxes = Mailboxes(self.store, self, lambda gid: owns)

    def _open(self) -> None:
        self.batch = self.store.batch()
        self.put = self.batch.put

    def put_lazy(self, family: str, key: bytes, value: bytes) -> None:
        self.lazy += 1
        self.put(family, key, value)

    def write(self) -> None:
        """A tick ends."""
        self.boxes.seal()
        self.store.write(self.batch)
        self._open()

    def take_back(self) -> None:
        """The event failed."""
        while self.undone:
            act, *arguments = self.undone.pop()
            act(*arguments)

    def add(self, count: int = 1, *, peer: int = PEER, listed: bool = True) -> Conversation:
        head = self.boxes.head(UID, peer)
        for _ in range(count):
            self.boxes.append(head, schema.FIRST_MID + head.last_seq + 1, b"meta%d" % head.last_seq, listed)
        return head

    def again(self) -> Box:
        """What a process finds that starts on what is written."""
        return Box(self.below)


def state(head: Conversation) -> tuple[int, ...]:
    return head.last_seq, head.last_mid, head.acknowledged, head.read_mid, head.flags


@given(numbers, numbers, numbers, numbers, st.integers(0, 255))
def test_a_head_is_stored_and_read_whole(seq: int, mid: int, acknowledged: int, read: int, flags: int) -> None:
    head = Conversation(1, 2, None)
    assert not head.stored and state(head) == (0, 0, 0, 0, 0)
    restore(head, seq, mid, acknowledged, read, flags)
    again = Conversation(1, 2, head.row)
    assert again.stored and again.key == schema.pack_pair(1, 2)
    assert state(again) == (seq, mid, acknowledged, read, flags)


def test_entries_come_out_as_they_went_in_removed_ones_empty() -> None:
    box = Box()
    head = box.add(3)
    box.put(schema.QUEUE, head.key + schema.pack_u64(2), b"")
    assert box.boxes.entries(head, 1, 5) == [b"meta0", b"", b"meta2", None, None]
    assert box.boxes.entries(head, 3, 1) == [b"meta2"]
    rows = [*box.store.scan(schema.HISTORY, head.key, schema.successor(head.key))]
    assert [schema.HISTORY_VALUE.unpack(row) for _, row in rows] == [(1, 0), (2, 0), (3, 0)]


def test_what_is_not_listed_is_in_no_history_and_no_news() -> None:
    box = Box()
    head = box.add(2, listed=False)
    assert (head.last_seq, head.last_mid) == (2, 0)
    assert not [*box.store.scan(schema.HISTORY, head.key, schema.successor(head.key))]


def test_a_message_puts_a_conversation_back_on_the_list() -> None:
    box = Box()
    head = box.add()
    box.boxes.change(head)
    head.flags |= schema.UNLISTED | schema.KNOWN
    box.write()
    box.add(listed=False)
    assert head.flags == schema.UNLISTED | schema.KNOWN
    box.add()
    box.write()
    assert head.flags == schema.KNOWN == box.again().boxes.head(UID, PEER).flags


def test_a_new_queue_is_stored_with_its_tick_and_a_known_one_within_a_second() -> None:
    box = Box()
    head = box.add()
    assert box.boxes.hurried and not head.stored
    box.write()
    assert head.stored and not box.boxes.hurried and box.lazy == 0
    row = box.store.get(schema.CONVERSATIONS, head.key)
    box.add()
    box.write()
    assert box.store.get(schema.CONVERSATIONS, head.key) == row, "it could wait"
    box.boxes.store_positions()
    assert box.store.get(schema.CONVERSATIONS, head.key) == head.row != row and box.lazy == 1


@pytest.mark.parametrize("late", [0, 1, 5])
@pytest.mark.parametrize("listed", [True, False])
def test_the_end_of_a_queue_is_found_in_the_queue_after_a_crash(late: int, listed: bool) -> None:
    box = Box()
    box.add(2)
    box.write()
    head = box.add(late, listed=listed)
    box.write()
    again = box.again().boxes.head(UID, PEER)
    assert (again.last_seq, again.last_mid) == (head.last_seq, head.last_mid)
    assert head.last_seq == 2 + late


def test_a_mended_head_is_stored_again() -> None:
    box = Box()
    box.add()
    box.write()
    box.add(3)
    box.write()
    again = box.again()
    assert again.boxes.head(UID, PEER).last_seq == 4
    again.boxes.store_positions()
    row = again.store.get(schema.CONVERSATIONS, schema.pack_pair(UID, PEER))
    assert Conversation(UID, PEER, row).last_seq == 4


def test_cursors_are_where_they_were_moved_written_or_not() -> None:
    box = Box()
    head, other = box.add(5), box.add(5, peer=8)
    box.write()
    box.boxes.move_cursor(head, 1, 3)
    box.boxes.move_cursor(other, 1, 2)
    box.boxes.store_positions()
    box.boxes.move_cursor(head, 1, 4)
    box.boxes.move_cursor(head, 2, 1)
    boxes = box.boxes
    assert [boxes.cursor(UID, sn, peer) for sn, peer in ((1, PEER), (2, PEER), (3, PEER), (1, 8))] == [4, 1, 0, 2]
    assert boxes.cursors(UID, 1) == {PEER: 4, 8: 2} and boxes.cursors(UID, 2) == {PEER: 1}
    assert boxes.cursors(UID + 1, 1) == {}
    assert (head.acknowledged, other.acknowledged) == (4, 2), "the furthest device"


@pytest.mark.parametrize(("peer", "at_once", "kept"), [(PEER, False, 0), (PEER, True, 2), (0, False, 2)])
def test_a_cursor_may_be_late_unless_it_passes_over_something_or_over_notices(
    peer: int, at_once: bool, kept: int
) -> None:
    box = Box()
    head = box.add(2, peer=peer)
    box.write()
    box.boxes.move_cursor(head, 1, 2, at_once=at_once)
    assert box.boxes.hurried == bool(kept)
    box.write()
    assert box.again().boxes.cursor(UID, 1, peer) == kept
    assert box.lazy == bool(kept), "no answer waits for it"


def test_a_device_skips_what_there_is_and_nothing_where_nothing_is() -> None:
    box = Box()
    empty, head = box.boxes.head(UID, 8), box.add(3)
    box.boxes.skip(empty, 1)
    box.boxes.skip(head, 1)
    assert box.boxes.cursors(UID, 1) == {PEER: 3}
    box.write()
    assert box.again().boxes.cursor(UID, 1, PEER) == 3


def test_a_new_device_starts_behind_notices_and_where_the_furthest_device_is() -> None:
    box = Box()
    notices, head, _ = box.add(4, peer=0), box.add(5), box.add(2, peer=8)
    box.write()
    assert notices.last_seq == 4
    box.boxes.move_cursor(head, 1, 3)
    box.boxes.start_device(UID, 2)
    assert box.boxes.cursors(UID, 2) == {0: 4, PEER: 3}


def test_an_event_that_fails_leaves_heads_and_cursors_as_they_were() -> None:
    box = Box()
    head = box.add(3)
    box.write()
    box.boxes.move_cursor(head, 1, 1)
    box.undone.clear()
    before = state(head)
    box.add(2)
    box.boxes.move_cursor(head, 1, 5)
    box.boxes.move_cursor(head, 2, 4)
    box.boxes.change(head)
    head.flags |= schema.BARRED
    head.read_mid = 7
    box.take_back()
    assert state(head) == before == (3, schema.FIRST_MID + 3, 1, 0, 0)
    assert (box.boxes.cursor(UID, 1, PEER), box.boxes.cursor(UID, 2, PEER)) == (1, 0)
    assert not box.boxes.hurried, "no row of it is stored"


def test_all_queues_of_a_user_those_of_this_tick_too() -> None:
    box = Box()
    box.add(2)
    box.write()
    box.add(1)
    box.add(1, peer=8)
    box.boxes.append(box.boxes.head(UID + 1, PEER), schema.FIRST_MID, b"", True)
    heads = [*box.boxes.heads(UID)]
    assert [(head.peer, head.last_seq) for head in heads] == [(PEER, 3), (8, 1)]
    assert [head.peer for head in box.again().boxes.heads(UID)] == [PEER], "the rest is not written"


def test_a_members_head_has_the_timelines_end() -> None:
    box = Box()
    seat, tip = box.boxes.head(UID, GID), box.boxes.head(GID, GID)
    seat.flags |= schema.IS_GROUP
    box.boxes.hurry(seat)
    tip.last_seq, tip.last_mid = 12, 34
    box.add(1)
    assert [(head.peer, head.last_seq, head.last_mid) for head in box.boxes.heads_of(UID)] == [
        (GID, 12, 34),
        (PEER, 1, schema.FIRST_MID + 1),
    ]
    assert box.boxes.joined(UID) == [GID]


@pytest.mark.parametrize("owns", [True, False])
def test_a_members_entries_are_the_groups_where_the_group_is(owns: bool) -> None:
    box = Box(owns=owns)
    seat = box.boxes.head(UID, GID)
    seat.flags |= schema.IS_GROUP
    box.put(schema.QUEUE, schema.pack_triple(GID, GID, 1), b"theirs")
    assert box.boxes.entries(seat, 1, 1) == ([b"theirs"] if owns else [])


def test_memory_forgets_heads_that_are_written_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONVERSATIONS_CACHED", 20)
    box = Box()
    box.add(1)
    box.write()
    head, fresh = box.add(1), box.boxes.head(UID, 1000)  # ahead of its row, and without one
    box.boxes.hurry(fresh)
    read = [box.boxes.head(UID, peer) for peer in range(2000, 2018)]
    box.boxes.head(UID, 3000)
    assert box.boxes.head(UID, PEER) is head and box.boxes.head(UID, 1000) is fresh
    box.boxes.store_positions()
    box.write()
    box.boxes.head(UID, 3001)
    assert box.boxes.head(UID, PEER) is not head, "the oldest go first"
    assert box.boxes.head(UID, 2005) is read[5]
    assert state(box.boxes.head(UID, PEER)) == state(head)
