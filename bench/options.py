"""What the commands of ``lanying-bench`` share: options, progress, how a run ends. Exit codes: :data:`EXIT_CODES`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import results, tables
from bench.bed import TRANSPORTS, Common, Report
from bench.host import Target
from bench.results import Run
from bench.server import MEMORY_FILE_SYSTEMS

EXIT_BAD = 1
EXIT_CANNOT = 3
EXIT_CODES = {
    0: "done, every acknowledged message arrived once and in order",
    EXIT_BAD: "acknowledged messages were lost, duplicated or reordered, or logins or calls failed",
    2: "unknown option or command",
    EXIT_CANNOT: "the server cannot be started or used",
}
EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>2}  {text}" for code, text in EXIT_CODES.items())

Command = Callable[..., Any]


def common(command: Command) -> Command:
    """Options of every scenario."""
    for option in (
        click.option("--output", type=click.Path(path_type=Path), help="Append the run here (bench/results/<scenario>.jsonl)."),
        click.option("--json", "as_json", is_flag=True, help="Print the run as one JSON line, no table."),
        click.option("--nice", default=0, help="On a busy machine: niceness of server and generator, e.g. -15 (needs root)."),
        click.option("--seed", default=1, show_default=True, help="Of everything random."),
        click.option("--size", default=100, show_default=True, type=click.IntRange(38, 16000), help="Bytes of text per message."),
        click.option("--transport", default="xsync", show_default=True, type=click.Choice(TRANSPORTS)),
        click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes of the generator."),
        click.option("--data", type=click.Path(path_type=Path), help="Of the private server; with --url: of that server, to measure it."),
        click.option("--durability", default="fsync", show_default=True, type=click.Choice(["fsync", "interval", "os"])),
        click.option("--shards", default=2, show_default=True, type=click.IntRange(1)),
        click.option("--app-id", default="lanying", show_default=True),
        click.option("--tls", is_flag=True, help="All clients over TLS: the private server is its own authority, and they trust it."),
        click.option("--authority", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="With --url https://…: to trust."),
        click.option("--url", help="A server that runs already, with open registration (default: a private one)."),
    ):  # fmt: skip
        command = option(command)
    return command


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Report]:
    """A bar on standard error, one line per part of the run."""
    if quiet:
        yield lambda what, done, total: None
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def report(what: str, done: float, total: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=int(done), total=int(total))

        yield report


def run_scenario(scenario: Callable[..., Run], options: dict[str, Any], **settings: Any) -> None:
    """Run a scenario with the common options, write it down, show it, exit."""
    as_json, output = options["as_json"], options["output"]
    common = common_of(options)
    with progress(as_json) as report:
        run = scenario(common, report, **settings)
    finish(run, as_json=as_json, output=output)


def common_of(options: dict[str, Any]) -> Common:
    """What :func:`common` has asked for."""
    if options["tls"] and options["url"]:
        raise click.UsageError("--tls is of the private server: with --url write https:// there, and --authority")
    target = Target(
        options["url"],
        options["data"],
        options["shards"],
        options["durability"],
        options["app_id"],
        tls=options["tls"],
        authority=options["authority"],
    )
    return Common(target, options["seed"], options["workers"], options["transport"], options["size"], options["nice"])


def finish(run: Run, *, as_json: bool = False, output: Path | None = None) -> None:
    """Write a run down, show it, and leave with its exit code."""
    record = run.record()
    file = results.save(record, output)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    else:
        console = tables.console()
        tables.show(record, console)
        console.print(f"written to {file}", style="dim", markup=False, highlight=False)
        if run.machine.get("file_system") in MEMORY_FILE_SYSTEMS:
            console.print("the data was on a memory file system: fsync cost nothing here", style="yellow")
    sys.exit(EXIT_BAD if bad(run) else 0)


def bad(run: Run) -> bool:
    """Whether something happened that must not."""
    failed = run.figures.get("logins_failed", 0) or run.figures.get("failed", 0)
    return bool(failed or (run.verdict is not None and not run.verdict.good))


def rate(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Option callback: per second, 0 for ``max``."""
    if value == "max":
        return 0.0
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if number <= 0:
        raise click.BadParameter(f"{value!r} is neither a number above 0 nor max", ctx, param)
    return number


def rates(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[float]:
    """Option callback for several."""
    return [rate(ctx, param, value) for value in values]
