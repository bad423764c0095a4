"""First start, second start, and every refusal of a data directory."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from lanying.base.errors import DataDirectoryError, ShardCountError
from lanying.base.tokens import ROLE_ADMIN, verify
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.config.schema import AppOverrides, Config
from lanying.supervisor.datadir import DataDirectory


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "data"


def made(path, config=None, shards=2):
    data = DataDirectory(path)
    try:
        return data.prepare(config or Config(), shards)
    finally:
        data.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_writes_map_keys_and_token_for_the_owner_only(path):
    shard_map, (app,) = made(path)
    assert shard_map == ShardMap.even(2) == ShardMap.load(path)
    assert (app.app_id, app.name, len(app.secret)) == ("lanying", "Lanying", 32)
    identity = verify(app.secret, (path / "admin-token").read_text().strip(), 0)
    assert (identity.app, identity.role, identity.uid, identity.expires) == ("lanying", ROLE_ADMIN, 0, 0)
    assert mode(path) == 0o700 and mode(path / "apps.json") == mode(path / "admin-token") == 0o600


def test_later_starts_keep_everything(path):
    first = made(path)
    token = (path / "admin-token").read_text()
    assert made(path, shards=7) == first
    assert (path / "admin-token").read_text() == token


def test_a_new_name_of_the_app_is_taken_from_the_configuration(path):
    made(path)
    assert made(path, Config(app_name="School"))[1][0].name == "School"


def test_a_lost_admin_token_is_written_again(path):
    made(path)
    (path / "admin-token").unlink()
    made(path)
    assert (path / "admin-token").exists()


def test_two_servers_have_different_keys(tmp_path):
    assert made(tmp_path / "a")[1][0].key != made(tmp_path / "b")[1][0].key


def test_another_shard_count_names_both_and_the_way_out(path):
    made(path, shards=3)
    with pytest.raises(ShardCountError, match=r"built with 3 shards, 4 asked for.*--shards 3.*reshard --shards 4"):
        DataDirectory(path, shards=4)
    DataDirectory(path, shards=3).close()


def test_in_use_by_a_living_process_which_is_left_alone(path):
    data = DataDirectory(path)
    data.prepare(Config(), 1)
    try:
        with pytest.raises(
            DataDirectoryError, match=rf"in use by another instance \(pid {os.getpid()}\).*lanying-cluster stop"
        ):
            DataDirectory(path)
        assert RunDirectory(path).path.exists() and (path / "lock").read_text().split()[0] == str(os.getpid())
    finally:
        data.close()
    DataDirectory(path).close()


def test_a_lock_held_by_children_of_a_dead_server_is_waited_for(path):
    made(path)
    program = "import os, sys; sys.stdin.read()"
    data = DataDirectory(path)
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, pass_fds=(data.lock_fd,))
    os.ftruncate(data.lock_fd, 0)  # as if its pid were nobody's
    data.close()
    assert child.stdin is not None
    child.stdin.close()  # the child goes in its own time
    DataDirectory(path).close()
    assert child.wait() == 0


def test_another_app_id_is_refused(path):
    made(path)
    with pytest.raises(DataDirectoryError, match="serves app_id 'lanying', the configuration says 'school'"):
        made(path, Config(app_id="school"))


def test_somebody_elses_directory_is_refused_and_left_as_it_was(tmp_path):
    place = tmp_path / "home"
    (place / "run").mkdir(parents=True)
    (place / "thesis.doc").write_text("x")
    (place / "run" / "marathon.gpx").write_text("x")
    place.chmod(0o755)
    with pytest.raises(DataDirectoryError, match=r"not a lanying data directory \(it has thesis.doc"):
        DataDirectory(place)
    assert {str(file.relative_to(place)) for file in place.rglob("*")} == {"thesis.doc", "run", "run/marathon.gpx"}
    assert mode(place) == 0o755


def test_a_start_that_is_refused_later_leaves_an_empty_directory_empty(path):
    path.mkdir(parents=True)
    DataDirectory(path).close()
    assert not list(path.iterdir())


def test_a_lock_file_that_was_deleted_meanwhile_is_not_the_lock(path, monkeypatch):
    made(path)
    old = os.open(path / "lock", os.O_RDWR)
    opened = os.open

    def late(file, *arguments, **more):
        fd = opened(file, *arguments, **more)
        if Path(file).name == "lock" and os.path.samestat(os.fstat(fd), os.fstat(old)):
            os.unlink(file)  # by who held it, between our opening it and our locking it
        return fd

    monkeypatch.setattr(os, "open", late)
    data = DataDirectory(path)
    assert os.path.samestat(os.fstat(data.lock_fd), os.stat(path / "lock"))
    data.close()


def test_a_copy_is_known_at_its_first_start(path, tmp_path):
    made(path)
    made(path)
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    DataDirectory(copy).close()  # a tool that works on it is no start
    for place, expected in ((path, False), (copy, True), (copy, False)):
        data = DataDirectory(place)
        data.prepare(Config(), 2)
        assert data.copied is expected
        data.close()


def test_not_a_directory(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataDirectoryError, match="--data"):
        DataDirectory(tmp_path / "file")
    with pytest.raises(DataDirectoryError, match="--data"):
        DataDirectory(tmp_path / "file" / "below")


def test_not_writable(path, monkeypatch):
    path.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(DataDirectoryError, match=r"Permission denied.*--data"):
        DataDirectory(path)


@pytest.mark.parametrize("file", ["apps.json", "shardmap.json"])
def test_damaged_files(path, file):
    made(path)
    (path / file).write_text("{")
    with pytest.raises(DataDirectoryError, match=r"damaged.*backup"):
        made(path)


def test_the_sockets_directory_goes_with_the_lock_also_when_it_is_elsewhere(tmp_path):
    for path in (tmp_path / "d", tmp_path / ("deep" * 20)):
        data = DataDirectory(path)
        data.prepare(Config(), 1)
        sockets = RunDirectory(path).path
        (sockets / "bus-x.ipc").touch()
        data.close()
        assert not sockets.exists()


def test_a_refused_first_start_leaves_nothing(path):
    DataDirectory(path).close()
    assert not path.exists()


def test_a_first_start_that_was_cut_short_is_completed(path):
    path.mkdir(parents=True)
    (path / "apps.json").write_bytes(msgspec.json.encode([App("lanying", "Lanying", "00" * 32)]))
    assert made(path)[1][0].key == "00" * 32


def test_a_table_of_the_configuration_makes_another_app(path):
    made(path)
    config = Config(apps={"branch": AppOverrides(name="Branch office")})
    first, branch = made(path, config)[1]
    assert (branch.app_id, branch.name) == ("branch", "Branch office")
    assert branch.key != first.key
    assert verify(branch.secret, (path / "admin-token.branch").read_text().strip(), 0).app == "branch"
    assert [app.app_id for app in made(path)[1]] == ["lanying", "branch"]
    assert made(path, config)[1] == (first, branch)
