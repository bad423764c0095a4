"""Commands of ``lanying-admin`` that ask no server: ``keygen``, ``keys``, ``context``."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from lanying.admin import keys
from lanying.admin.console import contexts
from lanying.admin.console.client import read_ticket
from lanying.admin.console.session import ConsoleOptions
from lanying.admin.keys import Role
from lanying.base.errors import ConfigError
from lanying.base.private import write_private

_data = click.option(
    "--data", metavar="DIR", default="", help="Data directory of the server (default: of the one in use)."
)
_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


@click.command(short_help="Make a key for a console elsewhere.")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.name.lower() for role in Role]),
    default="read",
    show_default=True,
    help="What it may do.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it (default NAME.key).")
@_data
@_json
def keygen(name: str, role: str, out: Path | None, data: str, as_json: bool) -> None:
    """Make and register a key with which a console elsewhere may connect (start the server with --listen-admin).

    The file it writes is the only copy of the secret: carry it there over a safe way. A key of the same name is replaced.
    """
    place, file = _directory(data), out or Path(f"{name}.key")
    _check_out(file)
    ticket = keys.add(place, name, Role[role.upper()])
    try:
        write_private(file, msgspec.json.format(msgspec.json.encode(ticket)) + b"\n")
    except OSError:
        keys.remove(place, name)  # nobody has its secret
        raise
    text = f"wrote {file}; there: lanying-admin context add NAME --server HOST:PORT --key {file.name}"
    _say(as_json, {"name": name, "role": role, "public": ticket.public, "file": str(file)}, text)


@click.group("keys", short_help="List and remove keys.")
def keys_group() -> None:
    """Keys of consoles elsewhere."""


@keys_group.command("list", short_help="List keys.")
@_data
@_json
def keys_list(data: str, as_json: bool) -> None:
    """Name, role and public key of every console that may connect."""
    found = keys.load(_directory(data)).consoles
    _say(as_json, found, *(f"{console.name}  {console.role}  {console.public}" for console in found))


@keys_group.command("remove", short_help="Remove a key.")
@click.argument("name")
@_data
@_json
def keys_remove(name: str, data: str, as_json: bool) -> None:
    """Remove a console's key; it is refused from now on."""
    if not keys.remove(_directory(data), name):
        raise ConfigError(f"there is no key {name}; `lanying-admin keys list` shows them")
    _say(as_json, {"removed": name}, f"removed {name}")


@click.group("context", short_help="Servers by name.")
def context_group() -> None:
    """Servers you work with, by name."""


@context_group.command("add", short_help="Add a server.")
@click.argument("name")
@click.option("--data", metavar="DIR", default="", help="Its data directory, on this machine.")
@click.option("--server", metavar="HOST:PORT", default="", help="Its address, elsewhere.")
@click.option("--key", metavar="FILE", default="", help="Key file that `keygen` wrote there.")
@_json
def context_add(name: str, data: str, server: str, key: str, as_json: bool) -> None:
    """Add a server, or change it, and use it."""
    if bool(data) == bool(server and key):
        raise ConfigError("give --data DIR, or --server HOST:PORT and --key FILE")
    context = contexts.Context(os.path.realpath(data) if data else "", server, os.path.realpath(key) if key else "")
    context.address()
    _use(contexts.Contexts(name, {**contexts.load().servers, name: context}), as_json)


@context_group.command("use", short_help="Work with another one.")
@click.argument("name")
@_json
def context_use(name: str, as_json: bool) -> None:
    """Work with this server when none is named."""
    old = contexts.load()
    old.get(name)
    _use(msgspec.structs.replace(old, current=name), as_json)


@context_group.command("list", short_help="List them.")
@_json
def context_list(as_json: bool) -> None:
    """Every server; * marks the one in use."""
    found = contexts.load()
    rows = [
        {"name": name, "server": one.data or one.server, "in_use": name == found.current}
        for name, one in found.servers.items()
    ]
    _say(as_json, rows, *(f"{'*' if row['in_use'] else ' '} {row['name']}  {row['server']}" for row in rows))


@context_group.command("remove", short_help="Forget one.")
@click.argument("name")
@_json
def context_remove(name: str, as_json: bool) -> None:
    """Forget a server; its key file stays."""
    old = contexts.load()
    old.get(name)
    servers = {other: context for other, context in old.servers.items() if other != name}
    contexts.save(contexts.Contexts("" if old.current == name else old.current, servers))
    _say(as_json, {"forgot": name}, f"forgot {name}")


def _check_out(file: Path) -> None:
    """:raises ConfigError: there is something else than a console's key"""
    if file.exists():
        try:
            read_ticket(file)
        except ConfigError as error:
            raise ConfigError(f"{file}: there is something else already; give another file with --out") from error


def _session() -> ConsoleOptions:
    session = click.get_current_context().find_object(ConsoleOptions)
    assert session is not None
    return session


def _use(found: contexts.Contexts, as_json: bool) -> None:
    """The current one is used from now on, in an interactive console too."""
    contexts.save(found)
    _session().target.choose(found.get(found.current).address)
    _say(as_json, {"in_use": found.current}, f"{found.current} is the server in use")


def _say(as_json: bool, value: object, *lines: str) -> None:
    if as_json or _session().as_json:
        lines = (msgspec.json.format(msgspec.json.encode(value)).decode(),)
    for line in lines:
        click.echo(line)


def _directory(data: str) -> Path:
    """The data directory that is meant. :raises ConfigError: it is none, or the server is elsewhere"""
    found = Path(data) if data else _session().target.address().data
    if found is None:
        raise ConfigError("keys are made on the machine of the server: give --data DIR there")
    if not (found / "apps.json").exists():
        raise ConfigError(f"{found} is not a data directory; give it with --data, on the machine of the server")
    return found


COMMANDS = (keygen, keys_group, context_group)
