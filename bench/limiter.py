"""A server held to the CPU time and memory of a smaller machine, by control groups of Linux (version 2 or 1; needs root).

**The factor** is an assumption to plan with. One core of a Raspberry Pi 4 (Cortex-A72, 1.5 GHz) does about 1/4.5 of what a
server core of 2021 does in one thread (somewhere between 1/3.5 and 1/6); its four cores together, which share one memory
channel, about 0.7 of **one** such core. :data:`PI4_CORES` is that 0.7. A limit caps the total: a single step still runs as
fast as this machine's core, so latencies at low load are better than a Pi's, while throughput and queueing under load are
comparable. The period is 10 ms, so that a server over its share pauses for milliseconds, as on a busy small machine, and
not for tenths of a second.

Disk and network stay this machine's: an SD card syncs in 5 to 50 ms.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lanying.base.errors import LanyingError

PI4_CORES: Final = 0.7
PI4_MEMORY: Final = 1 << 30
"""The smallest Pi 4."""
PERIOD_US: Final = 10_000
REMOVE_S: Final = 10.0


class LimitError(LanyingError):
    """This machine does not let us limit anything."""


@dataclass(frozen=True)
class Hierarchies:
    """Where control groups can be made.

    :ivar version: 2: ``cpu`` and ``memory`` are the same directory
    """

    version: int
    cpu: Path
    memory: Path


def hierarchies(mounts: str) -> Hierarchies:
    """Out of ``/proc/mounts``.

    :raises LimitError: no controllers, with the reason
    """
    unified: Path | None = None
    found: dict[str, Path] = {}
    for line in mounts.splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            unified = Path(place)
        elif kind == "cgroup":
            found |= {name: Path(place) for name in options.split(",") if name in ("cpu", "memory")}
    if unified is not None:
        with contextlib.suppress(OSError):
            if {"cpu", "memory"} <= set((unified / "cgroup.controllers").read_text().split()):
                return Hierarchies(2, unified, unified)
    if len(found) == 2:
        return Hierarchies(1, found["cpu"], found["memory"])
    raise LimitError("no control groups with the controllers cpu and memory are mounted: see /proc/mounts")


class Limiter:
    """A control group for the length of a run. A context manager.

    :param cores: CPU seconds per second of all processes together
    :ivar prefix: put it before a command to run that in the group
    """

    def __init__(self, cores: float = PI4_CORES, memory: int = PI4_MEMORY, mounts: str | None = None) -> None:
        self.cores = cores
        self.memory = memory
        self._where = hierarchies(Path("/proc/mounts").read_text() if mounts is None else mounts)
        name = f"lanying-bench-{os.getpid()}"
        self._groups = {where / name: None for where in (self._where.cpu, self._where.memory)}

    @property
    def prefix(self) -> tuple[str, ...]:
        """A shell that enters the group and becomes the command."""
        enter = " && ".join(f'echo $$ > "{group}/cgroup.procs"' for group in self._groups)
        return ("/bin/sh", "-c", f'{enter} && exec "$@"', "limited")

    @property
    def description(self) -> str:
        """For the record."""
        knob = "cpu.max" if self._where.version == 2 else "cpu.cfs_quota_us"
        return f"cgroup v{self._where.version} {knob}, {self.cores:g} cores, {self.memory >> 20} MiB"

    def __enter__(self) -> Self:
        try:
            for group in self._groups:
                if self._where.version == 2:
                    (group.parent / "cgroup.subtree_control").write_text("+cpu +memory")
                group.mkdir(exist_ok=True)
            for file, value in self._settings().items():
                file.write_text(value)
        except OSError as error:
            self._remove()
            raise LimitError(
                f"control groups cannot be made: {error}; run as root, outside a locked container"
            ) from None
        return self

    def _settings(self) -> Mapping[Path, str]:
        cpu, memory = next(iter(self._groups)), next(reversed(self._groups))
        quota = int(self.cores * PERIOD_US)
        if self._where.version == 2:
            return {cpu / "cpu.max": f"{quota} {PERIOD_US}", memory / "memory.max": str(self.memory)}
        return {
            cpu / "cpu.cfs_period_us": str(PERIOD_US),
            cpu / "cpu.cfs_quota_us": str(quota),
            memory / "memory.limit_in_bytes": str(self.memory),
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + REMOVE_S
        while not self._remove() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _remove(self) -> bool:
        """Whether the groups are gone; they stay while a process of theirs lives."""
        for group in self._groups:
            with contextlib.suppress(OSError):
                group.rmdir()
        return not any(group.exists() for group in self._groups)

    def throttled_s(self) -> float:
        """Seconds the group was held back so far, summed over cores."""
        text = (next(iter(self._groups)) / "cpu.stat").read_text()
        found = dict(line.split() for line in text.splitlines())
        return int(found.get("throttled_usec", 0)) / 1e6 + int(found.get("throttled_time", 0)) / 1e9

    def memory_peak(self) -> int:
        """Most bytes the group had, page cache included; 0 when the kernel does not say."""
        group = next(reversed(self._groups))
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            with contextlib.suppress(OSError):
                return int((group / name).read_text())
        return 0
