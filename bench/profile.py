"""Where a process spends its time: py-spy samples, summed up per function, and a flame graph in SVG.

Samples of threads that wait are left out, so a share is a share of the CPU time. Time inside compiled code (system calls,
RocksDB, protobuf) counts for the Python line that called it.
"""

from __future__ import annotations

import contextlib
import html
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.host import Host

RATE_HZ = 400

STEPS: dict[str, tuple[str, ...]] = {
    "read from sockets (epoll, read)": ("Sockets.readable",),
    "unmask, WebSocket and frame": ("Connection.receive", "parse_frame", "Sockets._feed"),
    "parse SyncUL, dispatch": ("Frames._sync", "Frames.received"),
    "upload: check, id, stored form, rows, acknowledgement": ("Delivery.upload",),
    "device acknowledges": ("Pulls.pull",),
    "link in: decode, rows": ("Links.arrived",),
    "number and bundle for links": ("Links.seal",),
    "write the batch (RocksDB)": ("RocksStore.write",),
    "push to devices, answer pulls": ("Pulls.offer", "Pulls._end_loops", "Memberships.offer", "PullLoop.pull"),
    "rest of the tick": ("Shard.seal",),
    "flush (fsync, hand-over; waits count too)": ("LocalLog.flush", "LocalLog._run", "Runner._flush_interval"),
    "write to sockets": ("Sockets._write",),
    "bus (ZeroMQ)": ("Bus.flush", "Bus.send", "Bus._receive", "Bus._send_kept"),
    "once a second: cursors, retention, loop ends": ("Runner._every_second",),
    "turns: release, timers": ("Ticker._release", "Ticker._commit", "Ticker.end_turn", "Ticker._durable"),
    "event loop, and waiting for a core": ("main",),
}
"""Steps of a message: a sample belongs to the innermost frame that is listed here."""


class ProfileError(Exception):
    """No profiler, or it failed."""


@dataclass
class Stacks:
    """Samples by stack, outermost frame first."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All samples."""
        return self.counts.total()

    def own(self, lines: bool = False) -> list[tuple[str, float]]:
        """Share of each innermost function (or line of source), largest first."""
        found: Counter[str] = Counter()
        for stack, count in self.counts.items():
            found[stack[-1] if lines else _function(stack[-1])] += count
        return [(name, count / self.total) for name, count in found.most_common()]

    def steps(self) -> list[tuple[str, float]]:
        """Share of each of :data:`STEPS`, in their order."""
        step_of = {name: step for step, names in STEPS.items() for name in names}
        found: Counter[str] = Counter()
        for stack, count in self.counts.items():
            names = (frame.partition(" (")[0] for frame in reversed(stack))
            found[next((step_of[name] for name in names if name in step_of), "other threads")] += count
        return [(step, found[step] / self.total) for step in (*STEPS, "other threads") if found[step]]

    def inclusive(self) -> list[tuple[str, float]]:
        """Share of each function with everything below it."""
        found: Counter[str] = Counter()
        for stack, count in self.counts.items():
            for name in {_function(one) for one in stack}:
                found[name] += count
        return [(name, count / self.total) for name, count in found.most_common()]


def py_spy() -> str:
    """Path of the program.

    :raises ProfileError: with the remedy
    """
    beside = Path(sys.executable).parent / "py-spy"
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ProfileError("py-spy is not installed: pip install py-spy")
    return found


def parse(text: str) -> Stacks:
    """Collapsed stacks as py-spy writes them: ``frame;frame;frame count``."""
    stacks = Stacks()
    for line in text.splitlines():
        names, _, count = line.rpartition(" ")
        if names and count.isdigit():
            frames = tuple(_short(name) for name in names.split(";") if not name.startswith(("process ", "thread ")))
            if frames:
                stacks.counts[frames] += int(count)
    return stacks


def _short(frame: str) -> str:
    """``name (path/of/module.py:12)`` with a path that starts at the package."""
    name, _, place = frame.partition(" (")
    for mark in ("/site-packages/", "/lanying/lanying/", "/lib/python3"):
        if mark in place:
            place = place.rpartition(mark)[2]
    at = place.rfind("lanying/")
    return f"{name} ({place[at:] if at >= 0 else place}"


def _function(frame: str) -> str:
    """A frame without its line number."""
    head, _, line = frame.rpartition(":")
    return f"{head})" if head and line.rstrip(")").isdigit() else frame


class Profiler:
    """Attach to a process of the server for the window of a run; use ``hook`` as :attr:`bench.scenarios.Common.hook`."""

    def __init__(self, process: str, native: bool = False) -> None:
        self.process = process
        self.stacks = Stacks()
        self._program = py_spy()
        self._native = native

    @contextlib.contextmanager
    def hook(self, server: Host, seconds: float) -> Iterator[None]:
        """:raises ProfileError: py-spy failed; it needs root or ptrace_scope 0"""
        pid = server.meter().pids.get(self.process)
        if pid is None:
            raise ProfileError(f"the server has no process {self.process}")
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "stacks"
            command = [self._program, "record", "--format", "raw", "--rate", str(RATE_HZ), "--pid", str(pid)]
            command += ["--duration", str(max(1, round(seconds))), "--output", str(file)]
            command += ["--native"] if self._native else ["--nonblocking"]
            spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                yield
            finally:
                errors = spy.communicate(timeout=seconds + 30)[1]
            if not file.exists():
                raise ProfileError(f"py-spy failed: {errors.strip()}")
            self.stacks = parse(file.read_text())


# --- flame graph -------------------------------------------------------------------------------------------------------

WIDTH = 1400
ROW = 17
_SMALLEST = 0.0008


def flame_graph(stacks: Stacks, caption: str) -> str:
    """An SVG: callers below, width is CPU time; the title of a box (hover) has its share."""
    functions: Counter[tuple[str, ...]] = Counter()
    for stack, count in stacks.counts.items():
        functions[tuple(_function(one) for one in stack)] += count
    rows: list[str] = []
    total = max(1, stacks.total)
    deepest = max((len(stack) for stack in functions), default=1)
    height = (deepest + 2) * ROW

    def draw(items: list[tuple[tuple[str, ...], int]], depth: int, left: float) -> None:
        groups: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for stack, count in items:
            if len(stack) > depth:
                groups.setdefault(stack[depth], []).append((stack, count))
        for name in sorted(groups):
            share = sum(count for _, count in groups[name]) / total
            width = share * WIDTH
            if share >= _SMALLEST:
                y = height - (depth + 1) * ROW
                text = html.escape(name)
                hue = 20 + sum(name.encode()) % 35
                label = html.escape(name[: int(width / 6.5)]) if width > 30 else ""
                rows.append(
                    f'<g><title>{text}: {share:.2%}</title><rect x="{left:.1f}" y="{y}" width="{max(width - 0.5, 0.3):.1f}" '
                    f'height="{ROW - 1}" fill="hsl({hue},85%,{62 + len(name) % 10}%)"/>'
                    f'<text x="{left + 3:.1f}" y="{y + 12}">{label}</text></g>'
                )
                draw(groups[name], depth + 1, left)
            left += width

    draw(list(functions.items()), 0, 0.0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        "<style>text{font:11px monospace;fill:#111}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/><text x="4" y="13">{html.escape(caption)}</text>{"".join(rows)}</svg>\n'
    )
