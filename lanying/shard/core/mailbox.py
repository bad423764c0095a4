"""Mailboxes: per user and peer a queue of encoded Metas with dense positions, and how far each device has got.

A queue position (*seq*) is assigned when the entry is appended and never used again; it is the sync key clients
acknowledge (xsync 5.3). Message ids order history instead.

What is written when: entries with the tick that made them; a new head, and one whose flags changed, too. Positions of known
heads and cursors follow within a second: after a crash the end of a queue is found in the queue itself, and a lost cursor only
repeats a delivery. That halves the rows of a message. Cursors that pass over something on purpose do not wait, nor those of queue 0,
whose entries act again when they come again.

Heads of queues (:class:`Conversation`) live in memory
while they are used; the cached one is the truth until the tick is sealed, afterwards the store has the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import msgspec

from lanying.base import limits
from lanying.shard.store import schema
from lanying.shard.store.base import Store, consecutive


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An entry appended in this tick. Two are made per message: a named tuple costs four times as much.

    :ivar meta: empty: not for this user's devices
    :ivar sn: serial number of the device of the mailbox's owner that made it, 0 for another user's
    :ivar previous_mid: newest listed message before it
    """

    seq: int
    meta: bytes
    sn: int
    previous_mid: int


class Fetched(NamedTuple):
    """Entries of a timeline on another shard that a pull has waited for, from position ``first`` on; empty bytes: removed."""

    first: int
    entries: list[bytes]


class Conversation:
    """Head of one queue of a user.

    :ivar last_seq: position of the newest entry, 0 for none
    :ivar last_mid: newest message listed in history
    :ivar acknowledged: furthest position any device has acknowledged; where a new device starts
    :ivar read_mid: everything up to here was read at once (READ_ALL)
    """

    __slots__ = ("acknowledged", "flags", "key", "last_mid", "last_seq", "peer", "read_mid", "stored", "uid")

    def __init__(self, uid: int, peer: int, row: bytes | None) -> None:
        self.uid = uid
        self.peer = peer
        self.key = schema.pack_pair(uid, peer)
        self.stored = row is not None
        if row is None:
            self.last_seq = self.last_mid = self.acknowledged = self.read_mid = self.flags = 0
        else:
            self.last_seq, self.last_mid, self.acknowledged, self.read_mid, self.flags = schema.CONVERSATION.unpack(row)

    @property
    def row(self) -> bytes:
        """The stored form."""
        return schema.CONVERSATION.pack(self.last_seq, self.last_mid, self.acknowledged, self.read_mid, self.flags)


def restore(head: Conversation, last_seq: int, last_mid: int, acknowledged: int, read_mid: int, flags: int) -> None:
    """Undo: the head as it was before an event."""
    head.last_seq, head.last_mid, head.acknowledged = last_seq, last_mid, acknowledged
    head.read_mid, head.flags = read_mid, flags


class Writes(Protocol):
    """Where changes go: rows of the open tick, durable before anything that it answers leaves the process."""

    @property
    def put(self) -> Callable[[str, bytes, bytes], None]:
        """Set a key (family, key, value)."""

    def put_lazy(self, family: str, key: bytes, value: bytes) -> None:
        """As ``put``, of what a crash may take: nothing waits for its flush."""

    @property
    def undo(self) -> Callable[[tuple[Any, ...]], None]:
        """``(function, *arguments)`` puts memory back if the event fails."""


