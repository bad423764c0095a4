"""A move of slots that the running server was asked for: ``move.json`` in the data directory, format 1.

The last one is kept: how it ended is reported by the admin process that is started after it. States::

    asked -the server has drained-> running -> done, failed
    asked, running -the server was ended, and is started again-> done (the new data was complete), interrupted

``failed`` and ``interrupted``: all data is where it was. Replaced as a whole with every change (old or new, never a part). How far
the one under way is, is not worth a flush: a file in the run directory says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

import msgspec

from lanying.base.private import write_private
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap

FILE_NAME: Final = "move.json"
ASKED, RUNNING, DONE, FAILED, INTERRUPTED = "asked", "running", "done", "failed", "interrupted"
MOVER: Final = "mover"
"""The process that moves, as a kind of child of the supervisor and in logs."""

BYTES_PER_S: Final = 1_000_000
"""Before anything was measured on this machine: docs/admin.md has what was measured elsewhere."""
RESTART_S: Final = 5.0
"""Drain and start, without the move."""
TELLING_MS: Final = 1000
"""A shorter move was mostly the start of a process."""


class Move(msgspec.Struct, frozen=True):
    """One entry.

    :ivar title: in words, for example ``drain shard 1``
    :ivar who: asked for it, with which ``command``
    :ivar shards: of the wanted map, with its ``slots``
    :ivar moving: slots that get another shard
    :ivar size: bytes of the data, about
    :ivar text: how it ended
    :ivar back_ms: when the server was ready again, 0: not yet reported
    """

    title: str
    who: str
    command: str
    shards: int
    slots: tuple[int, ...]
    moving: int
    size: int
    asked_ms: int
    state: str = ASKED
    text: str = ""
    began_ms: int = 0
    ended_ms: int = 0
    back_ms: int = 0
    format: int = 1

    @property
    def map(self) -> ShardMap:
        """The wanted map; its version is given when it takes effect."""
        return ShardMap(shards=self.shards, slots=self.slots)

    @property
    def ended(self) -> bool:
        """Nothing will change any more."""
        return self.state not in (ASKED, RUNNING)

    def become(self, state: str, text: str = "", **changes: Any) -> Self:
        """The same in another state."""
        return msgspec.structs.replace(self, state=state, text=text, **changes)

    def save(self, data: Path) -> Self:
        """Make this the entry that counts. :raises OSError: no room"""
        write_private(data / FILE_NAME, msgspec.json.encode(self))
        return self

    @classmethod
    def load(cls, data: Path) -> Move | None:
        """The last one, None if there was none or the file is not one of ours."""
        try:
            return msgspec.json.decode((data / FILE_NAME).read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def row(self) -> dict[str, Any]:
        """As a row of the table of jobs."""
        return {
            "job": "move",
            "what": self.title,
            "state": self.state,
            "percent": 100 if self.state == DONE else None,
            "now": self.text,
            "who": self.who,
            "started_ms": self.asked_ms,
        }


def estimate(last: Move | None, size: int) -> tuple[float, bool]:
    """Seconds without service while ``size`` bytes move, about; and whether the last move, one of some length, says so."""
    if last is not None and last.state == DONE and last.back_ms:
        took_ms = last.ended_ms - last.began_ms
        if took_ms >= TELLING_MS:
            return (last.back_ms - last.asked_ms - took_ms + took_ms * size / max(last.size, 1)) / 1000, True
    return RESTART_S + size / BYTES_PER_S, False


class Step(msgspec.Struct, frozen=True):
    """How far the move under way is: ``run/move``."""

    step: str = ""
    done: int = 0
    total: int = 0

    def tell(self, run: RunDirectory) -> None:
        """Let everybody know."""
        part = run.path / "move.part"
        part.write_bytes(msgspec.json.encode(self))
        part.replace(run.path / "move")

    @classmethod
    def told(cls, run: RunDirectory) -> Step:
        """The last report; nothing done yet when there is none."""
        try:
            return msgspec.json.decode((run.path / "move").read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return cls()
