"""What is known about single messages beyond their text: read, delivered, played, marked unread, removed (xsync 5.9, 6.4). Pure.

The history row of a 1:1 message is its owner's alone and has most of it. A group's history is everybody's: what a member notes
about a message of it is a row of their own in ``marks``, on their shard; so is a message marked unread, in any conversation, because
READ_ALL has to find those without looking at all of the history. The conversation's NOTED flag says whether there are such rows.

This module reads them, :mod:`lanying.shard.chat.marking` sets them.
"""

from __future__ import annotations

from lanying.base import limits
from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.core.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.base import Store

STATUS_READ = b"\x70" + bytes([MessageBody.READ])
STATUS_DELIVERED = b"\x70" + bytes([MessageBody.DELIVERED])
"""MessageBody.status, appended to a stored body: the last occurrence of a scalar wins."""


def notes(store: Store, head: Conversation, oldest: int, newest: int) -> dict[int, int]:
    """The user's own marks by message id, of ids ``oldest`` to ``newest``."""
    if not head.flags & schema.NOTED:
        return {}
    start, stop = head.key + schema.pack_u64(max(oldest, schema.FIRST_MID)), head.key + schema.pack_u64(newest + 1)
    rows = store.scan(schema.MARKS, start, stop, limit=limits.MARKS_PER_CONVERSATION, reverse=True)
    return {schema.unpack_u64(key[16:])[0]: row[0] for key, row in rows}


def is_read(head: Conversation, mid: int, noted: int, marks: int = 0) -> bool:
    """Has the owner read a message of others? ``noted`` is from ``marks``, ``marks`` from its history row."""
    if noted & schema.MARKED_UNREAD:
        return False
    return bool((marks | noted) & schema.READ_BY_OWNER) or mid <= head.read_mid


def dropped(store: Store, head: Conversation, sn: int) -> bool:
    """Has the device taken the conversation off its list?"""
    if not head.flags & schema.NOTED:
        return False
    row = store.get(schema.MARKS, head.key + schema.pack_u64(sn))
    return row is not None and bool(schema.unpack_u64(row)[0] >= head.last_mid)
