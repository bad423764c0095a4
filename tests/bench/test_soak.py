"""Slopes of what should stay as it is."""

from __future__ import annotations

import math

import pytest

from bench import report
from bench.results import Run
from bench.scenarios.soak import POINTS, _blocks, _judge, slope, slopes

MIB = 1 << 20


def points(*values: float, every: float = 10.0) -> list[tuple[float, float]]:
    return [(every * (number + 1), value) for number, value in enumerate(values)]


def test_what_fills_and_then_stays_is_flat() -> None:
    filled = slope("pss", points(*(200 * MIB * (1 - math.exp(-number / 10)) + MIB for number in range(300))))
    assert filled.flat and abs(filled.per_hour) < MIB and filled.before > 1


def test_what_goes_on_growing_is_not() -> None:
    leak = slope("pss shard-0", points(*(100 * MIB + number * MIB / 10 for number in range(300))))
    assert not leak.flat
    assert leak.per_hour == pytest.approx(36 * MIB, rel=0.01)
    assert leak.growth == pytest.approx(20 / 110, rel=0.02)


def test_write_buffers_that_are_flushed_now_and_then_do_not_bend_a_slope() -> None:
    saw = slope("pss", points(*(100 * MIB + number % 17 * MIB / 4 for number in range(400))))
    assert saw.flat and saw.per_hour == pytest.approx(0, abs=MIB)


def test_a_latency_may_wander_more_than_memory_may() -> None:
    wander = [100.0 + number / 30 for number in range(300)]
    assert slope("p99", points(*wander)).flat and not slope("descriptors x", points(*wander)).flat


def test_long_runs_are_looked_at_in_blocks_and_short_ones_refused() -> None:
    assert len(_blocks(points(*map(float, range(10_000))))) <= POINTS
    with pytest.raises(ValueError, match="too few"):
        slope("pss", points(1, 2))


def test_rows_get_what_was_seen_beside_them_and_memory_without_caches() -> None:
    run = Run("soak", {}, figures={"messages": 100})
    run.seconds = [{"pss": 50.0 + number, "p50": 1.0} for number in range(8)]
    _judge(run, [{"disk": 10.0 * at, "memtables": float(at), "cache": 1.0, "pss a": 5.0} for at in range(9)], 10)
    assert run.seconds[2]["at"] == 30.0 and run.seconds[2]["disk"] == 30.0
    assert {row["pss beyond caches"] for row in run.seconds} == {48.0}
    found = {one["name"]: one["flat"] for one in run.slopes}
    assert found == {"pss": False, "pss beyond caches": True, "pss a": True, "p50": True}
    assert run.figures["growing"] == 1 and run.figures["disk_bytes_kept_per_message"] == 0.7
    page = report.render([run.record()])
    assert "Slopes: 1. soak" in page and "Memory by process" in page


def test_only_what_should_stay_is_judged() -> None:
    rows = [{"at": at, "pss": 5.0, "disk": at, "p50": 1.0, "descriptors a": 3.0, "cores": at} for at in (1.0, 2.0, 3.0)]
    assert {one.name for one in slopes(rows)} == {"pss", "p50", "descriptors a"}
