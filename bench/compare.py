"""Two versions of the server beside each other on this machine: runs in turns, differences with their spread.

The generator is always the one of this tree; the server (and everything of ``lanying``) comes from a worktree of the commit.
Turns are A B B A A B …, so that a machine that gets slower with time hurts both alike.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.results import ROOT

DEFAULT = (
    "chat --users 2000 --rate max --duration 10",
    "chat --users 2000 --rate 1000 --duration 10",
    "login --users 2000 --rounds 2",
)
SHOWN = (
    "cpu_us_per_message", "cpu_us_per_copy", "messages_per_s", "copies_per_s", "deliver p50 ms", "deliver p99 ms",
    "writes_per_message", "reads_per_message",
    "switches_per_message", "disk_bytes_per_message", "pss_bytes", "login_cpu_ms", "logins_per_s", "pss_per_session",
    "other_cores",
)  # fmt: skip
TIMEOUT_S = 900


class CompareError(Exception):
    """A version cannot be run."""


@dataclass
class Row:
    """One figure of both versions, one value per run."""

    name: str
    a: list[float]
    b: list[float]

    @property
    def change(self) -> float:
        """Median of B over median of A, minus one."""
        base = statistics.median(self.a)
        return statistics.median(self.b) / base - 1 if base else 0.0

    @property
    def clear(self) -> bool:
        """Whether every run of one lies beyond every run of the other."""
        return max(self.a) < min(self.b) or max(self.b) < min(self.a)


class Version:
    """A commit, checked out beside the tree.

    :param own_bench: the commit's own ``bench`` generates the load, not this tree's
    """

    def __init__(self, name: str, directory: Path, *, own_bench: bool = False) -> None:
        self.name = name
        self._tree = directory / "tree"
        self.stage = directory / "stage"
        self.stage.mkdir(parents=True)
        added = subprocess.run(
            ("git", "worktree", "add", "--detach", str(self._tree), name), cwd=ROOT, capture_output=True, text=True
        )
        if added.returncode:
            raise CompareError(f"{name}: {added.stderr.strip()}")
        (self.stage / "lanying").symlink_to(self._tree / "lanying")
        (self.stage / "bench").symlink_to((self._tree if own_bench else ROOT) / "bench")
        # What the server reads beside its package (board profiles).
        (self.stage / "pi-tuning").symlink_to(self._tree / "pi-tuning")

    def run(self, scenario: str) -> dict[str, Any]:
        """One run. :raises CompareError: it failed"""
        environment = os.environ | {"PYTHONPATH": str(self.stage)}
        done = subprocess.run(
            (
                sys.executable,
                "-m",
                "bench.cli",
                *scenario.split(),
                "--json",
                "--output",
                str(self.stage / "runs.jsonl"),
            ),
            cwd=self.stage,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
        try:
            record = msgspec.json.decode(done.stdout)
        except ValueError:
            raise CompareError(f"{self.name}: {scenario}: {done.stderr.decode(errors='replace')[-2000:]}") from None
        return dict(record) | {"exit_code": done.returncode}

    def remove(self) -> None:
        """Give the worktree back."""
        subprocess.run(("git", "worktree", "remove", "--force", str(self._tree)), cwd=ROOT, capture_output=True)


def compare(
    names: tuple[str, str],
    scenarios: Sequence[str],
    rounds: int,
    report: Callable[[str], None],
    *,
    own_bench: bool = False,
) -> dict[str, tuple[list[Row], list[str]]]:
    """Rows and complaints (loss, errors) by scenario.

    :param names: anything git takes for a commit
    :param own_bench: each with the generator of its own commit, for commits between which modules the generator imports moved
    """
    directory = Path(tempfile.mkdtemp(prefix="lanying-compare-", dir="/var/tmp"))
    versions: list[Version] = []
    try:
        for letter, name in zip("AB", names, strict=True):
            versions.append(Version(name, directory / letter, own_bench=own_bench))
        found = {}
        for scenario in scenarios:
            runs: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
            for turn in range(rounds):
                for side in (0, 1) if turn % 2 == 0 else (1, 0):
                    report(f"{scenario}: round {turn + 1} of {rounds}, {'AB'[side]} {names[side]}")
                    runs[side].append(versions[side].run(scenario))
            found[scenario] = (_rows(*runs), _complaints(names, runs))
        return found
    finally:
        for version in versions:
            version.remove()
        shutil.rmtree(directory, ignore_errors=True)


def _rows(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> list[Row]:
    a, b = [_flat(run) for run in first], [_flat(run) for run in second]
    return [
        Row(name, [run[name] for run in a], [run[name] for run in b])
        for name in SHOWN
        if all(name in run for run in (*a, *b))
    ]


def _flat(run: dict[str, Any]) -> dict[str, float]:
    deliver = run["latency"].get("deliver") or {}
    figures: dict[str, float] = run["figures"]
    return figures | {f"deliver {name} ms": deliver[name] / 1000 for name in ("p50", "p99") if name in deliver}


def _complaints(names: tuple[str, str], runs: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> list[str]:
    found = []
    for name, some in zip(names, runs, strict=True):
        for run in some:
            if run["exit_code"]:
                found.append(f"{name}: exit code {run['exit_code']}, {run['verdict']}")
            found += [f"{name}: {count} × {text}" for text, count in run["errors"].items()]
    return found
