"""The head of a queue is what its row says, and comes back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lanying.shard.core.conversation import Conversation, restore
from lanying.shard.store import schema

numbers = st.integers(0, (1 << 64) - 1)


@given(numbers, numbers, numbers, numbers, st.integers(0, 255))
def test_a_head_is_stored_and_read_whole(
    last_seq: int, last_mid: int, acknowledged: int, read: int, flags: int
) -> None:
    head = Conversation(1, 2, None)
    assert not head.stored
    restore(head, last_seq, last_mid, acknowledged, read, flags)
    again = Conversation(1, 2, head.row)
    assert again.stored and again.key == schema.pack_pair(1, 2)
    assert (again.last_seq, again.last_mid, again.acknowledged, again.read_mid, again.flags) == (
        last_seq,
        last_mid,
        acknowledged,
        read,
        flags,
    )


def test_a_queue_that_nothing_was_put_into_is_empty() -> None:
    head = Conversation(1, 2, None)
    assert (head.last_seq, head.last_mid, head.acknowledged, head.read_mid, head.flags) == (0, 0, 0, 0, 0)
