"""Fail points: named places in the code where tests let a process die, stall or fail.

Off unless the environment names a directory: ``LANYING_FAILPOINTS=/some/dir``. A test then *arms* a point by putting a
file there while the server runs, so one server serves any number of them::

    NAME            the next process to get there
    NAME@PROCESS    that process only: router, shard-0, gateway, supervisor

The file says what is to happen, and when: ``kill``, ``stall SECONDS`` or ``error``, each with a number behind it to let
a process pass the point that many times before. The process that gets there takes the file away first: an armed point acts once,
also when it kills and the process is started again. Points are passed once per turn, batch, call or connection, never per
message; switched off, one costs a function call.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "LANYING_FAILPOINTS"
DIRECTORY: Final = os.environ.get(VARIABLE, "")

POINTS: Final[Mapping[str, str]] = {
    "router.accepted": "a connection was accepted, nothing is read yet",
    "router.before_handoff": "a login or request is read, its socket still belongs to the router",
    "router.after_handoff": "the receiver has taken the socket, the router's copy is still open",
    "shard.opened": "the database is open, nobody on the bus knows of it yet",
    "shard.admitted": "a login is decided, neither written nor confirmed to the router",
    "shard.decided": "frames were read and decided upon in memory only",
    "shard.before_write": "a tick ends, its batch is not written",
    "shard.written": "the batch is in the log of the database, not flushed",
    "shard.before_flush": "the commit thread is about to flush",
    "shard.flushed": "flushed, nothing is sent yet",
    "shard.half_released": "clients have their acknowledgements, link messages are not sent",
    "shard.released": "everything is sent",
    "shard.link_received": "a batch of another shard came, nothing of it is applied",
    "shard.link_applied": "a batch of another shard is applied in memory, not committed",
    "shard.link_released": "what a batch of another shard did is let out to devices, and neither durable nor acknowledged",
    "shard.link_committed": "a batch of another shard is committed, not acknowledged",
    "shard.link_acknowledged": "another shard acknowledges, its rows are still in the outbox",
    "shard.draining": "asked to stop, the last tick is not written",
    "gateway.before_call": "a REST request is about to ask a shard",
    "gateway.after_call": "the shard has answered, the REST client has no answer",
    "supervisor.child_died": "a child has ended, nothing is done about it yet",
    "supervisor.before_spawn": "a child is about to be started",
    "mover.copied": "slots move: everything is copied, not compared yet",
    "mover.map_saved": "slots move: the directories are exchanged and the new map is saved, nothing is cleaned up",
}
"""Every point, with the moment it stands for."""

_process = "supervisor"
_passed: Counter[tuple[str, int]] = Counter()
"""How often an armed point was passed, by its file and when that was made."""


def failpoint(name: str) -> None:
    """The code has come to point ``name``: do what a test has armed there.

    :raises OSError: the point was armed with ``error``
    """
    if DIRECTORY:
        _reached(Path(DIRECTORY), name)


def here(process: str) -> None:
    """This process's name."""
    global _process
    _process = process


def arm(directory: Path, name: str, action: str = "kill", *, process: str = "", passes: int = 0) -> Path:
    """Let ``action`` happen in a process that has passed ``name`` ``passes`` times. The file: gone once it has happened."""
    assert name in POINTS, name
    armed = directory / (f"{name}@{process}" if process else name)
    unready = directory / f".{armed.name}"
    unready.write_text(f"{action} {passes}")
    unready.rename(armed)  # nobody reads half of it
    return armed


def _reached(directory: Path, name: str) -> None:
    for armed in (directory / f"{name}@{_process}", directory / name):
        try:
            arming = armed.name, armed.stat().st_mtime_ns
            action, *arguments, passes = armed.read_text().split()
            _passed[arming] += 1
            if _passed[arming] > int(passes):
                armed.unlink()
                _act(name, action, arguments)
        except FileNotFoundError:
            pass  # not armed, or another process was first


def _act(name: str, action: str, arguments: list[str]) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stall":
        signal.sigtimedwait((), float(arguments[0]))  # pure modules have points, too, and reach no clock
    else:
        raise OSError(errno.EIO, f"fail point {name}")
