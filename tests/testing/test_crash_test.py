"""``lanying-cluster crash-test``: a short run, and a report that can be red."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lanying.testing.crash_test import Report
from lanying.testing.disk import Disk


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
    assert [report[it] for it in ("lost", "duplicated", "reordered", "disagreeing", "damaged")] == [0] * 5
    assert report["disk"]["notes"]
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize("broken", ["lost", "duplicated", "reordered", "disagreeing", "damaged"])
def test_one_broken_promise_is_enough(broken: str) -> None:
    disk = Disk("vda", "disk", "write back", 1.0, 1.0)
    counts = dict.fromkeys(("lost", "duplicated", "reordered", "disagreeing", "refused", "damaged"), 0)
    assert Report(1, 1.0, {}, 1, 1, 1, disk=disk, **counts | {"refused": 1}).ok, "a refusal promises nothing"
    assert not Report(1, 1.0, {}, 1, 1, 1, disk=disk, **counts | {broken: 1}).ok
