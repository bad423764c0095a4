"""The supervisor with stub children: real processes, signals, sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lanying.testing.cluster import COMMAND, Cluster
from lanying.testing.poll import until

STUBS = (sys.executable, str(Path(__file__).with_name("stub_server.py")))


@pytest.fixture
def stubs(tmp_path):
    with Cluster(tmp_path, shards=3, command=STUBS) as cluster:
        yield cluster


def command(*arguments, program=COMMAND):
    return subprocess.run(
        [*program, *map(str, arguments)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def gone(pid):
    return (
        not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    )


def connects(url):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5):
        return True


def test_every_process_is_ready_pinned_and_has_its_descriptors(stubs):
    status = stubs.status()
    assert status["state"] == "ready" and status["shards"] == 3 and status["shard_map_version"] == 1
    rows = {row["name"]: row for row in status["processes"]}
    assert list(rows) == ["shard-0", "shard-1", "shard-2", "gateway", "admin", "router"]
    cores = sorted(os.sched_getaffinity(0))
    assert [rows[f"shard-{n}"]["core"] for n in range(3)] == [cores[n % len(cores)] for n in range(3)]
    assert rows["shard-0"]["figures"] == {"sessions": 3, "fds": 0, "cpus": 1}
    assert rows["router"]["figures"] == {"sessions": 3, "fds": 1, "cpus": len(cores)}
    assert rows["gateway"]["figures"]["fds"] == 1
    assert connects(stubs.url)


def test_status_as_table_and_as_json(stubs):
    shown = command("status", "--data", stubs.data)
    assert shown.returncode == 0, shown.stderr
    assert "shard-2" in shown.stdout and "durability fsync" in shown.stdout
    found = json.loads(command("status", "--json", "--data", stubs.data).stdout)
    row = found["processes"][0]
    assert row["rss_bytes"] > 1_000_000 and row["cpu_percent"] >= 0 and found["url"] == stubs.url


@pytest.mark.parametrize("name", ["shard-1", "gateway", "router"])
def test_a_killed_child_comes_back_and_the_others_stay(stubs, name):
    before = stubs.pids()
    restarts = stubs.kill(name)
    row = stubs.wait_ready(name, restarts)
    after = stubs.pids()
    assert row["last_exit"] == -signal.SIGKILL and row["restarts"] == 1
    assert {n for n in before if before[n] != after[n]} == {name}
    assert f"event=child_died process={name}" in stubs.log()


def test_a_hung_child_is_killed_and_restarted(stubs):
    restarts = stubs.kill("shard-0", signal.SIGSTOP)
    row = stubs.wait_ready("shard-0", restarts)
    assert row["last_exit"] == -signal.SIGKILL
    assert "hung: silent for" in stubs.log()


def test_the_death_of_the_fork_server_ends_nothing_and_what_ends_then_comes_back(stubs):
    before, forks = stubs.pids(), stubs.status()["fork_server"]
    os.kill(forks, signal.SIGKILL)
    restarts = stubs.kill("shard-1")
    row = stubs.wait_ready("shard-1", restarts)
    assert row["last_exit"] == -signal.SIGKILL and row["restarts"] == 1
    after = stubs.pids()
    assert {n for n in before if before[n] != after[n]} == {"shard-1"}, stubs.log()
    assert stubs.status()["fork_server"] not in (0, forks)
    assert "event=fork_server_died" in stubs.log()


def test_processes_have_their_names(stubs):
    for name, pid in stubs.pids().items():
        assert Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0") == f"lanying: {name}"


def test_the_public_port_stays_while_the_router_is_away(stubs):
    restarts = stubs.kill("router", signal.SIGSTOP)
    assert connects(stubs.url)
    stubs.wait_ready("router", restarts)
    assert connects(stubs.url)


def test_sigterm_drains_router_then_gateway_then_shards(stubs):
    pids = stubs.pids()
    assert stubs.stop() == 0
    assert all(gone(pid) for pid in pids.values())
    log = stubs.log()
    order = [log.index(f"stub {name} drained") for name in ("router", "gateway")]
    shards = [log.index(f"stub shard-{n} drained") for n in range(3)]
    assert order == sorted(order) and order[-1] < min(shards)


def test_ctrl_c_drains(tmp_path):
    stubs = Cluster(tmp_path, shards=1, command=STUBS)
    stubs.start()
    os.kill(stubs.pid, signal.SIGINT)
    until("the supervisor is gone", lambda: gone(stubs.pid), saw=stubs.log)
    assert stubs.stop() == 0
    assert "stub shard-0 drained" in stubs.log()


def test_a_second_signal_stops_at_once(tmp_path):
    (tmp_path / "misbehave-router").write_text("deaf")
    stubs = Cluster(tmp_path, shards=1, command=STUBS)
    stubs.start()
    pids = stubs.pids()
    os.kill(stubs.pid, signal.SIGTERM)
    until("the drain waits for the deaf router", lambda: stubs.status()["state"] == "draining")
    assert stubs.stop() == 1
    assert all(gone(pid) for pid in pids.values())


def test_stop_and_status_when_not_running(tmp_path, stubs):
    stopped = command("stop", "--data", stubs.data)
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    asked = command("status", "--data", stubs.data)
    assert asked.returncode == 3 and "not running" in asked.stderr


def test_restart_of_everything_keeps_the_pid_and_the_port(stubs):
    stubs.stop()
    stubs.start()  # now on a port of its own choice, no longer on one the system picks
    pid, before = stubs.pid, stubs.status()
    restarted = command("restart", "--data", stubs.data)
    assert restarted.returncode == 0, restarted.stderr + stubs.log()
    after = stubs.status()
    assert after["pid"] == pid and after["started"] > before["started"] and after["url"] == before["url"]
    assert not set(stubs.pids().values()) & {row["pid"] for row in before["processes"]}


def test_restart_of_one_process(stubs):
    before = stubs.pids()
    assert command("restart", "gateway", "--data", stubs.data).returncode == 0
    after = stubs.pids()
    assert {n for n in before if before[n] != after[n]} == {"gateway"}
    assert "no process 'nobody'; there are: shard-0" in command("restart", "nobody", "--data", stubs.data).stderr


def test_a_killed_supervisor_takes_its_children_along_and_the_next_start_works(stubs):
    pids = stubs.pids() | {"fork server": stubs.status()["fork_server"]}
    os.kill(stubs.pid, signal.SIGKILL)
    until("every child is gone", lambda: all(gone(pid) for pid in pids.values()), saw=lambda: pids)
    assert stubs.stop() == -signal.SIGKILL
    stubs.start()
    assert stubs.status()["state"] == "ready"


@pytest.mark.parametrize(("how", "code"), [("fail", 1), ("refuse", 78)])
def test_a_child_that_cannot_start_ends_the_start_with_nothing_left(tmp_path, how, code):
    (tmp_path / "misbehave-shard-1").write_text(how)
    data = tmp_path / "data"
    started = command("start", "--data", data, "--shards", "2", "--listen", "127.0.0.1:0", program=STUBS)
    assert started.returncode == code
    assert started.stdout == ""
    assert "stub shard-1 cannot go on" in started.stderr
    assert f"shard-1 exited with code {code} before it was ready" in started.stderr
    assert command("status", "--data", data).returncode == 3


def test_the_same_data_directory_twice_is_refused(stubs):
    second = command("start", "--data", stubs.data, "--listen", "127.0.0.1:0")
    assert second.returncode == 78
    assert f"in use by another instance (pid {stubs.pid})" in second.stderr and "lanying-cluster stop" in second.stderr
    assert stubs.status()["state"] == "ready"


def test_a_taken_port_is_refused_and_leaves_nothing(stubs, tmp_path):
    other = tmp_path / "other"
    second = command("start", "--data", other, "--listen", stubs.url.removeprefix("http://"))
    assert second.returncode == 78 and "the port is taken" in second.stderr and "--listen" in second.stderr
    assert not other.exists()


def test_daemon_returns_when_ready_and_logs_to_a_file(tmp_path):
    data = tmp_path / "data"
    started = command("start", "--data", data, "--shards", "1", "--listen", "127.0.0.1:0", "--daemon", program=STUBS)
    try:
        assert started.returncode == 0, started.stderr
        assert started.stdout.startswith("ready http://127.0.0.1:")
        assert command("status", "--data", data).returncode == 0
        assert "event=child_ready process=shard-0" in (data / "log" / "lanying.log").read_text()
    finally:
        assert command("stop", "--data", data).returncode == 0


def test_a_daemon_that_cannot_start_says_why(tmp_path):
    (tmp_path / "misbehave-gateway").write_text("fail")
    started = command(
        "start", "--data", tmp_path / "data", "--shards", "1", "--listen", "127.0.0.1:0", "--daemon", program=STUBS
    )
    assert started.returncode == 1 and started.stdout == ""
    assert "gateway exited with code 1 before it was ready" in started.stderr and "lanying.log" in started.stderr
