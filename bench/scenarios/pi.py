"""A server on a Raspberry Pi 4, or held to its CPU time and memory: the published test, then the most it can do.

Nothing but the limits is changed: accounts, archive, ``fsync`` and acknowledgements are those of every other scenario.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from bench import board
from bench.bed import Bench, Common, Report
from bench.limiter import Limiter
from bench.orders import ChatOrder
from bench.people import Pairs
from bench.results import Run, Verdict
from bench.window import load

CHATS_PER_USER_S: Final = 20 / 4000
"""The published test's."""
WARM_US: Final = 2_000_000
BISECTIONS: Final = 3


@dataclass(frozen=True)
class Limits:
    """What to hold and what to ask.

    :ivar limiter: None on a real Pi
    :ivar p99_ms: a load holds when the 99th percentile of send to receive stays below, and nothing is lost
    :ivar step_s: seconds per step of a search
    :ivar users: stop looking for more users here
    """

    limiter: Limiter | None
    p99_ms: float = 150.0
    step_s: float = 8.0
    users: int = 16_000

    @property
    def cores(self) -> float:
        """CPU the server may use."""
        return self.limiter.cores if self.limiter is not None else 4.0


def limiter_here(cores: float, memory: int) -> Limiter | None:
    """None on a Pi, whose own limits count.

    :raises bench.limiter.LimitError: this machine cannot limit
    """
    return None if board.is_pi() else Limiter(cores, memory)


def pi(common: Common, report: Report, *, limits: Limits, users: int = 4000, duration: float = 60.0) -> Run:
    """``users`` with 200 logins and chats per second; then the largest rate for them; then the most users."""
    with contextlib.ExitStack() as stack:
        if limits.limiter is not None:
            stack.enter_context(limits.limiter)
            common = replace(common, target=replace(common.target, prefix=limits.limiter.prefix))
        with Bench(common, users) as bench:
            run = bench.run(
                "pi",
                limits=limits.limiter.description if limits.limiter is not None else f"none: {board.model()}",
                login_rate=200.0,
                rate=200.0,
                duration_s=duration,
                p99_ms=limits.p99_ms,
                step_s=limits.step_s,
            )
            bench.log_in(report, rate=200.0).add_to(run)
            load(bench, run, report, ChatOrder(0, 0, int(duration * 1e6)), 200.0)
            used = run.figures.get("server_cores", 0.0)
            run.figures["cpu_share"] = round(used / limits.cores, 3)
            run.figures["reserve"] = round(limits.cores / used, 1) if used else 0.0
            run.figures["largest_rate"] = _largest_rate(bench, run, report, limits)
        run.figures["largest_users"] = _most_users(common, run, report, limits, users)
        if limits.limiter is not None:
            run.figures["throttled_s"] = round(limits.limiter.throttled_s(), 2)
            run.figures["memory_peak_bytes"] = limits.limiter.memory_peak()
        return run


def _held(part: Run, limits: Limits) -> bool:
    """Fast enough, complete, and no growing backlog."""
    deliver: dict[str, Any] = part.latency.get("deliver") or {}
    verdict = part.verdict or Verdict()
    enough = part.figures["messages"] >= 0.9 * part.figures["sent_per_s"] * limits.step_s - 5
    return bool(deliver) and deliver["p99"] < limits.p99_ms * 1000 and verdict.good and not verdict.refused and enough


def _step(bench: Bench, run: Run, report: Report, limits: Limits, rate: float, **what: object) -> bool:
    """Load at ``rate``; whether it held. Written down as a step."""
    part = Run("step", {})
    order = ChatOrder(0, WARM_US, int(limits.step_s * 1e6))
    load(bench, part, report, order, rate, f"{rate:,.0f}/s")
    held = _held(part, limits)
    deliver = part.latency.get("deliver") or {}
    verdict = part.verdict or Verdict()
    run.steps.append(
        what
        | {
            "rate": rate,
            "held": held,
            "p50_ms": round(deliver.get("p50", 0) / 1000, 2),
            "p99_ms": round(deliver.get("p99", 0) / 1000, 2),
            "messages_per_s": part.figures["messages_per_s"],
            "server_cores": part.figures.get("server_cores", 0.0),
            "pss_bytes": part.figures.get("pss_bytes", 0.0),
            "lost": verdict.lost,
        }
    )
    if run.verdict is None or not verdict.good:
        run.verdict = verdict
    return held


def search(holds: Callable[[float], bool], first: float, most: float, bisections: int = BISECTIONS) -> float:
    """The largest value known to hold: doubling from ``first``, then halving the gap. 0 when the first does not hold."""
    good, bad = 0.0, 0.0
    value = first
    while not bad:
        if holds(value):
            good = value
            if value >= most:
                return good
            value = min(value * 2, most)
        else:
            bad = value
    for _ in range(bisections if good else 0):
        middle = round((good + bad) / 2, -1)
        if holds(middle):
            good = middle
        else:
            bad = middle
    return good


def _largest_rate(bench: Bench, run: Run, report: Report, limits: Limits) -> float:
    def holds(rate: float) -> bool:
        # A second try: a pause of the machine, not of the server, would end the search far too early.
        return any(_step(bench, run, report, limits, rate, users=bench.users) for _ in range(2))

    return search(holds, 500.0, 64_000.0)


def _most_users(common: Common, run: Run, report: Report, limits: Limits, users: int) -> float:
    """Doubling only: every step is a fresh server with that many logged in, chatting as the published test's do."""

    def holds(value: float) -> bool:
        count = int(value)
        with Bench(common, count, Pairs("any")) as bench:
            logins = bench.log_in(report)
            rate = count * CHATS_PER_USER_S
            held = _step(bench, run, report, limits, rate, users=count, logins_failed=logins.failed)
        return held and not logins.failed

    return search(holds, users, limits.users, bisections=0)
