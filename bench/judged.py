"""Commands that hold many runs against bars or each other: tls, disk, budgets."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from bench import bars, results, tables
from bench.options import EPILOG, EXIT_BAD, bad, common, common_of, progress
from bench.results import Run
from bench.scenarios import budgets as review
from bench.scenarios import disk as slow
from bench.scenarios import tls as secure


def _finish(run: Run, options: dict[str, Any], found: list[tuple[tuple[str, ...], list[tuple[str, ...]]]]) -> None:
    """Write the record down, print its tables, leave."""
    record = run.record()
    file = results.save(record, options["output"])
    if options["as_json"]:
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    elif options["markdown"]:
        click.echo(bars.where(run.machine) + "\n")
        click.echo("\n\n".join(bars.markdown(head, cells) for head, cells in found))
    else:
        console = tables.console()
        console.print(bars.where(run.machine), style="dim", markup=False, highlight=False)
        for head, cells in found:
            bars.show(head, cells, console)
            console.print()
        console.print(f"written to {file}", style="dim", markup=False, highlight=False)
    sys.exit(EXIT_BAD if bad(run) else 0)


def _told(options: dict[str, Any]) -> Any:
    return lambda text: None if options["as_json"] else click.echo(text, err=True)


@click.command("tls", epilog=EPILOG)
@common
@click.option("--users", default=2000, show_default=True, type=click.IntRange(4))
@click.option("--seconds", default=12.0, show_default=True, help="Of each chat.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1))
@click.option("--storm", default=4000, show_default=True, type=click.IntRange(1), help="That reconnect at once.")
@click.option("--markdown", is_flag=True, help="Print Markdown tables, for docs/benchmarks.md.")
def tls_command(**options: Any) -> None:
    """TLS beside plain in one run, in turns: idle sessions, logins, messages; then everybody reconnects at once. Some five minutes.

    A budget that is missed is said and is no failure: time depends on the machine.
    """
    if options["url"]:
        raise click.UsageError("tls starts its own servers: leave --url out")
    own = {name: options[name] for name in ("users", "seconds", "rounds", "storm")}
    with progress(options["as_json"]) as report:
        run = secure.tls(common_of(options), report, _told(options), **own)
    rows = []
    for step in run.steps:
        plain, other = step["plain"], step["tls"]
        cells = ["" if value is None else tables.number("", value) for value in (plain, other)]
        more = "" if plain is None or other is None else f"{other - plain:+,.4g}"
        rows.append((step["what"], *cells, more))
    _finish(run, options, [(secure.HEAD, rows), (bars.HEAD, bars.rows(secure.BARS, run.figures, run.notes))])


@click.command("disk", epilog=EPILOG)
@common
@click.option("--users", default=200, show_default=True, type=click.IntRange(2))
@click.option(
    "--rate", default=20.0, show_default=True, type=click.FloatRange(0.1), help="Messages per second in total."
)
@click.option("--seconds", default=20.0, show_default=True, help="For each sync time.")
@click.option(
    "--sync-ms",
    "syncs_ms",
    multiple=True,
    type=click.FloatRange(0),
    default=(0.2, 2.0, 10.0, 30.0),
    show_default=True,
    help="What a sync takes; may be repeated.",
)
@click.option("--markdown", is_flag=True, help="Print a Markdown table, for docs/benchmarks.md.")
def disk_command(**options: Any) -> None:
    """A lone message on disks that sync in 0.2, 2, 10 and 30 ms: the data is in memory, and every sync waits that long.

    Needs a C compiler: a small library in front of libc waits.
    """
    if options["url"] or options["data"]:
        raise click.UsageError("disk starts its own servers on a slow disk: leave --url and --data out")
    own = {name: options[name] for name in ("users", "rate", "seconds", "syncs_ms")}
    with progress(options["as_json"]) as report:
        run = slow.disk(common_of(options), report, **own)
    cells = [tuple(tables.number("", value) for value in step.values()) for step in run.steps]
    _finish(run, options, [(slow.HEAD, cells)])


@click.command("budgets", epilog=EPILOG)
@common
@click.option("--users", default=1000, show_default=True, type=click.IntRange(4))
@click.option("--members", default=500, show_default=True, type=click.IntRange(5), help="Of the group.")
@click.option("--seconds", default=20.0, show_default=True, help="Of each part.")
@click.option("--against", default="", metavar="COMMIT", help="Compare the start with that commit's.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table, for docs/benchmarks.md.")
def budgets_command(**options: Any) -> None:
    """Every cost that has a budget and that minutes can show, beside it: pass or miss. Some eight minutes, on a quiet machine.

    A budget that is missed is said and is no failure: time depends on the machine. Prosody has to be installed for its row, a C compiler
    for that of the slow disk.
    """
    if options["url"] or options["data"]:
        raise click.UsageError("budgets starts its own servers: leave --url and --data out")
    own = {name: options[name] for name in ("users", "members", "seconds", "against")}
    with progress(options["as_json"]) as report:
        run = review.budgets(common_of(options), report, _told(options), **own)
    _finish(run, options, [(bars.HEAD, bars.rows(review.BARS, run.figures, run.notes))])


COMMANDS = (tls_command, disk_command, budgets_command)
