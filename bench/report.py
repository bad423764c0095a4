"""Runs as one HTML page without any reference to the outside: what came out, beside what was published, plots."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from bench import plot
from bench.plot import BLUE, GREEN, GREY, ORANGE, Line
from bench.tables import number, run_name, size

Record = Mapping[str, Any]

PERCENTILES = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99)
SMALL = (340, 190)
"""Four plots of a run fit beside each other."""
COUNTS = (
    "sent", "acknowledged", "copies", "received", "lost", "duplicated", "reordered", "refused", "unacknowledged", "rescued",
)  # fmt: skip

_STYLE = """
:root { color-scheme: light dark; --ink: #0f172a; --paper: #f1f5f9; --faint: #64748b; --line: #e2e8f0; --card: #ffffff }
@media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --paper: #0b1120; --faint: #94a3b8; --line: #293548; --card: #141d2f } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 1440px;
  padding: 2rem 1.5rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.4rem 0 .7rem } h3 { font-size: 1rem; margin: 1.4rem 0 .5rem }
p { max-width: 90ch; margin: .4rem 0 .8rem } .faint { color: var(--faint) }
.bad { color: #dc2626; font-weight: 700 } .good { color: #059669 }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1rem; margin-top: 1.2rem }
.card, figure, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: 10px }
.card { padding: .9rem 1.1rem; border-top: 4px solid var(--tone) } .card h3 { margin: 0 0 .5rem }
.card dl { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem 1rem; margin: 0 }
.card dt { font-size: .78rem; color: var(--faint) } .card dd { margin: 0; font-size: 1.2rem; font-weight: 650;
  font-variant-numeric: tabular-nums } .card dd small { font-size: .75rem; font-weight: 400; color: var(--faint) }
