"""``top``: rates of what grew, nothing across a restart, and a screen of 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from lanying.admin.commands.top import HEADINGS, compared, screen
from lanying.base.figures import Figure


def figures(messages: float, depth: float = 0.0, commits: tuple[float, float] = (0.0, 0.0)) -> list[Figure]:
    return [
        Figure("messages", messages),
        Figure("messages", messages, {"kind": "chat"}),
        Figure("link_depth", depth),
        Figure("commit_seconds", commits[0], {"le": "0.001"}),
        Figure("commit_seconds", commits[1], {"le": "+Inf"}),
    ]


def test_a_rate_is_what_grew_in_a_second() -> None:
    found = compared(figures(150, 7, (10, 10)), figures(100, 3, (0, 0)), 10.0)
    assert found["per_s"] == {"messages": 5.0} and found["owes"] == 7
    assert found["latency_ms"]["commit_p50"] == pytest.approx(0.5, abs=0.1)
    assert 0.9 <= found["latency_ms"]["commit_p99"] <= 1.0


@pytest.mark.parametrize(
    ("now", "before", "seconds"),
    [(figures(5), figures(100), 10.0), (figures(5), [], 10.0), (figures(5), figures(1), 0.0)],
    ids=["started again", "the first sample", "no time has passed"],
)
def test_nothing_is_said_where_nothing_can_be_compared(now: list[Figure], before: list[Figure], seconds: float) -> None:
    found = compared(now, before, seconds)
    assert found["per_s"] == {} and found["latency_ms"] == {}


def process(name: str, **more: Any) -> dict[str, Any]:
    row = {"name": name, "state": "ready", "cpu_percent": 12.34, "rss_bytes": 56_000_000, "figures": {}}
    return row | {"per_s": {}, "latency_ms": {}, "owes": 3} | more


def test_a_screen_has_a_line_per_process_and_fits_a_terminal() -> None:
    sample = {
        "processes": [
            process("shard-0", figures={"sessions": 1234}, per_s={"messages": 5.0}, latency_ms={"commit_p99": 1.5}),
            process("router", state="starting", cpu_percent=None, rss_bytes=None),
        ],
        "state": "ready", "url": "http://x", "version": "1", "uptime_s": 61, "time_ms": 10_000,
        "slow_readers": [{"uid": 7, "device_sn": 2, "unsent_bytes": 99}],
        "slow": [{"time_ms": 4_000, "what": "tick", "milliseconds": 80.5, "detail": "in a test"}],
    }  # fmt: skip
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(screen(sample))
    lines = console.export_text().splitlines()
    shard = next(line.split() for line in lines if line.startswith("shard-0"))
    router = next(line.split() for line in lines if line.startswith("router"))
    assert shard == ["shard-0", "ready", "12.3", "56", "1234", "5", "-", "-", "-", "-", "1.5", "-", "-", "3"]
    assert router == ["router", "starting"] + ["-"] * (len(HEADINGS) - 2)
    text = "\n".join(lines)
    assert "slow reader: user 7, device 2, 99 bytes unsent" in text
    assert "slow: tick took 80.5 ms, 6 s ago in a test" in text
