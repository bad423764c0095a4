"""``lanying-cluster crash-test``: a short run, and a report that can be red."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lanying.testing.crash_test import Report


@pytest.mark.timeout(110)
def test_a_short_run_loses_nothing(tmp_path: Path) -> None:
    arguments = [
        "crash-test",
        "--minutes",
        "0.1",
        "--users",
        "12",
        "--seed",
        "7",
        "--directory",
        str(tmp_path),
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lanying.cli", *arguments], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["acknowledged"] > 0
    assert sum(report["kills"].values()) > 1
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize("broken", ["lost", "duplicated", "reordered", "refused"])
def test_one_broken_promise_is_enough(broken: str) -> None:
    counts = {"lost": 0, "duplicated": 0, "reordered": 0, "refused": 0}
    good = Report(1, 1.0, {}, 1, 1, 1, sync_p50_ms=1.0, sync_p99_ms=1.0, sync_is_believable=True, **counts)
    assert good.ok
    bad = Report(1, 1.0, {}, 1, 1, 1, sync_p50_ms=1.0, sync_p99_ms=1.0, sync_is_believable=True, **counts | {broken: 1})
    assert not bad.ok
