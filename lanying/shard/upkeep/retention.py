"""Retention: deletes what is older than ``[storage] retention_days``, a little with every step (pure).

Two passes over the store, one step of each per second, so that no tick is held up for more than a few milliseconds:

*Queues.* Of every queue the oldest entries go, up to the first one that is young enough: what is left is dense up to
the conversation's last position, which itself stays, so no position is ever used again. History rows with older ids
go with them (an id contains its time). Cursors that stood in the deleted part move to its end: unread counts go on
being what the store holds. What is in the cold store goes by the steps of its border (:mod:`lanying.shard.store.tiers`),
without being read: up to a day later.

*Sent.* Client ids by which a repeated send is recognised go after ``limits.SENT_KEPT_MS``, whatever the setting.

The rows leave with the tick's batch and need no flush: after a crash they are found and deleted again.
"""

from __future__ import annotations

from lanying.base import limits
from lanying.base.ids import EPOCH_MS, message_time_ms
from lanying.protocol import frame
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.tiers import RANGE_FROM, Border

DAY_MS = 86_400_000
RETAINED = b"retained_ms"
"""In ``meta``: u64, what was made before this wall time may have been deleted. Without it every queue begins at 1."""
_BEHIND_ALL = b"\xff" * 32


class Retention:
    """Progress of both passes of one shard.

    :param days: messages are kept this long, 0: for ever
    :ivar deleted: queue entries deleted since the start
    """

    def __init__(self, work: Work, days: int) -> None:
        self._work = work
        self._store = work.store
        self._days = days
        self._queues = Pass()
        self._sent = Pass()
        self.deleted = 0

    def step(self, now_ms: int) -> None:
        """Delete what one small step finds."""
        if self._days and self._queues.due(now_ms):
            self._step_queues(now_ms)
        if self._sent.due(now_ms):
            self._step_sent(now_ms)

    def _step_queues(self, now_ms: int) -> None:
        horizon_ms = now_ms - self._days * DAY_MS
        budget = limits.RETENTION_ROWS
        heads = self._store.scan(
            schema.CONVERSATIONS, self._queues.position, _BEHIND_ALL, limit=limits.RETENTION_CONVERSATIONS
        )
        rows = list(heads)
        found = [key for key, _ in rows]
        for key, row in rows:
            self._forget_marks(key, row, horizon_ms)
            looked, more = self._shorten(key, horizon_ms, budget)
            budget -= looked
            if more or budget <= 0:
                self._queues.position = key if more else key + b"\0"
                return
        if len(found) < limits.RETENTION_CONVERSATIONS:
            self._queues.finish(now_ms)
        else:
            self._queues.position = found[-1] + b"\0"

    def _shorten(self, key: bytes, horizon_ms: int, budget: int) -> tuple[int, bool]:
        """Delete old entries of one queue: how many rows were looked at, and whether there may be more to delete."""
        stop = schema.successor(key)
        start = self._shorten_cold(key, horizon_ms)
        if start is None:
            return 1, False
        old: list[bytes] = []
        looked = 1
        for row_key, entry in self._store.scan(schema.QUEUE, start, stop, limit=budget):
            looked += 1
            if entry and message_time_ms(frame.meta_id(entry)) >= horizon_ms:
                break
            old.append(row_key)
        if not old:
            return looked, False
        self._delete(schema.QUEUE, old)
        self._forget(key, int(schema.unpack_u64(old[-1][16:])[0]), horizon_ms)
        self.deleted += len(old)
        return looked, len(old) >= budget

    def _forget_marks(self, key: bytes, row: bytes, horizon_ms: int) -> None:
        """What was noted about messages that old: by the user, and who has read a group's."""
        if schema.CONVERSATION.unpack(row)[-1] & schema.NOTED:
            self._work.delete_range_lazy(
                schema.MARKS, key + schema.pack_u64(schema.FIRST_MID), key + _oldest_mid(horizon_ms)
            )
        gid = key[8:]
        if key[:8] == gid:
            stop = gid + _oldest_mid(horizon_ms)
            if any(True for _ in self._store.scan(schema.READERS, gid, stop, limit=1)):
                self._work.delete_range_lazy(schema.READERS, gid, stop)

    def _shorten_cold(self, key: bytes, horizon_ms: int) -> bytes | None:
        """Delete old entries of a queue that are in the cold store: where the hot ones begin, None if some stay there."""
        row = self._store.get(schema.BORDERS, key)
        if row is None:
            return key
        border = Border.unpack(row)
        last = border.older_than(horizon_ms)
        if last >= border.first:
            self._work.delete_range_lazy(schema.QUEUE, key, key + schema.pack_u64(last + 1))
            self._forget(key, last, horizon_ms)
            self.deleted += last + 1 - border.first
        return key + schema.pack_u64(border.last + 1) if last >= border.last else None

    def _forget(self, key: bytes, last: int, horizon_ms: int) -> None:
        """Everything up to position ``last`` is deleted: history and cursors follow."""
        self._work.delete_range_lazy(schema.HISTORY, key, key + _oldest_mid(horizon_ms))
        self._work.put_lazy(schema.META, RETAINED, schema.pack_u64(horizon_ms))
        self._move_cursors(key, last)

    def _move_cursors(self, key: bytes, seq: int) -> None:
        uid, peer = int(schema.unpack_u64(key[:8])[0]), int(schema.unpack_u64(key[8:])[0])
        head = self._work.mailboxes.head(uid, peer)
        head.acknowledged = max(head.acknowledged, seq)
        # Together with the deletion: a head that says less than the queue did could not be put right by it any more.
        self._work.put_lazy(schema.CONVERSATIONS, key, head.row)
        prefix = schema.pack_u64(uid)
        for device_key, _ in self._store.scan(schema.DEVICES, prefix, schema.successor(prefix)):
            sn = int.from_bytes(device_key[8:], "big")
            if sn and self._work.mailboxes.cursor(uid, sn, peer) < seq:
                self._work.mailboxes.move_cursor(head, sn, seq)

    def _step_sent(self, now_ms: int) -> None:
        horizon_ms = now_ms - limits.SENT_KEPT_MS
        rows = list(self._store.scan(schema.SENT, self._sent.position, _BEHIND_ALL, limit=limits.RETENTION_ROWS))
        self._delete(
            schema.SENT,
            [key for key, value in rows if _sent_ms(value) < horizon_ms],
        )
        if len(rows) < limits.RETENTION_ROWS:
            self._sent.finish(now_ms)
        else:
            self._sent.position = rows[-1][0] + b"\0"

    def _delete(self, family: str, keys: list[bytes]) -> None:
        """Delete rows; as a range where they are the beginning of a queue, which has no other rows between them."""
        if family == schema.QUEUE and len(keys) >= RANGE_FROM:
            self._work.delete_range_lazy(family, keys[0], keys[-1] + b"\0")
        else:
            for key in keys:
                self._work.delete_lazy(family, key)


class Pass:
    """Where a pass over a family is, and when the next one begins."""

    __slots__ = ("_next_ms", "position")

    def __init__(self) -> None:
        self.position = b""
        self._next_ms = 0

    def due(self, now_ms: int) -> bool:
        """Is there anything to do now?"""
        return bool(self.position) or now_ms >= self._next_ms

    def finish(self, now_ms: int) -> None:
        """Everything was looked at: begin again after a pause."""
        self.position = b""
        self._next_ms = now_ms + limits.RETENTION_PAUSE_MS


def _oldest_mid(horizon_ms: int) -> bytes:
    return schema.pack_u64(max(0, horizon_ms - EPOCH_MS) << 12)


def _sent_ms(row: bytes) -> int:
    """When what a row of ``sent`` recognises was sent. A damaged one recognises nothing, and would stop every step that meets it."""
    return message_time_ms(schema.SENT_VALUE.unpack(row)[0]) if len(row) == schema.SENT_VALUE.size else 0
