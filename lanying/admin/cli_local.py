"""Commands of ``lanying-admin`` that ask no server: ``keygen``, ``keys``, ``context``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from lanying.admin import contexts, keys
from lanying.admin.visit import Role
from lanying.errors import ConfigError
from lanying.private import write_private

_data = click.option("--data", metavar="DIR", default="data", show_default=True, help="Data directory of the server.")


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
def keygen(name: str, role: str, out: Path | None, data: str) -> None:
    """Make and register a key with which a console elsewhere may connect (start the server with --listen-admin).

    The file it writes is the only copy of the secret: carry it there over a safe way. A key of the same name is replaced.
    """
    _check(data)
    file = out or Path(f"{name}.key")
    write_private(
        file, msgspec.json.format(msgspec.json.encode(keys.add(Path(data), name, Role[role.upper()]))) + b"\n"
    )
    click.echo(f"wrote {file}; there: lanying-admin context add NAME --server HOST:PORT --key {file.name}")


@click.group("keys", short_help="List and remove keys.")
def keys_group() -> None:
    """Keys of consoles elsewhere."""


@keys_group.command("list", short_help="List keys.")
@_data
def keys_list(data: str) -> None:
    """Name, role and public key of every console that may connect."""
    _check(data)
    for console in keys.load(Path(data)).consoles:
        click.echo(f"{console.name}  {console.role}  {console.public}")


@keys_group.command("remove", short_help="Remove a key.")
@click.argument("name")
@_data
def keys_remove(name: str, data: str) -> None:
    """Remove a console's key; it is refused from now on."""
    _check(data)
    if not keys.remove(Path(data), name):
        raise ConfigError(f"there is no key {name}; `lanying-admin keys list` shows them")
    click.echo(f"removed {name}")


@click.group("context", short_help="Servers by name.")
def context_group() -> None:
    """Servers you work with, by name."""


@context_group.command("add", short_help="Add a server.")
@click.argument("name")
@click.option("--data", metavar="DIR", default="", help="Its data directory, on this machine.")
@click.option("--server", metavar="HOST:PORT", default="", help="Its address, elsewhere.")
@click.option("--key", metavar="FILE", default="", help="Key file that `keygen` wrote there.")
def context_add(name: str, data: str, server: str, key: str) -> None:
    """Add a server, or change it, and use it."""
    if bool(data) == bool(server and key):
        raise ConfigError("give --data DIR, or --server HOST:PORT and --key FILE")
    context = contexts.Context(
        str(Path(data).resolve()) if data else "", server, str(Path(key).resolve()) if key else ""
    )
    context.address()
    old = contexts.load()
    contexts.save(contexts.Contexts(name, {**old.servers, name: context}))
    click.echo(f"{name} is the server in use")


@context_group.command("use", short_help="Work with another one.")
@click.argument("name")
def context_use(name: str) -> None:
    """Work with this server when none is named."""
    old = contexts.load()
    old.get(name)
    contexts.save(msgspec.structs.replace(old, current=name))
    click.echo(f"{name} is the server in use")


@context_group.command("list", short_help="List them.")
def context_list() -> None:
    """Every server; * marks the one in use."""
    found = contexts.load()
    for name, context in found.servers.items():
        click.echo(f"{'*' if name == found.current else ' '} {name}  {context.data or context.server}")


@context_group.command("remove", short_help="Forget one.")
@click.argument("name")
def context_remove(name: str) -> None:
    """Forget a server; its key file stays."""
    old = contexts.load()
    old.get(name)
    servers = {other: context for other, context in old.servers.items() if other != name}
    contexts.save(contexts.Contexts("" if old.current == name else old.current, servers))
    click.echo(f"forgot {name}")


def _check(data: str) -> None:
    if not (Path(data) / "apps.json").exists():
        raise ConfigError(f"{data} is not a data directory; give it with --data, on the machine of the server")


COMMANDS = (keygen, keys_group, context_group)
