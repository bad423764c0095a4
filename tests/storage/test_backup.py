"""Backup, verification of backups, restore."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lanying.base.errors import BackupError, DataDirectoryError, StoreError
from lanying.config import apps
from lanying.shard.store import schema
from lanying.storage import directory, manifest, snapshot
from lanying.storage.backup import LINKS, Backup, BackupResult
from lanying.storage.check import check
from lanying.storage.directory import open_store
from lanying.storage.readonly import ReadOnlyStore
from lanying.storage.restore import restore
from lanying.supervisor.datadir import DataDirectory
from lanying.testing.simulation import START_MS
from tests.storage import town


class Interrupted(Exception):
    """The plug is pulled, nearly."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built") / "data"
    town.found(place, 2)
    with town.running(place) as sim:
        town.talk(sim, 1)
        town.leave_under_way(sim)
    return place


@pytest.fixture
def data(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "data"))


def back_up(data: Path, destination: Path, stop: str = "", config_file: Path | None = None) -> BackupResult:
    def point(name: str) -> None:
        if name == stop:
            raise Interrupted(name)

    return Backup(data, destination, config_file=config_file, point=point).run(START_MS)


def look(data: Path, later: int = 5) -> dict[str, town.Seen]:
    with town.running(data, later) as sim:
        return town.state(sim)


def change(data: Path) -> None:
    with town.running(data, 1) as sim:
        everybody = list(town.people(sim).values())
        everybody[0].device("phone").send(everybody[1], "after the backup")


def objects(backup: Path) -> set[Path]:
    return {path for path in (backup / manifest.OBJECTS).rglob("*") if path.is_file()}


