"""In which shape RocksDB keeps what: how often a byte is written, what a merge needs, and that every shape reads every other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rocksdict import Options

from bench.growth import Town
from lanying.shard.store import rocks, schema
from lanying.shard.store.base import WALK_FROM, consecutive
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.overlay import Overlay
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.rocks_options import APPENDED_RUNS, database_options
from lanying.testing import poll

MIB = 1 << 20
QUEUE = schema.QUEUE
WRITTEN = ("rocksdb.wal.bytes", "rocksdb.flush.write.bytes", "rocksdb.compact.write.bytes")
PER_RUN = 20


@contextmanager
def opened(path: Path) -> Iterator[RocksStore]:
    store = RocksStore(path, cache_bytes=MIB, buffer_bytes=MIB)
    yield store
    store.close()


def add_run(store: RocksStore, number: int) -> None:
    """Rows all over the keys there are, as a table of their own."""
    batch = store.batch()
    for n in range(PER_RUN):
        batch.put(QUEUE, schema.pack_triple(n, 1, number), bytes([number]) * 50)
    store.write(batch)
    store._families[QUEUE].flush()


def runs(store: RocksStore) -> int:
    """Tables that nothing was merged with yet, in the family of queues."""
    return int(store._families[QUEUE].property_value("rocksdb.num-files-at-level0"))


def rows(store: RocksStore) -> list[tuple[bytes, bytes]]:
    return list(store.scan(QUEUE, b"", b"\xff" * 30))


def written(path: Path, monkeypatch: pytest.MonkeyPatch, messages: int) -> float:
    """Bytes that the engine has written for a byte of rows, with the smallest buffer: as many merges as ten times the messages with a
    common one."""
    kept: list[Options] = []

    def counting(buffer_bytes: int) -> Options:
        kept.append(database_options(buffer_bytes))
        kept[0].enable_statistics()
        return kept[0]

    monkeypatch.setattr(rocks, "database_options", counting)
    with opened(path) as store:
        town = Town(store, accounts=200, partners=10)
        town.write(messages)
        poll.until(
            "merges are done", lambda: not store._families[QUEUE].property_int_value("rocksdb.num-running-compactions")
        )
        lines = (line.split() for line in (kept[0].get_statistics() or "").splitlines())
        counts = {line[0]: int(line[-1]) for line in lines if line and line[0] in WRITTEN}
        return sum(counts[name] for name in WRITTEN) / town.row_bytes


@pytest.mark.costs(4, "thousands of messages, so that there is something to merge")
def test_a_byte_of_rows_is_written_little_more_than_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log, in a table, and now and then again: 1.47 bytes. In levels it is 1.80 here, and grows."""
    assert written(tmp_path / "store", monkeypatch, 20_000) < 1.6


def test_without_room_for_a_copy_a_database_is_in_levels_and_each_shape_reads_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: list[tuple[bytes, bytes]] = []
    for number, free in enumerate((1 << 40, 0, 1 << 40, 0)):
        monkeypatch.setattr(RocksStore, "free_bytes", lambda store, free=free: free)
        with opened(tmp_path / "store") as store:
            assert rows(store) == sorted(expected)
            before = runs(store)
            for run in range(10 * number, 10 * number + 6):
                add_run(store, run)
                expected += [(schema.pack_triple(n, 1, run), bytes([run]) * 50) for n in range(PER_RUN)]
            if free:
                assert runs(store) == before + 6
            else:
                poll.until("levels merge four tables", lambda store=store: runs(store) < 4)
                store.compact()
            assert rows(store) == sorted(expected)


def test_a_merge_that_finds_no_room_does_not_begin_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "store") as store:
        add_run(store, 0)
        monkeypatch.setattr(store, "free_bytes", lambda: 0)
        store.tend()
        for number in range(1, APPENDED_RUNS + 10):
            add_run(store, number)
            store.tend()
        assert runs(store) == APPENDED_RUNS + 10
        monkeypatch.setattr(store, "free_bytes", lambda: 1 << 40)
        store.tend()
        poll.until("a merge of what has gathered", lambda: runs(store) < APPENDED_RUNS)
        assert len(rows(store)) == PER_RUN * (APPENDED_RUNS + 10)
    said = [record.getMessage().split()[0] for record in caplog.records]
    assert said == ["event=no_room_to_merge", "event=merges_go_on"], "once each"


@pytest.mark.parametrize("count", [0, 1, WALK_FROM - 1, WALK_FROM, 40])
def test_neighbours_are_what_single_look_ups_find(count: int) -> None:
    store = Overlay(MemoryStore())
    prefix = schema.pack_pair(1, 2)
    for seqs in ((1, 2, 5, 6, 7, 30), (8, 9)):
        batch = store.batch()
        for seq in seqs:
            batch.put(QUEUE, prefix + schema.pack_u64(seq), b"%d" % seq)
        if 8 not in seqs:
            store.write(batch)
    batch.put(QUEUE, schema.pack_pair(1, 3) + schema.pack_u64(3), b"another queue's")
    for first in (1, 4, 29):
        keys = [prefix + schema.pack_u64(first + n) for n in range(count)]
        assert consecutive(store, QUEUE, prefix, first, count) == store.get_many(QUEUE, keys)
