"""TLS beside plain: sessions that do nothing, logins, messages, and everybody coming back at once; one run, in turns.

The figures are those of the whole process tree, the tls process among them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bench.bars import Bar
from bench.bed import Common, Report
from bench.limiter import PI4_CORES, PI4_MEMORY, LimitError
from bench.results import Run
from bench.scenarios.chat import chat
from bench.scenarios.pi import limiter_here
from bench.scenarios.reconnect import reconnect
from bench.scenarios.sessions import idle, login

PAIRS: Final = (
    ("idle", "pss_per_session", "memory of an idle session, bytes (kernel's not counted)"),
    ("login", "login_cpu_ms", "login, full handshake, CPU ms"),
    ("login", "resumed_login_cpu_ms", "login, resumed handshake, CPU ms"),
    ("login", "logins_per_s", "logins per second, full handshakes"),
    ("1000", "cpu_us_per_message", "1:1 message at 1,000/s, CPU µs"),
    ("1000", "p50_ms", "p50 at 1,000/s, ms"),
    ("1000", "p99_ms", "p99 at 1,000/s, ms"),
    ("max", "cpu_us_per_message", "1:1 message saturated, CPU µs"),
    ("max", "messages_per_s", "messages per second, saturated"),
)
"""Parts and figures that plain and TLS both have, as rows of a table."""
HEAD: Final = ("What", "plain", "TLS", "more")
BARS: Final = (
    Bar("idle_bytes", "memory of an idle TLS session beyond a plain one, KB (relay)", 25),
    Bar("full_ms", "login with a full handshake, CPU ms", 1.0),
    Bar("resumed_ms", "login with a resumed handshake, CPU ms", 0.5),
    Bar("saturated_us", "1:1 message saturated, beyond plain, CPU µs (relay)", 30),
    Bar("all_in_s", "everybody reconnects at once with full handshakes, Pi limit: all in after, s", 30),
    Bar("storm_p99_ms", "messages of those who were in meanwhile, p99 ms", 150),
)

Figures = dict[tuple[str, str, bool], float]


def tls(
    common: Common, report: Report, tell: Callable[[str], None], *, users: int, seconds: float, rounds: int, storm: int
) -> Run:
    """Every part plain and over TLS, in turns.

    :param users: of every part but the last; ``storm``: of that
    :param seconds: of chat
    """
    runs: list[Run] = []
    values: dict[tuple[str, str, bool], list[float]] = {}
    parts: dict[str, Callable[[Common], Run]] = {
        "idle": lambda one: idle(one, report, users=users),
        "login": lambda one: login(one, report, users=users, concurrency=64, rounds=2),
        "1000": lambda one: chat(one, report, users=users, rate=1000.0, duration=seconds),
        "max": lambda one: chat(one, report, users=users, rate=0.0, duration=seconds),
    }
    for turn in range(rounds):
        for part, perform in parts.items():
            for secure in (False, True) if turn % 2 == 0 else (True, False):
                tell(f"round {turn + 1} of {rounds}: {part}, {'TLS' if secure else 'plain'}")
                run = perform(replace(common, target=replace(common.target, tls=secure)))
                runs.append(run)
                for name, value in _flat(run).items():
                    values.setdefault((part, name, secure), []).append(value)
    found = {key: statistics.median(some) for key, some in values.items()}
    tell(f"{storm} clients reconnect at once")
    why: dict[str, str] = {}
    try:
        limited = limiter_here(PI4_CORES, PI4_MEMORY)
        back = reconnect(replace(common, target=replace(common.target, tls=True)), report, limiter=limited, users=storm)
        runs.append(back)
    except LimitError as error:
        back = Run("reconnect", {})
        why["all_in_s"] = why["storm_p99_ms"] = str(error)
    return _summary(runs, found, back, why)


def _flat(run: Run) -> dict[str, float]:
    deliver = run.latency.get("deliver") or {}
    return run.figures | {f"{name}_ms": deliver[name] / 1000 for name in ("p50", "p99") if name in deliver}


def _summary(runs: list[Run], found: Figures, back: Run, why: dict[str, str]) -> Run:
    """One record: rows as steps, what the bars ask for as figures."""
    first = runs[0]
    whole = Run("tls", first.settings | {"tls": True}, first.seed, machine=dict(first.machine))
    whole.machine["others"] = max(run.figures.get("other_cores", 0.0) for run in runs)
    for part, name, what in PAIRS:
        plain, secure = found.get((part, name, False)), found.get((part, name, True))
        whole.steps.append({"what": what, "plain": plain, "tls": secure})
    for name, wanted in (
        ("idle_bytes", _more(found, "idle", "pss_per_session", 1 / 1000)),
        ("full_ms", found.get(("login", "login_cpu_ms", True))),
        ("resumed_ms", found.get(("login", "resumed_login_cpu_ms", True))),
        ("saturated_us", _more(found, "max", "cpu_us_per_message")),
        ("all_in_s", back.figures.get("all_in_s")),
    ):
        if wanted is not None:
            whole.figures[name] = round(wanted, 3)
    if back.latency.get("deliver"):
        whole.figures["storm_p99_ms"] = round(back.latency["deliver"]["p99"] / 1000, 1)
    whole.figures["logins_failed"] = sum(run.figures.get("logins_failed", 0) for run in runs)
    whole.notes = why
    for run in runs:
        if run.verdict is not None and (whole.verdict is None or not run.verdict.good):
            whole.verdict = run.verdict
    return whole


def _more(found: Figures, part: str, name: str, factor: float = 1.0) -> float | None:
    plain, secure = found.get((part, name, False)), found.get((part, name, True))
    return None if plain is None or secure is None else (secure - plain) * factor
