"""A real server for tests, benchmarks and tools: ``lanying-cluster start`` as a process of its own on a free port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from lanying.base.errors import LanyingError
from lanying.cluster.runtime import RunDirectory
from lanying.config.load import PREFIX
from lanying.supervisor import control
from lanying.supervisor.requests import RestartRequest, StatusRequest
from lanying.testing.poll import until

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
LOG_TAIL_CHARS = 8000
CHEAP = {
    "accounts_argon2_memory_kib": "64",
    "accounts_argon2_passes": "1",
    "accounts_open_registration": "true",
    "accounts_strangers_may_add_to_groups": "true",
}
CHEAP |= {"accounts_registrations_per_minute": "0", "rest_call_timeout_ms": "5000"}
"""Settings of every test server: anybody may register, hashing a password costs nothing, and a busy machine is no dead shard."""
COMMAND = (sys.executable, "-m", "lanying.cli")


class Cluster:
    """One server. Use as a context manager, or call :meth:`start` and :meth:`stop`.

    :param directory: gets ``data/`` and ``server.log``
    :param data: another data directory
    :param config: settings by their environment name in lower case, for example ``storage_durability="os"``
    :ivar url: ``http://127.0.0.1:PORT``, known once started; the same port is used when it is started again
    :ivar listen: address it is started with
    :ivar environment: of its processes
    """

    def __init__(
        self,
        directory: Path,
        shards: int = 2,
        *,
        command: Sequence[str] = COMMAND,
        arguments: Sequence[str] = (),
        data: Path | None = None,
        **config: object,
    ) -> None:
        self.data = data or directory / "data"
        self.log_file = directory / "server.log"
        self.shards = shards
        self.url = ""
        self.listen = "127.0.0.1:0"
        self._command = (*command, "start", "--data", str(self.data), "--shards", str(shards), *arguments)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        settings = {**CHEAP, **{name: str(value) for name, value in config.items()}}
        self.environment = environment | {PREFIX + name.upper(): value for name, value in settings.items()}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it is ready.

        :raises AssertionError: it did not become ready; with its log
        """
        assert self._process is None or self._process.poll() is not None
        with self.log_file.open("a") as log:
            self._process = subprocess.Popen(
                (*self._command, "--listen", self.listen),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment,
            )
        line = _first_line(self._process, START_TIMEOUT_S)
        if not line.startswith("ready "):
            self._process.kill()
            raise AssertionError(f"the server did not become ready, it said {line!r}\n{self.log()}")
        self.url = line.split()[1]
        self.listen = self.url.removeprefix("http://") if self.listen else ""

    def stop(self) -> int:
        """Drain; the exit code. Does nothing when it is gone already."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"the server did not stop within {STOP_TIMEOUT_S:g} s\n{self.log()}") from None
        if process.stdout is not None:
            process.stdout.close()
        return process.wait()

    def ended(self, within_s: float = 0.0) -> bool:
        """The supervisor is gone, or goes within this time."""
        assert self._process is not None
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process is not None
        return self._process.pid

    @property
    def admin_token(self) -> str:
        """An admin token of the server's app."""
        return (self.data / "admin-token").read_text().strip()

    def status(self) -> dict[str, Any]:
        """What ``lanying-cluster status --json`` prints, without the measured CPU and memory."""
        found: dict[str, Any] = msgspec.to_builtins(control.ask(RunDirectory(self.data), StatusRequest()))
        return found

    def process(self, name: str) -> dict[str, Any]:
        """One row of the status."""
        return next(row for row in self.status()["processes"] if row["name"] == name)

    def pids(self) -> dict[str, int | None]:
        """Process ids by process name; None for one that is not running at the moment."""
        return {row["name"]: row["pid"] for row in self.status()["processes"]}

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a child a signal. Its restarts before that, for :meth:`wait_ready`."""
        row = self.process(name)
        assert row["pid"] is not None, f"{name} is not running: {row}"
        os.kill(row["pid"], number)
        return int(row["restarts"])

    def hurry(self) -> None:
        """Start at once what waits to be started again; nothing if there is no supervisor at the moment."""
        try:
            for row in self.status()["processes"]:
                if row["state"] == "waiting":
                    control.ask(RunDirectory(self.data), RestartRequest(row["name"]))
        except LanyingError:
            pass

    def wait_ready(self, name: str, restarts_before: int, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until a child has been started again and is ready; its row."""

        def came_back() -> dict[str, Any] | None:
            row = self.process(name)
            return row if row["state"] == "ready" and row["restarts"] > restarts_before else None

        return until(f"{name} is ready again", came_back, timeout_s, lambda: f"{self.process(name)}\n{self.log()}")

    def wait_all_ready(self, timeout_s: float = 30.0) -> None:
        """Wait until every process is ready."""
        until("every process is ready", lambda: self.status()["state"] == "ready", timeout_s, self.status)

    def log(self) -> str:
        """The end of everything the processes wrote."""
        return self.log_file.read_text(errors="replace")[-LOG_TAIL_CHARS:]


def _first_line(process: subprocess.Popen[str], timeout_s: float) -> str:
    """The first line a process prints; empty when it ends or says nothing for ``timeout_s``."""
    assert process.stdout is not None
    fd = process.stdout.fileno()
    os.set_blocking(fd, False)
    got = b""

    def line() -> str | None:
        nonlocal got
        try:
            piece = os.read(fd, 4096)
        except BlockingIOError:
            return None
        got += piece
        return got.decode(errors="replace") if b"\n" in got or not piece else None

    try:
        return until(
            "the first line", lambda: None if (found := line()) is None else (found or "\n"), timeout_s
        ).strip()
    except AssertionError:
        return ""
