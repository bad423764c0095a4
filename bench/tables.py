"""A run as a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.compare import Row
from bench.peers.turns import Standing

SEED_FIGURES = (
    ("Lanying IM, Raspberry Pi 4B", "logins at 20/s: mean 72.6 ms", "chats at 19/s in total: mean 150 ms", "worst 10-s mean 1.3 s")
)  # fmt: skip
"""What the seed's makers published for 4,000 users; other hardware than this run's unless it ran on a Pi 4B."""


def console() -> Console:
    """For tables: as wide as the terminal, wide enough for all columns without one."""
    found = Console()
    return found if found.is_terminal else Console(width=160)


def show(record: Mapping[str, Any], console: Console) -> None:
    """Print one run."""
    settings = record["settings"]
    machine = record["machine"]
    title = f"{record['scenario']}  " + "  ".join(
        f"{name}={settings[name]}" for name in settings if name not in ("server", "workers")
    )
    console.print(title, style="bold", markup=False, highlight=False)
    console.print(
        f"commit {record['commit'] or '?'}{' with changes' if record['dirty'] else ''} · {machine.get('cpu')} · "
        f"{machine.get('cores')} cores · {machine.get('file_system')} · load before {machine.get('load_before')}",
        style="dim",
        markup=False,
        highlight=False,
    )
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in record["figures"].items():
        table.add_row(name.replace("_", " "), number(name, value))
    console.print(table)
    latencies = Table("ms", "mean", "p50", "p90", "p99", "p99.9", "max", "count", box=None, padding=(0, 2, 0, 0))
    for column in latencies.columns[1:]:
        column.justify = "right"
    for name, row in record["latency"].items():
        if row:
            latencies.add_row(
                name,
                *(f"{row[key] / 1000:.2f}" for key in ("mean", "p50", "p90", "p99", "p99_9", "max")),
                f"{row['count']:,}",
            )
    if latencies.row_count:
        console.print(latencies)
    if record.get("steps"):
        console.print(_steps(record["steps"]))
    if record.get("slopes"):
        console.print(_slopes(record["slopes"]))
    verdict = record["verdict"]
    if verdict:
        good = not (verdict["lost"] or verdict["duplicated"] or verdict["reordered"])
        text = "  ".join(f"{name} {value:,}" for name, value in verdict.items())
        console.print(text, style="green" if good else "bold red", markup=False, highlight=False)
    for text, count in record["errors"].items():
        console.print(f"{count} × {text}", style="yellow", markup=False, highlight=False)
    if record["scenario"] == "pi4000":
        console.print("published: " + " · ".join(SEED_FIGURES), style="dim", markup=False, highlight=False)
    other = record["figures"].get("other_cores", 0.0)
    if other > 0.1:
        console.print(f"other processes used {other:.2f} cores meanwhile: repeat on a quiet machine", style="yellow")


def _steps(steps: Sequence[Mapping[str, Any]]) -> Table:
    """What a search has tried."""
    table = Table(
        "users", "chats/s", "held", "p50 ms", "p99 ms", "cores", "PSS", "lost", box=None, padding=(0, 2, 0, 0)
    )
    for step in steps:
        table.add_row(
            f"{step['users']:,}",
            f"{step['messages_per_s']:,.0f} of {step['rate']:,.0f}",
            "yes" if step["held"] else "no",
            f"{step['p50_ms']:.1f}",
            f"{step['p99_ms']:.1f}",
            f"{step['server_cores']:.2f}",
            size(step["pss_bytes"]),
            f"{step['lost']:,}",
        )
    return table


def _slopes(found: Sequence[Mapping[str, Any]]) -> Table:
    """What a soak says of everything that should stay as it is."""
    table = Table("over time", "at first", "per hour", "growth", "while filling", "", box=None, padding=(0, 2, 0, 0))
    for one in found:
        name, flat = one["name"], one["flat"]
        table.add_row(
            name,
            number(name, one["start"]),
            number(name, one["per_hour"]),
            f"{one['growth']:+.1%}",
            f"{one['filling']:+.1%}",
            "flat" if flat else "grows",
            style=None if flat else "yellow",
        )
    return table


MARKDOWN = (
    ("Logins/s", "logins_per_s"), ("Login, CPU ms", "login_cpu_ms"), ("Messages/s", "messages_per_s"),
    ("Copies/s", "copies_per_s"), ("CPU µs/message", "cpu_us_per_message"), ("CPU µs/copy", "cpu_us_per_copy"),
    ("Server cores", "server_cores"), ("PSS", "pss_bytes"), ("Bytes/session", "pss_per_session"),
)  # fmt: skip


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Runs as a table, one row each; columns nothing has are left out."""
    figures = [(head, name) for head, name in MARKDOWN if any(name in record["figures"] for record in records)]
    percentiles = any(record["latency"].get("deliver") for record in records)
    head = ["Run", *(text for text, _ in figures)]
    if percentiles:
        head += ["p50 ms", "p99 ms", "max ms"]
    head += ["Lost / doubled / reordered", "Other load", "Commit"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    for record in records:
        found = record["figures"]
        cells = [run_name(record), *(number(name, found[name]) if name in found else "" for _, name in figures)]
        if percentiles:
            deliver = record["latency"].get("deliver") or {}
            cells += [f"{deliver[key] / 1000:.1f}" if deliver else "" for key in ("p50", "p99", "max")]
        verdict = record["verdict"] or {}
        cells.append(" / ".join(f"{verdict[key]:,}" for key in ("lost", "duplicated", "reordered")) if verdict else "")
        cells.append(f"{found['other_cores']:.2f} cores" if "other_cores" in found else "")
        cells.append(f"`{record['commit'][:9]}`{' + changes' if record['dirty'] else ''}")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def run_name(record: Mapping[str, Any]) -> str:
    """A short name of a run."""
    settings = record["settings"]
    parts = [str(record["scenario"])]
    if settings.get("compressed"):
        parts[0] += " compressed"
    if "users" in settings:
        parts.append(f"{settings['users']:,} {'members' if record['scenario'] == 'group' else 'users'}")
    rate = settings.get("rate")
    if rate:
        parts.append("saturated" if rate == "max" else f"{rate:g}/s")
    if settings.get("tls"):
        parts.append("TLS")
    if settings.get("system"):
        parts[0] = str(settings["system"])
    elif settings.get("durability", "fsync") != "fsync":
        parts.append(str(settings["durability"]))
    return ", ".join(parts)


_STANDINGS = (
    "system",
    "CPU µs/message",
    "to ours",
    "messages/s",
    "p50 ms",
    "p99 ms",
    "login CPU ms",
    "PSS",
    "lost / doubled / reordered",
    "what an acknowledgement means",
)


def standing_rows(standings: Sequence[Standing]) -> list[tuple[str, list[str]]]:
    """Cells of :data:`_STANDINGS`, with the rate in front: ours first, the others as multiples of ours."""
    found = []
    base: dict[float, float] = {}
    for one in standings:
        cost = one.figure("cpu_us_per_message")
        base.setdefault(one.rate, cost or 0.0)
        ratio = f"{cost / base[one.rate]:.2f} ×" if cost and base[one.rate] else "?"
        spread = [run.figures.get("cpu_us_per_message", 0.0) for run in one.runs]
        cells = [
            str(one.runs[0].settings.get("system", one.system)),
            f"{cost:,.0f} ({min(spread):,.0f} … {max(spread):,.0f})" if cost else "?",
            ratio,
            *(
                "?" if value is None else number("", value)
                for value in (
                    one.figure("messages_per_s"),
                    one.latency("deliver", "p50"),
                    one.latency("deliver", "p99"),
                    one.figure("login_cpu_ms"),
                )
            ),
            size(one.figure("pss_bytes") or 0),
            " / ".join(f"{one.counted(name):,}" for name in ("lost", "duplicated", "reordered")),
            durability(one.runs[0].settings),
        ]
        found.append((f"{one.rate:g}/s" if one.rate else "saturated", cells))
    return found


def durability(settings: Mapping[str, Any]) -> str:
    """What an acknowledgement of a system means."""
    mode = str(settings.get("durability", "?"))
    ours = {"fsync": "synced before", "interval": "synced every 200 ms", "os": "never synced"}
    return f"archived for both, {ours[mode]}" if mode in ours else mode


def standings(found: Sequence[Standing], console: Console) -> None:
    """Systems beside each other at every rate."""
    table = Table("1:1 chat", *_STANDINGS, box=None, padding=(0, 2, 0, 0))
    before = ""
    for rate, cells in standing_rows(found):
        if before and rate != before:
            table.add_section()
        table.add_row("" if rate == before else rate, *cells)
        before = rate
    console.print(table)


def standings_markdown(found: Sequence[Standing]) -> str:
    """The same for docs/benchmarks.md."""
    rows = ["| rate | " + " | ".join(_STANDINGS) + " |", "|---|---|" + "---:|" * (len(_STANDINGS) - 1)]
    rows += [f"| {rate} | " + " | ".join(cells) + " |" for rate, cells in standing_rows(found)]
    return "\n".join(rows)


def shares(title: str, rows: Sequence[tuple[str, float]], cost_us: float, console: Console) -> None:
    """Shares of CPU time, and what they are of ``cost_us`` microseconds per message of this process."""
    table = Table("share", "µs/message", title, box=None, padding=(0, 2, 0, 0))
    for name, share in rows:
        table.add_row(f"{share:.1%}", f"{share * cost_us:.2f}", name)
    console.print(table, markup=False)
    console.print()


def counted(found: Mapping[str, float], limits: Mapping[str, float], console: Console) -> None:
    """Counts per message beside their limits."""
    table = Table("per message", "count", "limit", box=None, padding=(0, 2, 0, 0))
    for name, value in found.items():
        limit = limits.get(name)
        style = "bold red" if limit is not None and value > limit else None
        table.add_row(name.replace("_", " "), f"{value:g}", "" if limit is None else f"{limit:g}", style=style)
    console.print(table)


def compared(scenario: str, names: tuple[str, str], rows: Sequence[Row], console: Console) -> None:
    """Median (smallest … largest) of each figure for both versions."""
    table = Table(scenario, f"A {names[0]}", f"B {names[1]}", "change", "", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(
            row.name.replace("_", " "),
            _spread(row.name, row.a),
            _spread(row.name, row.b),
            f"{row.change:+.1%}",
            "clear" if row.clear and len(row.a) > 2 else "within the spread",
        )
    console.print(table)


def _spread(name: str, values: Sequence[float]) -> str:
    return f"{number(name, statistics.median(values))}  ({number(name, min(values))} … {number(name, max(values))})"


def number(name: str, value: float) -> str:
    """A figure with its unit, by its name."""
    if "bytes" in name or name.startswith("pss") or "memtable" in name:
        return size(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}" if abs(value) < 100 else f"{value:,.1f}"


def size(value: float) -> str:
    """Bytes for people."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(value) >= factor:
            return f"{value / factor:,.2f} {unit}"
    return f"{value:,.0f} B"
