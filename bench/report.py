"""Runs as one HTML page without any reference to the outside: figures, plots in SVG, drawn here."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from bench.results import HIGHEST_US
from bench.tables import SEED_FIGURES, number, run_name, size

Record = Mapping[str, Any]
Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 40
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f", "#475569", "#a16207")
PERCENTILES = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99)

_STYLE = """
:root { color-scheme: light dark; --ink: #111827; --paper: #ffffff; --faint: #6b7280; --line: #d1d5db; --card: #f9fafb }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --paper: #0b0f17; --faint: #9ca3af; --line: #374151; --card: #131a26 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 1360px;
  padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 0 .2rem } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem } p, li { max-width: 75ch }
.faint { color: var(--faint) } .bad { color: #dc2626; font-weight: 700 } .good { color: #059669 }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem }
figcaption { font-weight: 600; margin-bottom: .3rem } svg { width: 100%; height: auto; display: block }
svg text { fill: var(--faint); font: 11px system-ui, sans-serif } svg .grid { stroke: var(--line); stroke-width: .6 }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } .key { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin-right: .4em }
"""


def render(records: Sequence[Record]) -> str:
    """The page."""
    titles = [title(record, number) for number, record in enumerate(records, 1)]
    body = [
        "<h1>lanying benchmark</h1>",
        f'<p class="faint">{len(records)} runs. CPU is that of the whole server process tree, user and system, in the measured window; '
        "latency counts from the moment a message was meant to leave. Every message was counted.</p>",
        _legend(titles),
        _verdicts(records, titles),
        "<h2>Figures</h2>",
        _figures(records, titles),
        "<h2>Latency</h2>",
        _latency_table(records, titles),
        '<div class="plots">',
        _distribution(records, "deliver", "Send to receive, by percentile (ms)"),
        _distribution(records, "acknowledge", "Send to acknowledgement, by percentile (ms)"),
        _distribution(records, "login", "Connect to logged in, by percentile (ms)"),
        _over_time(records, "p99", "99th percentile of each second (ms)", 1e-3, log=True),
        _over_time(records, "p50", "Median of each second (ms)", 1e-3, log=True),
        _over_time(records, "max", "Worst message of each second (ms)", 1e-3, log=True),
        _over_time(records, "messages", "Messages per second", 1.0),
        _over_time(records, "cores", "Server CPU (cores)", 1.0),
        _over_time(records, "pss", "Server memory, PSS (MiB)", 1 / (1 << 20)),
        _bars(records, titles, "cpu_us_per_message", "Server CPU per message (µs)"),
        _bars(records, titles, "login_cpu_ms", "Server CPU per login (ms)"),
        _bars(records, titles, "pss_per_session", "Memory per idle session (bytes)"),
        "</div>",
        "<h2>Beside the published figures</h2>",
        f"<p>Lanying IM published one test: 4,000 users on a Raspberry Pi 4B (4 GB). {html.escape(' · '.join(SEED_FIGURES[1:]))}. "
        "Losses were not counted there. The hardware of the runs here is in the table below: compare only what ran on the same.</p>",
        _published(records, titles),
        "<h2>Runs</h2>",
        _runs(records, titles),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>lanying benchmark</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def title(record: Record, number: int) -> str:
    """A short name of a run."""
    return f"{number}. {run_name(record)}"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _legend(titles: Sequence[str]) -> str:
    keys = "".join(
        f'<span style="margin-right:1.2em"><span class="key" style="background:{_colour(i)}"></span>{html.escape(text)}</span>'
        for i, text in enumerate(titles)
    )
    return f"<p>{keys}</p>"


def _verdicts(records: Sequence[Record], titles: Sequence[str]) -> str:
    names = (
        "sent",
        "acknowledged",
        "received",
        "lost",
        "duplicated",
        "reordered",
        "refused",
        "unacknowledged",
        "rescued",
    )
    rows = []
    for record, text in zip(records, titles, strict=True):
        verdict = record["verdict"]
        if verdict:
            cells = "".join(
                f"<td{' class=bad' if name in ('lost', 'duplicated', 'reordered') and verdict[name] else ''}>{verdict[name]:,}</td>"
                for name in names
            )
            rows.append(f"<tr><td>{html.escape(text)}</td>{cells}</tr>")
    if not rows:
        return ""
    return "<h2>Every message counted</h2>" + _table(("run", *names), rows)


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _figures(records: Sequence[Record], titles: Sequence[str]) -> str:
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys(record["figures"]))
    rows = []
    for name in names:
        cells = "".join(
            f"<td>{number(name, record['figures'][name]) if name in record['figures'] else ''}</td>"
            for record in records
        )
        rows.append(f"<tr><td>{html.escape(name.replace('_', ' '))}</td>{cells}</tr>")
    return _table(("", *titles), rows)


def _latency_table(records: Sequence[Record], titles: Sequence[str]) -> str:
    rows = []
    for record, text in zip(records, titles, strict=True):
        for name, found in record["latency"].items():
            if found:
                cells = "".join(
                    f"<td>{found[key] / 1000:,.2f}</td>" for key in ("mean", "p50", "p90", "p99", "p99_9", "max")
                )
                rows.append(f"<tr><td>{html.escape(text)}: {name}</td>{cells}<td>{found['count']:,}</td></tr>")
    return _table(("ms", "mean", "p50", "p90", "p99", "p99.9", "max", "count"), rows)


def _published(records: Sequence[Record], titles: Sequence[str]) -> str:
    rows = [
        "<tr><td>Lanying IM, Raspberry Pi 4B (published)</td><td>4,000</td><td>20</td><td>72.6</td>"
        "<td>19</td><td>150</td><td>1,300</td></tr>"
    ]
    for record, text in zip(records, titles, strict=True):
        if record["scenario"] == "pi4000":
            figures, latency = record["figures"], record["latency"]
            cells = (
                f"{record['settings']['users']:,}",
                f"{figures.get('logins_per_s', 0):,.0f}",
                f"{latency.get('login', {}).get('mean', 0) / 1000:,.2f}",
                f"{figures.get('messages_per_s', 0):,.1f}",
                f"{latency.get('deliver', {}).get('mean', 0) / 1000:,.2f}",
                f"{figures.get('worst_10s_mean_us', 0) / 1000:,.2f}",
            )
            name = f"{text}, {record['machine'].get('cpu')}"
            rows.append(f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return _table(
        ("", "users", "logins/s", "login mean ms", "chats/s", "send to receive mean ms", "worst 10 s mean ms"), rows
    )


def _runs(records: Sequence[Record], titles: Sequence[str]) -> str:
    rows = []
    for record, text in zip(records, titles, strict=True):
        machine = record["machine"]
        settings = ", ".join(f"{name} {value}" for name, value in record["settings"].items())
        where = (
            f"{machine.get('cpu')}, {machine.get('cores')} cores, {size(machine.get('memory_bytes', 0))}, "
            f"{machine.get('file_system')}, Linux {machine.get('kernel')}, Python {machine.get('python')}"
        )
        commit = f"{record['commit']}{' with changes' if record['dirty'] else ''}"
        cells = "".join(
            f'<td style="text-align:left;white-space:normal">{html.escape(str(cell))}</td>'
            for cell in (record["at"], commit, settings, where)
        )
        rows.append(f"<tr><td>{html.escape(text)}</td>{cells}</tr>")
    return _table(("run", "at", "commit", "settings", "machine"), rows)


# --- plots -----------------------------------------------------------------------------------------------------------


def _distribution(records: Sequence[Record], name: str, caption: str) -> str:
    lines: list[tuple[int, Points]] = []
    for order, record in enumerate(records):
        found = record["latency"].get(name)
        if found:
            values = HdrHistogram.decode(found["histogram"])
            assert values.get_max_value() <= HIGHEST_US * 2
            points = [
                (_nines(percent), values.get_value_at_percentile(percent) / 1000)
                for percent in PERCENTILES
                if found["count"] * (100 - percent) / 100 >= 1
            ]
            lines.append((order, points))
    ticks = [(_nines(p), f"{p:g}%") for p in (0, 50, 90, 99, 99.9, 99.99)]
    return _plot(caption, lines, ticks, log=True)


def _nines(percent: float) -> float:
    """0 %, 90 %, 99 %, 99.9 % … at equal distances."""
    return -math.log10(max(1e-9, 1 - percent / 100))


def _over_time(records: Sequence[Record], name: str, caption: str, factor: float, log: bool = False) -> str:
    lines: list[tuple[int, Points]] = []
    longest = 0
    for order, record in enumerate(records):
        points = [(float(at), row[name] * factor) for at, row in enumerate(record["seconds"]) if name in row]
        if points:
            lines.append((order, points))
            longest = max(longest, len(record["seconds"]))
    step = _nice(longest / 6) if longest else 1.0
    ticks = [(step * i, f"{step * i:g} s") for i in range(int(longest / step) + 1)]
    return _plot(caption, lines, ticks, log=log)


def _nice(value: float) -> float:
    """1, 2 or 5 times a power of ten, not below ``value``."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value * 0.999)


