"""What is known about single messages: whose mark counts, and which rows there are."""

from __future__ import annotations

import pytest

from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.chat import marks
from lanying.shard.core.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore

FIRST = schema.FIRST_MID


def head(*, noted: bool = True, read_mid: int = 0, last_mid: int = 0) -> Conversation:
    found = Conversation(1, 2, None)
    found.flags = schema.NOTED if noted else 0
    found.read_mid, found.last_mid = read_mid, last_mid
    return found


def store(rows: dict[int, bytes], peer: int = 2) -> MemoryStore:
    made = MemoryStore()
    batch = made.batch()
    for mid, value in rows.items():
        batch.put(schema.MARKS, schema.pack_triple(1, peer, mid), value)
    made.write(batch)
    return made


@pytest.mark.parametrize(
    ("read_mid", "noted", "of_row", "read"),
    [
        (0, 0, 0, False),
        (10, 0, 0, True),
        (9, 0, 0, False),
        (0, schema.READ_BY_OWNER, 0, True),
        (0, 0, schema.READ_BY_OWNER, True),
        (0, 0, schema.READ_BY_PEER | schema.DELIVERED | schema.PLAYED, False),
        (99, schema.MARKED_UNREAD, schema.READ_BY_OWNER, False),
        (0, schema.PLAYED, 0, False),
    ],
)
def test_a_message_is_read_by_its_mark_or_by_all_before_it(read_mid: int, noted: int, of_row: int, read: bool) -> None:
    assert marks.is_read(head(read_mid=read_mid), 10, noted, of_row) is read


def test_notes_are_those_of_the_ids_asked_for() -> None:
    kept = store({7: b"\0" * 8, FIRST + 1: b"\x01", FIRST + 2: b"\x20", FIRST + 3: b"\x10"})
    assert marks.notes(kept, head(), FIRST + 1, FIRST + 2) == {FIRST + 1: 1, FIRST + 2: 32}
    assert marks.notes(kept, head(), 0, FIRST + 9) == {FIRST + 1: 1, FIRST + 2: 32, FIRST + 3: 16}, "no device's row"
    assert marks.notes(kept, head(), FIRST + 4, FIRST + 9) == {}
    assert marks.notes(kept, head(noted=False), 0, FIRST + 9) == {}
    assert marks.notes(store({FIRST + 1: b"\x01"}, peer=3), head(), 0, FIRST + 9) == {}


@pytest.mark.parametrize(("dropped_at", "newest", "gone"), [(5, 5, True), (5, 6, False), (6, 5, True)])
def test_a_conversation_is_off_a_devices_list_until_something_comes(dropped_at: int, newest: int, gone: bool) -> None:
    kept = store({4: schema.pack_u64(dropped_at)})
    assert marks.dropped(kept, head(last_mid=newest), 4) is gone
    assert not marks.dropped(kept, head(last_mid=newest), 3), "another device"
    assert not marks.dropped(kept, head(noted=False, last_mid=newest), 4)


def test_a_status_behind_a_body_counts() -> None:
    body = MessageBody(content="x", status=MessageBody.UNREAD).SerializeToString()
    for status, suffix in ((MessageBody.READ, marks.STATUS_READ), (MessageBody.DELIVERED, marks.STATUS_DELIVERED)):
        found = MessageBody.FromString(body + suffix)
        assert (found.status, found.content) == (status, "x")
