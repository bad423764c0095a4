"""A group: every message goes to all members but its sender."""

from __future__ import annotations

from bench.bed import Bench, Common, Report
from bench.orders import ChatOrder
from bench.people import OneGroup
from bench.results import Run
from bench.window import load


def group(
    common: Common,
    report: Report,
    *,
    members: int,
    senders: int,
    rate: float,
    duration: float,
    warm: float = 3.0,
    window: int = 1,
) -> Run:
    """One group with everybody online; ``senders`` write ``rate`` messages per second in total, 0: each of them the next
    one when its last has arrived."""
    with Bench(common, members, OneGroup(senders)) as bench:
        run = bench.run("group", rate=rate or "max", senders=senders, duration_s=duration, warm_s=warm)
        bench.log_in(report).add_to(run)
        bench.greet(report, rate=min(20.0, rate or 20.0))
        order = ChatOrder(0, int(warm * 1e6), int(duration * 1e6), window=window)
        load(bench, run, report, order, rate)
        return run
