"""Commands that hold many runs against bars: tls."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from bench import bars, results, tables
from bench.options import EPILOG, EXIT_BAD, bad, common, common_of, progress
from bench.results import Run
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


COMMANDS = (tls_command,)
