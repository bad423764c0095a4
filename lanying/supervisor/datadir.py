"""The data directory: its lock, and the files written on the first start (:mod:`lanying.cluster.runtime` lists them).

The lock is an ``flock`` on the file ``lock``. Children inherit the descriptor, so the directory is free only when the last process that
may have a database open is gone, also after a ``kill -9`` of the supervisor.

Format of ``lock``: a line with the holder's process id, and after the first start one with the number (inode) the file has itself. A
copy of the directory has the number of its original: that is how it is known.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
from pathlib import Path

from lanying.base.clock import wall_ms
from lanying.base.errors import DataDirectoryError, ShardCountError
from lanying.base.private import write_private
from lanying.cluster.runtime import COLD_FILE, RunDirectory, cold_path
from lanying.cluster.shardmap import ShardMap
from lanying.config import apps
from lanying.config.schema import Config

LOCK_FILE = "lock"
LOG_FILE = "log/lanying.log"
JOURNAL_FILE = "reshard.json"
"""There while data is moved to another shard map (:mod:`lanying.storage.journal`)."""
SWITCHING_FILE = "reshard.switching"
"""There while the shards' directories are exchanged for that: what is there fits no shard map."""
LOCK_WAIT_S = 5.0
"""Children of a killed supervisor take a moment to go."""
_OURS = {LOCK_FILE, "run", "log", "lost+found", apps.FILE, apps.TOKEN_FILE}
"""What may be there before the shard map is: it is written last."""


def read_map(data: Path, shards: int = 0) -> ShardMap | None:
    """The shard map of what is to be a data directory; None: no server has been started there, and one can be.

    :param shards: how many the caller wants, 0 for as many as it was built with
    :raises DataDirectoryError: not ours, or damaged
    :raises ShardCountError: built with another number of shards
    """
    found = ShardMap.load(data)
    if found is None:
        names = {entry.name for entry in data.iterdir() if not entry.name.startswith(f"{apps.TOKEN_FILE}.")}
        foreign = sorted(names - _OURS)
        if foreign:
            raise DataDirectoryError(
                f"{data}: not a lanying data directory (it has {', '.join(foreign[:3])}, no shardmap.json); "
                "give an empty or new directory with --data"
            )
    elif shards and shards != found.shards:
        raise ShardCountError(
            f"{data}: built with {found.shards} shards, {shards} asked for; start with --shards {found.shards}, "
            f"or move the data with `lanying-cluster reshard --shards {shards}`"
        )
    return found


