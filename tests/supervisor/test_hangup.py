"""SIGHUP: the log is opened again, and only a terminal that was closed ends a server."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lanying.cluster.runtime import RunDirectory
from lanying.supervisor import control
from lanying.supervisor.requests import StatusRequest
from lanying.testing.poll import until

START = [sys.executable, "-m", "lanying.cli", "start", "--shards", "2", "--listen", "127.0.0.1:0"]
STOP = [sys.executable, "-m", "lanying.cli", "stop"]
PROCESSES = ("supervisor", "shard-0", "shard-1", "gateway", "admin", "router")


def _read(log: Path) -> str:
    return log.read_text("utf-8") if log.exists() else ""


def _pids(data: Path) -> dict[str, int]:
    return {row.name: row.pid for row in control.ask(RunDirectory(data), StatusRequest()).processes}


@pytest.mark.timeout(120)
def test_a_log_that_was_moved_away_is_opened_again_by_every_process(tmp_path: Path) -> None:
    data = tmp_path / "data"
    subprocess.run([*START, "--data", str(data), "--daemon"], check=True, capture_output=True)
    log, moved = data / "log/lanying.log", data / "log/lanying.log.1"
    try:
        before = _pids(data)
        pid = int((data / "lock").read_text().splitlines()[0])
        for _ in range(2):  # the second time the first file is gone
            log.replace(moved)
            os.kill(pid, signal.SIGHUP)
            until(
                "every process has opened the log again",
                lambda: all(f" {name} lanying.base.log_file event=log_reopened" in _read(log) for name in PROCESSES),
                saw=lambda: _read(log) + _read(moved),
            )
        assert log.stat().st_mode & 0o777 == 0o600
        assert _pids(data) == before, "nothing ended"
        log.unlink()
        log.mkdir()  # cannot be opened
        os.kill(pid, signal.SIGHUP)
        log.rmdir()
        assert _pids(data) == before
    finally:
        assert subprocess.run([*STOP, "--data", str(data)], capture_output=True).returncode == 0


@pytest.mark.timeout(120)
def test_a_log_that_is_too_large_begins_anew_in_every_process(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environment = os.environ | {"LANYING_LOG_MB": "1", "LANYING_LOG_FILES": "2"}
    subprocess.run([*START, "--data", str(data), "--daemon"], check=True, capture_output=True, env=environment)
    log = data / "log/lanying.log"
    try:
        before = _pids(data)
        for number in range(4):
            with log.open("a") as file:
                file.write(f"piece {number}\n" + "x" * (1 << 20) + "\n")
            until(
                "every process has opened a new log",
                lambda piece=f"piece {number}": (
                    piece not in (now := _read(log))
                    and all(f" {name} lanying.base.log_file event=log_reopened" in now for name in PROCESSES)
                ),
                saw=lambda: _read(log)[-2000:],
            )
        assert sorted(path.name for path in log.parent.iterdir()) == ["lanying.log", "lanying.log.1", "lanying.log.2"]
        assert "piece 3" in _read(Path(f"{log}.1")) and "piece 2" in _read(Path(f"{log}.2"))
        assert log.stat().st_mode & 0o777 == 0o600
        assert _pids(data) == before, "nothing ended"
    finally:
        assert subprocess.run([*STOP, "--data", str(data)], capture_output=True).returncode == 0


@pytest.mark.timeout(120)
def test_without_a_file_nothing_happens_and_a_closed_terminal_drains(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ours, theirs = pty.openpty()
    server = subprocess.Popen(
        [*START, "--data", str(data)], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith(b"ready ")
        before = _pids(data)
        server.send_signal(signal.SIGHUP)
        assert _pids(data) == before and server.poll() is None
        os.close(ours)  # the terminal is closed
        server.send_signal(signal.SIGHUP)  # as the kernel does to who has it as controlling terminal
        assert server.wait(60) == 0
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
