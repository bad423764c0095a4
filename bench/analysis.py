"""Commands that compare, look closer and show: profile, quick, compare, peers, report, show, table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from bench import results, scenarios, tables
from bench.bed import Common
from bench.host import Target
from bench.options import EPILOG, EXIT_BAD, bad, progress, rate, rates
from bench.results import Run


@click.command("profile")
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option("--rate", default="max", show_default=True, callback=rate, metavar="N|max")
@click.option("--duration", default=15.0, show_default=True, help="Seconds sampled.")
@click.option("--process", default="shard-0", show_default=True, help="Whose time.")
@click.option("--durability", default="fsync", show_default=True, type=click.Choice(["fsync", "interval", "os"]))
@click.option("--shards", default=2, show_default=True, type=click.IntRange(1))
@click.option("--nice", default=0, help="On a busy machine: niceness of server and generator (needs root).")
@click.option("--native", is_flag=True, help="Frames of compiled code too; stops the process for every sample.")
@click.option("--lines", default=25, show_default=True, help="Rows per table.")
@click.option(
    "-o", "--output", default="flame.svg", show_default=True, type=click.Path(path_type=Path), help="Flame graph."
)
def profile_command(**options: Any) -> None:
    """Sample a process of a private server under chat with py-spy: where the time goes, and a flame graph."""
    from bench import profile

    profiler = profile.Profiler(options["process"], options["native"])
    target = Target(shards=options["shards"], durability=options["durability"])
    with progress(False) as report:
        run = scenarios.chat(
            Common(target, nice=options["nice"], hook=profiler.hook),
            report,
            users=options["users"],
            rate=options["rate"],
            duration=options["duration"],
        )
    console = tables.console()
    tables.show(run.record(), console)
    stacks = profiler.stacks
    used = run.processes[options["process"]]
    cost = (used["user_s"] + used["system_s"]) / max(1.0, run.figures["messages"]) * 1e6
    shards = [used for name, used in run.processes.items() if name.startswith("shard-")]
    whole = sum(used["user_s"] + used["system_s"] for used in shards) / max(1.0, run.figures["messages"]) * 1e6
    if options["process"].startswith("shard-"):
        tables.shares("by step of a message, all shards together", stacks.steps(), whole, console)
    tables.shares("own time by function", stacks.own()[: options["lines"]], cost, console)
    tables.shares("own time by line", stacks.own(lines=True)[: options["lines"]], cost, console)
    tables.shares("with everything below", stacks.inclusive()[: options["lines"]], cost, console)
    caption = (
        f"{options['process']}, {stacks.total} samples, chat rate {options['rate'] or 'max'}, {options['users']} users"
    )
    options["output"].write_text(profile.flame_graph(stacks, caption), encoding="utf-8")
    click.echo(f"flame graph written to {options['output']}")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
def report(files: tuple[Path, ...], output: Path) -> None:
    """Write one self-contained HTML page with plots of any set of runs."""
    from bench import report as page

    try:
        records = results.read(files)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not records:
        raise click.ClickException("no runs in these files")
    output.write_text(page.render(records), encoding="utf-8")
    click.echo(f"{len(records)} runs written to {output}")


@click.command()
@click.option("--accept", is_flag=True, help="Make the counts of this run the limits (bench/counts.json).")
@click.option("--counts-only", is_flag=True, help="No server, only what is counted in the simulation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per part.")
def quick(accept: bool, counts_only: bool, as_json: bool) -> None:
    """Half a minute, for CI: counts per message, and short runs. Never fails for being slow.

    Fails when a message is lost, duplicated or reordered, or takes more rows, bytes, commits or writes than
    bench/counts.json says.
    """
    from bench import counts

    console = tables.console()
    found = counts.count()
    if accept:
        counts.accept(found)
    too_much = counts.exceeded(found)
    if as_json:
        click.echo(msgspec.json.encode({"counts": found, "exceeded": too_much}))
    else:
        tables.counted(found, counts.limits(), console)
    failed = bool(too_much)
    for name, (value, limit) in too_much.items():
        click.echo(f"{name} is {value} per message, the limit is {limit} (bench/counts.json)", err=True)
    for run in () if counts_only else _short_runs():
        if as_json:
            click.echo(msgspec.json.encode(run.record()))
        else:
            tables.show(run.record(), console)
        failed = failed or bad(run)
    sys.exit(EXIT_BAD if failed else 0)


def _short_runs() -> Iterator[Run]:
    """A few seconds of everything that moves messages."""
    common, silent = Common(Target()), lambda what, done, total: None
    for per_second in (300.0, 0.0):
        yield scenarios.chat(common, silent, users=200, rate=per_second, duration=3.0, warm=1.0)
    yield scenarios.group(common, silent, members=100, senders=4, rate=20.0, duration=3.0, warm=1.0)


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.option(
    "--scenario",
    "chosen",
    multiple=True,
    metavar="'chat --rate max …'",
    help="Instead of the default three; may be repeated.",
)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--own-bench",
    is_flag=True,
    help="Each commit's own generator, where this tree's does not run with an older server.",
)
def compare_command(a: str, b: str, chosen: tuple[str, ...], rounds: int, own_bench: bool) -> None:
    """Two commits in turns on this machine; differences with their spread. Reports, never fails for being slow."""
    from bench import compare

    console = tables.console()
    try:
        found = compare.compare(
            (a, b),
            chosen or compare.DEFAULT,
            rounds,
            lambda text: Console(stderr=True).print(text, style="dim"),
            own_bench=own_bench,
        )
    except compare.CompareError as error:
        raise click.ClickException(str(error)) from error
    bad_runs = False
    for scenario, (rows, complaints) in found.items():
        tables.compared(scenario, (a, b), rows, console)
        for text in complaints:
            console.print(text, style="yellow", markup=False)
        bad_runs = bad_runs or any("exit code" in text for text in complaints)
    sys.exit(EXIT_BAD if bad_runs else 0)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show(files: tuple[Path, ...]) -> None:
    """Print the tables of runs again."""
    console = tables.console()
    for record in results.read(files):
        tables.show(record, console)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def table(files: tuple[Path, ...]) -> None:
    """Print runs as a Markdown table, for docs/benchmarks.md."""
    click.echo(tables.markdown(results.read(files)))


@click.command("peers", epilog=EPILOG)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["ejabberd", "prosody", "mosquitto"]),
    help="Default: all that are installed.",
)
@click.option("--users", default=500, show_default=True, type=click.IntRange(2))
@click.option(
    "--rate",
    "rates",
    multiple=True,
    default=("200", "1000", "max"),
    show_default=True,
    callback=rates,
    metavar="N|max",
    help="Messages per second in total, or max (closed loop); may be repeated.",
)
@click.option("--duration", default=10.0, show_default=True, help="Seconds measured per run.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1))
@click.option("--markdown", is_flag=True, help="Print a Markdown table, for docs/benchmarks.md.")
@click.option("--output", type=click.Path(path_type=Path), help="Append the runs here (bench/results/peers.jsonl).")
def peers_command(
    only: tuple[str, ...],
    users: int,
    rates: list[float],
    duration: float,
    rounds: int,
    markdown: bool,
    output: Path | None,
) -> None:
    """ejabberd, Prosody and mosquitto under the same acknowledged 1:1 chat, in turns with ours; ratios of CPU per message.

    Peers are started from their Debian packages with a private directory; those that are not installed are left out.
    """
    from bench.peers import hosts, turns

    wanted = only or tuple(hosts.PEERS)
    missing = turns.missing(wanted)
    for name, reason in missing.items():
        click.echo(f"{name} left out: {reason}", err=True)
    with progress(False) as report:
        standings = turns.compare(
            Common(Target()),
            report,
            lambda text: click.echo(text, err=True),
            peers=[name for name in wanted if name not in missing],
            users=users,
            rates=rates,
            duration=duration,
            rounds=rounds,
        )
    for standing in standings:
        for run in standing.runs:
            results.save(run.record(), output or results.RESULTS / "peers.jsonl")
    if markdown:
        click.echo(tables.standings_markdown(standings))
    else:
        tables.standings(standings, tables.console())
    ours = [run for standing in standings if standing.system == turns.OURS for run in standing.runs]
    sys.exit(EXIT_BAD if any(map(bad, ours)) else 0)


COMMANDS = (profile_command, quick, compare_command, peers_command, report, show, table)
