"""What is known about single messages beyond their text: read, delivered, played, marked unread, removed (xsync 5.9, 6.4). Pure.

The history row of a 1:1 message is its owner's alone and has most of it. A group's history is everybody's: what a member notes
about a message of it is a row of his own in ``marks``, on his shard; so is a message marked unread, in any conversation, because
READ_ALL has to find those without looking at all of the history. The conversation's NOTED flag says whether there are such rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.base import Store

if TYPE_CHECKING:
    from lanying.shard.shard import Shard


STATUS_READ = b"\x70" + bytes([MessageBody.READ])
STATUS_DELIVERED = b"\x70" + bytes([MessageBody.DELIVERED])
"""MessageBody.status, appended to a stored body: the last occurrence of a scalar wins."""


def mark(shard: Shard, head: Conversation, mid: int, marks: int) -> bool:
    """Set marks in the history row of a message; False: there is none, and nothing changed."""
    shard.settle()
    key = head.key + schema.pack_u64(mid)
    row = shard.store.get(schema.HISTORY, key)
    if row is None:
        return False
    seq, old = schema.HISTORY_VALUE.unpack_from(row)
    if old | marks != old:
        shard.tick.batch.put(schema.HISTORY, key, schema.HISTORY_VALUE.pack(seq, old | marks) + row[9:])
        shard.tick.durable = True
    return True


def note(shard: Shard, head: Conversation, mid: int, marks: int, clear: int = 0) -> None:
    """Set and clear marks in the user's own row about a message; without any left the row goes."""
    if not marks and not head.flags & schema.NOTED:
        return
    shard.settle()
    key = head.key + schema.pack_u64(mid)
    row = shard.store.get(schema.MARKS, key) if head.flags & schema.NOTED else None
    old = row[0] if row else 0
    new = (old | marks) & ~clear
    if new == old:
        return
    if new:
        shard.tick.batch.put(schema.MARKS, key, bytes([new]))
    else:
        shard.tick.batch.delete(schema.MARKS, key)
    shard.tick.durable = True
    _noted(shard, head)


def notes(store: Store, head: Conversation, oldest: int, newest: int) -> dict[int, int]:
    """The user's own marks by message id, of ids ``oldest`` to ``newest``."""
    if not head.flags & schema.NOTED:
        return {}
    start, stop = head.key + schema.pack_u64(max(oldest, schema.FIRST_MID)), head.key + schema.pack_u64(newest + 1)
    return {schema.unpack_u64(key[16:])[0]: row[0] for key, row in store.scan(schema.MARKS, start, stop)}


def read_up_to(shard: Shard, head: Conversation, mid: int) -> None:
    """READ_ALL: everything up to ``mid`` is read, also what was marked unread."""
    head.read_mid = max(head.read_mid, mid)
    shard.settle()
    for known in notes(shard.store, head, 0, mid):
        note(shard, head, known, 0, clear=schema.READ_BY_OWNER | schema.MARKED_UNREAD)
    if head.stored:
        shard.mailboxes.changed(head)


def is_read(head: Conversation, mid: int, noted: int, marks: int = 0) -> bool:
    """Has the owner read a message of others? ``noted`` is from ``marks``, ``marks`` from its history row."""
    if noted & schema.MARKED_UNREAD:
        return False
    return bool((marks | noted) & schema.READ_BY_OWNER) or mid <= head.read_mid


def drop(shard: Shard, head: Conversation, sn: int) -> None:
    """One device takes the conversation off its list, until something new comes."""
    shard.tick.batch.put(schema.MARKS, head.key + schema.pack_u64(sn), schema.pack_u64(head.last_mid))
    shard.tick.durable = True
    _noted(shard, head)


def dropped(store: Store, head: Conversation, sn: int) -> bool:
    """Has the device taken the conversation off its list?"""
    if not head.flags & schema.NOTED:
        return False
    row = store.get(schema.MARKS, head.key + schema.pack_u64(sn))
    return row is not None and bool(schema.unpack_u64(row)[0] >= head.last_mid)


def _noted(shard: Shard, head: Conversation) -> None:
    if not head.flags & schema.NOTED:
        head.flags |= schema.NOTED
        shard.mailboxes.changed(head)
