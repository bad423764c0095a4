"""What the supervisor answers on its control socket: one JSON object each, ``{"ok": true, …}`` or ``{"ok": false, "error": text}``.

Every field has a default and unknown ones are ignored: a console and the server it asks may be of different releases.
"""

from __future__ import annotations

import msgspec

from lanying.base.figures import Figure, totals
from lanying.config.allotment import Allotment


class ControlAnswer(msgspec.Struct, frozen=True):
    """Done, and nothing to say; the base of those that do."""

    ok: bool = True


class ControlRefused(ControlAnswer, frozen=True):
    """It was not done; ``error`` is the reason, for people."""

    ok: bool = False
    error: str = ""


class Ending(ControlAnswer, frozen=True):
    """The server drains; the process ``pid`` ends."""

    pid: int = 0


class Restarting(ControlAnswer, frozen=True):
    """It drains and starts again. As it was before: when the server was ``started``, or how many ``restarts`` the process had."""

    started: float = 0.0
    restarts: int = 0


class ProcessStatus(msgspec.Struct, frozen=True):
    """A process.

    :ivar pid: None: it does not run now
    :ivar last_exit: None: it has not ended yet
    :ivar figures: those without labels by name, ``series`` the others
    :ivar core: which it is pinned to
    """

    name: str
    pid: int | None = None
    state: str = ""
    uptime_s: float = 0.0
    restarts: int = 0
    last_exit: int | None = None
    figures: dict[str, float] = {}
    series: list[Figure] = []
    core: int | None = None

    @property
    def counted(self) -> list[Figure]:
        """All figures."""
        return [*(Figure(name, value) for name, value in self.figures.items()), *self.series]


class MeasuredProcess(ProcessStatus, frozen=True):
    """A process, and what it takes: per cent of one core, bytes of memory. None: it is gone."""

    cpu_percent: float | None = None
    rss_bytes: int | None = None


class MoveStatus(msgspec.Struct, frozen=True):
    """A move of slots, and how far it is."""

    title: str = ""
    step: str = ""
    done: int = 0
    total: int = 0


class Status(ControlAnswer, frozen=True):
    """The server.

    :ivar allotted: what may be taken of its machine
    :ivar fork_server: process id of what the processes are forked from; 0: it is about to be started
    :ivar figures: of the supervisor itself
    """

    state: str = ""
    version: str = ""
    pid: int = 0
    fork_server: int = 0
    started: float = 0.0
    uptime_s: float = 0.0
    url: str = ""
    tls_url: str = ""
    metrics_url: str = ""
    data: str = ""
    app_id: str = ""
    durability: str = ""
    shards: int = 0
    shard_map_version: int = 0
    move: MoveStatus | None = None
    allotted: Allotment = Allotment()
    figures: dict[str, float] = {}
    series: list[Figure] = []
    processes: list[ProcessStatus] = []

    def process(self, name: str) -> ProcessStatus:
        """One of them. :raises KeyError: there is none of this name"""
        return {row.name: row for row in self.processes}[name]

    def total(self, figure: str) -> float:
        """A figure of all processes together."""
        return sum(row.figures.get(figure, 0.0) for row in self.processes)


class MeasuredStatus(Status, frozen=True):
    """The server with processes that were measured."""

    processes: list[MeasuredProcess] = []  # type: ignore[assignment]


def split(figures: list[Figure]) -> tuple[dict[str, float], list[Figure]]:
    """Figures without labels by name, and those with labels."""
    return totals(figures), [one for one in figures if one.labels]