class Mailboxes:
    """All mailboxes of a shard, over its store."""

    def __init__(self, store: Store, writes: Writes, owns: Callable[[int], bool] = lambda gid: True) -> None:
        """:param owns: does this shard keep the timeline of a group?"""
        self.store = store
        self._writes = writes
        self.owns = owns
        self._heads: dict[tuple[int, int], Conversation] = {}
        self._dirty: dict[Conversation, None] = {}
        self._urgent: dict[Conversation, None] = {}
        self._along: dict[Conversation, None] = {}
        self._cursors: dict[tuple[int, int, int], int] = {}
        self._hasty: list[tuple[int, int, int]] = []

    def head(self, uid: int, peer: int) -> Conversation:
        """The head of a queue; an empty one if nothing was ever put into it."""
        heads = self._heads
        head = heads.get((uid, peer))
        if head is None:
            row = self.store.get(schema.CONVERSATIONS, schema.pack_pair(uid, peer))
            head = heads[uid, peer] = self._load(uid, peer, row)
            if len(heads) > limits.CONVERSATIONS_CACHED:
                self._forget_some()
        return head

    def heads(self, uid: int) -> Iterator[Conversation]:
        """All heads of a user, those this tick made at the end."""
        prefix = schema.pack_u64(uid)
        fresh = [head for head in self._urgent if head.uid == uid and not head.stored]
        for key, row in self.store.scan(schema.CONVERSATIONS, prefix, schema.successor(prefix)):
            (peer,) = schema.unpack_u64(key[8:])
            yield self._heads.get((uid, peer)) or self._load(uid, peer, row)
        yield from fresh

    def heads_of(self, uid: int) -> Iterator[Conversation]:
        """As :meth:`heads`, of groups with the timeline's last position."""
        return map(self.refresh, self.heads(uid))

    def joined(self, uid: int) -> list[int]:
        """Groups one of our users is a member of."""
        return [head.peer for head in self.heads(uid) if head.flags & schema.IS_GROUP]

    def places(self, uid: int) -> tuple[int, int]:
        """How many groups one of our users is in because they agreed, and how many others put them in."""
        flags = [head.flags for head in self.heads(uid) if head.flags & schema.IS_GROUP]
        unasked = sum(1 for one in flags if one & schema.UNASKED)
        return len(flags) - unasked, unasked

    def refresh(self, head: Conversation) -> Conversation:
        """A member's head with the timeline's last position: it is not written per member."""
        if head.flags & schema.IS_GROUP:
            tip = self.head(head.peer, head.peer)
            head.last_seq = max(head.last_seq, tip.last_seq)
            head.last_mid = max(head.last_mid, tip.last_mid)
        return head

    def change(self, head: Conversation) -> None:
        """The head is about to change, and is stored with this tick."""
        self.remember(head)
        self.hurry(head)

    def follow(self, head: Conversation) -> None:
        """The head is about to change, and is stored with this tick, for whose sake nothing waits: another shard sends it again."""
        self.remember(head)
        if head not in self._along:
            self._along[head] = None
            self._writes.undo((self._along.pop, head, None))

    def remember(self, head: Conversation) -> None:
        """The head is about to change: what it is now comes back if the event fails."""
        self._writes.undo((restore, head, head.last_seq, head.last_mid, head.acknowledged, head.read_mid, head.flags))

    def hurry(self, head: Conversation) -> None:
        """The head is stored with this tick."""
        if head not in self._urgent:
            self._urgent[head] = None
            self._writes.undo((self._urgent.pop, head, None))

    def append(self, head: Conversation, mid: int, meta: bytes, listed: bool) -> int:
        """Put an entry at the end of a queue, and into history if ``listed``. Its position."""
        put, key, seq, acknowledged = self._writes.put, head.key, head.last_seq, head.acknowledged
        assert acknowledged <= seq, "nobody has acknowledged what was not there"
        self._writes.undo((restore, head, seq, head.last_mid, acknowledged, head.read_mid, head.flags))
        head.last_seq = seq = seq + 1
        put(schema.QUEUE, key + schema.pack_u64(seq), meta)
        if listed:
            head.last_mid = mid
            if head.flags & schema.UNLISTED:
                head.flags &= ~schema.UNLISTED
                self.hurry(head)
            put(schema.HISTORY, key + schema.pack_u64(mid), schema.HISTORY_VALUE.pack(seq, 0))
        if head.stored:
            self._dirty[head] = None
        else:
            self.hurry(head)
        return seq

    def entries(self, head: Conversation, first: int, count: int) -> list[bytes | None]:
        """``count`` entries from position ``first`` on; empty bytes for removed ones (call after the tick's write)."""
        key = head.key
        if head.flags & schema.IS_GROUP:
            key = schema.pack_pair(head.peer, head.peer)
            if not self.owns(head.peer):
                return []
        return consecutive(self.store, schema.QUEUE, key, first, count)

    def cursor(self, uid: int, sn: int, peer: int) -> int:
        """How far a device has acknowledged a queue."""
        moved = self._cursors.get((uid, sn, peer))
        if moved is not None:
            return moved
        row = self.store.get(schema.CURSORS, schema.pack_device_peer(uid, sn, peer))
        return int(schema.unpack_u64(row)[0]) if row else 0

    def cursors(self, uid: int, sn: int) -> dict[int, int]:
        """All cursors of a device, by queue."""
        prefix = schema.pack_device(uid, sn)
        found = {
            int(schema.unpack_u64(key[12:])[0]): int(schema.unpack_u64(row)[0])
            for key, row in self.store.scan(schema.CURSORS, prefix, schema.successor(prefix))
        }
        found.update({p: seq for (u, s, p), seq in self._cursors.items() if u == uid and s == sn})
        return found

    def move_cursor(self, head: Conversation, sn: int, seq: int, *, at_once: bool = False) -> None:
        """A device has acknowledged everything up to ``seq``. ``at_once``: stored with this tick."""
        assert seq <= head.last_seq, "a cursor is within its queue"
        key = (head.uid, sn, head.peer)
        self._writes.undo((self._cursor_back, key, self._cursors.get(key), head, head.acknowledged))
        self._cursors[key] = seq
        if at_once or not head.peer:
            self._hasty.append(key)
        if seq > head.acknowledged:
            head.acknowledged = seq
            self._dirty[head] = None

    def skip(self, head: Conversation, sn: int) -> None:
        """A device gets nothing of what is in a queue now."""
        if head.last_seq:
            self.move_cursor(head, sn, head.last_seq, at_once=True)

    def start_device(self, uid: int, sn: int) -> None:
        """Cursors of a new device: notices begin now, conversations where the furthest device is (xsync 5.8)."""
        for head in self.heads(uid):
            start = head.last_seq if head.peer == 0 else head.acknowledged
            if start:
                key = schema.pack_device_peer(uid, sn, head.peer)
                self._writes.put(schema.CURSORS, key, schema.pack_u64(start))

    @property
    def hurried(self) -> bool:
        """Something has to be stored with this tick."""
        return bool(self._urgent or self._along or self._hasty)

    def seal(self) -> None:
        """Put what must not wait into the tick's batch."""
        put = self._writes.put
        for head in self._urgent:
            put(schema.CONVERSATIONS, head.key, head.row)
            head.stored = True
            self._along.pop(head, None)
        self._urgent.clear()
        for head in self._along:
            self._writes.put_lazy(schema.CONVERSATIONS, head.key, head.row)
            head.stored = True
        self._along.clear()
        for key in self._hasty:
            seq = self._cursors.get(key)
            if seq is not None:
                # With the rows of whatever made it move; an acknowledgement alone needs no flush.
                self._writes.put_lazy(schema.CURSORS, schema.pack_device_peer(*key), schema.pack_u64(seq))
        self._hasty.clear()

    def store_positions(self) -> None:
        """Once a second and at the end: put everything that could wait. Memory lets go of it."""
        self.seal()
        put = self._writes.put_lazy
        for head in self._dirty:
            put(schema.CONVERSATIONS, head.key, head.row)
        self._dirty.clear()
        for (uid, sn, peer), seq in self._cursors.items():
            put(schema.CURSORS, schema.pack_device_peer(uid, sn, peer), schema.pack_u64(seq))
        self._cursors.clear()

    def _cursor_back(self, key: tuple[int, int, int], seq: int | None, head: Conversation, acknowledged: int) -> None:
        if seq is None:
            self._cursors.pop(key, None)
        else:
            self._cursors[key] = seq
        head.acknowledged = acknowledged

    def _forget_some(self) -> None:
        for key in list(self._heads)[: limits.CONVERSATIONS_CACHED // 10]:
            head = self._heads[key]
            if head not in self._dirty and head not in self._urgent and head not in self._along:
                del self._heads[key]

    def _load(self, uid: int, peer: int, row: bytes | None) -> Conversation:
        head = Conversation(uid, peer, row)
        if row is not None and mend(head, self.store):
            self._dirty[head] = None
        return head


def mend(head: Conversation, store: Store) -> bool:
    """A crash may have taken a stored head's last positions: the queue and the history know them. Was it so?"""
    if store.get(schema.QUEUE, head.key + schema.pack_u64(head.last_seq + 1)) is None:
        return False
    stop = schema.successor(head.key)
    for key, _ in store.scan(schema.QUEUE, head.key, stop, limit=1, reverse=True):
        (head.last_seq,) = schema.unpack_u64(key[16:])
    for key, _ in store.scan(schema.HISTORY, head.key, stop, limit=1, reverse=True):
        head.last_mid = max(head.last_mid, schema.unpack_u64(key[16:])[0])
    return True
