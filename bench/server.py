"""The server under test: a private cluster, or one that runs already."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from bench import measure, seed
from lanying import control
from lanying.errors import LanyingError
from lanying.runtime import RunDirectory
from lanying.testing.cluster import Cluster

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "overlay")


@dataclass(frozen=True)
class Target:
    """Where and how.

    :ivar url: a running server; None: a private cluster
    :ivar data: data directory: of the private cluster (kept), or of the running server on this machine, which makes its
        CPU measurable
    """

    url: str | None = None
    data: Path | None = None
    shards: int = 2
    durability: str = "fsync"
    app_id: str = "lanying"
    source: Path | None = None


class Server:
    """A server for the length of a run.

    :param users: accounts to have
    """

    def __init__(self, target: Target, users: int) -> None:
        self.target = target
        self._users = users
        self._cluster: Cluster | None = None
        self._temporary: Path | None = None
        self.data: Path | None = target.data
        self.accounts: list[seed.Account] = []

    def __enter__(self) -> Self:
        target = self.target
        if target.url is not None:
            self.url = target.url.rstrip("/")
            self.accounts = seed.register(self.url, self._users, target.app_id)
            return self
        if target.data is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="lanying-bench-", dir="/var/tmp"))
        directory = self._temporary or target.data
        assert directory is not None
        directory.mkdir(parents=True, exist_ok=True)
        self.data = directory / "data"
        try:
            self.accounts = seed.provision(self.data, self._users, target.shards)
            self._cluster = Cluster(
                directory,
                target.shards,
                storage_durability=target.durability,
                max_connections=min(max(10_000, self._users + 1000), 18_000),
                log_level="warning",
            )
            self._cluster.start()
            self.url = self._cluster.url
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cluster is not None:
            with contextlib.suppress(AssertionError):
                self._cluster.stop()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def restart(self) -> bool:
        """Stop and start a private cluster. False: this one is not ours to restart."""
        if self._cluster is None:
            return False
        self._cluster.stop()
        self._cluster.start()
        return True

    def found_group(self, name: str, members: Sequence[int]) -> int:
        """A new group over REST, owned by the first member; its gid."""
        tokens = {account.uid: account.token for account in self.accounts}
        return seed.found_group(self.url, tokens[members[0]], self.target.app_id, name, members[1:])

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)

    def status(self) -> dict[str, Any]:
        """``lanying-cluster status``; empty when the server is not on this machine."""
        if self.data is None:
            return {}
        try:
            return control.ask(RunDirectory(self.data), {"do": "status"})
        except LanyingError:
            return {}

    def meter(self) -> measure.Meter:
        """A meter of all processes, the supervisor among them."""
        status = self.status()
        pids = {row["name"]: row["pid"] for row in status.get("processes", ()) if row["pid"]}
        if "pid" in status:
            pids["supervisor"] = status["pid"]
        return measure.Meter(pids)

    def figures(self) -> dict[str, float]:
        """Sums of the shards' own counters; up to two seconds old."""
        total: dict[str, float] = {}
        for row in self.status().get("processes", ()):
            if row["name"].startswith("shard-"):
                for name, value in row["figures"].items():
                    total[name] = total.get(name, 0.0) + value
        return total

    def log(self) -> str:
        """The end of a private cluster's log."""
        return self._cluster.log() if self._cluster is not None else ""
