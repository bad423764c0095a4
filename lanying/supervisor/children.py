"""What the supervisor decides about its children: no processes, no sockets, no clock.

Given what happened (a heartbeat, an exit, a signal, the time) :class:`Children` answers with commands, and
:mod:`lanying.supervisor.supervisor` performs them.

A child's states, with what moves it::

    IDLE -spawn-> STARTING -heartbeat(ready)-> READY
    STARTING, READY -silent too long-> KILLED -exit-> WAITING
    STARTING, READY -restart asked-> STOPPING -exit-> STARTING
    STARTING, READY -exit-> WAITING -backoff over-> STARTING    (before the first Announce: give the start up)
    any -drain-> STOPPING, when its stage has come, -exit-> GONE

The whole goes STARTING -> READY -> DRAINING -> OVER. Shards and gateway start together, the router when all of
them are ready: a client that gets an answer finds everything behind it. A drain goes the other way: router, gateway,
shards, each stage when the one before is gone.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

from lanying.base import limits
from lanying.base.figures import Figure
from lanying.cluster.runtime import ADMIN, EXIT_CONFIG, GATEWAY, PUSH, ROUTER, TLS
from lanying.supervisor.answers import ProcessStatus, split

EXIT_FAILED: Final = 1
LATE_S: Final = 1.0
"""A tick that comes later than this was not slow children but a stopped supervisor."""


class ChildState(StrEnum):
    """Where a child or the whole server is."""

    IDLE = "idle"
    STARTING = "starting"
    READY = "ready"
    KILLED = "killed"
    WAITING = "waiting"
    STOPPING = "stopping"
    GONE = "gone"
    DRAINING = "draining"
    MOVING = "moving"
    """Slots move between two runs; only :mod:`lanying.supervisor.supervisor` says so."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start this child, then call :meth:`Children.spawned`."""

    name: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Send this child a signal; ``reason`` is for the log."""

    name: str
    number: signal.Signals
    reason: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Every child is ready for the first time."""


@dataclass(frozen=True, slots=True)
class Finish:
    """No child is left: end with this exit code."""

    code: int
    reason: str


Command = Spawn | Signal | Announce | Finish


@dataclass(slots=True)
class Child:
    """One process. Times are monotonic seconds.

    :ivar heard: when it was last heard of, or started
    :ivar due: WAITING: when to start it again; STOPPING: when to kill it
    :ivar delay: the last backoff
    :ivar last_exit: return code as of ``subprocess`` (negative: signal), None before the first exit
    """

    name: str
    state: ChildState = ChildState.IDLE
    pid: int = 0
    started: float = 0.0
    ready_since: float = 0.0
    heard: float = 0.0
    due: float = inf
    delay: float = 0.0
    restarts: int = 0
    last_exit: int | None = None
    figures: Sequence[Figure] = ()


def backoff(delay: float, served_s: float) -> float:
    """The wait before the next start, after a wait of ``delay`` and ``served_s`` seconds of service since."""
    if not delay or served_s >= limits.HEALTHY_AFTER_S:
        return limits.BACKOFF_FIRST_S
    return min(delay * 2, limits.BACKOFF_MAX_S)


def drain_stage(name: str) -> int:
    """Position in a drain: nobody new, then no requests, then the shards with everything acknowledged on disk, then
    what carries their last bytes."""
    return {ROUTER: 0, GATEWAY: 1, ADMIN: 1, PUSH: 1, TLS: 3}.get(name, 2)


def explain_exit(status: int) -> str:
    """A return code in words."""
    if status >= 0:
        return f"exited with code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


