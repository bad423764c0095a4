"""A lanying server under test: a private cluster, or one that runs already."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import measure, seed
from bench.host import Host, Target
from bench.secure import trusting
from lanying.base.errors import LanyingError
from lanying.cluster.runtime import RunDirectory
from lanying.config.certificates import AUTHORITY, DIRECTORY
from lanying.supervisor import control
from lanying.supervisor.requests import StatusRequest
from lanying.testing.cluster import COMMAND, Cluster
from lanying.testing.ports import free_port

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "overlay")


class Server(Host):
    """A lanying server for the length of a run."""

    def __init__(self, target: Target, users: int) -> None:
        super().__init__(target, users)
        self._cluster: Cluster | None = None

    def _start(self, directory: Path | None) -> None:
        target = self.target
        if target.url is not None:
            self.url = target.url.rstrip("/")
            self.accounts = seed.register(self.url, self.users, target.app_id, context=self._context())
            return
        assert directory is not None
        self.data = directory / "data"
        self.accounts = seed.provision(self.data, self.users, target.shards)
        self._cluster = Cluster(
            directory,
            target.shards,
            command=(*target.prefix, *COMMAND),
            storage_durability=target.durability,
            max_connections=min(max(10_000, self.users + 1000), 18_000),
            log_level="warning",
            # A port of its own choice would be another one after a restart.
            listen_tls=f"127.0.0.1:{free_port()}" if target.tls else "",
        )
        self._cluster.start()
        self.url = str(self.status()["tls_url"]) if target.tls else self._cluster.url

    @property
    def authority(self) -> Path | None:
        """A private server's own."""
        if self._cluster is not None and self.target.tls:
            return self._cluster.data / DIRECTORY / AUTHORITY
        return self.target.authority

    def _context(self) -> ssl.SSLContext | None:
        return trusting(self.authority) if self.tls else None

    def _stop(self) -> None:
        if self._cluster is not None:
            with contextlib.suppress(AssertionError):
                self._cluster.stop()

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
        return seed.found_group(
            self.url, tokens[members[0]], self.target.app_id, name, members[1:], context=self._context()
        )

    def settings(self) -> dict[str, Any]:
        """For the record."""
        return {
            "server": self.target.url or "private",
            "shards": self.target.shards,
            "tls": self.tls,
            "durability": self.status().get("durability", self.target.durability),
        }

    def status(self) -> dict[str, Any]:
        """``lanying-cluster status``; empty when the server is not on this machine."""
        if self.data is None:
            return {}
        try:
            found: dict[str, Any] = msgspec.to_builtins(control.ask(RunDirectory(self.data), StatusRequest()))
            return found
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
