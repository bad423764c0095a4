"""Limits of a smaller machine, searches within them, what a board tells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import board
from bench.limiter import Limiter, LimitError, hierarchies
from bench.scenarios.pi import search

BURN = "import os, time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass\nprint(sum(os.times()[:2]))"


def test_hierarchies_of_both_versions(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    second = hierarchies(f"none {tmp_path} cgroup2 rw 0 0\n")
    assert (second.version, second.cpu, second.memory) == (2, tmp_path, tmp_path)
    first = hierarchies(
        "c /a/cpu cgroup rw,cpu,cpuacct 0 0\nm /a/memory cgroup rw,memory 0 0\nu /nowhere cgroup2 rw 0 0\n"
    )
    assert (first.version, first.cpu, first.memory) == (1, Path("/a/cpu"), Path("/a/memory"))
    with pytest.raises(LimitError, match="controllers"):
        hierarchies("proc /proc proc rw 0 0\nc /a/cpu cgroup rw,cpu 0 0\n")


def test_a_limit_is_written_as_the_kernel_wants_it(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    with Limiter(0.7, 1 << 30, f"none {tmp_path} cgroup2 rw 0 0\n") as limiter:
        (group,) = (path for path in tmp_path.iterdir() if path.is_dir())
        assert (group / "cpu.max").read_text() == "7000 10000"
        assert (group / "memory.max").read_text() == str(1 << 30)
        assert f"{group}/cgroup.procs" in limiter.prefix[2] and "v2 cpu.max" in limiter.description
        (group / "cpu.stat").write_text("usage_usec 5\nthrottled_usec 2000000\n")
        (group / "memory.peak").write_text("77\n")
        assert (limiter.throttled_s(), limiter.memory_peak()) == (2.0, 77)
        for file in group.iterdir():  # as the kernel's directory, which is empty for rmdir
            file.unlink()
    assert not group.exists()


def test_a_limited_process_gets_no_more_than_its_share() -> None:
    try:
        with Limiter(0.2, 256 << 20) as limiter:
            command = (*limiter.prefix, sys.executable, "-c", BURN)
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            assert float(done.stdout) < 0.45 and limiter.memory_peak() > 0
    except LimitError as error:
        pytest.skip(str(error))


def test_the_largest_value_that_holds_is_found() -> None:
    tried: list[float] = []

    def below(limit: float) -> float:
        tried.clear()
        return search(lambda value: not tried.append(value) and value < limit, 500, 64_000)

    assert below(2_900) == 2_750 and tried == [500, 1000, 2000, 4000, 3000, 2500, 2750]
    assert below(100) == 0 and tried == [500]
    assert below(1e9) == 64_000
    assert search(lambda value: value < 9_000, 4000, 32_000, bisections=0) == 8000


def test_a_board_tells_its_state(tmp_path: Path) -> None:
    assert board.look(tmp_path).keys() <= {"throttled"} and board.model(tmp_path) == ""
    for name, text in {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "sys/class/thermal/thermal_zone0/temp": "61234\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert board.model(tmp_path) == "Raspberry Pi 4 Model B Rev 1.4"
    found = board.look(tmp_path)
    assert (found["celsius"], found["clock_mhz"]) == (61.234, 1500.0)
    assert found["throttled"] == "under-voltage, throttled, under-voltage has occurred, throttling has occurred"
    assert board.explain(0) == "no"