def test_uploaded_files_are_part_of_it(data: Path, tmp_path: Path) -> None:
    place = data / "files/objects/ab/cd"
    place.mkdir(parents=True)
    (place / "3e8-0123").write_bytes(b"picture")
    (place / "3e8-0123.t320").write_bytes(b"thumbnail")
    back_up(data, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored", START_MS)
    found = [path for path in (tmp_path / "restored/files").rglob("*") if path.is_file()]
    assert [(path.name, path.read_bytes()) for path in found] == [("3e8-0123", b"picture")]
    assert found[0].parent.relative_to(tmp_path / "restored") == place.relative_to(data)
    assert back_up(data, tmp_path / "backup").copied_bytes == 0
    [linked] = snapshot.linked_files(data, "files/objects", data / LINKS)
    (place / "3e8-0123").unlink()
    assert linked.path.read_bytes() == b"picture"


def test_what_is_restored_is_what_was_backed_up(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "lanying.toml"
    config.write_text("[storage]\n")
    done = back_up(data, tmp_path / "backup", config_file=config)
    assert not done.online and done.size * 0.9 < done.copied_bytes <= done.size
    original = Path(shutil.copytree(data, tmp_path / "original"))
    change(data)
    restored = tmp_path / "restored"
    assert restore(tmp_path / "backup", restored, START_MS).shards == 2
    assert look(restored) == look(original) != look(data)
    assert (restored / "config.toml").read_text() == "[storage]\n"
    assert apps.load(restored)[0].key == apps.load(data)[0].key, "addresses of files in messages are signed with it"
    assert (restored / "apps.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700


def test_the_second_backup_copies_only_what_is_new(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    first = back_up(data, place)
    assert back_up(data, place).copied_bytes == 0
    change(data)
    second = back_up(data, place)
    assert 0 < second.copied_bytes < first.copied_bytes
    found = manifest.load(place)
    assert objects(place) == {manifest.object_path(place, entry.sha256) for entry in found.files}, (
        "nothing is left over"
    )
    found_ = check(place)
    assert found_.problems == [] and found_.rows > 500


@pytest.mark.parametrize("stop", ["kept shard-0/CURRENT", "kept apps.json", "copied"])
def test_an_interrupted_backup_is_no_backup(data: Path, tmp_path: Path, stop: str) -> None:
    place = tmp_path / "backup"
    with pytest.raises(Interrupted):
        back_up(data, place, stop)
    with pytest.raises(BackupError, match=r"no backup.*interrupted"):
        check(place)
    with pytest.raises(BackupError, match="no backup"):
        restore(place, tmp_path / "restored", START_MS)
    back_up(data, place)
    assert check(place).problems == []


@pytest.mark.parametrize("stop", ["kept shard-0/CURRENT", "copied", "manifest written"])
def test_an_interrupted_second_backup_leaves_a_good_one(data: Path, tmp_path: Path, stop: str) -> None:
    place = tmp_path / "backup"
    back_up(data, place)
    before = manifest.load(place)
    change(data)
    with pytest.raises(Interrupted):
        back_up(data, place, stop)
    assert check(place).problems == []
    assert (manifest.load(place) == before) == (stop != "manifest written")
    assert not (data / LINKS).exists()


def test_damage_is_found(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    back_up(data, place)
    entry = max(manifest.load(place).files, key=lambda entry: entry.size)
    path = manifest.object_path(place, entry.sha256)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert [entry.path in problem and "other content" in problem for problem in check(place).problems] == [True]
    with pytest.raises(BackupError, match=r"damaged.*verify"):
        restore(place, tmp_path / "restored", START_MS)
    path.write_bytes(content[:-1])
    assert "bytes instead of" in check(place).problems[0]
    path.unlink()
    assert "cannot be read" in check(place).problems[0]
    change(data)
    back_up(data, place)
    assert check(place).problems == [], "the next backup puts it right"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone")


HARMS = {
    "a bit": _flip,
    "shorter": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": _longer,
    "gone": Path.unlink,
    "a directory": _directory,
    "a link": _link,
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_place_is_good_again_after_the_next_backup(data: Path, tmp_path: Path, harm: str) -> None:
    place = tmp_path / "backup"
    back_up(data, place)
    entries = [entry for entry in manifest.load(place).files if entry.size > 1]
    hurt = [max(entries, key=lambda entry: entry.size), min(entries, key=lambda entry: entry.size)]
    for entry in hurt:
        HARMS[harm](manifest.object_path(place, entry.sha256))
    found = check(place)
    assert len(found.problems) >= len(hurt) and "back up into the same place again" in found.remedy
    again = back_up(data, place)
    assert again.mended == (0 if harm == "gone" else len(hurt))
    assert again.copied_bytes == sum(entry.size for entry in hurt)
    assert check(place)[3:] == ([], "")
    restore(place, tmp_path / "restored", START_MS)
    assert back_up(data, place).copied_bytes == 0


def test_a_place_with_a_damaged_manifest_can_be_used_again_as_its_error_says(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    back_up(data, place)
    _flip(place / manifest.FILE_NAME)
    with pytest.raises(BackupError, match=r"damaged.*to back up into this place again delete the file"):
        back_up(data, place)
    (place / manifest.FILE_NAME).unlink()
    assert back_up(data, place).copied_bytes == 0
    assert check(place).problems == []


def test_a_damaged_manifest_is_refused(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    back_up(data, place)
    path = place / manifest.FILE_NAME
    good = path.read_text()
    for bad, said in (
        (good[: len(good) // 2], "damaged"),
        (good.replace('"size": 16,', '"size": 17,'), "seal"),
        (good.replace('"format": 1', '"format": 2'), "upgrade"),
    ):
        assert bad != good
        path.write_text(bad)
        with pytest.raises(BackupError, match=said):
            check(place)


def test_broken_data_is_found_in_a_backup(data: Path, tmp_path: Path) -> None:
    store = open_store(data / "shard-0")
    key, _ = next(iter(store.scan(schema.QUEUE, b"", b"\xff" * 32)))
    batch = store.batch()
    batch.delete(schema.QUEUE, key)
    store.write(batch)
    store.close()
    back_up(data, tmp_path / "backup")
    assert any("position 1 to 1 missing" in problem for problem in check(tmp_path / "backup").problems)


def test_restore_refuses_a_directory_that_is_not_empty(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup")
    with pytest.raises(BackupError, match=r"not empty.*--data"):
        restore(tmp_path / "backup", data, START_MS)


@pytest.mark.parametrize("stop", ["begun", "restored shard-0/CURRENT", "restored apps.json", "renewed"])
def test_an_interrupted_restore_does_not_start_and_is_begun_again(data: Path, tmp_path: Path, stop: str) -> None:
    back_up(data, tmp_path / "backup")
    place = tmp_path / "restored"

    def point(name: str) -> None:
        if name == stop:
            raise Interrupted(name)

    with pytest.raises(Interrupted):
        restore(tmp_path / "backup", place, START_MS, point=point)
    with pytest.raises(DataDirectoryError, match="not a lanying data directory"):
        DataDirectory(place)
    restore(tmp_path / "backup", place, START_MS)
    DataDirectory(place).close()
    assert look(place) == look(data)


def test_destinations_that_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="in the data directory"):
        back_up(data, data / "backup")
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").touch()
    with pytest.raises(BackupError, match="has other files"):
        back_up(data, other)
    with pytest.raises(DataDirectoryError, match=r"no shardmap\.json"):
        back_up(other, tmp_path / "backup")


_WRITER = """
import sys
from pathlib import Path
from lanying.config import apps
from lanying.shard.store import schema
from lanying.storage.directory import open_store
store = open_store(Path(sys.argv[1]))
number = 0
while True:
    batch = store.batch()
    for family in (schema.QUEUE, schema.HISTORY, schema.CURSORS):
        batch.put(family, schema.pack_u64(number), bytes(2000))
    store.write(batch)
    number += 1
    if number % 500 == 0:
        print(number, flush=True)
"""


def test_a_picture_of_a_busy_database_is_one_moment_of_it(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "db")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    try:
        for number in range(5):
            for _ in range(3):
                written = int(writer.stdout.readline())
            files = snapshot.take(tmp_path / "db", tmp_path / f"links-{number}")
            copy = tmp_path / f"copy-{number}"
            copy.mkdir()
            for file in files:
                (copy / file.name).write_bytes(file.path.read_bytes()[: file.size])
            seen = ReadOnlyStore(copy, tmp_path)
            rows = [
                [key for key, _ in seen.scan(family, b"", b"\xff" * 9)]
                for family in (schema.QUEUE, schema.HISTORY, schema.CURSORS)
            ]
            seen.close()
            assert rows[0] == rows[1] == rows[2] == [schema.pack_u64(n) for n in range(len(rows[0]))]
            assert len(rows[0]) >= written
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def test_looking_changes_nothing(data: Path, tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (data / "shard-0").iterdir()}

    before = content()
    store = ReadOnlyStore(data / "shard-0", tmp_path)
    assert store.get(schema.META, b"schema_version") is not None
    with pytest.raises(StoreError, match="reading only"):
        store.write(store.batch())
    store.close()
    assert content() == before
    with pytest.raises(StoreError, match="cannot open"):
        ReadOnlyStore(tmp_path, tmp_path)
    assert directory.tree_bytes(data / "shard-0") == sum(map(len, before.values()))