.card p { margin: .6rem 0 0; font-size: .85rem }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(560px, 1fr)); gap: 1rem }
.small { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: .8rem }
figure { margin: 0; padding: .8rem .9rem } figcaption { font-weight: 600; font-size: .88rem; margin-bottom: .4rem }
.names { float: right; font-weight: 400; font-size: .75rem; color: var(--faint) } .name { margin-left: .7em }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--faint); font: 11px system-ui, sans-serif }
svg .value { fill: var(--ink); font-weight: 600 } svg .grid { stroke: var(--line); stroke-width: .8 }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: .4rem .9rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; font-size: .9rem }
th { color: var(--faint); font-weight: 600; white-space: normal }
tr:last-child td { border-bottom: 0 } tr.published td { font-style: italic }
th:first-child, td:first-child { text-align: left }
.key { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .35em }
"""


def render(records: Sequence[Record]) -> str:
    """The page."""
    titles = [title(record, number) for number, record in enumerate(records, 1)]
    body = [
        "<h1>lanying benchmark</h1>",
        f'<p class="faint">{html.escape(_where(records))}</p>',
        '<p class="faint">CPU is that of the whole server process tree, user and system, in the measured window. Latency counts '
        "from the moment a message was meant to leave. Every message was counted.</p>",
        '<div class="cards">' + "".join(map(_card, range(len(records)), records, titles)) + "</div>",
        _published(records, titles),
        "<h2>Over time</h2>",
        "".join(map(_over_time, range(len(records)), records, titles)),
        "<h2>Compared</h2>",
        '<div class="plots">',
        _distribution(records, titles, "deliver", "Send to receive, ms by percentile"),
        _distribution(records, titles, "acknowledge", "Send to acknowledgement, ms by percentile"),
        _distribution(records, titles, "login", "Connect to logged in, ms by percentile"),
        _bars(records, titles, "cpu_us_per_message", "Server CPU per message, µs"),
        _bars(records, titles, "cpu_us_per_copy", "Server CPU per copy to a member, µs"),
        _bars(records, titles, "login_cpu_ms", "Server CPU per login, ms"),
        _bars(records, titles, "pss_per_session", "Memory per idle session, bytes"),
        "</div>",
        "".join(map(_search, records, titles)),
        "".join(map(_slopes, records, titles)),
        _verdicts(records, titles),
        "<h2>Latency</h2>",
        _latency_table(records, titles),
        "<h2>Figures</h2>",
        _figures(records, titles),
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


def _where(records: Sequence[Record]) -> str:
    """Machines and commits of the runs."""
    machines = dict.fromkeys(
        f"{record['machine'].get('board') or record['machine'].get('cpu')}, {record['machine'].get('cores')} cores"
        for record in records
    )
    commits = dict.fromkeys(record["commit"] for record in records if record["commit"])
    days = sorted({record["at"][:10] for record in records})
    return f"{len(records)} runs · {' · '.join(machines)} · commit {', '.join(commits) or '?'} · {days[0]}" + (
        f" to {days[-1]}" if len(days) > 1 else ""
    )


def _card(order: int, record: Record, text: str) -> str:
    """The figures somebody asks for first."""
    figures, latency = record["figures"], record["latency"]
    rows: list[tuple[str, str]] = []

    def add(name: str, label: str, unit: str = "", source: Mapping[str, float] = figures, factor: float = 1.0) -> None:
        if len(rows) < 6 and name in source:
            rows.append((label, f"{number(name, source[name] * factor)} <small>{unit}</small>"))

    deliver = latency.get("deliver") or {}
    add("p50", "send to receive, median", "ms", deliver, 1e-3)
    add("p99", "send to receive, p99", "ms", deliver, 1e-3)
    add("cpu_us_per_copy", "server CPU per copy", "µs")
    if "copies" not in figures:
        add("cpu_us_per_message", "server CPU per message", "µs")
    add("largest_rate", "most chats", "/s")
    add("largest_users", "most users")
    add("reserve", "CPU reserve", "×")
    add("pss_per_session", "memory per session")
    add("copies_per_s", "copies", "/s")
    add("messages_per_s", "messages", "/s")
    if not deliver:
        add("p99", "login, p99", "ms", latency.get("login") or {}, 1e-3)
    add("logins_per_s", "logins", "/s")
    add("login_cpu_ms", "server CPU per login", "ms")
    add("pss_bytes", "server memory")
    cells = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in rows)
    return (
        f'<div class="card" style="--tone:{plot.colour(order)}"><h3>{html.escape(text)}</h3><dl>{cells}</dl>'
        f"{_counted(record)}</div>"
    )


def _counted(record: Record) -> str:
    verdict = record["verdict"]
    if not verdict:
        return ""
    wrong = {name: verdict[name] for name in ("lost", "duplicated", "reordered") if verdict[name]}
    text = ", ".join(f"{count:,} {name}" for name, count in wrong.items()) or "none lost, duplicated or reordered"
    return f'<p class="{"bad" if wrong else "good"}">{verdict["received"]:,} received: {text}</p>'


def _published(records: Sequence[Record], titles: Sequence[str]) -> str:
    """Ours beside what the seed's makers published."""
    head = (
        "",
        "users",
        "logins/s",
        "login mean ms",
        "chats/s",
        "send to receive mean ms",
        "worst 10 s mean ms",
        "lost",
    )
    rows = [
        '<tr class="published"><td>Lanying IM, Raspberry Pi 4B, 15 services (published)</td><td>4,000</td><td>20</td><td>72.6</td>'
        "<td>19</td><td>150</td><td>1,300</td><td>not counted</td></tr>"
    ]
    for record, text in zip(records, titles, strict=True):
        if record["scenario"] in ("pi4000", "pi"):
            figures, latency = record["figures"], record["latency"]
            cells = (
                f"{record['settings']['users']:,}",
                f"{figures.get('logins_per_s', 0):,.0f}",
                f"{latency.get('login', {}).get('mean', 0) / 1000:,.2f}",
                f"{figures.get('messages_per_s', 0):,.1f}",
                f"{latency.get('deliver', {}).get('mean', 0) / 1000:,.2f}",
                f"{figures.get('worst_10s_mean_us', 0) / 1000:,.2f}",
                f"{(record['verdict'] or {}).get('lost', 0):,}",
            )
            where = record["settings"].get("limits") or record["machine"].get("board") or record["machine"].get("cpu")
            rows.append(
                f"<tr><td>{html.escape(f'{text} ({where})')}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
            )
    if len(rows) == 1:
        return ""
    return (
        "<h2>Beside the published figures</h2><p class=faint>Lanying IM published one test: 4,000 users on a Raspberry Pi 4B. "
        "Compare what ran on the same hardware, or within its limits.</p>" + _table(head, rows)
    )


# --- plots -----------------------------------------------------------------------------------------------------------


