"""What a child process learns at its start."""

import io
import os
from pathlib import Path

import msgspec
import pytest

from lanying.cluster.launch import Launch
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config import apps
from lanying.config.apps import App
from lanying.config.schema import Config

FIRST = App("first", "Lanying", "a" * 32)
ADDED = App("added", "Added", "b" * 32)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Reads a record as a child does."""

    def read(**fields: object) -> Launch:
        record = Launch("shard-0", Config(), str(tmp_path), ShardMap.even(1), (FIRST,), **fields)
        stdin = io.TextIOWrapper(io.BytesIO(msgspec.json.encode(record)))
        monkeypatch.setattr("sys.stdin", stdin)
        return Launch.read()

    return read


def test_a_child_is_what_its_record_says(given, tmp_path: Path) -> None:
    found = given(index=3, fds={"listener": 7})
    assert (found.name, found.index, found.fds, found.apps) == ("shard-0", 3, {"listener": 7}, (FIRST,))
    assert found.run.path == RunDirectory(tmp_path).path


def test_an_app_that_was_added_since_is_served(given, tmp_path: Path) -> None:
    apps.save(tmp_path, (FIRST, ADDED))
    assert [app.app_id for app in given().apps] == ["first", "added"]


def test_apps_that_cannot_be_read_leave_those_of_the_start(given, tmp_path: Path, capsys) -> None:
    (tmp_path / "apps.json").write_text("{")
    assert given().apps == (FIRST,)
    assert "shard-0: " in capsys.readouterr().err


def test_it_runs_on_the_core_it_was_given(given, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[tuple[int, set[int]]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: pinned.append((pid, cores)))
    given()
    given(cpu=2)
    assert pinned == [(0, {2})]
