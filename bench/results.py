"""One run, one JSON line: where it ran, how it was set, what came out. Latencies are microseconds, memory is bytes.

Record (format 1)::

    format, scenario, at (ISO 8601), commit, dirty, seed
    machine      cpu, cores, memory_bytes, kernel, python, file_system, load_before
    settings     everything the run was started with, durability among it
    figures      flat numbers; what a table or a comparison shows
    latency      by name ("deliver", "acknowledge", "login", "page"): count, mean, p50, p90, p99, p99_9, max and the
                 whole distribution as an HDR histogram (base64, 3 digits)
    seconds      per second of the window: messages, p50, p99, max (of "deliver"), cores (server CPU), pss; of a soak per look, with
                 "at" (seconds), pss and descriptors by process, disk
    processes    by name: user_s, system_s, switches, reads, writes, disk_bytes in the window; pss, rss at its end
    errors       texts of what should not happen, with their counts
    steps        what a search has tried, in order; empty for most scenarios
    slopes       of a soak: name, start, per_hour, growth (share of start, in the part that counts), filling, flat
    notes        by name of a figure: why it could not be measured
    verdict      sent, acknowledged, copies, received, lost, duplicated, reordered, refused, unacknowledged, rescued, disconnected
"""

from __future__ import annotations

import os
import platform
import subprocess
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from bench import board
from bench.orders import CountResult, Stream

FORMAT = 1
RESULTS = Path(__file__).resolve().parent / "results"
HIGHEST_US = 600_000_000
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Verdict:
    """Every message counted. ``lost``: acknowledged and never received. ``rescued``: received only after asking again.

    :ivar copies: what was sent, once per recipient; ``received``, ``lost`` and the rest count copies too
    :ivar unknown: acknowledgements of messages that were not waiting for one
    """

    sent: int = 0
    acknowledged: int = 0
    copies: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    refused: int = 0
    unacknowledged: int = 0
    rescued: int = 0
    unknown: int = 0
    disconnected: int = 0

    @property
    def good(self) -> bool:
        """Nothing acknowledged was lost, duplicated or reordered."""
        return not (self.lost or self.duplicated or self.reordered)


def judge(audience: Mapping[int, Sequence[int]], counts: Sequence[CountResult], rescued: int = 0) -> Verdict:
    """The verdict over all workers.

    :param audience: indices of the recipients of every stream
    """
    verdict = Verdict(rescued=rescued)
    streams: dict[tuple[int, int], Stream] = {}
    sent: dict[int, int] = {}
    excused: dict[int, set[int]] = {}
    for count in counts:
        counters = count.counters
        verdict.sent += counters["sent"]
        verdict.acknowledged += counters["acknowledged"]
        verdict.copies += counters["owed"]
        verdict.received += counters["received"]
        verdict.duplicated += counters["duplicated"]
        verdict.reordered += counters["reordered"]
        verdict.refused += counters["refused"]
        verdict.unknown += counters["unknown_acknowledgements"]
        verdict.disconnected += counters["disconnected"]
        streams |= count.streams
        sent |= count.sent
        for left in (count.unacknowledged, count.refused):
            for stream, sequences in left.items():
                excused.setdefault(stream, set()).update(sequences)
        verdict.unacknowledged += sum(map(len, count.unacknowledged.values()))
    nothing = Stream(0, [])
    for number, total in sent.items():
        for recipient in audience[number]:
            seen = streams.get((number, recipient), nothing)
            if seen.missing or seen.expected < total:
                absent = set(seen.missing) | set(range(seen.expected, total))
                verdict.lost += len(absent - excused.get(number, set()))
    return verdict