class DataDirectory:
    """A locked data directory.

    :param path: created when missing, mode 0700
    :param shards: how many the caller wants, 0 for as many as it was built with
    :ivar copied: what was prepared for a start is a copy of where a server was started last
    :raises DataDirectoryError: in use, not writable, not ours, or from a newer release
    :raises ShardCountError: built with another number of shards
    """

    copied = False

    def __init__(self, path: Path, shards: int = 0) -> None:
        self.path = Path(os.path.realpath(path))  # unlike resolve it takes links in a circle
        self._new = False
        self._lock_fd = -1
        self._held = False
        self._made_lock = False
        self._prepared = False
        self._inode = ""
        try:
            self._new = not self.path.exists()
            if not self._new:
                self.read_map(shards)  # before anything is touched: it may be somebody else's
            self._open()
            self.read_map(shards)
        except OSError as error:
            self.close()
            raise DataDirectoryError(
                f"{self.path}: {error.strerror}; give a directory this user can write with --data"
            ) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if self.path.stat().st_uid == os.getuid():
            self.path.chmod(0o700)
        self._made_lock = not (self.path / LOCK_FILE).exists()
        deadline = time.monotonic() + LOCK_WAIT_S
        while not self._try_lock():
            holder = self._read_lock()[0]
            if _alive(holder) or time.monotonic() > deadline:
                raise DataDirectoryError(
                    f"{self.path}: in use by another instance{f' (pid {holder})' if holder else ''}; "
                    "stop it with `lanying-cluster stop --data …`, or give another directory with --data"
                )
            time.sleep(0.02)
        self._held = True
        self._inode = self._read_lock()[1]
        self.write_pid()

    def _try_lock(self) -> bool:
        """Lock the file that is there now: who gave the lock back may have deleted the one that was waited for."""
        while True:
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
            self._lock_fd = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(self._lock_fd), os.stat(self.path / LOCK_FILE)):
                    return True
            except BlockingIOError:
                return False
            except FileNotFoundError:
                continue

    def _read_lock(self) -> tuple[int, str]:
        """Process id of the holder (0: unknown), and the number the file had when a server last started (empty: none did)."""
        pid, _, inode = os.pread(self._lock_fd, 64, 0).decode("ascii", "replace").partition("\n")
        return int(pid) if pid.isdecimal() else 0, inode.strip()

    def write_pid(self) -> None:
        """Put this process's id into the lock file (again, after a fork)."""
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, f"{os.getpid()}\n{self._inode}\n".encode(), 0)

    def read_map(self, shards: int = 0) -> None:
        """Read the shard map (again). ``shards`` and errors: as for the constructor."""
        self._shard_map = read_map(self.path, shards)

    @property
    def lock_fd(self) -> int:
        """Descriptor of the lock, for children to inherit."""
        return self._lock_fd

    @property
    def token_file(self) -> Path:
        """Where the admin token is."""
        return self.path / apps.TOKEN_FILE

    @property
    def log_file(self) -> Path:
        """Where a server started with ``--daemon`` logs to."""
        return self.path / LOG_FILE

    @property
    def shard_map(self) -> ShardMap | None:
        """As it was read; None: no server has been started here before."""
        return self._shard_map

    @property
    def is_initialised(self) -> bool:
        """Whether a server has been started here before."""
        return self._shard_map is not None

    def prepare(self, config: Config, shards: int) -> tuple[ShardMap, tuple[apps.App, ...]]:
        """Everything a start needs from here; on the first start it is written.

        :param shards: number of shards of a new directory
        :raises DataDirectoryError: damaged, full, or built for another app id
        """
        if (self.path / SWITCHING_FILE).exists():
            raise DataDirectoryError(
                f"{self.path}: a move of slots was interrupted while it exchanged directories; "
                "`lanying-cluster reshard` goes on from there"
            )
        try:
            self._prepared = True
            self._note_place()
            RunDirectory(self.path).create()
            served = self._prepare_apps(config)
            if self._shard_map is None:
                self._shard_map = ShardMap.even(shards)
                self._shard_map.save(self.path)
            if config.storage.cold_path:
                place = cold_path(self.path, config.storage.cold_path)
                write_private(self.path / COLD_FILE, place.encode() + b"\n")
            return self._shard_map, served
        except OSError as error:
            raise DataDirectoryError(
                f"{self.path}: {error.strerror}; make room or give another directory with --data"
            ) from error

    def _note_place(self) -> None:
        now = str(os.fstat(self._lock_fd).st_ino)
        self.copied = self._inode not in ("", now)
        self._inode = now
        self.write_pid()

    def _prepare_apps(self, config: Config) -> tuple[apps.App, ...]:
        known = found = apps.load(self.path) or (apps.new(config.app_id, config.app_name),)
        apps.check_first(known, config, self.path)
        there = {app.app_id for app in known}
        known = (*known, *(apps.new(app_id, app_id) for app_id in config.apps if app_id not in there))
        if known != found or not (self.path / apps.FILE).exists():
            apps.save(self.path, known)
        apps.write_tokens(self.path, known, wall_ms() // 1000)
        return apps.settle(config, known)[1]

    def close(self) -> None:
        """Give the lock back. The sockets go, and what was made only for a start that was refused."""
        if self._lock_fd < 0:
            return
        if self._held and (self._prepared or self.is_initialised):
            shutil.rmtree(RunDirectory(self.path).path, ignore_errors=True)
        if self._held and self._made_lock and not self.is_initialised:
            with contextlib.suppress(OSError):
                (self.path / LOCK_FILE).unlink()
                if self._new:
                    self.path.rmdir()
        os.close(self._lock_fd)
        self._lock_fd = -1


def _alive(pid: int) -> bool:
    return pid > 0 and Path(f"/proc/{pid}").exists()
