"""The end of the write-ahead log as a power failure leaves it: cut short, or full of something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lanying.base.errors import StoreError
from lanying.shard.store import schema
from lanying.shard.store.rocks import RocksStore

ROWS = 40
BLOCK = 32 * 1024


def put(store: RocksStore, number: int) -> None:
    """A batch over two families, as ticks are."""
    batch = store.batch()
    batch.put(schema.QUEUE, number.to_bytes(8, "big"), b"q" * 200)
    batch.put(schema.OUTBOX, number.to_bytes(8, "big"), b"o" * 200)
    store.write(batch)


def log_of(path: Path) -> Path:
    """The write-ahead log in use."""
    return max(path.glob("*.log"), key=lambda file: int(file.stem))


def found(path: Path) -> list[int]:
    """Numbers that are there; each batch has to be whole."""
    store = RocksStore(path)
    try:
        rows = [
            [int.from_bytes(key, "big") for key, _ in store.scan(family, b"", b"\xff" * 9)]
            for family in (schema.QUEUE, schema.OUTBOX)
        ]
    finally:
        store.close()
    assert rows[0] == rows[1], "a batch was torn apart"
    return rows[0]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A database as ``kill -9`` leaves it, and the size its log had when the first half of the rows was flushed."""
    place = tmp_path_factory.mktemp("torn")
    store = RocksStore(place / "live")
    for number in range(ROWS // 2):
        put(store, number)
    store.flush()
    flushed = log_of(place / "live").stat().st_size
    for number in range(ROWS // 2, ROWS):
        put(store, number)
    shutil.copytree(place / "live", place / "killed")
    store.close()
    (place / "killed" / "LOCK").unlink()
    return place / "killed", flushed


def copy(crashed: Path, tmp_path: Path) -> Path:
    target = tmp_path / "store"
    shutil.copytree(crashed, target)
    return target


def test_a_kill_loses_nothing(crashed: tuple[Path, int], tmp_path: Path) -> None:
    assert found(copy(crashed[0], tmp_path)) == list(range(ROWS))


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 0.5, 0.98])
def test_what_was_flushed_survives_the_loss_of_the_rest(
    crashed: tuple[Path, int], tmp_path: Path, share: float
) -> None:
    """The log is cut at any place behind the flush: whole batches up to there, and no half one."""
    path = copy(crashed[0], tmp_path)
    log = log_of(path)
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(crashed[1] + int((size - crashed[1]) * share))
    rows = found(path)
    assert rows == list(range(len(rows)))
    assert ROWS // 2 <= len(rows) < ROWS


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"lanying!"])
def test_garbage_behind_what_was_flushed_is_not_read(crashed: tuple[Path, int], tmp_path: Path, filling: bytes) -> None:
    path = copy(crashed[0], tmp_path)
    log = log_of(path)
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.seek(crashed[1] + 100)
        file.write((filling * size)[: size - crashed[1] - 100])
    rows = found(path)
    assert rows == list(range(len(rows)))
    assert ROWS // 2 <= len(rows) < ROWS


def test_a_database_opened_after_a_torn_end_goes_on(crashed: tuple[Path, int], tmp_path: Path) -> None:
    path = copy(crashed[0], tmp_path)
    with log_of(path).open("r+b") as file:
        file.truncate(crashed[1] + 50)
    before = found(path)
    store = RocksStore(path)
    put(store, 1000)
    store.flush()
    store.close()
    assert found(path) == [*before, 1000]


def test_a_damaged_manifest_is_refused_with_the_remedy(crashed: tuple[Path, int], tmp_path: Path) -> None:
    path = copy(crashed[0], tmp_path)
    manifest = max(path.glob("MANIFEST-*"))
    manifest.write_bytes(b"garbage" * 100)
    with pytest.raises(StoreError, match="restore"):
        RocksStore(path)
