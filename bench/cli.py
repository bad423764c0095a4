"""``lanying-bench``: load a server, count every message, write down what it cost. Exit codes: :data:`EXIT_CODES`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import results, scenarios, tables
from bench.bed import SETTLE_S, TRANSPORTS, Common, Report
from bench.profile import ProfileError
from bench.results import Run
from bench.seed import SeedError
from bench.server import MEMORY_FILE_SYSTEMS, Target
from lanying.errors import LanyingError

EXIT_BAD = 1
EXIT_CANNOT = 3
EXIT_CODES = {
    0: "done, every acknowledged message arrived once and in order",
    EXIT_BAD: "acknowledged messages were lost, duplicated or reordered, or logins failed",
    2: "unknown option or command",
    EXIT_CANNOT: "the server cannot be started or used",
}
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>2}  {text}" for code, text in EXIT_CODES.items())

Command = Callable[..., Any]


def _common(command: Command) -> Command:
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
        click.option("--url", help="A server that runs already, with open registration (default: a private one)."),
    ):  # fmt: skip
        command = option(command)
    return command


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Report]:
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


def _run(scenario: Callable[..., Run], options: dict[str, Any], **settings: Any) -> None:
    """Run a scenario with the common options, write it down, show it, exit."""
    as_json, output = options["as_json"], options["output"]
    target = Target(options["url"], options["data"], options["shards"], options["durability"], options["app_id"])
    common = Common(target, options["seed"], options["workers"], options["transport"], options["size"], options["nice"])
    with _progress(as_json) as report:
        run = scenario(common, report, **settings)
    finish(run, as_json=as_json, output=output)


def finish(run: Run, *, as_json: bool = False, output: Path | None = None) -> None:
    """Write a run down, show it, and leave with its exit code."""
    record = run.record()
    file = results.save(record, output)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(record) + b"\n")
    else:
        console = Console()
        tables.show(record, console)
        console.print(f"written to {file}", style="dim", markup=False, highlight=False)
        if run.machine.get("file_system") in MEMORY_FILE_SYSTEMS:
            console.print("the data was on a memory file system: fsync cost nothing here", style="yellow")
    sys.exit(EXIT_BAD if bad(run) else 0)


def bad(run: Run) -> bool:
    """Whether something happened that must not."""
    failed = run.figures.get("logins_failed", 0)
    return bool(failed or (run.verdict is not None and not run.verdict.good))


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """Load a lanying server and count every message.

    Each scenario starts a private server with fresh accounts, or uses a running one (--url). One run is one line of JSON in bench/results/.
    """


def _rate(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Per second, 0 for ``max``."""
    if value == "max":
        return 0.0
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if number <= 0:
        raise click.BadParameter(f"{value!r} is neither a number above 0 nor max", ctx, param)
    return number


@cli.command(epilog=_EPILOG)
@_common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option(
    "--rate",
    default="max",
    show_default=True,
    callback=_rate,
    metavar="N|max",
    help="Messages per second in total (open loop), or max (closed loop).",
)
@click.option("--duration", default=30.0, show_default=True, help="Seconds measured.")
@click.option("--warm", default=3.0, show_default=True, help="Seconds of the same load before.")
@click.option(
    "--pairs",
    "pairing",
    default="cross",
    show_default=True,
    type=click.Choice(["cross", "same", "any"]),
    help="Partners on different shards, on the same, or by chance.",
)
@click.option(
    "--window",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="With --rate max: messages per sender sent and not arrived.",
)
@click.option("--senders", default=0, help="With --rate max: how many send (default all).")
@click.option("--even", is_flag=True, help="Messages at even distances instead of by chance (Poisson).")
def chat(**options: Any) -> None:
    """1:1 messages, archived on both sides, acknowledged by the server and by the recipient's device."""
    own = {
        name: options.pop(name)
        for name in ("users", "rate", "duration", "warm", "pairing", "window", "senders", "even")
    }
    _run(scenarios.chat, options, **own)