class Children:
    """All children of one server.

    :param names: process names, in the order they are started
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        hung_after_s: float = limits.HUNG_AFTER_S,
        start_timeout_s: float = limits.START_TIMEOUT_S,
        drain_timeout_s: float = limits.DRAIN_TIMEOUT_S,
    ) -> None:
        self.state = ChildState.IDLE
        self._children = {name: Child(name) for name in names}
        self._hung_after_s = hung_after_s
        self._start_timeout_s = start_timeout_s
        self._drain_timeout_s = drain_timeout_s
        self._stage = -1
        self._code = 0
        self._reason = ""

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def __contains__(self, name: object) -> bool:
        return name in self._children

    @property
    def all_ready(self) -> bool:
        """Every child is."""
        return all(child.state is ChildState.READY for child in self._children.values())

    def start(self) -> list[Command]:
        """Everything but the router."""
        assert self.state is ChildState.IDLE
        self.state = ChildState.STARTING
        first = [name for name in self._children if name != ROUTER]
        return [Spawn(name) for name in first or self._children]

    def add(self, name: str) -> list[Command]:
        """One more child, of a server that is ready; nothing for one there already is."""
        if self.state is not ChildState.READY or name in self._children:
            return []
        self._children[name] = Child(name)
        return [Spawn(name)]

    def spawned(self, name: str, pid: int, now: float) -> None:
        """A command :class:`Spawn` was performed."""
        child = self._children[name]
        child.state, child.pid, child.due = ChildState.STARTING, pid, inf
        child.started = child.heard = now
        child.figures = ()

    def heartbeat(self, name: str, pid: int, ready: bool, figures: Sequence[Figure], now: float) -> list[Command]:
        """A child spoke. Words of a previous process of that name, still in the queue, do not count."""
        child = self._children.get(name)
        if child is None or child.pid != pid:
            return []
        child.heard = now
        child.figures = figures
        if not ready or child.state is not ChildState.STARTING:
            return []
        child.state, child.ready_since = ChildState.READY, now
        return self._another_is_ready()

    def _another_is_ready(self) -> list[Command]:
        if self.state is not ChildState.STARTING:
            return []
        if self.all_ready:
            self.state = ChildState.READY
            return [Announce()]
        router = self._children.get(ROUTER)
        others_ready = all(c.state is ChildState.READY for c in self._children.values() if c is not router)
        if router is not None and router.state is ChildState.IDLE and others_ready:
            return [Spawn(ROUTER)]
        return []

    def exited(self, name: str, status: int, now: float) -> list[Command]:
        """A child's process ended (or could not be started)."""
        child = self._children[name]
        was, child.pid, child.last_exit = child.state, 0, status
        child.figures = ()
        if self.state is ChildState.DRAINING:
            child.state = ChildState.GONE
            return self._next_stage(now)
        if self.state is ChildState.STARTING:
            child.state = ChildState.GONE
            code = EXIT_CONFIG if status == EXIT_CONFIG else EXIT_FAILED
            return self.drain(now, code, f"{name} {explain_exit(status)} before it was ready; its own words are above")
        child.restarts += 1
        if was is ChildState.STOPPING:
            child.state = ChildState.IDLE
            return [Spawn(name)]
        child.delay = backoff(child.delay, now - child.ready_since if was is ChildState.READY else 0.0)
        child.state, child.due = ChildState.WAITING, now + child.delay
        return []

    def restart(self, name: str, now: float) -> list[Command]:
        """Stop one child and start it again at once; only once the server is ready."""
        child = self._children[name]
        if self.state is not ChildState.READY:
            return []
        if child.state is ChildState.WAITING:
            child.due = now
            return self.tick(now)
        if child.state not in (ChildState.STARTING, ChildState.READY):
            return []
        child.state, child.due = ChildState.STOPPING, now + self._drain_timeout_s
        return [Signal(name, signal.SIGTERM, "restart")]

    def drain(self, now: float, code: int = 0, reason: str = "") -> list[Command]:
        """Stop everything in order, then :class:`Finish` with ``code``."""
        if self.state in (ChildState.DRAINING, ChildState.OVER):
            return []
        self.state, self._code, self._reason = ChildState.DRAINING, code, reason
        for child in self._children.values():
            if not child.pid:
                child.state = ChildState.GONE
        return self._next_stage(now)

    def _next_stage(self, now: float) -> list[Command]:
        alive = [child for child in self._children.values() if child.pid]
        if not alive:
            self.state = ChildState.OVER
            return [Finish(self._code, self._reason)]
        stage = min(drain_stage(child.name) for child in alive)
        if stage == self._stage:
            return []
        self._stage = stage
        commands: list[Command] = []
        for child in alive:
            if drain_stage(child.name) == stage:
                child.state, child.due = ChildState.STOPPING, now + self._drain_timeout_s
                commands.append(Signal(child.name, signal.SIGTERM, "drain"))
        return commands

    def kill(self, now: float) -> list[Command]:
        """Stop everything at once; the exits end in :class:`Finish` with a failure's code."""
        commands = self.drain(now)
        self._code = self._code or EXIT_FAILED
        self._reason = self._reason or "stopped at once by a second signal"
        kills: list[Command] = [
            Signal(child.name, signal.SIGKILL, "second signal") for child in self._children.values() if child.pid
        ]
        return kills or commands

    def tick(self, now: float) -> list[Command]:
        """Do what is due."""
        if now > (self.next_timer() or now) + LATE_S:
            self._forgive(now)
        commands: list[Command] = []
        for child in self._children.values():
            if now < self._due(child):
                continue
            if child.state is ChildState.WAITING:
                child.due = inf
                commands.append(Spawn(child.name))
            elif child.state is ChildState.STOPPING:
                child.due = inf
                commands.append(Signal(child.name, signal.SIGKILL, "did not stop in time"))
            else:
                child.state = ChildState.KILLED
                commands.append(Signal(child.name, signal.SIGKILL, f"hung: silent for {now - child.heard:.1f} s"))
        return commands

    def _forgive(self, now: float) -> None:
        """The supervisor itself was stopped or starved: what its children said meanwhile is still in the queue."""
        for child in self._children.values():
            child.heard = max(child.heard, now - limits.HEARTBEAT_INTERVAL_S)

    def _due(self, child: Child) -> float:
        if child.state is ChildState.STARTING:
            return child.heard + self._start_timeout_s
        if child.state is ChildState.READY:
            return child.heard + self._hung_after_s
        return child.due if child.state in (ChildState.WAITING, ChildState.STOPPING) else inf

    def next_timer(self) -> float | None:
        """When :meth:`tick` has something to do, None if nothing can become due."""
        due = min((self._due(child) for child in self._children.values()), default=inf)
        return None if due == inf else due

    def report(self, now: float, core: Callable[[str], int | None]) -> list[ProcessStatus]:
        """One row per child for ``status``; ``core``: which a process is pinned to."""
        return [
            ProcessStatus(
                child.name,
                child.pid or None,
                str(child.state),
                round(now - child.started, 1) if child.pid else 0.0,
                child.restarts,
                child.last_exit,
                *split(list(child.figures)),
                core(child.name),
            )
            for child in self._children.values()
        ]
