"""History pages: what a conversation shows now, newest first (xsync 5.9)."""

from __future__ import annotations

from lanying import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.base import Store

DEFAULT_PAGE = 20
_READ = b"\x70" + bytes([MessageBody.READ])
_DELIVERED = b"\x70" + bytes([MessageBody.DELIVERED])
"""MessageBody.status, appended to a stored body: the last occurrence of a scalar wins."""


def page(store: Store, head: Conversation, key: int, amount: int) -> bytes:
    """The frame with up to ``amount`` messages older than id ``key`` (0: the newest).

    ``next_key`` is the oldest id of the page, or ``key`` when there is nothing older.
    """
    amount = min(amount if amount > 0 else DEFAULT_PAGE, limits.HISTORY_PAGE)
    stop = head.key + schema.pack_u64(key) if key else schema.successor(head.key)
    metas: list[bytes] = []
    size = 0
    oldest = key
    rows = list(store.scan(schema.HISTORY, head.key, stop, limit=amount, reverse=True))
    places = [schema.HISTORY_VALUE.unpack(value) for _, value in rows]
    entries = store.get_many(schema.QUEUE, [head.key + schema.pack_u64(seq) for seq, _ in places])
    for (row_key, _), (_, marks), entry in zip(rows, places, entries, strict=True):
        (mid,) = schema.unpack_u64(row_key[16:])
        if entry:
            size += len(entry)
            if size > limits.BATCH_BYTES and metas:
                break
            metas.append(_with_status(entry, head, mid, marks))
        oldest = mid
    return frame.batch(head.peer, metas, oldest, full=True)


def _with_status(entry: bytes, head: Conversation, mid: int, marks: int) -> bytes:
    meta = Meta.FromString(entry)
    if getattr(meta, "from").uid == head.uid:
        read = marks & schema.READ_BY_PEER
    else:
        read = marks & schema.READ_BY_OWNER or (mid <= head.read_mid and not marks & schema.MARKED_UNREAD)
    if read:
        meta.payload += _READ
    elif marks & schema.DELIVERED:
        meta.payload += _DELIVERED
    else:
        return entry
    return meta.SerializeToString()
