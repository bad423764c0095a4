"""``lanying-bench``: load a server, count every message, write down what it cost."""

from __future__ import annotations

import signal
import sys
from typing import Any

import click

from bench import analysis, judged, scenarios
from bench.bed import SETTLE_S
from bench.limiter import PI4_CORES, PI4_MEMORY, LimitError
from bench.options import EPILOG, EXIT_CANNOT, common, rate, run_scenario
from bench.profile import ProfileError
from bench.scenarios.pi import Limits, limiter_here
from bench.seed import SeedError
from lanying.base.errors import LanyingError


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """Load a lanying server and count every message.

    Each scenario starts a private server with fresh accounts, or uses a running one (--url). One run is one line of JSON in bench/results/.
    """


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option(
    "--rate",
    default="max",
    show_default=True,
    callback=rate,
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
    run_scenario(scenarios.chat, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--members", default=500, show_default=True, type=click.IntRange(3), help="All online.")
@click.option("--senders", default=8, show_default=True, type=click.IntRange(1), help="Members that write.")
@click.option(
    "--rate",
    default="20",
    show_default=True,
    callback=rate,
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
    run_scenario(scenarios.group, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=2000, show_default=True, type=click.IntRange(4))
@click.option("--class-size", default=40, show_default=True, type=click.IntRange(2), help="Members of a class.")
@click.option("--rate", default=100.0, show_default=True, help="Messages per second on average hours.")
@click.option("--duration", default=60.0, show_default=True, help="Seconds of the day.")
@click.option("--login-s", default=10.0, show_default=True, help="Seconds within which all arrive in the morning.")
def mixed(**options: Any) -> None:
    """A day in a school: everybody arrives, lessons, breaks, an evening; friends, classes, pictures."""
    own = {name: options.pop(name) for name in ("users", "class_size", "rate", "duration", "login_s")}
    run_scenario(scenarios.mixed, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(1))
@click.option("--concurrency", default=64, show_default=True, help="Logins under way at a time.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option(
    "--rate", default="max", show_default=True, callback=rate, metavar="N|max", help="Logins per second, or max."
)
@click.option("--unread", is_flag=True, help="Ask for the unread list behind each login, as the web SDK does.")
def login(**options: Any) -> None:
    """A storm of logins: TCP connect, WebSocket upgrade, token, device, session."""
    own = {name: options.pop(name) for name in ("users", "concurrency", "rounds", "rate", "unread")}
    run_scenario(scenarios.login, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option("--settle", default=SETTLE_S, show_default=True, help="Seconds to wait before each look.")
def idle(**options: Any) -> None:
    """Memory per logged-in session that does nothing."""
    own = {name: options.pop(name) for name in ("users", "settle")}
    run_scenario(scenarios.idle, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2))
@click.option("--compressed", is_flag=True, help="200 logins and chats per second, 60 s of chat.")
@click.option("--duration", default=0.0, help="Seconds of chat (default 300, compressed 60).")
def pi4000(**options: Any) -> None:
    """The test Lanying IM published for a Raspberry Pi 4: 4,000 users log in at 20/s and chat at 20/s in total."""
    own = {name: options.pop(name) for name in ("users", "compressed", "duration")}
    run_scenario(scenarios.pi4000, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=200, show_default=True, type=click.IntRange(2))
@click.option("--depth", default=100, show_default=True, help="Messages in every conversation.")
@click.option("--pages", default=200.0, show_default=True, help="History pages (20 messages) per second.")
@click.option("--rate", default=500.0, show_default=True, help="Messages per second meanwhile.")
@click.option("--duration", default=20.0, show_default=True, help="Seconds measured.")
def history(**options: Any) -> None:
    """History pages while messages flow."""
    own = {name: options.pop(name) for name in ("users", "depth", "pages", "rate", "duration")}
    run_scenario(scenarios.history, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=1000, show_default=True, type=click.IntRange(1))
@click.option(
    "--rate", default=500.0, show_default=True, type=click.FloatRange(1), help="Calls per second (open loop)."
)
@click.option("--duration", default=20.0, show_default=True, help="Seconds measured.")
@click.option("--warm", default=3.0, show_default=True, help="Seconds of the same load before.")
def rest(**options: Any) -> None:
    """REST calls that read: profiles, settings, friends, groups, devices, unread lists."""
    own = {name: options.pop(name) for name in ("users", "rate", "duration", "warm")}
    run_scenario(scenarios.rest, options, **own)


@cli.command(epilog=EPILOG)
@common
@click.option(
    "--users", default=4000, show_default=True, type=click.IntRange(1), help="That are cut off and come back."
)
@click.option("--staying", default=200, show_default=True, type=click.IntRange(2), help="That chat all the while.")
@click.option("--rate", default=20.0, show_default=True, type=click.FloatRange(1), help="Messages per second of those.")
@click.option("--seconds", default=40.0, show_default=True, help="They chat for.")
@click.option("--cores", default=PI4_CORES, show_default=True, help="CPU of the server; 0: no limits.")
@click.option("--memory-mib", default=PI4_MEMORY >> 20, show_default=True, type=click.IntRange(64))
def reconnect(**options: Any) -> None:
    """Everybody connects in the same moment, within the limits of a Raspberry Pi: when all are in, and what others feel of it."""
    if options["url"]:
        raise click.UsageError("reconnect starts its own server: leave --url out")
    cores, memory = options.pop("cores"), options.pop("memory_mib") << 20
    own = {name: options.pop(name) for name in ("users", "staying", "rate", "seconds")}
    try:
        run_scenario(scenarios.reconnect, options, limiter=limiter_here(cores, memory) if cores else None, **own)
    except LimitError as error:
        click.echo(f"skipped: {error}", err=True)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=1000, show_default=True, type=click.IntRange(2))
@click.option(
    "--rate", default=500.0, show_default=True, type=click.FloatRange(1), help="Messages per second in total."
)
@click.option("--hours", default=1.0, show_default=True, type=click.FloatRange(0, 24), help="Of load.")
@click.option("--minutes", default=0.0, type=click.FloatRange(0), help="Instead of hours.")
def soak(**options: Any) -> None:
    """Hours at one rate: memory, descriptors, disk and latency over time, their slopes, and what grows.

    Slopes are taken behind the first third, which fills caches. Exit code 1 when something is lost, duplicated or reordered; what grows is
    said, and is for people to judge: an hour tells a leak from caches, minutes do not.
    """
    minutes, hours = options.pop("minutes"), options.pop("hours")
    own = {name: options.pop(name) for name in ("users", "rate")}
    run_scenario(scenarios.soak, options, **own, seconds=minutes * 60 or hours * 3600)


@cli.command(epilog=EPILOG)
@common
@click.option("--users", default=4000, show_default=True, type=click.IntRange(2), help="Of the published test.")
@click.option("--duration", default=60.0, show_default=True, help="Seconds of its chat, at 200/s.")
@click.option(
    "--cores", default=PI4_CORES, show_default=True, help="CPU of the server: four Pi cores in those of this machine."
)
@click.option("--memory-mib", default=PI4_MEMORY >> 20, show_default=True, type=click.IntRange(64))
@click.option("--p99-ms", default=150.0, show_default=True, help="What a load has to stay below to hold.")
@click.option("--step", default=8.0, show_default=True, help="Seconds per step of the searches.")
@click.option("--most-users", default=16_000, show_default=True, help="Look no further than this.")
def pi(**options: Any) -> None:
    """A Raspberry Pi 4, or its CPU time and memory on this machine (control groups, needs root).

    The published test with its reserve, then the most chats per second and the most users within the latency given. On a
    Pi nothing is limited, and temperature, clock and throttling are written down.
    """
    if options["url"]:
        raise click.UsageError("pi starts its own server, inside the limits: leave --url out")
    cores, memory = options.pop("cores"), options.pop("memory_mib") << 20
    searched = (options.pop("p99_ms"), options.pop("step"), options.pop("most_users"))
    own = {name: options.pop(name) for name in ("users", "duration")}
    try:
        limits = Limits(limiter_here(cores, memory), *searched)
        run_scenario(scenarios.pi, options, limits=limits, **own)
    except LimitError as error:
        click.echo(f"skipped: {error}", err=True)


for _command in (*analysis.COMMANDS, *judged.COMMANDS):
    cli.add_command(_command)


def main() -> None:
    """Entry point: errors of ours become one line and an exit code. SIGTERM ends the servers a run has started."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        cli()
    except (LanyingError, SeedError, ProfileError, AssertionError) as error:
        click.echo(f"lanying-bench: {error}", err=True)
        sys.exit(EXIT_CANNOT)


if __name__ == "__main__":
    main()
