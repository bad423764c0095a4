"""History: newest first, page by page, nothing twice, nothing that is not there any more; each with its status."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.chat import history
from lanying.shard.chat.history import DEFAULT_PAGE, Listed
from lanying.shard.core.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore

UID, PEER = 5, 7
FIRST = schema.FIRST_MID


class Box:
    """A conversation with messages ``FIRST + 1`` … from the peer (even ones) and the owner."""

    def __init__(self, count: int, changed: dict[int, str] | None = None, removed: set[int] | None = None) -> None:
        self.store = MemoryStore()
        self.head = Conversation(UID, PEER, None)
        batch = self.store.batch()
        for seq in range(1, count + 1):
            stored = b"" if seq in (removed or ()) else self.meta(seq, str(seq))
            batch.put(schema.QUEUE, self.head.key + schema.pack_u64(seq), stored)
            edited = self.meta(seq, (changed or {})[seq]) if seq in (changed or {}) else b""
            batch.put(schema.HISTORY, self.head.key + schema.pack_u64(FIRST + seq), Listed(0, seq, 0, edited).row)
        self.store.write(batch)
        self.head.last_seq = count

    @staticmethod
    def meta(seq: int, text: str) -> bytes:
        sender, to = (PEER, UID) if seq % 2 == 0 else (UID, PEER)
        payload = MessageBody(type=MessageBody.CHAT, content=text).SerializeToString()
        return frame.meta(FIRST + seq, sender, 1, to, 0, Meta.MESSAGE, payload)

    def mark(self, seq: int, marks: int) -> None:
        batch = self.store.batch()
        batch.put(schema.HISTORY, self.head.key + schema.pack_u64(FIRST + seq), Listed(0, seq, marks, b"").row)
        self.store.write(batch)

    def page(self, key: int = 0, amount: int = 0) -> tuple[list[str], int, bool]:
        found = history.page(self.store, self.head, key, amount)
        return [body(meta).content for meta in found.metas], found.next_key, found.last


def body(meta: bytes) -> MessageBody:
    return MessageBody.FromString(Meta.FromString(meta).payload)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (0, DEFAULT_PAGE),
        (-3, DEFAULT_PAGE),
        (1, 1),
        (limits.HISTORY_PAGE, limits.HISTORY_PAGE),
        (1 << 40, limits.HISTORY_PAGE),
    ],
)
def test_a_page_is_as_large_as_asked_within_bounds(asked: int, given: int) -> None:
    assert history.page_size(asked) == given


def test_pages_go_back_to_the_first_and_say_when_it_is_there() -> None:
    box = Box(7)
    assert box.page(0, 3) == (["7", "6", "5"], FIRST + 5, False)
    assert box.page(FIRST + 5, 3) == (["4", "3", "2"], FIRST + 2, False)
    assert box.page(FIRST + 2, 3) == (["1"], FIRST + 1, True)
    assert box.page(FIRST + 1, 3) == ([], FIRST + 1, True)
    assert Box(0).page(0, 3) == ([], 0, True)
    assert box.page(0, 7)[2] is False, "a full page does not know"


def test_edited_messages_show_the_edit_and_removed_ones_nothing() -> None:
    box = Box(5, {2: "edited", 4: "still here"}, {3, 4})
    assert box.page() == (["5", "still here", "edited", "1"], FIRST + 1, True)
    listed = history.listed(box.store, box.head.key, FIRST + 3)
    assert listed is not None and history.entry(box.store, box.head.key, listed) == b""
    assert history.listed(box.store, box.head.key, FIRST + 9) is None


def test_a_page_of_removed_messages_leads_on() -> None:
    box = Box(5, removed={3, 4, 5})
    assert box.page(0, 3) == ([], FIRST + 3, False)
    assert box.page(FIRST + 3, 3) == (["2", "1"], FIRST + 1, True)


@pytest.mark.parametrize("room", [0, 1, 2, 3])
def test_a_page_has_a_largest_size_and_one_message_at_least(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(5)
    monkeypatch.setattr(limits, "BATCH_BYTES", room * len(Box.meta(5, "5")))
    texts, key, last = box.page(0, 10)
    shown = max(room, 1)
    assert texts == [str(n) for n in range(5, 5 - shown, -1)]
    assert key == FIRST + 6 - shown and not last


def test_messages_have_the_status_of_who_ought_to_read_them() -> None:
    box = Box(8)
    for seq, bits in ((1, schema.READ_BY_PEER), (2, schema.READ_BY_OWNER), (3, schema.READ_BY_OWNER)):
        box.mark(seq, bits)
    for seq, bits in ((4, schema.READ_BY_PEER), (5, schema.DELIVERED), (7, schema.DELIVERED | schema.READ_BY_PEER)):
        box.mark(seq, bits)
    found = [body(meta) for meta in history.page(box.store, box.head, 0, 0).metas]
    status = {int(one.content): one.status for one in found}
    read, delivered, none = MessageBody.READ, MessageBody.DELIVERED, MessageBody.UNREAD
    assert status == {1: read, 2: read, 3: none, 4: none, 5: delivered, 6: none, 7: read, 8: none}
    box.head.read_mid = FIRST + 6
    found = [body(meta) for meta in history.page(box.store, box.head, 0, 0).metas]
    assert {int(one.content) for one in found if one.status == read} == {1, 2, 4, 6, 7}, "theirs up to there"


def test_a_groups_messages_are_shown_as_one_member_has_them() -> None:
    box = Box(4)
    metas = [Box.meta(seq, str(seq)) for seq in (4, 3, 2, 1)]
    batch = box.store.batch()
    batch.put(schema.MARKS, box.head.key + schema.pack_u64(FIRST + 2), bytes([schema.REMOVED]))
    batch.put(schema.MARKS, box.head.key + schema.pack_u64(FIRST + 4), bytes([schema.READ_BY_OWNER]))
    box.store.write(batch)
    box.head.flags = schema.NOTED
    found = {
        body(meta).content: body(meta).status for meta in history.personal(box.store, box.head, metas, [FIRST + 3])
    }
    assert found == {"4": MessageBody.READ, "3": MessageBody.READ, "1": MessageBody.UNREAD}
    assert history.personal(box.store, box.head, [], []) == []
