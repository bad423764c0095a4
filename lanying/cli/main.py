"""``lanying-cluster``: start, stop and look at a server. Exit codes are listed in :data:`EXIT_CODES` and ``--help``."""

from __future__ import annotations

import os
import random
import select
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from lanying import __version__
from lanying.base import limits, paths
from lanying.base.errors import ConfigError, LanyingError
from lanying.cli import notifier, service, storage, trust
from lanying.cluster.runtime import EXIT_CONFIG, RunDirectory
from lanying.config import allotment
from lanying.config.load import layers, load, origins
from lanying.config.schema import Config, flat
from lanying.supervisor import control, machine, precheck
from lanying.supervisor.answers import Restarting
from lanying.supervisor.children import EXIT_FAILED, ChildState
from lanying.supervisor.requests import RestartRequest, StatusRequest, StopRequest

EXIT_NOT_RUNNING = 3
EXIT_NOT_READY = 4
EXIT_CODES = {
    0: "done; for status: running and every process ready",
    EXIT_FAILED: "failed, or stopped at once by a second signal; the reason is on standard error",
    2: "unknown option or command",
    EXIT_NOT_RUNNING: "not running",
    EXIT_NOT_READY: "running, but not (yet) every process is ready, or no answer",
    EXIT_CONFIG: "configuration, machine or data directory do not allow a start",
}
STOP_TIMEOUT_S = 40.0
"""Three drain stages of ten seconds, and some."""
RESTART_TIMEOUT_S = 120.0
POLL_S = 0.05

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>2}  {text}" for code, text in EXIT_CODES.items())

Command = Callable[..., Any]


def _placing(command: Command) -> Command:
    """Options that find a server, common to all commands."""
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="TOML file; see docs/configuration.md."),
        click.option("--data", metavar="DIR", help="Data directory (default ./data)."),
    ):
        command = option(command)
    return command


_START_OPTIONS: Final = (
    click.option(
        "--listen-admin",
        metavar="HOST:PORT",
        help="Admin consoles with a key may come here too (lanying-admin keygen); events on the next port.",
    ),
    click.option("--log-level", metavar="LEVEL", help="debug, info (default), warning or error."),
    click.option(
        "--profile",
        metavar="NAME",
        help="Settings for a board, below all others: auto (this one), pi3, pi4, pi5, zero2w or generic.",
    ),
    click.option(
        "--open-registration/--no-open-registration",
        default=None,
        help="Whether anybody may create an account (default no).",
    ),
    click.option(
        "--listen",
        metavar="HOST:PORT",
        help="Public address (default 127.0.0.1:8480); 0.0.0.0:8480 for the whole network, '' for none.",
    ),
    click.option(
        "--listen-redirect",
        metavar="HOST:PORT",
        help="Address where requests without TLS are redirected to --listen-tls, for example 0.0.0.0:80.",
    ),
    click.option(
        "--listen-tls",
        metavar="HOST:PORT",
        help="Address for TLS; without tls_certificate the server is its own authority (docs/tls.md).",
    ),
    click.option(
        "--shards",
        type=int,
        metavar="N",
        help="Shard processes (default: as the data directory, in a new one as cores).",
    ),
)
"""From the last line of the help to the first."""


