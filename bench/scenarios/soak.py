"""A soak: one constant rate for hours, and whether anything grows that should not.

Memory of each process, descriptors, disk and latency are looked at every few seconds. What the first third of the run does is *filling*
(write buffers, block cache, interned rows, allocator arenas) and tells nothing; the *slope* is that of the rest, by Theil and Sen: the
median of the slopes between all pairs of points, which a compaction or a write buffer about to be flushed does not bend.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.bed import Bench, Common, Report
from bench.orders import ChatOrder
from bench.people import Pairs
from bench.results import Run
from bench.window import load

FILLING: Final = 1 / 3
"""Of the run, before slopes are taken."""
POINTS: Final = 120
"""Blocks of which slopes are taken: the median of each, so that pairs stay few however long the run."""
LOOKS: Final = 720
TOLERATED: Final = {"pss": 0.02, "descriptors": 0.02, "p50": 0.25, "p99": 0.5}
"""By how much of itself a quantity may grow within the part that counts and be called flat."""
DAY_S: Final = 86_400


@dataclass(frozen=True)
class Slope:
    """How a quantity went after the filling.

    :ivar start: at the beginning of the part that counts
    :ivar per_hour: its slope
    :ivar growth: the slope over the part that counts, as a share of ``start``
    :ivar before: growth while filling, as a share of its first value
    """

    name: str
    start: float
    per_hour: float
    growth: float
    before: float

    @property
    def flat(self) -> bool:
        """Within what is tolerated; what shrinks is flat, too."""
        return self.growth <= TOLERATED.get(self.name.partition(" ")[0], 0.02)


def slope(name: str, points: Sequence[tuple[float, float]]) -> Slope:
    """Of ``(seconds, value)``, in order, at least three.

    :raises ValueError: fewer points
    """
    if len(points) < 3:
        raise ValueError(f"{name}: {len(points)} looks are too few for a slope")
    cut = int(len(points) * FILLING)
    filling, rest = points[: cut + 1], _blocks(points[cut:])
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in itertools.combinations(rest, 2) if t > s]
    per_s = statistics.median(slopes)
    middle = statistics.median(value for _, value in rest)
    span = rest[-1][0] - rest[0][0]
    start = middle - per_s * span / 2
    first = filling[0][1]
    return Slope(
        name,
        start,
        per_s * 3600,
        per_s * span / start if start else 0.0,
        filling[-1][1] / first - 1 if first else 0.0,
    )


def _blocks(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most :data:`POINTS`: the median of as many neighbours as it takes."""
    width = -(-len(points) // POINTS)
    return [
        (statistics.median(at for at, _ in some), statistics.median(value for _, value in some))
        for some in (points[first : first + width] for first in range(0, len(points), width))
    ]


def slopes(rows: Sequence[dict[str, float]]) -> list[Slope]:
    """Of everything that should stay as it is: memory of all, without what RocksDB's buffers and cache hold (both
    have a limit), and of each process; descriptors; latencies."""
    names = [name for name in rows[-1] if name.startswith(("pss", "descriptors")) or name in ("p50", "p99")]
    found = []
    for name in names:
        points = [(row["at"], row[name]) for row in rows if name in row]
        if len(points) >= 3:
            found.append(slope(name, points))
    return found


def descriptors(pid: int) -> int:
    """Open files, sockets and the rest. :raises OSError: no such process, or not ours"""
    return len(os.listdir(f"/proc/{pid}/fd"))


def disk_bytes(data: Path) -> int:
    """What the files of a data directory take."""
    total = 0
    for folder, _, files in os.walk(data):
        for file in files:
            try:
                total += (Path(folder) / file).stat().st_blocks * 512
            except FileNotFoundError:  # a compaction takes files away at any time
                continue
    return total


def soak(common: Common, report: Report, *, users: int, rate: float, seconds: float, warm: float = 5.0) -> Run:
    """``users`` in pairs across shards, ``rate`` messages per second in total."""
    every = max(1, int(seconds / LOOKS))
    seen: list[dict[str, float]] = []
    with Bench(common, users, Pairs("cross")) as bench:
        run = bench.run("soak", rate=rate, duration_s=seconds, look_every_s=every, warm_s=warm)

        def observe() -> None:
            seen.append(_look(bench))

        bench.log_in(report).add_to(run)
        bench.greet(report)
        order = ChatOrder(0, int(warm * 1e6), int(seconds * 1e6))
        load(bench, run, report, order, rate, "soak", every_s=every, observe=observe)
        _judge(run, seen, every)
        return run


def _look(bench: Bench) -> dict[str, float]:
    """What only a soak wants to know of the server."""
    row: dict[str, float] = {}
    for name, memory in bench.meter.memory().items():
        row[f"pss {name}"] = float(memory.pss)
    for name, pid in bench.meter.pids.items():
        try:
            row[f"descriptors {name}"] = float(descriptors(pid))
        except OSError:
            continue
    if bench.server.data is not None:
        row["disk"] = float(disk_bytes(bench.server.data))
    figures = bench.server.figures()
    row["memtables"], row["cache"] = figures.get("memory_bytes", 0.0), figures.get("cache_bytes", 0.0)
    return row


def _judge(run: Run, seen: Sequence[dict[str, float]], every: int) -> None:
    """Rows complete; slopes as figures; the steps are the table of slopes."""
    for number, row in enumerate(run.seconds):
        row["at"] = float((number + 1) * every)
        if number + 1 < len(seen):
            row |= seen[number + 1]
            row["pss beyond caches"] = row["pss"] - row["memtables"] - row["cache"]
    found = slopes(run.seconds) if len(run.seconds) >= 6 else []
    for one in found:
        run.slopes.append(
            {
                "name": one.name,
                "start": round(one.start, 1),
                "per_hour": round(one.per_hour, 2),
                "growth": round(one.growth, 4),
                "filling": round(one.before, 4),
                "flat": one.flat,
            }
        )
    figures = run.figures
    disk = [row["disk"] for row in run.seconds if "disk" in row]
    if len(disk) > 1 and figures.get("messages"):
        figures["disk_bytes_kept_per_message"] = round((disk[-1] - disk[0]) / figures["messages"], 1)
    figures["growing"] = sum(not one.flat for one in found)
