"""A store in two tiers is one store: whatever moved, whatever failed, whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base.errors import StoreError
from lanying.base.figures import totals
from lanying.shard.store import cold, schema, tiers
from lanying.shard.store.cold import ColdStore, open_cold
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.tiers import Border, TieredStore

QUEUE = schema.QUEUE
QUEUES = [schema.pack_pair(1, 2), schema.pack_pair(1, 3), schema.pack_pair(2, 1)]
BEHIND_ALL = b"\xff" * 40


def key(queue: bytes, seq: int) -> bytes:
    return queue + schema.pack_u64(seq)


class Pair:
    """A tiered store and a plain one that are told the same."""

    def __init__(self) -> None:
        self.hot, self.cold = MemoryStore(), MemoryStore()
        self.tiered = TieredStore(self.hot, self.cold)
        self.plain = MemoryStore()
        self.ends = dict.fromkeys(QUEUES, 0)
        self.begins = dict.fromkeys(QUEUES, 1)
        self.value = 0

    def _write(self, family: str, *operation: Any) -> None:
        for store in (self.tiered, self.plain):
            batch = store.batch()
            getattr(batch, operation[0])(family, *operation[1:])
            store.write(batch)

    def append(self, queue: bytes, count: int) -> None:
        for _ in range(count):
            self.ends[queue] += 1
            self.value += 1
            self._write(QUEUE, "put", key(queue, self.ends[queue]), b"%d" % self.value)

    def change(self, queue: bytes, number: int) -> None:
        if self.begins[queue] <= self.ends[queue]:
            seq = self.begins[queue] + number % (self.ends[queue] - self.begins[queue] + 1)
            self.value += 1
            self._write(QUEUE, "put", key(queue, seq), b"" if number % 3 == 0 else b"%d" % self.value)

    def shorten(self, queue: bytes, count: int) -> None:
        stop = min(self.begins[queue] + count, self.ends[queue] + 1)
        if count == 1 and stop > self.begins[queue]:
            self._write(QUEUE, "delete", key(queue, self.begins[queue]))
        else:
            self._write(QUEUE, "delete_range", queue, key(queue, stop))
        self.begins[queue] = stop

    def move(self, queue: bytes, count: int, between: int = 0) -> None:
        """Copy, and evict unless something happened ``between``: 1: crash, 2: a change, 3: a deletion."""
        border = self.tiered.border(queue)
        start = key(queue, border.last + 1) if border else queue
        rows = list(self.hot.scan(QUEUE, start, schema.successor(queue), limit=count))
        if not rows:
            return
        tiers.copy(self.cold, rows)
        if between == 1:
            self.hot, self.cold = self.hot.crash(), self.cold.crash()
            self.tiered = TieredStore(self.hot, self.cold)
            return
        if between == 2:
            self.change(queue, self.value)
        if between == 3:
            self.shorten(queue, 2)
        batch = self.hot.batch()
        self.tiered.evict(batch, queue, rows, [(tiers._seq(rows[-1][0]), self.value * 3_600_000)])
        self.hot.write(batch)

    def discard(self) -> None:
        tiers.discard(self.cold, self.tiered.take_garbage())

    def check(self) -> None:
        everything = list(self.plain.scan(QUEUE, b"", BEHIND_ALL))
        assert list(self.tiered.scan(QUEUE, b"", BEHIND_ALL)) == everything
        assert list(self.tiered.scan(QUEUE, b"", BEHIND_ALL, reverse=True)) == everything[::-1]
        for queue in QUEUES:
            stop = schema.successor(queue)
            keys = [key(queue, seq) for seq in range(self.ends[queue] + 3)]
            assert self.tiered.get_many(QUEUE, keys) == self.plain.get_many(QUEUE, keys)
            assert [self.tiered.get(QUEUE, k) for k in keys] == self.plain.get_many(QUEUE, keys)
            for start in (queue, key(queue, self.ends[queue] // 2), key(queue, self.ends[queue] + 1)):
                for reverse in (False, True):
                    for limit in (1, 3, 100):
                        expected = list(self.plain.scan(QUEUE, start, stop, limit=limit, reverse=reverse))
                        assert list(self.tiered.scan(QUEUE, start, stop, limit=limit, reverse=reverse)) == expected


step = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.just("change"), st.integers(0, 30)),
    st.tuples(st.just("shorten"), st.integers(0, 8)),
    st.tuples(st.just("move"), st.integers(1, 20), st.integers(0, 3)),
    st.tuples(st.just("discard")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(QUEUES), step), max_size=25))
def test_two_tiers_are_one_store(steps: list[tuple[bytes, Any]]) -> None:
    pair = Pair()
    for queue, (name, *arguments) in steps:
        if name == "move" and arguments[1] == 1:
            for store in (pair.hot, pair.cold):
                store.flush()  # what a power failure leaves is tested below; here both go on from the same
        getattr(pair, name)(*([queue] if name != "discard" else []), *arguments)
        pair.check()


@pytest.mark.parametrize("point", ["copied", "evicted", "hot flushed"])
def test_power_fails_around_a_move(point: str) -> None:
    pair = Pair()
    pair.append(QUEUES[0], 20)
    pair.hot.flush()
    rows = list(pair.hot.scan(QUEUE, QUEUES[0], schema.successor(QUEUES[0]), limit=15))
    tiers.copy(pair.cold, rows)
    if point != "copied":
        batch = pair.hot.batch()
        assert pair.tiered.evict(batch, QUEUES[0], rows, [(15, 1)]) == 15
        pair.hot.write(batch)
    if point == "hot flushed":
        pair.hot.flush()
    pair.tiered = TieredStore(pair.hot.crash(), pair.cold.crash())
    pair.check()


def test_a_power_failure_after_a_deletion_brings_all_of_it_back_or_nothing() -> None:
    pair = Pair()
    pair.append(QUEUES[0], 20)
    pair.move(QUEUES[0], 15)
    pair.hot.flush()
    before = list(pair.tiered.scan(QUEUE, b"", BEHIND_ALL))
    pair.shorten(QUEUES[0], 10)
    assert list(TieredStore(pair.hot.crash(), pair.cold.crash()).scan(QUEUE, b"", BEHIND_ALL)) == before
    pair.hot.flush()
    pair.tiered = TieredStore(pair.hot.crash(), pair.cold.crash())
    pair.check()
    assert sum(1 for _ in cold.rows(pair.cold)) == 15, "what does not count any more is still there"
    pair.shorten(QUEUES[0], 1)
    pair.discard()
    assert sum(1 for _ in cold.rows(pair.cold)) == 4, "and goes with the next deletion"


def test_a_cold_tier_that_fails_costs_its_entries_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    pair.append(QUEUES[0], 10)
    pair.move(QUEUES[0], 6)

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pair.cold, "get_many", fail)
    keys = [key(QUEUES[0], seq) for seq in range(1, 11)]
    assert pair.tiered.get_many(QUEUE, keys) == [None] * 6 + [b"7", b"8", b"9", b"10"]
    assert pair.tiered.cold is None and "Input/output" in pair.tiered.reason and pair.tiered.lost is pair.cold
    assert totals(pair.tiered.figures())["cold_missing"] == 1
    assert places(pair.tiered).keys() == {"data"}, "of a disk that is not there nothing is known"
    assert [value for _, value in pair.tiered.scan(QUEUE, b"", BEHIND_ALL)] == [b"7", b"8", b"9", b"10"]
    pair.append(QUEUES[0], 1)
    pair.shorten(QUEUES[0], 3)
    monkeypatch.undo()
    pair.tiered.cold = pair.cold
    assert places(pair.tiered)["cold"] == pair.cold.free_bytes()
    pair.check()


def test_hot_entries_are_read_without_touching_the_cold_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    pair.append(QUEUES[0], 10)
    pair.move(QUEUES[0], 6)
    pair.append(QUEUES[1], 5)
    for name in ("get_many", "scan", "get"):
        monkeypatch.setattr(pair.cold, name, None)
    for queue, first in ((QUEUES[0], 7), (QUEUES[1], 1)):
        end, stop = pair.ends[queue], schema.successor(queue)
        assert None not in pair.tiered.get_many(QUEUE, [key(queue, seq) for seq in range(first, end + 1)])
        assert pair.tiered.get(QUEUE, key(queue, end + 1)) is None, "as asked for every head that is loaded"
        assert len(list(pair.tiered.scan(QUEUE, key(queue, first), stop))) == end - first + 1
        assert len(list(pair.tiered.scan(QUEUE, queue, stop, limit=1, reverse=True))) == 1


def test_a_border_stays_small_and_never_says_more_is_old_than_is() -> None:
    border = Border(1, [])
    youngest: dict[int, int] = {}
    for seq in range(1, 2001):
        youngest[seq] = seq * tiers.STEP_MS // 3
        border.widen(seq, youngest[seq])
    assert len(border.steps) <= tiers.STEPS and border.last == 2000
    assert Border.unpack(border.row).steps == border.steps
    for ms in range(0, 800 * tiers.STEP_MS, 5 * tiers.STEP_MS):
        last = border.older_than(ms)
        assert last == 0 or youngest[last] < ms
    border.shrink(1500)
    assert border.first == 1500 and border.last == 2000 and border.steps[0][0] >= 1500
    border.shrink(2001)
    assert border.last == 2000 and border.steps == []


def test_what_leaves_the_middle_of_a_queue_is_a_defect() -> None:
    pair = Pair()
    pair.append(QUEUES[0], 10)
    pair.move(QUEUES[0], 6)
    batch = pair.tiered.batch()
    batch.delete(QUEUE, key(QUEUES[0], 3))
    with pytest.raises(AssertionError):
        pair.tiered.write(batch)


# --- on disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hot(tmp_path: Path) -> Any:
    store = RocksStore(tmp_path / "hot")
    yield store
    store.close()


def test_a_cold_store_is_found_again_and_no_other_is_taken_for_it(hot: RocksStore, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    with pytest.raises(StoreError, match=r"not there; mount the disk, or create"):
        open_cold(str(place), 0, hot)
    assert not place.exists(), "nothing is made where a disk is not mounted"
    place.mkdir()
    found = open_cold(str(place), 0, hot)
    tiers.copy(found, [(key(QUEUES[0], 1), b"old")])
    with pytest.raises(StoreError, match="cannot open"):
        open_cold(str(place), 0, hot)
    found.close()
    again = open_cold(str(place), 0, hot)
    assert again.get(QUEUE, key(QUEUES[0], 1)) == b"old"
    again.close()
    place.rename(tmp_path / "away")
    place.mkdir()
    with pytest.raises(StoreError, match="should be here and are not; mount"):
        open_cold(str(place), 0, hot)
    assert list(place.iterdir()) == []
    other = ColdStore(place / "shard-0")
    cold.put_mark(other, b"x" * 16)
    other.close()
    with pytest.raises(StoreError, match="belongs to another data directory"):
        open_cold(str(place), 0, hot)
    with pytest.raises(StoreError, match=r"set storage\.cold_path back"):
        open_cold("", 0, hot)


def test_a_start_that_was_killed_between_both_marks_goes_on(hot: RocksStore, tmp_path: Path) -> None:
    made = ColdStore(tmp_path / "shard-0")
    cold.put_mark(made, b"x" * 16)
    made.close()
    found = open_cold(str(tmp_path), 0, hot)
    assert found.get(schema.META, cold.MARK) == hot.get(schema.META, cold.MARK) != b"x" * 16
    found.close()


def test_another_servers_messages_are_not_taken_by_a_new_one(hot: RocksStore, tmp_path: Path) -> None:
    theirs = ColdStore(tmp_path / "shard-0")
    cold.put_mark(theirs, b"x" * 16)
    tiers.copy(theirs, [(key(QUEUES[0], 1), b"theirs")])
    theirs.close()
    with pytest.raises(StoreError, match="another data directory"):
        open_cold(str(tmp_path), 0, hot)
    assert hot.get(schema.META, cold.MARK) is None


def places(store: TieredStore) -> dict[str, float]:
    """Room left, by place."""
    return {one.labels["place"]: one.value for one in store.figures() if one.name == "disk_free_bytes"}
