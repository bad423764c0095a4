"""What a scenario needs of the server under test, whichever it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from bench import measure, seed

TEMPORARY = "/var/tmp"
"""On a disk: /tmp often is memory, where a sync costs nothing."""


@dataclass(frozen=True)
class Target:
    """Where and how.

    :ivar url: a running server; None: a private one
    :ivar data: data directory: of the private server (kept), or of the running server on this machine, which makes its
        CPU measurable
    :ivar tls: all clients over TLS: of a private server, which is its own authority then
    :ivar place: where a private server's temporary data goes; None: :data:`TEMPORARY`
    :ivar authority: PEM file to trust instead of the system's, for a running server with https
    :ivar prefix: command in front of the server's own, for example one that limits it
    """

    url: str | None = None
    data: Path | None = None
    shards: int = 2
    durability: str = "fsync"
    app_id: str = "lanying"
    prefix: tuple[str, ...] = ()
    tls: bool = False
    authority: Path | None = None
    place: Path | None = None


class Host:
    """A server for the length of a run, with a directory of its own. A context manager.

    :param users: accounts to have
    :ivar accounts: them, once entered
    :ivar data: data directory, None when it is not known
    """

    url = ""

    def __init__(self, target: Target, users: int) -> None:
        self.target = target
        self.users = users
        self.data: Path | None = target.data
        self.accounts: list[seed.Account] = []
        self._temporary: Path | None = None

    def __enter__(self) -> Self:
        if self.target.url is None and self.target.data is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="lanying-bench-", dir=self.target.place or TEMPORARY))
        directory = self._temporary or self.target.data
        try:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            self._start(directory)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _start(self, directory: Path | None) -> None:
        """Have it serve, with its accounts; sets ``url``. ``directory`` is None for a server that runs already."""
        raise NotImplementedError

    def _stop(self) -> None:
        """End what :meth:`_start` began, whole or in part."""

    def restart(self) -> bool:
        """Stop and start. False: this one is not ours to restart."""
        return False

    def found_group(self, name: str, members: Sequence[int]) -> int:
        """A new group, owned by the first member; its gid."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """For the record: which server, how durable."""
        raise NotImplementedError

    def meter(self) -> measure.Meter:
        """A meter of all its processes."""
        raise NotImplementedError

    def figures(self) -> dict[str, float]:
        """Counters it keeps itself, by name."""
        return {}

    @property
    def tls(self) -> bool:
        """Its clients come over TLS."""
        return self.url.startswith("https:")

    @property
    def authority(self) -> Path | None:
        """PEM file of the authority its clients trust; None: those of the system."""
        return self.target.authority

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)