def _over_time(order: int, record: Record, text: str) -> str:
    """Four plots of a run, of a soak seven."""
    rows = record["seconds"]
    if not rows:
        return ""
    ticks = plot.seconds(rows[-1].get("at", len(rows)))

    def series(name: str, colour: str, factor: float = 1.0, label: str = "") -> Line:
        points = [(row.get("at", float(at)), row[name] * factor) for at, row in enumerate(rows) if name in row]
        return Line(points, colour, label)

    def each(prefix: str, factor: float = 1.0) -> list[Line]:
        names = [name for name in rows[-1] if name.startswith(f"{prefix} ")]
        return [
            series(name, plot.colour(place), factor, name.removeprefix(f"{prefix} "))
            for place, name in enumerate(names)
        ]

    mib = 1 / (1 << 20)
    copies = "copies" in record["figures"]
    figures = (
        plot.lines(
            "Send to receive, ms",
            [series("max", GREY, 1e-3, "max"), series("p99", ORANGE, 1e-3, "p99"), series("p50", BLUE, 1e-3, "median")],
            ticks,
            log=True,
            size=SMALL,
        ),
        plot.lines(f"{'Copies' if copies else 'Messages'} per second", [series("messages", BLUE)], ticks, size=SMALL),
        plot.lines(
            f"Server CPU per {'copy' if copies else 'message'}, µs", [series("cpu_us", ORANGE)], ticks, size=SMALL
        ),
        plot.lines(
            "Memory, MiB",
            [series("pss", BLUE, mib, "server"), series("sockets", GREEN, mib, "sockets")],
            ticks,
            size=SMALL,
        ),
        plot.lines("Memory by process, MiB", each("pss", mib), ticks, size=SMALL),
        plot.lines("Open descriptors", each("descriptors"), ticks, size=SMALL),
        plot.lines(
            "Disk and write buffers, MiB",
            [
                series("disk", BLUE, mib, "files"),
                series("memtables", GREEN, mib, "write buffers"),
                series("cache", ORANGE, mib, "cache"),
            ],
            ticks,
            log=True,
            size=SMALL,
        ),
    )
    key = f'<span class="key" style="background:{plot.colour(order)}"></span>'
    return f'<h3>{key}{html.escape(text)}</h3><div class="small">{"".join(figures)}</div>'


def _distribution(records: Sequence[Record], titles: Sequence[str], name: str, caption: str) -> str:
    some = []
    for order, record in enumerate(records):
        found = record["latency"].get(name)
        if found:
            values = HdrHistogram.decode(found["histogram"])
            points = [
                (plot.nines(percent), values.get_value_at_percentile(percent) / 1000)
                for percent in PERCENTILES
                if found["count"] * (100 - percent) / 100 >= 1
            ]
            some.append(Line(points, plot.colour(order), titles[order].partition(".")[0]))
    ticks = [(plot.nines(percent), f"{percent:g}%") for percent in (0, 50, 90, 99, 99.9, 99.99)]
    return plot.lines(caption, some, ticks, log=True)


def _bars(records: Sequence[Record], titles: Sequence[str], name: str, caption: str) -> str:
    return plot.bars(
        caption,
        [
            (titles[order], record["figures"][name], plot.colour(order))
            for order, record in enumerate(records)
            if name in record["figures"] and not (name == "cpu_us_per_message" and "copies" in record["figures"])
        ],
    )


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _search(record: Record, text: str) -> str:
    """What a search has tried."""
    if not record.get("steps"):
        return ""
    rows = []
    for step in record["steps"]:
        held = '<span class="good">yes</span>' if step["held"] else '<span class="bad">no</span>'
        cells = (
            f"{step['messages_per_s']:,.0f}",
            held,
            f"{step['p50_ms']:,.1f}",
            f"{step['p99_ms']:,.1f}",
            f"{step['server_cores']:.2f}",
            size(step["pss_bytes"]),
            f"{step['lost']:,}",
        )
        name = f"{step['users']:,} users, {step['rate']:,.0f}/s"
        rows.append(f"<tr><td>{name}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = ("load", "chats/s", "held", "p50 ms", "p99 ms", "server cores", "PSS", "lost")
    return f"<h2>The most that holds: {html.escape(text)}</h2>" + _table(head, rows)


def _slopes(record: Record, text: str) -> str:
    """What a soak says of everything that should stay as it is."""
    rows = []
    for one in record.get("slopes") or ():
        flat = '<span class="good">flat</span>' if one["flat"] else '<span class="bad">grows</span>'
        name = one["name"]
        cells = (
            number(name, one["start"]),
            number(name, one["per_hour"]),
            f"{one['growth']:+.1%}",
            f"{one['filling']:+.1%}",
            flat,
        )
        rows.append(f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = ("", "behind the first third", "per hour", "growth until the end", "growth in the first third", "")
    return f"<h2>Slopes: {html.escape(text)}</h2>" + _table(head, rows) if rows else ""


def _verdicts(records: Sequence[Record], titles: Sequence[str]) -> str:
    rows = []
    for record, text in zip(records, titles, strict=True):
        verdict = record["verdict"]
        if verdict:
            cells = "".join(
                f"<td{' class=bad' if name in ('lost', 'duplicated', 'reordered') and verdict[name] else ''}>"
                f"{verdict.get(name, 0):,}</td>"
                for name in COUNTS
            )
            rows.append(f"<tr><td>{html.escape(text)}</td>{cells}</tr>")
    return "<h2>Every message counted</h2>" + _table(("run", *COUNTS), rows) if rows else ""


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
