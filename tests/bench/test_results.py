"""Counting, percentiles, pairs, the report."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from bench import report, results, seed
from bench.orders import CountResult, Stream
from bench.tally import Tally
from lanying.base.errors import LanyingError
from lanying.base.ids import SLOTS
from lanying.base.tokens import verify
from lanying.cluster.shardmap import ShardMap


def drain(sent: dict[int, int], streams: dict[tuple[int, int], Stream], **left: dict[int, list[int]]) -> CountResult:
    return CountResult(
        counters=dict.fromkeys(Tally.COUNTERS, 0),
        errors={},
        sent=sent,
        unacknowledged=left.get("unacknowledged", {}),
        refused=left.get("refused", {}),
        streams=streams,
        acknowledged=[],
        delivered=[],
    )


def test_lost_is_acknowledged_and_not_received() -> None:
    audience = {0: (1,), 1: (0,), 2: (3, 1)}
    first = drain({0: 5, 1: 3}, {(0, 1): Stream(5, []), (1, 0): Stream(2, [0])}, refused={1: [2]})
    second = drain({2: 4}, {}, unacknowledged={2: [1, 3]})
    verdict = results.judge(audience, [first, second])
    # Sequence 0 of stream 1 (2 was refused); 0 and 2 of stream 2, by both of its recipients.
    assert verdict.lost == 1 + 2 * 2
    assert verdict.unacknowledged == 2 and not verdict.good


def test_summary_has_the_distribution() -> None:
    found = results.summary([array("I", range(1, 1001)), array("I", [50_000])])
    assert found["count"] == 1001 and found["p50"] == pytest.approx(501, abs=2) and found["max"] >= 50_000
    assert results.summary([array("I")]) == {}


def test_worst_mean_is_of_a_run_of_seconds() -> None:
    seconds = [array("I", [10]), array("I", [100, 200]), array("I", [30]), array("I")]
    assert results.worst_mean(seconds, 1) == 150
    assert results.worst_mean(seconds, 2) == pytest.approx(110)
    assert results.worst_mean([], 10) == 0


def test_pairs_keep_to_their_shards() -> None:
    shard_map = ShardMap.even(3)
    uids = [1_024_000 + number for number in range(SLOTS)]
    cross = seed.pairs(uids, shard_map.shard_of, "cross")
    assert len(cross) == SLOTS // 2
    assert all(shard_map.shard_of(a) != shard_map.shard_of(b) for a, b in cross)
    same = seed.pairs(uids, shard_map.shard_of, "same")
    assert all(shard_map.shard_of(a) == shard_map.shard_of(b) for a, b in same)
    assert len({uid for pair in cross for uid in pair}) == 2 * len(cross)
    assert seed.pairs(uids, ShardMap.even(1).shard_of, "cross")
    assert len(seed.pairs(uids[:5], shard_map.shard_of, "any")) == 2


def test_provisioned_accounts_are_found_again(tmp_path: Path) -> None:
    first = seed.provision(tmp_path / "data", 20, 2)
    again = seed.provision(tmp_path / "data", 30, 2)
    assert {one.uid for one in first} <= {one.uid for one in again} and len({one.uid for one in again}) == 30
    with pytest.raises(LanyingError):
        seed.provision(tmp_path / "data", 20, 3)
    key = bytes.fromhex(__import__("json").loads((tmp_path / "data" / "apps.json").read_text())[0]["key"])
    assert verify(key, again[0].token, 0).uid == again[0].uid


def test_report_is_one_page_without_references(tmp_path: Path) -> None:
    run = results.Run("pi4000", {"users": 4000, "rate": 20.0, "durability": "fsync"})
    run.figures |= {"messages_per_s": 20.0, "cpu_us_per_message": 55.5, "pss_bytes": 1e8}
    run.latency["deliver"] = results.summary([array("I", [900, 1100, 250_000])])
    run.seconds = [
        {"messages": 20.0, "p50": 900, "p99": 1100, "max": 250_000, "cores": 0.1, "pss": 1e8},
        {"messages": 0.0},
    ]
    run.verdict = results.Verdict(sent=3, acknowledged=3, received=2, lost=1)
    run.machine = results.machine(tmp_path)
    file = results.save(run.record(), tmp_path / "runs.jsonl")
    results.save(run.record() | {"scenario": "<b>"}, file)
    records = results.read([file])
    page = report.render(records)
    assert page.count("<svg") >= 6 and "http" not in page and "<b>" not in page
    assert "class=bad" in page and "250." in page and "Raspberry Pi 4B" in page
    file.write_text('{"format": 99}\n')
    with pytest.raises(ValueError, match="format"):
        results.read([file])