def _plot(caption: str, lines: Sequence[tuple[int, Points]], ticks: Sequence[tuple[float, str]], *, log: bool) -> str:
    if not lines:
        return ""
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    low_x, high_x = min(xs), max(max(xs), min(xs) + 1e-9)
    scale, labels = _log_scale(ys) if log else _linear_scale(ys)
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(x: float) -> float:
        return LEFT + (x - low_x) / (high_x - low_x) * inner_w

    def at_y(y: float) -> float:
        return TOP + (1 - scale(y)) * inner_h

    parts = []
    for value, text in labels:
        y = at_y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in ticks:
        if low_x - 1e-9 <= value <= high_x + 1e-9:
            x = at_x(value)
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{text}</text>')
    for order, points in lines:
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{_colour(order)}" stroke-width="1.8" stroke-linejoin="round"/>'
        )
    return _figure(caption, parts, HEIGHT)


def _linear_scale(values: Sequence[float]) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    top = max(max(values), 1e-9)
    step = _nice(top / 5)
    high = step * math.ceil(top / step - 1e-9)
    return lambda y: y / high, [(step * i, f"{step * i:,g}") for i in range(round(high / step) + 1)]


def _log_scale(values: Sequence[float]) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    floor = 1e-3
    low = math.floor(math.log10(max(min(values), floor)))
    high = max(low + 1, math.ceil(math.log10(max(max(values), floor))))
    labels = [(10.0**power, f"{10.0**power:,g}") for power in range(low, high + 1)]
    return lambda y: (math.log10(max(y, floor)) - low) / (high - low), labels


def _bars(records: Sequence[Record], titles: Sequence[str], name: str, caption: str) -> str:
    found = [(order, record["figures"][name]) for order, record in enumerate(records) if name in record["figures"]]
    if not found:
        return ""
    high = max(max(value for _, value in found), 1e-9)
    parts = []
    row = 26
    for place, (order, value) in enumerate(found):
        y = TOP + place * row
        width = max(0.0, value) / high * (WIDTH - 300)
        parts.append(f'<text x="220" y="{y + 14}" text-anchor="end">{html.escape(titles[order])}</text>')
        parts.append(f'<rect x="228" y="{y + 2}" width="{width:.1f}" height="16" rx="2" fill="{_colour(order)}"/>')
        parts.append(f'<text x="{232 + width:.1f}" y="{y + 14}">{value:,.4g}</text>')
    return _figure(caption, parts, TOP * 2 + row * len(found))


def _figure(caption: str, parts: Sequence[str], height: float) -> str:
    return (
        f'<figure><figcaption>{html.escape(caption)}</figcaption><svg viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-label="{html.escape(caption)}">{"".join(parts)}</svg></figure>'
    )
