"""1:1 messages: at a rate, as fast as it goes, and beside history pages."""

from __future__ import annotations

from bench.bed import Bench, Common, Report
from bench.orders import ChatOrder
from bench.people import Pairs
from bench.results import Run
from bench.window import load


def chat(
    common: Common,
    report: Report,
    *,
    users: int,
    rate: float,
    duration: float,
    warm: float = 3.0,
    pairing: str = "cross",
    window: int = 1,
    senders: int = 0,
    even: bool = False,
) -> Run:
    """1:1 chat at ``rate`` per second in total, or with ``window`` messages per sender under way (``rate`` 0)."""
    with Bench(common, users, Pairs(pairing)) as bench:
        run = bench.run(
            "chat",
            rate=rate or "max",
            duration_s=duration,
            warm_s=warm,
            pairs=pairing,
            **(
                {"arrivals": "even" if even else "poisson"} if rate else {"window": window, "senders": senders or users}
            ),
        )
        logins = bench.log_in(report)
        logins.add_to(run)
        bench.greet(report)
        order = ChatOrder(
            0,
            int(warm * 1e6),
            int(duration * 1e6),
            window=window,
            senders=-(-senders // common.workers),
            poisson=not even,
        )
        load(bench, run, report, order, rate)
        return run


def history(
    common: Common, report: Report, *, users: int, depth: int, pages: float, rate: float, duration: float
) -> Run:
    """History pages of 20 at ``pages`` per second while messages flow; every conversation is ``depth`` deep."""
    with Bench(common, users, Pairs("cross")) as bench:
        run = bench.run("history", depth=depth, pages=pages, rate=rate, duration_s=duration)
        bench.log_in(report).add_to(run)
        for _ in range(-(-depth // 2)):
            bench.greet(report, rate=4000.0)
        load(bench, run, report, ChatOrder(0, 1_000_000, int(duration * 1e6), pages=pages), rate)
        return run
