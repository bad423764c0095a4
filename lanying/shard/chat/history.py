"""History: what a conversation shows now, newest first (xsync 5.9). Pure.

A row of ``history`` says where in the queue a message is and what is marked about it; one that was edited has the whole changed message
behind that. :func:`entry` is the message as it is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from lanying.base import limits
from lanying.shard.chat import marks, visible
from lanying.shard.core.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.base import Store, consecutive

DEFAULT_PAGE = 20
_FIXED: Final = schema.HISTORY_VALUE.size


class Listed(NamedTuple):
    """A row of ``history``. ``changed``: the message after its last edit, empty for one as it is in the queue."""

    mid: int
    seq: int
    marks: int
    changed: bytes

    @property
    def row(self) -> bytes:
        """The stored form."""
        return schema.HISTORY_VALUE.pack(self.seq, self.marks) + self.changed


class HistoryRows(NamedTuple):
    """Stored Metas, newest first. ``next_key``: the oldest id looked at, or what was asked with when there is nothing
    older. ``last``: it is known that there is nothing older than the page.
    """

    metas: list[bytes]
    next_key: int
    last: bool


def listed(store: Store, queue: bytes, mid: int) -> Listed | None:
    """A message's row in a conversation's history."""
    value = store.get(schema.HISTORY, queue + schema.pack_u64(mid))
    return None if value is None else _listed(mid, value)


def older(store: Store, queue: bytes, key: int, amount: int) -> list[Listed]:
    """Up to ``amount`` rows with ids below ``key`` (0: the newest), newest first."""
    stop = queue + schema.pack_u64(key) if key else schema.successor(queue)
    return [
        _listed(schema.unpack_u64(place[16:])[0], value)
        for place, value in store.scan(schema.HISTORY, queue, stop, limit=amount, reverse=True)
    ]


def entry(store: Store, queue: bytes, found: Listed) -> bytes:
    """The message as it is now; empty when it was taken out of the queue."""
    return found.changed or store.get(schema.QUEUE, queue + schema.pack_u64(found.seq)) or b""


def entries(store: Store, queue: bytes, found: Sequence[Listed]) -> list[bytes]:
    """As :func:`entry`, of many."""
    if not found:
        return []
    places = [one.seq for one in found]
    first, span = min(places), max(places) - min(places) + 1
    if span <= 2 * len(places):
        rows = consecutive(store, schema.QUEUE, queue, first, span)
        return [one.changed or rows[one.seq - first] or b"" for one in found]
    kept = store.get_many(schema.QUEUE, [queue + schema.pack_u64(seq) for seq in places])
    return [one.changed or row or b"" for one, row in zip(found, kept, strict=True)]


def page_size(amount: int) -> int:
    """How many rows a page has that was asked for with ``amount``."""
    return min(amount if amount > 0 else DEFAULT_PAGE, limits.HISTORY_PAGE)


def page(store: Store, head: Conversation, key: int, amount: int) -> HistoryRows:
    """Up to ``amount`` messages older than id ``key`` (0: the newest), each with its status."""
    most = page_size(amount)
    rows = older(store, head.key, key, most)
    if not rows:
        return HistoryRows([], key, True)
    noted = marks.notes(store, head, rows[-1].mid, rows[0].mid)
    metas: list[bytes] = []
    size, oldest = 0, key
    for row, message in zip(rows, entries(store, head.key, rows), strict=True):
        if message:
            size += len(message)
            if size > limits.BATCH_BYTES and metas:
                break
            shown = _with_status(message, head, row, noted.get(row.mid, 0))
            if shown is not None:
                metas.append(shown)
        oldest = row.mid
    return HistoryRows(metas, oldest, len(rows) < most and oldest == rows[-1].mid)


def personal(store: Store, head: Conversation, metas: Sequence[bytes], read: Sequence[int]) -> list[bytes]:
    """A group's messages as one member sees them: without what they have removed, with what was read (5.9).

    :param read: ids of messages somebody has read
    """
    parsed = [visible.readable(head, meta) for meta in metas]
    known = [meta.id for meta in parsed if meta is not None]
    if not known:
        return []
    noted = marks.notes(store, head, known[-1], known[0])
    by_others = set(read)
    shown: list[bytes] = []
    for stored, meta in zip(metas, parsed, strict=True):
        if meta is None:
            continue
        note = noted.get(meta.id, 0)
        if note & schema.REMOVED:
            continue
        own = getattr(meta, "from").uid == head.uid
        if meta.id in by_others if own else marks.is_read(head, meta.id, note):
            meta.payload += marks.STATUS_READ
            stored = meta.SerializeToString()
        shown.append(stored)
    return shown


def _listed(mid: int, value: bytes) -> Listed:
    seq, marked = schema.HISTORY_VALUE.unpack_from(value)
    return Listed(mid, seq, marked, value[_FIXED:])


def _with_status(message: bytes, head: Conversation, row: Listed, noted: int) -> bytes | None:
    meta = visible.readable(head, message, row.seq)
    if meta is None:
        return None
    own = getattr(meta, "from").uid == head.uid
    if row.marks & schema.READ_BY_PEER if own else marks.is_read(head, row.mid, noted, row.marks):
        meta.payload += marks.STATUS_READ
    elif row.marks & schema.DELIVERED:
        meta.payload += marks.STATUS_DELIVERED
    else:
        return message
    return meta.SerializeToString()
