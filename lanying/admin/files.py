"""The files of a server as the admin process sees them: what it reads and writes in the data directory goes through here.

Nothing else of :mod:`lanying.admin` knows where a file lies; ``console`` does, which runs without a server too. Everything blocks.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lanying.admin import audit, keys
from lanying.cluster.runtime import RunDirectory, cold_path
from lanying.config import apps
from lanying.config.apps import App
from lanying.config.certificates import AUTHORITY, CHALLENGES, DIRECTORY
from lanying.config.notifiers import Notifiers
from lanying.config.schema import Config
from lanying.supervisor.move import Move

if TYPE_CHECKING:  # the engine and its tools are loaded when a backup is made: 15 MB most servers never need here
    from lanying.storage.progress import ProgressReport

AUDIT_FILE: Final = "audit.log"
FLUSHES: Final = 20


class ServerFiles:
    """One server's data directory.

    :ivar run: its sockets
    :ivar audit: its audit log, which this process alone appends to
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.run = RunDirectory(data)
        self.audit = audit.Audit(data / AUDIT_FILE)

    def __str__(self) -> str:
        """Where they are, for people."""
        return str(self._data)

    def entries(self, start: int, limit: int) -> list[tuple[int, audit.AuditEntry | None]]:
        """Lines of the audit log behind the first ``start``, with their numbers; None: not an entry."""
        return list(islice(audit.read(self._data / AUDIT_FILE), start, start + limit))

    def verify_audit(self) -> tuple[int, str, str]:
        """Number of good entries, the last hash, what is wrong behind them: see :func:`lanying.admin.audit.verify`."""
        return audit.verify(self._data / AUDIT_FILE, self.audit.last)

    def ring(self) -> keys.Ring:
        """The keys of consoles, as they are now. :raises ConfigError: damaged or not readable"""
        return keys.load(self._data)

    def watch_keys(self) -> keys.Watch:
        """Notices what changes in the ring."""
        return keys.Watch(self._data)

    def last_move(self) -> Move | None:
        """The last move of slots; None: there was none."""
        return Move.load(self._data)

    def keep_move(self, move: Move) -> None:
        """``move`` is the last one. :raises OSError: no room"""
        move.save(self._data)

    def need_room(self, shards: int, config: Config) -> int:
        """Bytes that a move copies, about. :raises ReshardError: there is no room for them"""
        from lanying.storage.reshard import need_room

        return need_room(self._data, shards, config)

    def back_up(self, destination: Path, config: Config, progress: ProgressReport, now_ms: int) -> dict[str, object]:
        """Back everything up into ``destination``, the cold stores included. :raises BackupError: it cannot be made"""
        from lanying.storage.backup import Backup

        cold = cold_path(self._data, config.storage.cold_path)
        return dict(Backup(self._data, destination, cold_path=cold, progress=progress).run(now_ms)._asdict())

    def token_file(self, app: App, *, first: bool) -> Path:
        """Where the admin token of an app is."""
        return apps.token_file(self._data, app, first)

    def has_notifier(self) -> bool:
        """Is there a vendor to push through?"""
        return Notifiers(self._data).any()

    @property
    def authority(self) -> Path:
        """The server's own certificate authority; not there where it has none."""
        return self._data / DIRECTORY / AUTHORITY

    @contextlib.contextmanager
    def proof(self, token: str) -> Iterator[str]:
        """What the gateway answers meanwhile to whoever asks for a proof (ACME) of this name. :raises OSError: no room"""
        content = secrets.token_hex(16)
        file = self._data / DIRECTORY / CHALLENGES / token
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(content)
        try:
            yield content
        finally:
            file.unlink()

    def disk_usage(self) -> tuple[int, int, int]:
        """Total, used and free bytes of the disk they are on."""
        return shutil.disk_usage(self._data)

    def measure_flushes(self, times: int = FLUSHES) -> list[float]:
        """Milliseconds of small flushes in a file beside them."""
        file = self._data / "doctor.tmp"
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            took = []
            for _ in range(times):
                os.write(fd, bytes(512))
                began = time.perf_counter()
                os.fdatasync(fd)
                took.append((time.perf_counter() - began) * 1000)
            return took
        finally:
            os.close(fd)
            file.unlink()
