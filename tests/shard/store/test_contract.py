"""One suite for every store engine: the guarantees of ``lanying.shard.store.base``."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base.errors import SchemaError, StoreError, StoreFull
from lanying.base.figures import totals
from lanying.shard.store import schema
from lanying.shard.store.base import Batch, Store
from lanying.shard.store.cold import ColdStore
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.overlay import Overlay
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.tiers import TieredStore

QUEUE, META = schema.QUEUE, schema.META


class Layers(Overlay):
    """An overlay whose last written batches stay in it: in the open batch, with two also in a held one."""

    def __init__(self, store: Store, layers: int) -> None:
        super().__init__(store)
        self._layers = layers
        self._filled: Batch | None = None

    def batch(self) -> Batch:
        """One that reads do not see yet."""
        return self._below.batch()

    def write(self, batch: Batch) -> None:
        if self.held is not None:
            self.settle(1)
        if self._filled is not None:
            self.hold(self._filled)
            if self._layers == 1:
                self.settle(1)
        self._filled = super().batch()
        for family, key, stop, value in batch.operations:
            if value is not None:
                self._filled.put(family, key, value)
            elif stop is None:
                self._filled.delete(family, key)
            else:
                self._filled.delete_range(family, key, stop)


ENGINES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda path: MemoryStore(),
    "rocks": lambda path: RocksStore(path / "store"),
    "tiered": lambda path: TieredStore(RocksStore(path / "store"), ColdStore(path / "cold")),
    "overlay": lambda path: Layers(MemoryStore(), 1),
    "overlay of two layers": lambda path: Layers(RocksStore(path / "store"), 2),
}


@pytest.fixture(params=[*ENGINES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    engine = ENGINES[request.param](tmp_path)
    yield engine
    engine.close()


def put(store: Store, **rows: bytes) -> None:
    batch = store.batch()
    for key, value in rows.items():
        batch.put(QUEUE, key.encode(), value)
    store.write(batch)


def test_a_written_batch_is_visible_at_once(store: Store) -> None:
    put(store, a=b"1", b=b"")
    assert store.get(QUEUE, b"a") == b"1"
    assert store.get_many(QUEUE, [b"b", b"missing", b"a"]) == [b"", None, b"1"]
    assert store.get_many(QUEUE, []) == []
    assert store.get(META, b"a") is None, "families are apart"


def test_a_batch_applies_in_its_order(store: Store) -> None:
    batch = store.batch()
    assert batch.size == 0
    batch.put(QUEUE, b"k", b"1")
    assert batch.size > 0
    batch.delete(QUEUE, b"k")
    batch.put(QUEUE, b"k", b"2")
    batch.put(QUEUE, b"gone", b"1")
    batch.delete_range(QUEUE, b"g", b"h")
    assert store.get(QUEUE, b"k") is None, "nothing happens before the write"
    store.write(batch)
    assert store.get(QUEUE, b"k") == b"2"
    assert store.get(QUEUE, b"gone") is None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("start", "stop"), [(b"a", b"d"), (b"b", b"c"), (b"", b"\xff"), (b"c", b"a"), (b"bb", b"bc")])
def test_scans_take_start_and_leave_stop(store: Store, start: bytes, stop: bytes, reverse: bool) -> None:
    put(store, a=b"1", b=b"2", c=b"3", d=b"4")
    expected = [(k, v) for k, v in [(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"d", b"4")] if start <= k < stop]
    if reverse:
        expected.reverse()
    assert list(store.scan(QUEUE, start, stop, reverse=reverse)) == expected
    assert list(store.scan(QUEUE, start, stop, limit=2, reverse=reverse)) == expected[:2]


operation = st.one_of(
    st.tuples(st.just("put"), st.binary(min_size=1, max_size=3), st.binary(max_size=4)),
    st.tuples(st.just("delete"), st.binary(min_size=1, max_size=3), st.just(b"")),
    st.tuples(st.just("range"), st.binary(min_size=1, max_size=2), st.binary(min_size=1, max_size=2)),
)


@pytest.mark.costs(40, "hundreds of sequences, each on a RocksDB of its own")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(operation, max_size=8), max_size=6))
def test_all_engines_agree(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, bytes, bytes]]]
) -> None:
    rocks = RocksStore(tmp_path_factory.mktemp("store"))
    engines: list[Store] = [MemoryStore(), rocks, *(Layers(MemoryStore(), layers) for layers in (1, 2))]
    try:
        for operations in batches:
            for engine in engines:
                batch = engine.batch()
                for kind, key, value in operations:
                    if kind == "put":
                        batch.put(QUEUE, key, value)
                    elif kind == "delete":
                        batch.delete(QUEUE, key)
                    elif key < value:
                        batch.delete_range(QUEUE, key, value)
                engine.write(batch)
            for reverse in (False, True):
                first, *others = ([*engine.scan(QUEUE, b"", b"\xff" * 4, reverse=reverse)] for engine in engines)
                assert all(found == first for found in others)
                keys = [key for key, _ in first]
                assert all(engine.get_many(QUEUE, keys) == [value for _, value in first] for engine in engines)
    finally:
        for engine in engines:
            engine.close()


def test_rocks_keeps_what_was_written_when_the_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from lanying.shard.store.rocks import RocksStore\n"
        "s = RocksStore(Path(sys.argv[1])); b = s.batch(); b.put('queue', b'k', b'v'); s.write(b)\n"
        "print('written', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
    store = RocksStore(tmp_path)
    assert store.get(QUEUE, b"k") == b"v"
    store.close()


def test_rocks_survives_a_torn_log_tail(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "live")
    for number in range(50):
        put(store, **{f"k{number:02}": b"x" * 200})
    store.flush()
    found = shutil.copytree(tmp_path / "live", tmp_path / "found")  # what a power failure leaves: close() would tidy up
    store.close()
    log = max(found.glob("*.log"), key=lambda path: path.stat().st_size)
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 100)
    store = RocksStore(found)
    keys = [key for key, _ in store.scan(QUEUE, b"", b"\xff")]
    assert keys == [f"k{n:02}".encode() for n in range(49)], "a prefix of what was written, no holes"
    store.close()


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    batch = store.batch()
    batch.put(META, b"schema_compat_version", struct.pack(">I", schema.SCHEMA_VERSION + 1))
    store.write(batch)
    store.close()
    with pytest.raises(SchemaError, match="upgrade lanying"):
        RocksStore(tmp_path)


def test_families_of_a_newer_release_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RocksStore(tmp_path).close()
    known = tuple(family for family in schema.FAMILIES if family != schema.SEATS)
    monkeypatch.setattr(schema, "FAMILIES", known)
    with pytest.raises(SchemaError, match=r"seats.*upgrade lanying"):
        RocksStore(tmp_path)


def test_a_full_disk_at_the_end_is_said_in_words_and_lets_go_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RocksStore(tmp_path / "store")
    put(store, a=b"1")

    class Full:
        def close(self) -> None:
            raise Exception("IO error: No space left on device: While appending to file")

    monkeypatch.setitem(store._families, "one that cannot be written", Full())
    with pytest.raises(StoreFull, match="the disk is full"):
        store.close()
    again = RocksStore(tmp_path / "store")
    assert again.get(QUEUE, b"a") == b"1"
    again.close()


def test_a_store_in_use_is_refused(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    with pytest.raises(StoreError, match="cannot open"):
        RocksStore(tmp_path)
    store.close()


def successors() -> list[tuple[bytes, bytes]]:
    return [(b"a", b"b"), (b"a\xff", b"b"), (b"\x00\x01", b"\x00\x02"), (b"\xff\xff", b"\xff\xff\xff")]


@pytest.mark.parametrize(("prefix", "stop"), successors())
def test_the_successor_of_a_prefix_ends_its_scan(prefix: bytes, stop: bytes) -> None:
    check: Callable[[bytes], bytes] = schema.successor
    assert check(prefix) == stop


def test_the_cache_of_reads_is_among_the_figures_and_within_its_limit(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store", cache_bytes=1 << 20)
    batch = store.batch()
    for number in range(5000):
        batch.put(QUEUE, struct.pack(">I", number), os.urandom(1000))
    store.write(batch)
    store.compact()
    list(store.scan(QUEUE, b"", b"\xff" * 5))
    cache = totals(store.figures())["cache_bytes"]
    store.close()
    assert 100_000 < cache < 2 << 20
