"""A day in a school, compressed to minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bench.bed import Bench, Common, Report
from bench.orders import ChatOrder
from bench.people import School
from bench.results import Run
from bench.window import load


@dataclass(frozen=True)
class Hour:
    """A part of the day.

    :ivar share: of the day's length
    :ivar rate: messages per second, as a multiple of the scenario's rate
    :ivar weights: friend : class : class with a picture
    """

    name: str
    share: float
    rate: float
    weights: tuple[float, float, float]


DAY: Final = (
    Hour("morning", 0.2, 1.0, (60, 38, 2)),
    Hour("lessons", 0.4, 0.3, (30, 60, 10)),
    Hour("break", 0.2, 2.0, (85, 10, 5)),
    Hour("evening", 0.2, 1.2, (80, 12, 8)),
)
"""Before school everybody arrives and asks around; in lessons little is written, and that to the class; in breaks friends
write, and pictures go round; in the evening both."""


def mixed(
    common: Common,
    report: Report,
    *,
    users: int,
    class_size: int,
    rate: float,
    duration: float,
    login_s: float,
) -> Run:
    """``users`` pupils in classes of ``class_size`` log in within ``login_s`` seconds, then a day of :data:`DAY`."""
    with Bench(common, users, School(class_size)) as bench:
        run = bench.run(
            "mixed",
            class_size=class_size,
            rate=rate,
            duration_s=duration,
            login_s=login_s,
            day=[[hour.name, hour.share, hour.rate, *hour.weights] for hour in DAY],
        )
        bench.log_in(report, rate=users / login_s).add_to(run)
        parts = []
        for hour in DAY:
            part = Run(hour.name, {})
            order = ChatOrder(0, 0, int(duration * hour.share) * 1_000_000, weights=hour.weights)
            load(bench, part, report, order, rate * hour.rate, hour.name)
            parts.append(part)
        _join(run, parts)
        return run


def _join(run: Run, parts: list[Run]) -> None:
    """The day out of its hours: sums, costs per message by hour, latencies by hour."""
    totals: dict[str, float] = dict.fromkeys(("messages", "copies"), 0)
    for part in parts:
        for name in totals:
            totals[name] += part.figures.get(name, 0)
        for name in ("messages_per_s", "copies_per_s", "cpu_us_per_copy", "server_cores"):
            if name in part.figures:
                run.figures[f"{part.scenario}_{name}"] = part.figures[name]
        for name in ("deliver", "acknowledge"):
            found: dict[str, Any] = part.latency.get(name, {})
            run.latency[f"{name} {part.scenario}"] = found
        run.seconds += part.seconds
    last = parts[-1]
    run.figures |= totals
    for name in ("pss_bytes", "rss_bytes", "kernel_socket_bytes", "generator_cores", "other_cores"):
        if name in last.figures:
            run.figures[name] = max(part.figures[name] for part in parts)
    run.processes = last.processes
    run.verdict, run.errors = last.verdict, last.errors
