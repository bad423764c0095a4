"""Invariants of stores. A problem is one sentence; no problems means an empty list.

One store (:func:`verify_store`):

- every queue is dense, and reaches at least as far as its conversation's row says (which is written later and may say
  less after a crash); its beginning may be missing only where retention was at work;
- what a border says is in the cold store is there, unless that store is not (then nothing is known);
- no message id is in a queue twice, and every history row points to the entry with its id;
- no cursor is beyond the last position;
- the outbox to each shard is one run of numbers that ends at the last number given out;
- no message id of this shard is above the last id, no id of an account above its slot's counter: nothing can be given
  out a second time;
- every name has its account; every row belongs to a slot of this shard (when the map is known).

All shards together (:func:`verify_links`): nobody has committed what nobody sent, and nothing has left an outbox that
the receiver has not committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from google.protobuf.message import DecodeError

from lanying.base.ids import made_by, slot_of
from lanying.cluster.shardmap import ShardMap
from lanying.protocol.schema.xsync_pb2 import Meta
from lanying.shard.store import placement, schema
from lanying.shard.store.base import Store
from lanying.shard.store.tiers import Border, TieredStore
from lanying.shard.upkeep.retention import RETAINED
from lanying.storage.progress import Advance

MOST_PROBLEMS = 100
"""Reported about one store; the rest is like them."""
BEHIND_ALL = b"\xff" * 64
_ADVANCE_EVERY = 1000

Row = tuple[bytes, bytes]

_ONLY_PLACED = tuple(
    family
    for family in schema.FAMILIES
    if family
    not in (
        *(schema.SEATS, schema.CONVERSATIONS, schema.QUEUE, schema.HISTORY, schema.CURSORS, schema.OUTBOX),
        *(schema.COUNTERS, schema.ACCOUNTS, schema.NAMES),
    )
)
"""Nothing is known about their rows but where they belong."""


def verify_store(
    store: Store, index: int = -1, shard_map: ShardMap | None = None, advance: Advance = lambda rows: None
) -> list[str]:
    """Problems of one store.

    :param index: shard whose store it is, to check ids; -1: unknown
    :param shard_map: to check that every row belongs here
    :param advance: called with numbers of rows looked at (:func:`count_rows` in all)
    """
    return _Verifier(store, index, shard_map, advance).run()


def count_rows(store: Store) -> int:
    """How many rows :func:`verify_store` looks at."""
    return sum(1 for family in schema.FAMILIES for _ in store.scan(family, b"", BEHIND_ALL))


def verify_links(stores: Sequence[Store]) -> list[str]:
    """Problems between shards; ``stores[n]`` is that of shard n."""
    problems: list[str] = []
    for sender, source in enumerate(stores):
        for receiver, target in enumerate(stores):
            if sender == receiver:
                continue
            given = number(source, b"out", receiver)
            committed = number(target, b"in", sender)
            numbers = outbox_numbers(source, receiver)
            oldest = next(numbers, given + 1)
            if committed > given:
                problems.append(
                    f"shard {receiver} has committed number {committed} of shard {sender}, which gave out only {given}"
                )
            elif oldest > committed + 1:
                problems.append(
                    f"numbers {committed + 1} to {oldest - 1} from shard {sender} to {receiver} are in neither store"
                )
    return problems


def number(store: Store, direction: bytes, peer: int) -> int:
    """Highest number committed from (``b"in"``) or given to (``b"out"``) a shard."""
    row = store.get(schema.LINKS, direction + schema.pack_u16(peer))
    return int.from_bytes(row, "big") if row else 0


def outbox_numbers(store: Store, peer: int) -> Iterator[int]:
    """Numbers that are still in the outbox to a shard."""
    for key, _ in store.scan(schema.OUTBOX, schema.pack_outbox(peer, 0), schema.pack_outbox(peer + 1, 0)):
        yield int.from_bytes(key[2:], "big")


class _Verifier:
    def __init__(self, store: Store, index: int, shard_map: ShardMap | None, advance: Advance) -> None:
        self._store = store
        self._index = index
        self._map = shard_map
        self._advance = advance
        self._problems: list[str] = []
        self._looked = 0
        last = store.get(schema.META, b"last_id")
        self._last_id = int.from_bytes(last, "big") if last else 0
        self._shortened = store.get(schema.META, RETAINED) is not None
        self._last_seq: dict[bytes, int] = {}
        self._acknowledged: dict[bytes, int] = {}
        self._foreign: set[bytes] = set()
        """Conversations with groups: their entries are in the group's timeline, which may be elsewhere."""
        self._unlisted: set[bytes] = set()
        """Among them are groups somebody has left."""
        self._unseen: dict[bytes, Border] = {}
        """Parts of queues that are in a cold store that is not there."""
        self._seated: set[bytes] = set()
        """Groups with members on this shard."""

    def run(self) -> list[str]:
        self._seated = {key[:8] for key, _ in self._rows(schema.SEATS)}
        if isinstance(self._store, TieredStore) and self._store.cold is None:
            self._unseen = {key: Border.unpack(row) for key, row in self._rows(schema.BORDERS)}
        self._conversations()
        self._queues()
        self._cursors()
        self._outbox()
        self._accounts()
        for family in _ONLY_PLACED:
            for _ in self._rows(family):
                pass
        self._advance(self._looked % _ADVANCE_EVERY)
        return self._problems

    def _say(self, problem: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)

    def _rows(self, family: str) -> Iterator[Row]:
        here = None
        if self._map is not None and family in placement.OWNED:
            here = set(self._map.slots_of(self._index))
        for row in self._store.scan(family, b"", BEHIND_ALL):
            self._looked += 1
            if self._looked % _ADVANCE_EVERY == 0:
                self._advance(_ADVANCE_EVERY)
            if here is not None and placement.slot(family, row[0]) not in here and not self._is_tip(family, row[0]):
                self._say(f"{family} {row[0].hex()}: belongs to another shard")
            yield row

    def _is_tip(self, family: str, key: bytes) -> bool:
        if self._map is not None:
            return placement.is_tip(family, key, self._index, self._map)
        return family == schema.CONVERSATIONS and key[:8] == key[8:] and key[:8] in self._seated

    def _conversations(self) -> None:
        for key, row in self._rows(schema.CONVERSATIONS):
            last_seq, _, acknowledged, _, flags = schema.CONVERSATION.unpack(row)
            self._last_seq[key] = last_seq
            if flags & schema.UNLISTED:
                self._unlisted.add(key)
            if (flags & schema.IS_GROUP and key[:8] != key[8:]) or self._is_tip(schema.CONVERSATIONS, key):
                self._foreign.add(key)
            else:
                self._acknowledged[key] = acknowledged

    def _queues(self) -> None:
        histories = groupby(self._rows(schema.HISTORY), key=lambda row: row[0][:16])
        key, history = next(histories, (b"", iter(())))
        missing = {key for key, last in self._last_seq.items() if last and key not in self._foreign}
        for queue_key, rows in groupby(self._rows(schema.QUEUE), key=lambda row: row[0][:16]):
            while key and key < queue_key:
                self._without_entries(key, history)
                key, history = next(histories, (b"", iter(())))
            mids = self._queue(queue_key, rows)
            missing.discard(queue_key)
            if key == queue_key:
                self._history(key, history, mids)
                key, history = next(histories, (b"", iter(())))
        while key:
            self._without_entries(key, history)
            key, history = next(histories, (b"", iter(())))
        self._foreign |= missing & self._unlisted
        missing -= {key for key, border in self._unseen.items() if border.steps}
        if not self._shortened:
            for queue_key in sorted(missing - self._unlisted):
                self._say(f"{_queue(queue_key)}: all of its {self._last_seq[queue_key]} entries are missing")
        for queue_key, acknowledged in self._acknowledged.items():
            if acknowledged > self._last_seq[queue_key] and queue_key not in self._foreign:
                self._say(
                    f"{_queue(queue_key)}: acknowledged up to {acknowledged}, its end is {self._last_seq[queue_key]}"
                )

    def _queue(self, key: bytes, rows: Iterator[Row]) -> dict[int, int]:
        """Check one queue; its message ids by position."""
        mids: dict[int, int] = {}
        seen: set[int] = set()
        expected = 0
        unseen = self._unseen.get(key)
        for row_key, entry in rows:
            seq = int.from_bytes(row_key[16:], "big")
            if unseen is not None and seq <= unseen.last + 1:
                pass  # what is in between may be in the cold store
            elif seq != expected and (expected or (seq != 1 and not self._shortened)):
                self._say(f"{_queue(key)}: position {expected or 1} to {seq - 1} missing")
            expected = seq + 1
            if not entry:
                continue
            mid = _mid(entry)
            if mid is None:
                self._say(f"{_queue(key)}: what is at position {seq} is no message")
                continue
            if mid in seen:
                self._say(f"{_queue(key)}: message {mid} is there twice, again at position {seq}")
            seen.add(mid)
            mids[seq] = mid
            self._check_id(mid)
        if unseen is not None:
            expected = max(expected, unseen.last + 1)
        if key not in self._last_seq:
            self._say(f"{_queue(key)}: has entries and no conversation")
        elif expected - 1 < self._last_seq[key]:
            self._say(f"{_queue(key)}: ends at position {expected - 1} instead of {self._last_seq[key]}")
        self._last_seq[key] = max(expected - 1, self._last_seq.get(key, 0))
        return mids

    def _history(self, key: bytes, rows: Iterator[Row], mids: dict[int, int]) -> None:
        unseen = self._unseen.get(key)
        for row_key, value in rows:
            mid = int.from_bytes(row_key[16:], "big")
            seq = schema.HISTORY_VALUE.unpack_from(value)[0]
            if unseen is not None and seq not in mids and unseen.first <= seq <= unseen.last:
                continue
            if mids.get(seq) != mid:
                found = "nothing" if seq not in mids else f"message {mids[seq]}"
                self._say(f"{_queue(key)}: history has message {mid} at position {seq}, there is {found}")

    def _without_entries(self, key: bytes, rows: Iterator[Row]) -> None:
        if key in self._unseen:
            self._history(key, rows, {})
        else:
            self._say(f"{_queue(key)}: in history without any entry")

    def _check_id(self, mid: int) -> None:
        shard, step = made_by(mid)
        if shard == self._index and step > self._last_id:
            self._say(f"message {mid} is beyond the last id this shard has noted: ids could be given out twice")

    def _cursors(self) -> None:
        for key, value in self._rows(schema.CURSORS):
            queue_key, seq = key[:8] + key[12:], int.from_bytes(value, "big")
            if queue_key not in self._foreign and seq > self._last_seq.get(queue_key, 0):
                sn = int.from_bytes(key[8:12], "big")
                self._say(
                    f"{_queue(queue_key)}: cursor of device {sn} is at {seq}, behind the end {self._last_seq.get(queue_key, 0)}"
                )

    def _outbox(self) -> None:
        for prefix, rows in groupby(self._rows(schema.OUTBOX), key=lambda row: row[0][:2]):
            peer = int.from_bytes(prefix, "big")
            numbers = [int.from_bytes(key[2:], "big") for key, _ in rows]
            given = number(self._store, b"out", peer)
            if numbers[-1] - numbers[0] != len(numbers) - 1:
                self._say(f"the outbox to shard {peer} has gaps between {numbers[0]} and {numbers[-1]}")
            if numbers[-1] != given:
                self._say(f"the outbox to shard {peer} ends at {numbers[-1]}, but {given} was given out")

    def _accounts(self) -> None:
        counters = {int.from_bytes(k, "big"): int.from_bytes(v, "big") for k, v in self._rows(schema.COUNTERS)}
        uids: set[int] = set()
        for key, _ in self._rows(schema.ACCOUNTS):
            uid = int.from_bytes(key, "big")
            uids.add(uid)
            if uid // 1024 > counters.get(slot_of(uid), 0):
                self._say(f"account {uid} is beyond the counter of its slot: its id could be given out twice")
        for key, value in self._rows(schema.NAMES):
            uid = int.from_bytes(value, "big")
            here = self._map is None or self._map.shard_of(uid) == self._index
            if here and uid not in uids:
                self._say(f"name {key[2:]!r}: account {uid} is missing")


def _queue(key: bytes) -> str:
    return f"queue {int.from_bytes(key[8:], 'big')} of {int.from_bytes(key[:8], 'big')}"


def _mid(entry: bytes) -> int | None:
    """The id of an entry; None: it is no message."""
    try:
        return int(Meta.FromString(entry).id)
    except DecodeError:
        return None
