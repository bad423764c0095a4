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

from lanying.base import limits
from lanying.shard.store import schema
from lanying.shard.store.base import Batch, Store


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


class Mailboxes:
    """All mailboxes of a shard, over its store."""

    def __init__(self, store: Store, owns: Callable[[int], bool] = lambda gid: True) -> None:
        """:param owns: does this shard keep the timeline of a group?"""
        self.store = store
        self.owns = owns
        self._lent: dict[tuple[int, int], list[bytes]] = {}
        self._heads: dict[tuple[int, int], Conversation] = {}
        self._dirty: dict[Conversation, None] = {}
        self._urgent: dict[Conversation, None] = {}
        self._cursors: dict[tuple[int, int, int], int] = {}
        self.hasty: list[tuple[int, int, int]] = []

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
        """All heads of a user that are in the store (call after the tick's write)."""
        prefix = schema.pack_u64(uid)
        for key, row in self.store.scan(schema.CONVERSATIONS, prefix, schema.successor(prefix)):
            (peer,) = schema.unpack_u64(key[8:])
            yield self._heads.get((uid, peer)) or self._load(uid, peer, row)

    def changed(self, head: Conversation) -> None:
        """The head has to be stored with this tick."""
        self._urgent[head] = None

    def append(self, batch: Batch, head: Conversation, mid: int, meta: bytes, listed: bool) -> int:
        """Put an entry at the end of a queue, and into history if ``listed``. Its position."""
        seq = head.last_seq = head.last_seq + 1
        batch.put(schema.QUEUE, head.key + schema.pack_u64(seq), meta)
        if listed:
            head.last_mid = mid
            if head.flags & schema.UNLISTED:
                head.flags &= ~schema.UNLISTED
                self._urgent[head] = None
            batch.put(schema.HISTORY, head.key + schema.pack_u64(mid), schema.HISTORY_VALUE.pack(seq, 0))
        if head.stored:
            self._dirty[head] = None
        else:
            self._urgent[head] = None
        return seq

    def entries(self, head: Conversation, first: int, count: int) -> list[bytes | None]:
        """``count`` entries from position ``first`` on; empty bytes for removed ones (call after the tick's write)."""
        key = head.key
        if head.flags & schema.IS_GROUP:
            lent = self._lent.get((head.peer, first))
            if lent is not None:
                return list(lent[:count])
            key = schema.pack_pair(head.peer, head.peer)
            if not self.owns(head.peer):
                return []
        return self.store.get_many(schema.QUEUE, [key + schema.pack_u64(seq) for seq in range(first, first + count)])

    def lend(self, gid: int, first: int, entries: list[bytes]) -> None:
        """Entries of another shard's timeline, for the pulls of this tick."""
        self._lent[gid, first] = entries

    def fetched(self, gid: int, first: int) -> bool:
        """Were these entries lent?"""
        return (gid, first) in self._lent

    def forget_lent(self) -> None:
        """The tick's pulls are answered."""
        self._lent.clear()

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
        self._cursors[head.uid, sn, head.peer] = seq
        if at_once or not head.peer:
            self.hasty.append((head.uid, sn, head.peer))
        if seq > head.acknowledged:
            head.acknowledged = seq
            self._dirty[head] = None

    def start_device(self, batch: Batch, uid: int, sn: int) -> None:
        """Cursors of a new device: notices begin now, conversations where the furthest device is (xsync 5.8)."""
        for head in self.heads(uid):
            start = head.last_seq if head.peer == 0 else head.acknowledged
            if start:
                batch.put(schema.CURSORS, schema.pack_device_peer(uid, sn, head.peer), schema.pack_u64(start))

    @property
    def unsettled(self) -> bool:
        """Something waits for :meth:`settle`."""
        return bool(self._cursors or self._dirty or self._urgent)

    def seal(self, batch: Batch) -> None:
        """Put what must not wait into the tick's batch."""
        for head in self._urgent:
            batch.put(schema.CONVERSATIONS, head.key, head.row)
            head.stored = True
        self._urgent.clear()
        for key in self.hasty:
            seq = self._cursors.get(key)
            if seq is not None:
                batch.put(schema.CURSORS, schema.pack_device_peer(*key), schema.pack_u64(seq))
        self.hasty.clear()

    def settle(self, batch: Batch) -> None:
        """Once a second and at the end: put everything that changed into the batch."""
        self.seal(batch)
        for head in self._dirty:
            batch.put(schema.CONVERSATIONS, head.key, head.row)
        self._dirty.clear()
        for (uid, sn, peer), seq in self._cursors.items():
            batch.put(schema.CURSORS, schema.pack_device_peer(uid, sn, peer), schema.pack_u64(seq))
        self._cursors.clear()

    def _forget_some(self) -> None:
        for key in list(self._heads)[: limits.CONVERSATIONS_CACHED // 10]:
            if self._heads[key] not in self._dirty and self._heads[key] not in self._urgent:
                del self._heads[key]

    def _load(self, uid: int, peer: int, row: bytes | None) -> Conversation:
        head = Conversation(uid, peer, row)
        if row is not None and self.store.get(schema.QUEUE, head.key + schema.pack_u64(head.last_seq + 1)) is not None:
            # A crash took the head's last positions: the queue and the history know them.
            stop = schema.successor(head.key)
            for key, _ in self.store.scan(schema.QUEUE, head.key, stop, limit=1, reverse=True):
                (head.last_seq,) = schema.unpack_u64(key[16:])
            for key, _ in self.store.scan(schema.HISTORY, head.key, stop, limit=1, reverse=True):
                head.last_mid = max(head.last_mid, schema.unpack_u64(key[16:])[0])
            self._dirty[head] = None
        return head