def _settings(command: Command) -> Command:
    """Options of a start; the command gets them as ``flags``, the uppermost layer of the configuration."""

    @wraps(command)
    def with_flags(
        data: str | None,
        shards: int | None,
        listen: str | None,
        listen_tls: str | None,
        listen_redirect: str | None,
        listen_admin: str | None,
        open_registration: bool | None,
        log_level: str | None,
        **others: Any,
    ) -> Any:
        flags = {
            "data": data,
            "shards": shards,
            "listen": listen,
            "listen_tls": listen_tls,
            "listen_redirect": listen_redirect,
            "log_level": log_level,
            "accounts": {"open_registration": open_registration},
            "admin": {"listen": listen_admin},
        }
        return command(flags=flags, **others)

    found: Command = with_flags
    for option in _START_OPTIONS:
        found = option(found)
    return found


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Run a lanying instant-messaging server on this machine.

    Settings come from a TOML file, then the environment (LANYING_LISTEN, LANYING_STORAGE_DURABILITY, ...), then the
    command line; later ones win. Give --data (or the same --config) to talk to a server that runs elsewhere than in ./data.
    """


@cli.command(epilog=_EPILOG, short_help="Start the server.")
@_settings
@_placing
@click.option("--qr/--no-qr", default=None, help="Draw the address for phones as a QR code (default: on a terminal).")
@click.option("--daemon", is_flag=True, help="Go to the background when ready; the log is DIR/log/lanying.log.")
def start(file: Path | None, flags: dict[str, Any], profile: str | None, daemon: bool, qr: bool | None) -> None:
    """Start the server and stay in the foreground until SIGTERM, SIGINT (Ctrl-C) or `lanying-cluster stop`.

    Prints one line beginning with `ready` on standard output when clients can connect; everything else goes to
    standard error. The first start creates the data directory with its keys and admin token. A signal drains in order
    (router, gateway, shards), a second one stops at once.
    """
    from lanying.supervisor import launcher

    if launcher.start(lambda: load(file, flags=flags, profile=profile), daemon=daemon, qr=qr) == launcher.RESTART:
        again = [argument for argument in sys.argv[1:] if argument != "--daemon"]
        os.execv(sys.executable, [sys.executable, "-m", "lanying.cli", *again])


@cli.command(short_help="Drain and stop it.")
@_placing
def stop(file: Path | None, data: str | None) -> None:
    """Drain and stop the server; returns when it is gone."""
    pid = control.ask(_run_directory(file, data), StopRequest()).pid
    if not _ended(pid, STOP_TIMEOUT_S):
        raise control.NoAnswer(f"pid {pid} is still there after {STOP_TIMEOUT_S:g} s; end it with kill -9 {pid}")
    click.echo("stopped")


@cli.command(short_help="Restart all of it, or one process.")
@_placing
@click.argument("process", required=False)
def restart(file: Path | None, data: str | None, process: str | None) -> None:
    """Restart the whole server with the options it was started with, or one PROCESS (router, gateway, shard-0, ...).

    The configuration is read again first: with an error in it the running server is left alone. Returns when ready.
    """
    run = _run_directory(file, data)
    before = control.ask(run, RestartRequest(process))
    if not _wait(lambda: _came_back(run, process, before), RESTART_TIMEOUT_S):
        raise control.NoAnswer(f"not ready after {RESTART_TIMEOUT_S:g} s; its log says why")
    click.echo(f"restarted {process or 'the server'}")


def _came_back(run: RunDirectory, process: str | None, before: Restarting) -> bool:
    try:
        status = control.ask(run, StatusRequest())
    except LanyingError:
        return False
    if status.state != ChildState.READY:
        return False
    if process is None:
        return status.started != before.started
    return status.process(process).restarts > before.restarts


@cli.command(short_help="Show every process; exits 0 when all are ready.")
@_placing
@click.option("--json", "as_json", is_flag=True, help="One JSON object; docs/configuration.md lists its fields.")
def status(file: Path | None, data: str | None, as_json: bool) -> None:
    """Show every process: state, uptime, restarts, CPU, memory, sessions. Exits 0 only when all are ready."""
    from lanying.supervisor import report

    found = report.measured(control.ask(_run_directory(file, data), StatusRequest()))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        report.show(found)
    if found.state != ChildState.READY:
        sys.exit(EXIT_NOT_READY)


@cli.command("check-config", short_help="Check settings and machine without starting anything.")
@_settings
@_placing
def check_config(file: Path | None, flags: dict[str, Any], profile: str | None) -> None:
    """Check settings and machine without starting anything; print every setting and where it comes from.

    What passes here starts: settings, data directory and ports are looked at as a start does. The ports of a server that runs on
    this data are its own.
    """
    config = load(file, flags=flags, profile=profile)
    sources = origins(layers(file, flags=flags, profile=profile))
    here, found = machine.measured(), allotment.allot_start(config, machine.measured())
    for key, value in flat(msgspec.to_builtins(config)):
        source = sources.get(key, "default")
        if key.startswith("limits.") and not value:
            value, source = getattr(found, key.removeprefix("limits.")), f"of {here}"
        click.echo(f"{key} = {msgspec.json.encode(value).decode():<24} # {source}")
    precheck.check_settings(config)
    precheck.check_machine(config)
    for warning in machine.warnings(config, config.shards, machine.cores()):
        click.echo(f"warning: {warning}", err=True)
    click.echo("a start would go on with these", err=True)


@cli.command("crash-test")
@click.option(
    "--minutes", type=click.FloatRange(0.02, 24 * 60), default=1.0, show_default=True, help="How long to kill."
)
@click.option("--shards", type=click.IntRange(1, limits.MAX_SHARDS), default=2, show_default=True, help="Shards.")
@click.option("--users", type=click.IntRange(2, 2000), default=40, show_default=True, help="Users who write.")
@click.option("--seed", type=int, help="Repeat the kills of an earlier run (default: a new one).")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Where the private server keeps its data: a directory on the disk to be tested (default: the system's temporary one).",
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def crash_test_command(
    minutes: float, shards: int, users: int, seed: int | None, directory: Path | None, as_json: bool
) -> None:
    """Kill a private server again and again under load and account for every message.

    Nothing of a running server is touched. Exit code 1 when an acknowledged message was lost, came twice or out of order, or a
    database is damaged.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from lanying.testing import crash_test

    columns = (TextColumn("killing"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task("starting", total=1.0)
        report = crash_test.run(
            directory,
            seconds=minutes * 60,
            shards=shards,
            users=users,
            seed=random.randrange(1 << 31) if seed is None else seed,
            progress=lambda done, text: bar.update(task, completed=min(done, 1.0), description=text),
        )
    if as_json:
        click.echo(msgspec.json.encode(report.as_json()).decode())
    else:
        crash_test.show(report)
    sys.exit(0 if report.ok else EXIT_FAILED)


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"lanying {__version__}")


for _command in (*storage.COMMANDS, *service.COMMANDS, notifier.notifier, trust.trust):
    cli.add_command(_command)


def _run_directory(file: Path | None, data: str | None) -> RunDirectory:
    config: Config = load(file, flags={"data": data})
    return RunDirectory(Path(config.data))


def _ended(pid: int, timeout_s: float) -> bool:
    """Wait for the end of a process that need not be our child."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], timeout_s)[0])
    finally:
        os.close(pidfd)


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def main() -> None:
    """Entry point: errors of ours become one line and an exit code."""
    try:
        cli(prog_name="lanying-cluster")
    except control.NotRunning as error:
        _fail(EXIT_NOT_RUNNING, error)
    except control.NoAnswer as error:
        _fail(EXIT_NOT_READY, error)
    except ConfigError as error:
        _fail(EXIT_CONFIG, error)
    except LanyingError as error:
        _fail(EXIT_FAILED, error)
    except OSError as error:  # a path somebody gave, or a full disk
        _fail(EXIT_FAILED, paths.say(error))


def _fail(code: int, error: Exception | str) -> None:
    click.echo(f"lanying-cluster: {error}", err=True)
    sys.exit(code)
