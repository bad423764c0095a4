"""``top``: what every process does now. Rates and latencies are those of the last ten seconds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lanying.admin.context import CommandContext
from lanying.base.clock import monotonic
from lanying.base.figures import Figure, totals
from lanying.base.histogram import quantile
from lanying.bus.messages import ListSlow, ListSlowReaders, Request
from lanying.supervisor import report
from lanying.supervisor.requests import StatusRequest

TOP_S: Final = 2.0
"""Between two samples; figures come with heartbeats every two seconds."""
WINDOW: Final = 6
"""Samples compared: one of ten seconds before with the present."""
SHOWN: Final = 5
"""Slow readers and slow things shown."""
RATES: Final = ("messages", "deliveries", "commits", "refused", "requests")
LATENCIES: Final = (("commit", 0.5), ("commit", 0.99), ("tick", 0.99), ("lag", 0.99))
HEADINGS: Final = (
    "process",
    "state",
    "cpu %",
    "RSS MB",
    "sess- ions",
    "msg /s",
    "push /s",
    "REST /s",
    "refu- sed/s",
    "commit p50",
    "ms p99",
    "tick p99",
    "lag p99",
    "owes",
)
"""Narrow: a terminal of 80 columns has room for all."""

T = TypeVar("T")


async def top(context: CommandContext) -> AsyncIterator[dict[str, Any]]:
    """A sample every two seconds: per process CPU, memory, sessions, ``per_s`` of its counters, ``latency_ms`` and what it owes;
    besides who reads slowly and what took long lately.
    """
    before: deque[tuple[float, dict[str, list[Figure]]]] = deque(maxlen=WINDOW)
    while True:
        found = await asyncio.to_thread(report.measured, await context.server.control(StatusRequest()))
        now = monotonic()
        at, old = before[0] if before else (now, {})
        rows = [
            msgspec.to_builtins(row) | compared(row.counted, old.get(row.name, []), now - at) for row in found.processes
        ]
        before.append((now, {row.name: row.counted for row in found.processes}))
        readers, slow = await asyncio.gather(_all(context, ListSlowReaders(SHOWN)), _all(context, ListSlow()))
        yield msgspec.to_builtins(found) | {
            "processes": rows,
            "time_ms": context.server.now_ms(),
            "slow_readers": [
                {"uid": one.uid, "device_sn": one.sn, "unsent_bytes": one.unsent}
                for one in sorted(readers, key=lambda one: -one.unsent)[:SHOWN]
            ],
            "slow": [
                {"time_ms": one.time_ms, "what": one.what, "milliseconds": one.milliseconds, "detail": one.detail}
                for one in sorted(slow, key=lambda one: -one.time_ms)[:SHOWN]
            ],
        }
        await asyncio.sleep(TOP_S)


async def _all(context: CommandContext, request: Request[list[T]]) -> list[T]:
    """What the shards answer, those that are up."""
    answers, _ = await context.server.ask_all(request)
    return list(chain(*answers.values()))


def compared(figures: Sequence[Figure], old: Sequence[Figure], seconds: float) -> dict[str, Any]:
    """What happened between two sets of figures of a process, which may have started again in between."""
    before = {_key(one): one.value for one in old}
    growth = [Figure(one.name, one.value - before[_key(one)], one.labels) for one in figures if _key(one) in before]
    grown = totals(growth)
    if seconds <= 0 or any(grown.get(name, 0) < 0 for name in RATES):
        growth, grown = [], {}
    latencies = {f"{name}_p{q * 100:g}": quantile(growth, f"{name}_seconds", q) for name, q in LATENCIES}
    return {
        "per_s": {name: round(grown[name] / seconds, 1) for name in RATES if name in grown},
        "latency_ms": {name: round(took * 1000, 1) for name, took in latencies.items() if took is not None},
        "owes": int(totals(figures).get("link_depth", 0)),
    }


def _key(figure: Figure) -> tuple[str, ...]:
    return figure.name, *figure.labels.values()


def screen(sample: dict[str, Any]) -> RenderableType:
    """A sample for people."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(
            heading.replace(" ", "\n"), justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True
        )
    for row in sample["processes"]:
        rates, latency, shard = row["per_s"], row["latency_ms"], row["name"].startswith("shard-")
        table.add_row(
            row["name"],
            Text(row["state"], style="green" if row["state"] == "ready" else "red"),
            _number(row["cpu_percent"]),
            _number(row["rss_bytes"] and row["rss_bytes"] / 1e6),
            _number(row["figures"].get("sessions")),
            *(_number(rates.get(name)) for name in ("messages", "deliveries", "requests", "refused")),
            *(_number(latency.get(f"{name}_p{q * 100:g}")) for name, q in LATENCIES),
            str(row["owes"]) if shard else "-",
        )
    line = f"{sample['state']}  {sample['url']}  lanying {sample['version']}  up {report.duration(sample['uptime_s'])}"
    parts: list[RenderableType] = [Text(line), table]
    parts += [
        Text(f"slow reader: user {one['uid']}, device {one['device_sn']}, {one['unsent_bytes']} bytes unsent")
        for one in sample["slow_readers"]
    ]
    parts += [Text(_slow(one, sample["time_ms"]), style="dim") for one in sample["slow"]]
    return Group(*parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _slow(one: dict[str, Any], now_ms: int) -> str:
    ago = report.duration(max(now_ms - one["time_ms"], 0) / 1000)
    return f"slow: {one['what']} took {one['milliseconds']:g} ms, {ago} ago {one['detail']}"
