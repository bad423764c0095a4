"""What ``lanying-cluster status`` shows. CPU and memory are measured here, by the one who asks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import psutil

from lanying.supervisor.answers import MeasuredProcess, MeasuredStatus, ProcessStatus, Status

if TYPE_CHECKING:
    from rich.console import Console

SAMPLE_S = 0.25
"""CPU is measured over this long."""
_STYLES = {"ready": "green", "starting": "yellow", "waiting": "red", "killed": "red", "stopping": "yellow"}


def measured(status: Status) -> MeasuredStatus:
    """The same with what every process takes. Takes :data:`SAMPLE_S`."""
    fields = {name: getattr(status, name) for name in status.__struct_fields__ if name != "processes"}
    return MeasuredStatus(**fields, processes=_measured(status.processes))


def _measured(rows: Sequence[ProcessStatus]) -> list[MeasuredProcess]:
    running = [_begun(row.pid) for row in rows]
    time.sleep(SAMPLE_S)
    return [_with(row, *_taken(it)) for row, it in zip(rows, running, strict=True)]


def _with(row: ProcessStatus, cpu_percent: float | None, rss_bytes: int | None) -> MeasuredProcess:
    return MeasuredProcess(**msgspec.structs.asdict(row), cpu_percent=cpu_percent, rss_bytes=rss_bytes)


def _begun(pid: int | None) -> psutil.Process | None:
    """A process whose CPU is measured from now on; None: it is gone."""
    try:
        process = psutil.Process(pid or -1)
        process.cpu_percent(None)
    except (psutil.Error, ValueError):
        return None
    return process


def _taken(process: psutil.Process | None) -> tuple[float | None, int | None]:
    try:
        return (process.cpu_percent(None), process.memory_info().rss) if process is not None else (None, None)
    except psutil.Error:
        return None, None


def moving(status: Status) -> str:
    """How far a move of slots is, for example ``copy 40 %``; empty: none is under way."""
    found = status.move
    if found is None:
        return ""
    return f"{found.step} {100 * found.done // found.total} %" if found.total else found.step or status.state


def show(status: MeasuredStatus, console: Console | None = None) -> None:
    """Print for people: figures with labels where there is no total."""
    from rich.console import Console  # who only measures does not need it
    from rich.table import Table

    console = console or Console(highlight=False)
    console.print(
        f"{status.state}  {status.url}  app {status.app_id}  lanying {status.version}  "
        f"pid {status.pid}  up {duration(status.uptime_s)}",
        style=_STYLES.get(status.state, ""),
        markup=False,
    )
    console.print(
        f"data {status.data}  shards {status.shards}  shard map version {status.shard_map_version}  "
        f"durability {status.durability}  metrics {status.metrics_url}",
        markup=False,
    )
    console.print(f"limits  {status.allotted}", style="dim", markup=False)
    if status.move is not None and (step := moving(status)):
        console.print(f"{status.move.title}: {step}", markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("process", "pid", "state", "core", "uptime", "restarts", "cpu %", "RSS MB", "sessions"):
        table.add_column(heading, justify="left" if heading in ("process", "state") else "right")
    for row in status.processes:
        sessions = row.figures.get("sessions")
        table.add_row(
            row.name,
            _or_dash(row.pid),
            f"[{_STYLES.get(row.state, 'white')}]{row.state}[/]",
            _or_dash(row.core),
            duration(row.uptime_s),
            str(row.restarts),
            _or_dash(row.cpu_percent),
            "-" if row.rss_bytes is None else f"{row.rss_bytes / 1e6:.1f}",
            _or_dash(None if sessions is None else int(sessions)),
        )
    console.print(table)
    for row in status.processes:
        if row.figures.get("cold_missing"):
            console.print(f"{row.name}: the cold store is not there, older history is unavailable", style="red")
    for row in status.processes:
        figures = [f"{name}={_figure(value)}" for name, value in row.figures.items() if name != "sessions"]
        figures += [
            f"{one.name}[{','.join(one.labels.values())}]={_figure(one.value)}"
            for one in row.series
            if one.name not in row.figures
        ]
        console.print(f"{row.name}: {' '.join(figures)}", style="dim", markup=False)


def duration(seconds: float) -> str:
    """3 d 4 h, 5 h 12 min, 2 min 3 s, 14 s."""
    whole = int(seconds)
    for size, unit, lower, lower_unit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // lower} {lower_unit}"
    return f"{whole} s"


def _figure(value: float) -> str:
    """Counts, bytes and times of day in full; of small fractions, which are measured, what is known of them."""
    return f"{value:.15g}" if abs(value) >= 1000 else f"{value:.4g}"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
