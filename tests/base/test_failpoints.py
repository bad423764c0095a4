"""The table of fail points and the code say the same; an armed point acts once."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import lanying
from lanying.base import failpoints

PACKAGE = Path(lanying.__file__).parent


def test_every_point_is_in_the_code_once_and_no_other_is():
    calls = Counter(
        name for file in PACKAGE.rglob("*.py") for name in re.findall(r'\bfailpoint\("([a-z_.]+)"\)', file.read_text())
    )
    assert calls == dict.fromkeys(failpoints.POINTS, 1)


def test_every_point_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/testing.md").read_text()
    table = page.partition("## Fail points")[2].partition("## ")[0]
    assert dict(re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", table, re.MULTILINE)) == failpoints.POINTS


def passing(directory: Path, name: str, process: str = "shard-1") -> subprocess.CompletedProcess[str]:
    """A process that comes to a point three times and says so."""
    code = f"""
from lanying.base import failpoints
failpoints.here({process!r})
for n in range(3):
    try:
        failpoints.failpoint({name!r})
    except OSError as error:
        print(error.errno)
    print(n, flush=True)
"""
    environment = {failpoints.VARIABLE: str(directory)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)


def test_a_kill_happens_at_its_pass_and_once(tmp_path):
    armed = failpoints.arm(tmp_path, "shard.flushed", passes=2)
    assert (passing(tmp_path, "shard.flushed").stdout.split(), armed.exists()) == (["0", "1"], False)
    assert passing(tmp_path, "shard.flushed").stdout.split() == ["0", "1", "2"]
    assert [*tmp_path.iterdir()] == []


def test_an_error_is_raised_and_other_processes_and_points_go_on(tmp_path):
    failpoints.arm(tmp_path, "shard.flushed", "error", process="shard-1")
    assert passing(tmp_path, "shard.flushed", "shard-0").stdout.split() == ["0", "1", "2"]
    assert passing(tmp_path, "shard.written").stdout.split() == ["0", "1", "2"]
    assert passing(tmp_path, "shard.flushed").stdout.split() == [str(errno.EIO), "0", "1", "2"]


def test_a_stall_takes_its_time(tmp_path):
    failpoints.arm(tmp_path, "shard.flushed", "stall 0.01")
    done = passing(tmp_path, "shard.flushed")
    assert (done.returncode, done.stdout.split()) == (0, ["0", "1", "2"])


def test_unknown_points_cannot_be_armed(tmp_path):
    with pytest.raises(AssertionError, match="no such"):
        failpoints.arm(tmp_path, "no such point")
