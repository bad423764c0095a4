"""How long a lone message takes, by how long the disk takes to sync: an SSD, a hard disk, SD cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.bed import Bench, Common, Report
from bench.orders import ChatOrder
from bench.people import Pairs
from bench.results import Run
from bench.slow_disk import SlowDisk
from bench.window import load

HEAD = (
    "Sync, ms",
    "Acknowledged p50 ms",
    "p99",
    "Received p50 ms",
    "p99",
    "p50 beyond one sync, ms",
    "Commits per message",
)


def disk(common: Common, report: Report, *, users: int, rate: float, seconds: float, syncs_ms: Sequence[float]) -> Run:
    """``rate`` messages per second of ``users``, few enough to be alone, with syncs of each length; a fresh server for each."""
    whole: Run | None = None
    with SlowDisk() as slow:
        for sync_ms in syncs_ms:
            one = replace(common, target=slow.target(common.target, sync_ms))
            with Bench(one, users, Pairs("cross")) as bench:
                run = bench.run("disk", rate=rate, duration_s=seconds, syncs_ms=list(syncs_ms))
                bench.log_in(report)
                bench.greet(report, rate=100.0)
                load(bench, run, report, ChatOrder(0, 1_000_000, int(seconds * 1e6)), rate, f"{sync_ms:g} ms")
            whole = whole or _empty(run)
            whole.steps.append(_row(run, sync_ms))
            whole.machine["others"] = max(whole.machine.get("others", 0.0), run.figures.get("other_cores", 0.0))
            if run.verdict is not None and (whole.verdict is None or not run.verdict.good):
                whole.verdict = run.verdict
    assert whole is not None, "no sync times"
    return whole


def _empty(run: Run) -> Run:
    """A record with the settings of a run and nothing else."""
    return Run(run.scenario, run.settings, run.seed, machine=dict(run.machine))


def _row(run: Run, sync_ms: float) -> dict[str, Any]:
    deliver, acknowledge = run.latency.get("deliver") or {}, run.latency.get("acknowledge") or {}
    messages = run.figures.get("messages_per_s", 0.0)
    return {
        "sync_ms": sync_ms,
        "acknowledged_p50_ms": acknowledge.get("p50", 0) / 1000,
        "acknowledged_p99_ms": acknowledge.get("p99", 0) / 1000,
        "p50_ms": deliver.get("p50", 0) / 1000,
        "p99_ms": deliver.get("p99", 0) / 1000,
        "beyond_ms": round(deliver.get("p50", 0) / 1000 - sync_ms, 3),
        "commits_per_message": round(run.figures.get("commits_per_s", 0.0) / messages, 2) if messages else 0.0,
    }