@cli.command(epilog=_EPILOG)
@_common
@click.option("--members", default=500, show_default=True, type=click.IntRange(3), help="All online.")
@click.option("--senders", default=8, show_default=True, type=click.IntRange(1), help="Members that write.")
@click.option(
    "--rate",
    default="20",
    show_default=True,
    callback=_rate,
    metavar="N|max",
    help="Messages per second in total (open loop), or max (closed loop). Copies: times the members but one.",
)
@click.option("--duration", default=20.0, show_default=True, help="Seconds measured.")
@click.option("--warm", default=3.0, show_default=True, help="Seconds of the same load before.")
@click.option(
    "--window", default=1, show_default=True, type=click.IntRange(1), help="With --rate max: messages per sender."
)
def group(**options: Any) -> None:
    """One group, every copy to every member counted."""
    own = {name: options.pop(name) for name in ("members", "senders", "rate", "duration", "warm", "window")}
    if own["senders"] + options["workers"] > own["members"]:
        raise click.BadParameter("senders and workers together must not be more than the members")
    _run(scenarios.group, options, **own)


@cli.command(epilog=_EPILOG)
@_common
@click.option("--users", default=2000, show_default=True, type=click.IntRange(4))
@click.option("--class-size", default=40, show_default=True, type=click.IntRange(2), help="Members of a class.")
@click.option("--rate", default=100.0, show_default=True, help="Messages per second on average hours.")
@click.option("--duration", default=60.0, show_default=True, help="Seconds of the day.")
@click.option("--login-s", default=10.0, show_default=True, help="Seconds within which all arrive in the morning.")
def mixed(**options: Any) -> None:
    """A day in a school: everybody arrives, lessons, breaks, an evening; friends, classes, pictures."""
    own = {name: options.pop(name) for name in ("users", "class_size", "rate", "duration", "login_s")}
    _run(scenarios.mixed, options, **own)


@cli.command(epilog=_EPILOG)
@_common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(1))
@click.option("--concurrency", default=64, show_default=True, help="Logins under way at a time.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--rate", default="max", show_default=True, callback=_rate, metavar="N|max", help="Logins per second, or max."
)
@click.option("--unread", is_flag=True, help="Ask for the unread list behind each login, as the web SDK does.")
def login(**options: Any) -> None:
    """A storm of logins: TCP connect, WebSocket upgrade, token, device, session."""
    own = {name: options.pop(name) for name in ("users", "concurrency", "rounds", "rate", "unread")}
    _run(scenarios.login, options, **own)


@cli.command(epilog=_EPILOG)
@_common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option("--settle", default=SETTLE_S, show_default=True, help="Seconds to wait before each look.")
def idle(**options: Any) -> None:
    """Memory per logged-in session that does nothing."""
    own = {name: options.pop(name) for name in ("users", "settle")}
    _run(scenarios.idle, options, **own)


@cli.command(epilog=_EPILOG)
@_common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option("--compressed", is_flag=True, help="200 logins and chats per second, 60 s of chat.")
@click.option("--duration", default=0.0, help="Seconds of chat (default 300, compressed 60).")
def pi4000(**options: Any) -> None:
    """The test Lanying IM published for a Raspberry Pi 4: 4,000 users log in at 20/s and chat at 20/s in total."""
    own = {name: options.pop(name) for name in ("users", "compressed", "duration")}
    _run(scenarios.pi4000, options, **own)


@cli.command(epilog=_EPILOG)
@_common
@click.option("--users", default=200, show_default=True, type=click.IntRange(2))
@click.option("--depth", default=100, show_default=True, help="Messages in every conversation.")
@click.option("--pages", default=200.0, show_default=True, help="History pages (20 messages) per second.")
@click.option("--rate", default=500.0, show_default=True, help="Messages per second meanwhile.")
@click.option("--duration", default=20.0, show_default=True, help="Seconds measured.")
def history(**options: Any) -> None:
    """History pages while messages flow."""
    own = {name: options.pop(name) for name in ("users", "depth", "pages", "rate", "duration")}
    _run(scenarios.history, options, **own)


