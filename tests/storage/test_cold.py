"""Backup, verification, restore and resharding of data that is partly in cold stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanying.base.errors import BackupError, StoreError
from lanying.cluster.runtime import COLD_FILE, cold_path
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config, Storage
from lanying.shard.store import cold, schema
from lanying.shard.store.cold import cold_place, with_cold
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.tiers import TieredStore
from lanying.storage import directory, manifest
from lanying.storage.backup import LINKS, Backup
from lanying.storage.check import check, verify_data
from lanying.storage.forget_cold import forget_cold
from lanying.storage.progress import Silent
from lanying.storage.reshard import Reshard
from lanying.storage.restore import RESTORING, restore
from lanying.supervisor.datadir import DataDirectory
from lanying.testing.simulation import START_MS, Simulation
from tests.shard.upkeep.test_aging import age
from tests.storage import town

DAY_MINUTES = 1440
LATER_MS = START_MS + 60 * DAY_MINUTES * 60_000


class Interrupted(Exception):
    """The plug is pulled, nearly."""


def config(disk: Path) -> Config:
    return Config(storage=Storage(cold_path=str(disk), hot_days=30))


@contextmanager
def running(data: Path, disk: Path, days: int) -> Iterator[Simulation]:
    """The server, with whatever is on its cold disk, so many days after the first start."""
    shards = directory.need_map(data).shards
    with directory.opened([directory.shard_path(data, index) for index in range(shards)]) as hot:
        stores = [with_cold(store, str(disk), index) for index, store in enumerate(hot)]
        for store in stores:
            store.flush = lambda: None  # type: ignore[method-assign]
        sim = Simulation(shards, config(disk), stores=stores, now_ms=START_MS + days * DAY_MINUTES * 60_000)
        yield sim
        for shard in sim.shards:
            shard.store_cursors()
        sim.run()
        for store in stores:
            assert isinstance(store, TieredStore)
            if store.cold is not None:
                store.cold.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    town.found(place / "data", 2)
    (place / "disk").mkdir()
    with running(place / "data", place / "disk", 0) as sim:
        town.talk(sim, 1)
    with running(place / "data", place / "disk", 31) as sim:
        age(sim, 6)
        users = list(town.people(sim).values())
        users[0].device("phone").send(users[1], "since then")
    return place


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    """``data`` and ``disk``, most messages in the cold stores there."""
    shutil.copytree(built / "data", tmp_path / "data")
    shutil.copytree(built / "disk", tmp_path / "disk")
    (tmp_path / "data" / COLD_FILE).write_text(f"{tmp_path / 'disk'}\n")
    return tmp_path


def look(data: Path, disk: Path) -> dict[str, town.Seen]:
    with running(data, disk, 32) as sim:
        return town.state(sim)


def problems(data: Path, disk: Path, logs: Path) -> list[str]:
    return verify_data(data, logs, Silent(), str(disk))[1]


def test_most_is_cold_and_everything_is_seen(place: Path, tmp_path: Path) -> None:
    moved = 0
    for index in range(2):
        store = cold.ColdStore(cold_place(str(place / "disk"), index))
        moved += sum(1 for _ in cold.rows(store))
        store.close()
    assert moved > 100
    assert problems(place / "data", place / "disk", tmp_path) == []
    seen = str(look(place / "data", place / "disk"))
    assert "since then" in seen and "all 0-0" in seen and "0-0-2" in seen


def test_without_the_disk_verification_says_so_and_finds_nothing_else(place: Path, tmp_path: Path) -> None:
    (place / "disk").rename(place / "away")
    found = problems(place / "data", place / "disk", tmp_path)
    assert len(found) == 2 and all("its cold store is not at" in problem for problem in found)
    assert "since then" in str(look(place / "data", place / "disk"))


def test_a_hole_in_a_cold_store_is_found(place: Path, tmp_path: Path) -> None:
    store = RocksStore(place / "data" / "shard-0")
    border = next(key for key, _ in store.scan(schema.BORDERS, b"", b"\xff" * 17))
    store.close()
    disk = cold.ColdStore(cold_place(str(place / "disk"), 0))
    batch = disk.batch()
    batch.delete(schema.QUEUE, border + schema.pack_u64(1))
    disk.write(batch)
    disk.close()
    assert any("missing" in problem for problem in problems(place / "data", place / "disk", tmp_path))


def test_a_backup_has_both_tiers_and_restores_them(place: Path, tmp_path: Path) -> None:
    expected = look(place / "data", place / "disk")
    backup = tmp_path / "backup"
    Backup(place / "data", backup, cold_path=cold_path(place / "data")).run(LATER_MS)
    assert manifest.load(backup).has_cold and check(backup).problems == []
    assert Backup(place / "data", backup, cold_path=str(place / "disk")).run(LATER_MS).copied_bytes == 0
    assert not (place / "disk" / LINKS).exists()
    restore(backup, tmp_path / "again", START_MS, cold_path=str(tmp_path / "other"))
    assert cold_path(tmp_path / "again") == str(tmp_path / "other")
    assert look(tmp_path / "again", tmp_path / "other") == expected
    restore(backup, tmp_path / "inside", START_MS)
    assert cold_path(tmp_path / "inside") == str(tmp_path / "inside" / "cold")
    assert look(tmp_path / "inside", tmp_path / "inside" / "cold") == expected
    with pytest.raises(BackupError, match=r"not empty.*storage\.cold_path"):
        restore(backup, tmp_path / "third", START_MS, cold_path=str(place / "disk"))


def test_a_backup_without_the_disk_is_refused_or_says_what_it_lacks(place: Path, tmp_path: Path) -> None:
    (place / "disk" / "shard-1").rename(tmp_path / "away")
    with pytest.raises(BackupError, match="--without-cold"):
        Backup(place / "data", tmp_path / "backup", cold_path=str(place / "disk"))
    Backup(place / "data", tmp_path / "backup").run(LATER_MS)
    assert check(tmp_path / "backup").problems == []
    restore(tmp_path / "backup", tmp_path / "again", START_MS)
    (tmp_path / "away").rename(place / "disk" / "shard-1")
    assert look(tmp_path / "again", place / "disk") == look(place / "data", place / "disk"), "the disk fits still"


def test_an_interrupted_restore_empties_only_its_own(place: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    Backup(place / "data", backup, cold_path=str(place / "disk")).run(LATER_MS)

    def point(name: str) -> None:
        if name == "restored cold/shard-1/CURRENT":
            raise Interrupted(name)

    with pytest.raises(Interrupted):
        restore(backup, tmp_path / "again", START_MS, cold_path=str(tmp_path / "other"), point=point)
    with pytest.raises(BackupError, match="not empty"):
        restore(backup, tmp_path / "again", START_MS, cold_path=str(place / "disk"))
    assert (place / "disk" / "shard-0" / "CURRENT").exists()
    restore(backup, tmp_path / "again", START_MS, cold_path=str(tmp_path / "other"))
    assert look(tmp_path / "again", tmp_path / "other") == look(place / "data", place / "disk")
    assert not list((tmp_path / "other").rglob(RESTORING))


def test_resharding_brings_everything_back_and_it_moves_again(place: Path, tmp_path: Path) -> None:
    data, disk = place / "data", place / "disk"
    expected = look(data, disk)
    Reshard(data, ShardMap.even(3), config(disk)).run(LATER_MS)
    assert list(disk.iterdir()) == [], "the old cold stores fit nobody any more"
    assert problems(data, disk, tmp_path) == []
    assert look(data, disk) == expected
    with running(data, disk, 62) as sim:
        age(sim, 6)
    assert look(data, disk) == expected
    assert problems(data, disk, tmp_path) == []
    assert sorted(path.name for path in disk.iterdir()) == ["shard-0", "shard-1", "shard-2"]


@pytest.mark.parametrize("stop", ["switched", "put cold away 0", "cleaning"])
def test_an_interrupted_end_of_resharding_never_deletes_new_cold_stores(place: Path, tmp_path: Path, stop: str) -> None:
    data, disk = place / "data", place / "disk"
    expected = look(data, disk)

    def point(name: str) -> None:
        if name == stop:
            raise Interrupted(name)

    with pytest.raises(Interrupted):
        Reshard(data, ShardMap.even(3), config(disk), point=point).run(LATER_MS)
    if stop == "cleaning":
        lock = DataDirectory(data)
        lock.prepare(Config(), 3)
        lock.close()
        with running(data, disk, 62) as sim:
            age(sim, 6)
    Reshard(data, ShardMap.even(3), config(disk)).run(LATER_MS)
    assert look(data, disk) == expected
    assert problems(data, disk, tmp_path) == []


def test_a_disk_that_is_lost_is_given_up_and_a_new_one_begun(place: Path, tmp_path: Path) -> None:
    data, disk = place / "data", place / "disk"
    before = look(data, disk)
    shutil.rmtree(disk)
    disk.mkdir()
    with running(data, disk, 62) as sim:
        age(sim, 3)
    assert list(disk.iterdir()) == [], "not on its own"
    assert forget_cold(data) > 100
    assert problems(data, disk, tmp_path) == []
    assert forget_cold(data) == 0
    seen = look(data, disk)
    assert seen.keys() == before.keys() and "since then" in str(seen) and "all 0-0" not in str(seen)
    with running(data, disk, 62) as sim:
        age(sim, 6)
        users = list(town.people(sim).values())
        phone = users[0].device("phone")
        assert phone.send(users[1], "goes on") in phone.acknowledged
        assert phone.history_texts(users[1])[-1] == "goes on"
    assert sorted(path.name for path in disk.iterdir()) == ["shard-0", "shard-1"]
    assert problems(data, disk, tmp_path) == []


def test_resharding_without_the_disk_is_refused(place: Path) -> None:
    (place / "disk").rename(place / "away")
    with pytest.raises(StoreError, match="mount the disk"):
        Reshard(place / "data", ShardMap.even(3), config(place / "disk")).run(LATER_MS)
