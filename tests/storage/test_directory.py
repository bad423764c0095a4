"""A data directory for tools: named when it is none, closed whatever happens, and files old or new but never a part."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from lanying.base.errors import DataDirectoryError, StoreError
from lanying.cluster.shardmap import ShardMap
from lanying.storage import directory
from lanying.supervisor.datadir import SWITCHING_FILE


def test_what_is_no_data_directory_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match=r"not a data directory \(no shardmap.json\); name the server's"):
        directory.need_map(tmp_path)
    made = ShardMap.even(2)
    made.save(tmp_path)
    assert directory.need_map(tmp_path) == directory.need_settled(tmp_path) == made


def test_directories_that_are_being_exchanged_are_not_touched(tmp_path: Path) -> None:
    ShardMap.even(2).save(tmp_path)
    (tmp_path / SWITCHING_FILE).touch()
    with pytest.raises(
        DataDirectoryError, match="a start of the server finishes it, and so does `lanying-cluster reshard`"
    ):
        directory.need_settled(tmp_path)
    assert directory.need_map(tmp_path)


class Store:
    def __init__(self, path: Path, closed: list[str]) -> None:
        self.name, self.closed = path.name, closed

    def close(self) -> None:
        self.closed.append(self.name)
        if self.name.startswith("bad"):
            raise StoreError(f"{self.name} does not close")


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def open_store(path: Path) -> Any:
        if path.name == "missing":
            raise StoreError("missing")
        return Store(path, names)

    monkeypatch.setattr(directory, "open_store", open_store)
    return names


def test_all_databases_are_closed_whatever_happens(closed: list[str]) -> None:
    with directory.opened([Path("a"), Path("b")]) as stores:
        assert len(stores) == 2 and not closed
    assert sorted(closed) == ["a", "b"]
    closed.clear()
    with pytest.raises(StoreError, match="missing"), directory.opened([Path("a"), Path("missing")]):
        raise AssertionError("not reached")
    assert closed == ["a"]


def test_what_went_wrong_first_is_raised(closed: list[str]) -> None:
    with pytest.raises(StoreError, match="does not close"), directory.opened([Path("bad"), Path("b")]):
        pass
    assert sorted(closed) == ["b", "bad"]
    with pytest.raises(ZeroDivisionError), directory.opened([Path("bad")]):
        raise ZeroDivisionError


def test_sizes_count_files_and_not_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "inner/deep").mkdir(parents=True)
    (tmp_path / "inner/deep/b").write_bytes(b"x" * 5)
    (tmp_path / "gone").symlink_to("nowhere")
    assert directory.tree_bytes(tmp_path) == 15
    assert 0 < directory.free_bytes(tmp_path) <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_files_are_private_and_trees_go_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "cold-path"
    directory.write_file(file, b"old")
    directory.write_file(file, b"new")
    assert file.read_bytes() == b"new" and stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / "tree/inner").mkdir(parents=True)
    for _ in range(2):
        directory.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert directory.shard_path(tmp_path, 3) == tmp_path / "shard-3"
