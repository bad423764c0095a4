"""Syncs that take as long as one likes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.host import Target
from bench.slow_disk import MEMORY, NoSlowDisk, SlowDisk

SYNC = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    for sync in (os.fsync, os.fdatasync):
        file.write(b"x"); file.flush()
        began = time.monotonic(); sync(file.fileno()); print(time.monotonic() - began)
"""


def test_every_sync_of_a_command_waits(tmp_path: Path) -> None:
    try:
        with SlowDisk() as slow:
            command = (*slow.prefix(40), sys.executable, "-c", SYNC, str(tmp_path / "file"))
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            target = slow.target(Target(prefix=("nice",)), 40)
    except NoSlowDisk as error:
        pytest.skip(str(error))
    took = [float(line) for line in done.stdout.split()]
    assert len(took) == 2 and min(took) >= 0.04
    assert target.place == MEMORY and target.prefix[0] == "nice"


def test_without_a_compiler_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoSlowDisk, match="apt install gcc"), SlowDisk():
        pass
