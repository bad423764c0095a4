"""History pages: what a conversation shows now, newest first (xsync 5.9)."""

from __future__ import annotations

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Meta
from lanying.shard.chat import marks
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.base import Store

DEFAULT_PAGE = 20


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
    places = [schema.HISTORY_VALUE.unpack_from(value) for _, value in rows]
    noted = (
        marks.notes(store, head, schema.unpack_u64(rows[-1][0][16:])[0], schema.unpack_u64(rows[0][0][16:])[0])
        if rows
        else {}
    )
    entries = store.get_many(schema.QUEUE, [head.key + schema.pack_u64(seq) for seq, _ in places])
    for (row_key, value), (_, marked), original in zip(rows, places, entries, strict=True):
        (mid,) = schema.unpack_u64(row_key[16:])
        entry = value[9:] or original
        if entry:
            size += len(entry)
            if size > limits.BATCH_BYTES and metas:
                break
            metas.append(_with_status(entry, head, mid, marked, noted.get(mid, 0)))
        oldest = mid
    return frame.batch(head.peer, metas, oldest, full=True)


def _with_status(entry: bytes, head: Conversation, mid: int, marked: int, noted: int) -> bytes:
    meta = Meta.FromString(entry)
    own = getattr(meta, "from").uid == head.uid
    if marked & schema.READ_BY_PEER if own else marks.is_read(head, mid, noted, marked):
        meta.payload += marks.STATUS_READ
    elif marked & schema.DELIVERED:
        meta.payload += marks.STATUS_DELIVERED
    else:
        return entry
    return meta.SerializeToString()
