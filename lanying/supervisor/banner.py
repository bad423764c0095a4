"""What a start prints for people, on standard error: where the server is, what it goes on with, what to do next."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lanying.config.schema import Config
from lanying.supervisor import machine
from lanying.supervisor.datadir import DataDirectory
from lanying.supervisor.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM: Final = "lanying-cluster"
WIDTH: Final = 14
DURABILITY: Mapping[str, str] = {
    "fsync": "acknowledged means on the disk: nothing acknowledged is lost, not even by pulling the plug",
    "interval": "flushed every {interval_ms} ms: pulling the plug can lose that much, kill -9 loses nothing",
    "os": "left to the kernel: pulling the plug can lose about 30 s, kill -9 loses nothing",
}


def show(plan: Plan, *, daemon: bool, qr: bool | None = None) -> None:
    """Print all of it.

    :param qr: draw the address for phones as a QR code, too; None: where people look at a terminal
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _rows(console, {**_addresses(plan), **_facts(plan)})
    for warning in machine.warnings(plan.config, plan.shard_map.shards, plan.cores):
        console.print(f"warning: {warning}", style="yellow", markup=False)
    first = first_visit(plan.config)
    if first and (_is_looked_at() if qr is None else qr):
        _draw(first)
    console.print("next", style="bold")
    _rows(console, dict(_next(plan, first, daemon=daemon)), indent="  ")


def first_visit(config: Config) -> str:
    """The address that another device of this network opens first; empty: none can open any."""
    if config.listen_tls and not machine.is_loopback(config.tls_address[0]):
        return trust_page(config) or machine.tls_url(config)
    if config.listen and not machine.is_loopback(config.address[0]):
        return machine.url("http", config.address)
    return ""


def trust_page(config: Config) -> str:
    """The page that shows devices how to trust the server's own authority; empty: it has none."""
    if not config.listen_tls or config.tls_source != "local":
        return ""
    return machine.url("http", config.tls_address) + "/trust"


def typed(data: DataDirectory, command: str) -> str:
    """A command about this server, as it is to be typed where it was started."""
    own = Path(sys.argv[0])
    program = str(own) if own.name == PROGRAM and shutil.which(PROGRAM) is None else PROGRAM
    elsewhere = "" if data.path == Path("data").resolve() else f" --data {shlex.quote(str(data.path))}"
    return f"`{program} {command}{elsewhere}`"


def _addresses(plan: Plan) -> dict[str, str]:
    config = plan.config
    rows = {"address": machine.urls(config)[0]}
    if config.listen_tls:
        rows["address"] = machine.tls_url(config)
        if page := trust_page(config):
            rows["first visit"] = f"{page} shows a device how to trust this server"
        if config.listen:
            only = ", for this machine alone" if machine.is_loopback(config.address[0]) else ""
            rows["without TLS"] = machine.url("http", config.address) + only
    return {**rows, "dnsServer": " or ".join(f"{url}/v2/app_dns" for url in machine.urls(config))}


def _facts(plan: Plan) -> dict[str, str]:
    config = plan.config
    storage = config.storage
    return {
        "app id": config.app_id,
        "admin token": f"in {plan.data.token_file}",
        "data": f"{plan.data.path}, {plan.shard_map.shards} shards",
        "durability": f"{storage.durability}: {DURABILITY[storage.durability].format(interval_ms=storage.interval_ms)}",
        "registration": "open: anybody may create an account"
        if config.accounts.open_registration
        else "closed: start with --open-registration to let people create accounts",
    }


def _next(plan: Plan, first: str, *, daemon: bool) -> Iterator[tuple[str, str]]:
    config = plan.config
    here = machine.urls(config)[0]
    if not first:
        yield "chat", f"open {here} in a browser of this machine"
        yield "phones", "can come when it is started with --listen-tls 0.0.0.0:8443 (make run LISTEN=0.0.0.0:8443)"
    elif trust_page(config):
        yield "phones", f"open {first} in the same network, compare the fingerprint, follow the steps"
        yield "compare", f"{typed(plan.data, 'trust')} shows the fingerprint, and the page as a QR code"
        yield "chat", f"then open {machine.tls_url(config)}" + (f"; on this machine {here}" if config.listen else "")
    else:
        yield "chat", f"open {first} in a browser"
    yield "apps", f"set dnsServer to the address above, app id {config.app_id}"
    yield "administer", f"open {here}/admin with the admin token; {typed(plan.data, 'status')} shows the processes"
    yield "stop", typed(plan.data, "stop") if daemon else "Ctrl-C"


def _rows(console: Console, rows: Mapping[str, str], indent: str = "") -> None:
    for name, text in rows.items():
        console.print(f"{indent}{name:<{WIDTH - len(indent)}}", style="" if indent else "bold", end="", markup=False)
        console.print(text, markup=False)


def _is_looked_at() -> bool:
    return sys.stdout.isatty() and sys.stderr.isatty()


def _draw(url: str) -> None:
    """A QR code, of half blocks where the terminal can show them."""
    import segno  # who does not draw does not need it

    blocks = (sys.stderr.encoding or "").lower().startswith("utf")
    segno.make(url, error="m").terminal(out=sys.stderr, compact=blocks)
