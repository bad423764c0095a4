"""The test that Lanying IM published for a Raspberry Pi 4."""

from __future__ import annotations

from bench.bed import Bench, Common, Report
from bench.orders import ChatOrder
from bench.results import Run
from bench.window import load


def pi4000(
    common: Common, report: Report, *, users: int = 4000, compressed: bool = False, duration: float = 0.0
) -> Run:
    """The seed's published test: 4,000 users log in at 20/s, then chat at 20/s in total. Compressed: 200/s and 60 s."""
    login_rate = 200.0 if compressed else 20.0
    chat_rate = 200.0 if compressed else 20.0
    seconds = duration or (60.0 if compressed else 300.0)
    with Bench(common, users) as bench:
        run = bench.run(
            "pi4000", login_rate=login_rate, rate=chat_rate, duration_s=seconds, compressed=compressed, pairs="any"
        )
        bench.log_in(report, rate=login_rate).add_to(run)
        load(bench, run, report, ChatOrder(0, 0, int(seconds * 1e6)), chat_rate)
        return run