@cli.command("profile")
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option("--rate", default="max", show_default=True, callback=_rate, metavar="N|max")
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
    with _progress(False) as report:
        run = scenarios.chat(
            Common(target, nice=options["nice"], hook=profiler.hook),
            report,
            users=options["users"],
            rate=options["rate"],
            duration=options["duration"],
        )
    console = Console()
    tables.show(run.record(), console)
    stacks = profiler.stacks
    used = run.processes[options["process"]]
    cost = (used["user_s"] + used["system_s"]) / max(1.0, run.figures["messages"]) * 1e6
    tables.shares("own time by function", stacks.own()[: options["lines"]], cost, console)
    tables.shares("own time by line", stacks.own(lines=True)[: options["lines"]], cost, console)
    tables.shares("with everything below", stacks.inclusive()[: options["lines"]], cost, console)
    caption = (
        f"{options['process']}, {stacks.total} samples, chat rate {options['rate'] or 'max'}, {options['users']} users"
    )
    options["output"].write_text(profile.flame_graph(stacks, caption), encoding="utf-8")
    click.echo(f"flame graph written to {options['output']}")


@cli.command()
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


@cli.command()
@click.option("--accept", is_flag=True, help="Make the counts of this run the limits (bench/counts.json).")
@click.option("--counts-only", is_flag=True, help="No server, only what is counted in the simulation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per part.")
def quick(accept: bool, counts_only: bool, as_json: bool) -> None:
    """Half a minute, for CI: counts per message, and short runs. Never fails for being slow.

    Fails when a message is lost, duplicated or reordered, or takes more rows, bytes, commits or writes than
    bench/counts.json says.
    """
    from bench import counts

    console = Console()
    found = counts.count()
    if accept:
        counts.accept(found)
    too_much = counts.exceeded(found)
    if as_json:
        click.echo(orjson.dumps({"counts": found, "exceeded": too_much}))
    else:
        tables.counted(found, counts.limits(), console)
    failed = bool(too_much)
    for name, (value, limit) in too_much.items():
        click.echo(f"{name} is {value} per message, the limit is {limit} (bench/counts.json)", err=True)
    for run in () if counts_only else _short_runs():
        if as_json:
            click.echo(orjson.dumps(run.record()))
        else:
            tables.show(run.record(), console)
        failed = failed or bad(run)
    sys.exit(EXIT_BAD if failed else 0)


def _short_runs() -> Iterator[Run]:
    """A few seconds of everything that moves messages."""
    common, silent = Common(Target()), lambda what, done, total: None
    for rate in (300.0, 0.0):
        yield scenarios.chat(common, silent, users=200, rate=rate, duration=3.0, warm=1.0)
    yield scenarios.group(common, silent, members=100, senders=4, rate=20.0, duration=3.0, warm=1.0)


@cli.command("compare")
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
def compare_command(a: str, b: str, chosen: tuple[str, ...], rounds: int) -> None:
    """Two commits in turns on this machine; differences with their spread. Reports, never fails for being slow."""
    from bench import compare

    console = Console()
    try:
        found = compare.compare(
            (a, b), chosen or compare.DEFAULT, rounds, lambda text: Console(stderr=True).print(text, style="dim")
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


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show(files: tuple[Path, ...]) -> None:
    """Print the tables of runs again."""
    console = Console()
    for record in results.read(files):
        tables.show(record, console)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def table(files: tuple[Path, ...]) -> None:
    """Print runs as a Markdown table, for docs/benchmarks.md."""
    click.echo(tables.markdown(results.read(files)))


def main() -> None:
    """Entry point: errors of ours become one line and an exit code."""
    try:
        cli()
    except (LanyingError, SeedError, ProfileError, AssertionError) as error:
        click.echo(f"lanying-bench: {error}", err=True)
        sys.exit(EXIT_CANNOT)


if __name__ == "__main__":
    main()
