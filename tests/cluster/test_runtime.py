"""Where a running server keeps its things: short enough for sockets, its owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lanying.cluster.runtime import COLD_FILE, RunDirectory, cold_path, shard_name


def test_cold_stores_are_where_it_is_configured_or_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cold_path(tmp_path) == ""
    (tmp_path / COLD_FILE).write_text("/mnt/cold\n")
    assert cold_path(tmp_path) == "/mnt/cold"
    assert cold_path(tmp_path, "/other") == "/other"
    monkeypatch.chdir(tmp_path)
    assert cold_path(tmp_path, "here") == str(tmp_path / "here")


@pytest.mark.parametrize("length", [1, 30, 200])
def test_socket_paths_are_short_wherever_the_data_are(length: int) -> None:
    deep = Path("/srv") / ("x" * length)
    run = RunDirectory(deep)
    assert (run.path == deep / "run") == (length < 60)
    for endpoint in (run.bus("shard-15"), run.handoff("gateway"), run.control, run.admin, run.admin_events):
        assert len(endpoint.removeprefix("ipc://")) < 107
    assert RunDirectory(deep).path == run.path, "every process finds the same"
    assert RunDirectory(deep / "y").path != run.path
    assert len({run.bus("a"), run.bus("b"), run.handoff("a"), run.control, run.admin, run.admin_events}) == 6


def test_a_link_to_the_data_leads_to_the_same_sockets(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    assert RunDirectory(tmp_path / "link").path == RunDirectory(tmp_path / "data").path


def test_the_directory_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory(tmp_path)
    run.path = tmp_path / "run"
    run.path.mkdir(mode=0o777)
    run.create()
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        run.create()


def test_a_shards_process_has_its_number() -> None:
    assert [shard_name(index) for index in (0, 12)] == ["shard-0", "shard-12"]
