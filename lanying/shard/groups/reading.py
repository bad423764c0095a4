"""Who has read a group's messages (xsync 6.4 READ_ACK, 9.10). Pure.

A client addresses the acknowledgement of a group message to its author and names no group, so the reader's shard asks the shards of
all his groups; the one that has the message notes the reader, tells the author's devices, and lets the reader's shard know. Both
tellings go through queue 0: clients look at what is in a meta, not at the queue that brought it (5.8), and a queue with the author
would be a conversation the two never had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanying.bus.messages import GroupRead, GroupReading
from lanying.protocol.schema.xsync_pb2 import MessageOperation, Meta
from lanying.shard.chat import marks
from lanying.shard.chat.author import Author
from lanying.shard.groups import records
from lanying.shard.store import schema
from lanying.shard.store.base import Store

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

READ_ACK = MessageOperation.READ_ACK
PLAY_ACK = MessageOperation.PLAY_ACK
DELIVER_ACK = MessageOperation.DELIVER_ACK


def acknowledge(shard: Shard, reader: Author, author: int, operation: MessageOperation, mid: int, meta: bytes) -> None:
    """Our user acknowledges something that is in none of his 1:1 conversations."""
    if not operation.mid or not author:
        return
    gids = shard.timelines.joined(reader.uid)
    if operation.xid.uid in gids:
        gids = [operation.xid.uid]
    by_shard: dict[int, list[int]] = {}
    for gid in gids:
        by_shard.setdefault(shard.shard_of(gid), []).append(gid)
    for owner, part in by_shard.items():
        shard.tell(owner, GroupReading(reader.uid, reader.sn, part, operation.mid, operation.type, author, mid, meta))
    shard.apply_local()


def reading(shard: Shard, word: GroupReading) -> None:
    """On the group's shard: is the message here, and does the reader belong to the group?"""
    target = schema.pack_u64(word.target)
    rows = shard.store.get_many(schema.HISTORY, [schema.pack_pair(gid, gid) + target for gid in word.gids])
    for gid, row in zip(word.gids, rows, strict=True):
        if row is None or records.member(shard.store, gid, word.uid) is None:
            continue
        seq = schema.HISTORY_VALUE.unpack_from(row)[0]
        entry = row[9:] or shard.store.get(schema.QUEUE, schema.pack_pair(gid, gid) + schema.pack_u64(seq))
        if not entry or getattr(Meta.FromString(entry), "from").uid != word.author or word.author == word.uid:
            return
        head = shard.mailboxes.head(gid, gid)
        if word.operation == DELIVER_ACK:
            marks.mark(shard, head, word.target, schema.DELIVERED)
        else:
            marks.mark(shard, head, word.target, schema.READ_BY_PEER if word.operation == READ_ACK else schema.PLAYED)
        if word.operation == READ_ACK:
            key = schema.pack_triple(gid, word.target, word.uid)
            if shard.store.get(schema.READERS, key) is None:
                shard.put(schema.READERS, key, schema.pack_u64(shard.now_ms))
        shard.delivery.send_to(word.author, 0, word.mid, word.meta, listed=False)
        if word.operation != DELIVER_ACK:
            shard.tell(
                shard.shard_of(word.uid),
                GroupRead(word.uid, word.sn, gid, word.target, word.operation, word.mid, word.meta),
            )
        return


def read(shard: Shard, word: GroupRead) -> None:
    """On the reader's shard: the message was a group's."""
    head = shard.mailboxes.head(word.uid, word.gid)
    if word.operation == PLAY_ACK:
        marks.note(shard, head, word.target, schema.PLAYED)
    elif word.target > head.read_mid or head.flags & schema.NOTED:
        marks.note(shard, head, word.target, schema.READ_BY_OWNER, clear=schema.MARKED_UNREAD)
    shard.delivery.put(shard.mailboxes.head(word.uid, 0), word.mid, word.meta, listed=False, sn=word.sn)


def readers(store: Store, gid: int, mid: int) -> list[tuple[int, int]]:
    """Members of a group of this shard who said that they have read a message, and when (ms)."""
    prefix = schema.pack_pair(gid, mid)
    rows = store.scan(schema.READERS, prefix, schema.successor(prefix))
    return [(schema.unpack_u64(key[16:])[0], schema.unpack_u64(row)[0]) for key, row in rows]