@dataclass
class Run:
    """A record under construction."""

    scenario: str
    settings: dict[str, Any]
    seed: int = 1
    figures: dict[str, float] = field(default_factory=dict)
    latency: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: list[dict[str, float]] = field(default_factory=list)
    processes: dict[str, dict[str, float]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    slopes: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As it is written."""
        commit, dirty = revision()
        return {
            "format": FORMAT,
            "scenario": self.scenario,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit,
            "dirty": dirty,
            "seed": self.seed,
            "machine": self.machine,
            "settings": self.settings,
            "figures": self.figures,
            "latency": self.latency,
            "seconds": self.seconds,
            "processes": self.processes,
            "steps": self.steps,
            "slopes": self.slopes,
            "notes": self.notes,
            "errors": self.errors,
            "verdict": None if self.verdict is None else asdict(self.verdict),
        }

    def add_errors(self, errors: Iterable[Mapping[str, int]]) -> None:
        """Sum up what workers saw."""
        total: Counter[str] = Counter(self.errors)
        for one in errors:
            total.update(one)
        self.errors = dict(total.most_common())


def histogram(values: Iterable[array[int]]) -> HdrHistogram:
    """An HDR histogram of microseconds."""
    counts: Counter[int] = Counter()
    for some in values:
        counts.update(some)
    found = HdrHistogram(1, HIGHEST_US, 3)
    for value, count in counts.items():
        found.record_value(min(max(value, 1), HIGHEST_US), count)
    return found


def summary(values: Iterable[array[int]]) -> dict[str, Any]:
    """Percentiles, mean and the distribution; empty when there was nothing."""
    found = histogram(values)
    if not found.get_total_count():
        return {}
    return {
        "count": found.get_total_count(),
        "mean": round(found.get_mean_value(), 1),
        "p50": found.get_value_at_percentile(50),
        "p90": found.get_value_at_percentile(90),
        "p99": found.get_value_at_percentile(99),
        "p99_9": found.get_value_at_percentile(99.9),
        "max": found.get_max_value(),
        "histogram": found.encode().decode(),
    }


def per_second(workers: Sequence[Sequence[array[int]]]) -> list[array[int]]:
    """Latencies of all workers, second by second."""
    length = max(map(len, workers), default=0)
    merged = [array("I") for _ in range(length)]
    for seconds in workers:
        for number, values in enumerate(seconds):
            merged[number].extend(values)
    return merged


def worst_mean(seconds: Sequence[array[int]], width: int = 10) -> float:
    """The largest mean of ``width`` seconds in a row, microseconds."""
    worst = 0.0
    for first in range(max(1, len(seconds) - width + 1)):
        some = seconds[first : first + width]
        count = sum(map(len, some))
        if count:
            worst = max(worst, sum(map(sum, some)) / count)
    return worst


def revision(root: Path = ROOT) -> tuple[str, bool]:
    """Commit of the source tree, and whether files differ from it; empty when it is not a checkout."""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "", False


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", *arguments), cwd=root, check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()


def machine(data: Path) -> dict[str, Any]:
    """Where this runs; ``data`` says which file system counts."""
    found: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": file_system(data),
        "load_before": round(os.getloadavg()[0], 2),
    }
    if board.model():
        found["board"] = board.model()
    return found | board.look()


def _cpu_model() -> str:
    names = ("model name", "Model", "Hardware")
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return platform.machine()


def file_system(path: Path) -> str:
    """Type of the file system ``path`` is on."""
    path = path.resolve()
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, type_name, *_ = line.split()
        if (path == Path(place) or Path(place) in path.parents) and len(place) >= len(best):
            best, kind = place, type_name
    return kind


def save(record: Mapping[str, Any], file: Path | None) -> Path:
    """Append one line; to ``bench/results/<scenario>.jsonl`` without a file."""
    file = file or RESULTS / f"{record['scenario']}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write(msgspec.json.encode(record) + b"\n")
    return file


def read(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Records of result files.

    :raises ValueError: not records of this format
    """
    found = []
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            record = msgspec.json.decode(line)
            if not isinstance(record, dict) or record.get("format") != FORMAT:
                raise ValueError(f"{file}:{number}: not a record of format {FORMAT}")
            found.append(record)
    return found
