"""What a server costs, from outside: CPU, memory, context switches and system calls of its processes, out of ``/proc``.

Times are seconds of CPU (user + system, all threads), memory is bytes. CPU counters tick in 10 ms: measure windows of
seconds. Kernel work on behalf of a socket is charged to whoever makes the call that causes it, as everywhere.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Usage:
    """Counters of one process since its start.

    :ivar switches: context switches of all live threads, voluntary and not
    :ivar reads: ``read``-like system calls, ``writes``: ``write``-like ones (``send`` and ``recv`` do not count)
    :ivar disk_bytes: what it caused to be written to disks
    """

    user_s: float = 0.0
    system_s: float = 0.0
    switches: int = 0
    reads: int = 0
    writes: int = 0
    disk_bytes: int = 0

    @property
    def cpu_s(self) -> float:
        """User and system."""
        return self.user_s + self.system_s

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(
            self.user_s - earlier.user_s,
            self.system_s - earlier.system_s,
            self.switches - earlier.switches,
            self.reads - earlier.reads,
            self.writes - earlier.writes,
            self.disk_bytes - earlier.disk_bytes,
        )

    def __add__(self, other: Usage) -> Usage:
        return self - (Usage() - other)


@dataclass
class Memory:
    """Of one process: resident, and proportional (shared pages divided by their users)."""

    rss: int = 0
    pss: int = 0


@dataclass
class Sample:
    """One look at a server."""

    at: float
    usage: dict[str, Usage] = field(default_factory=dict)

    @property
    def total(self) -> Usage:
        """All processes."""
        total = Usage()
        for usage in self.usage.values():
            total = total + usage
        return total


def usage(pid: int) -> Usage:
    """:raises OSError: no such process"""
    process = Path(f"/proc/{pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    io: dict[str, int] = {}
    with contextlib.suppress(OSError):
        io = {name: int(value) for name, value in (line.split(":") for line in (process / "io").open())}
    switches = 0
    for task in os.listdir(process / "task"):
        with contextlib.suppress(OSError):
            for line in (process / "task" / task / "status").open():
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
    return Usage(
        int(fields[11]) * _TICK_S,
        int(fields[12]) * _TICK_S,
        switches,
        io.get("syscr", 0),
        io.get("syscw", 0),
        io.get("write_bytes", 0),
    )


def memory(pid: int) -> Memory:
    """:raises OSError: no such process"""
    found: dict[str, int] = {}
    with Path(f"/proc/{pid}/smaps_rollup").open() as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if name in ("Rss", "Pss"):
                found[name] = int(rest.split()[0]) * 1024
    return Memory(found.get("Rss", 0), found.get("Pss", 0))


def socket_memory() -> int:
    """Bytes of the kernel's TCP buffers, of the whole machine."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * _PAGE
    return 0


def slab_memory() -> int:
    """Bytes of kernel objects (sockets, dentries, epoll items …), of the whole machine."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1]) * 1024
    return 0


def children(pid: int) -> list[int]:
    """``pid`` and everything below it."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(stat[1]), []).append(int(entry))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def name(pid: int) -> str:
    """Of the program. :raises OSError: no such process"""
    return Path(f"/proc/{pid}/comm").read_text().strip()


class Meter:
    """Looks at a server's processes.

    :param pids: process id by name; a child that is started again keeps its old counters out
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.pids = dict(pids)

    def sample(self) -> Sample:
        """CPU and calls now. A process that is gone is left out."""
        sample = Sample(time.monotonic())
        for name, pid in self.pids.items():
            with contextlib.suppress(OSError):
                sample.usage[name] = usage(pid)
        return sample

    def memory(self) -> dict[str, Memory]:
        """Memory now, by process."""
        found = {}
        for name, pid in self.pids.items():
            with contextlib.suppress(OSError):
                found[name] = memory(pid)
        return found


def difference(later: Sample, earlier: Sample) -> dict[str, Usage]:
    """What each process used between two samples."""
    return {name: later.usage[name] - used for name, used in earlier.usage.items() if name in later.usage}


def machine_busy() -> float:
    """CPU seconds of everything on this machine since its start, idle and waiting for disks left out."""
    fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) * _TICK_S


def prefer(pids: Iterable[int], nice: int) -> bool:
    """Put the sessions of these processes before others on a busy machine (autogroup niceness). False: not allowed."""
    try:
        for pid in pids:
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))
    except OSError:
        return False
    return True
