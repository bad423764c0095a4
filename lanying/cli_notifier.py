"""``lanying-cluster notifier``: the vendor certificates of a data directory; a running server takes changes over at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lanying import config
from lanying.notifiers import PROVIDERS, Notifiers, Secret

_PATH = click.Path(path_type=Path)
_config = click.option("--config", "file", type=_PATH, help="TOML file; see docs/configuration.md.")
_data = click.option("--data", metavar="DIR", help="Data directory (default ./data).")
_app = click.option("--app", metavar="ID", help="App the notifier belongs to (default: the first one).")


@click.group(short_help="Vendor certificates for pushes.")
def notifier() -> None:
    """Vendor certificates and keys for pushes, kept encrypted in the data directory."""


@notifier.command()
@click.argument("name")
@click.option("--provider", type=click.Choice(list(PROVIDERS)), required=True, help="Vendor.")
@click.option("--development", is_flag=True, help="For development builds.")
@click.option("--app-id", default="", help="The vendor's app id, or the bundle id.")
@click.option("--app-key", default="", help="The vendor's app key.")
@click.option("--secret-file", type=_PATH, help="File with the vendor's app secret.")
@click.option("--certificate", type=_PATH, help="File with the certificate or service account.")
@_app
@_config
@_data
def add(
    name: str,
    provider: str,
    development: bool,
    app_id: str,
    app_key: str,
    secret_file: Path | None,
    certificate: Path | None,
    app: str | None,
    file: Path | None,
    data: str | None,
) -> None:
    """Add or replace the notifier NAME."""
    secret = Secret(app_key, _read(secret_file).strip(), _read(certificate))
    notifiers, app = _open(file, data, app)
    notifiers.put(app, name, PROVIDERS[provider], int(not development), app_id, secret)
    click.echo(f"notifier {name} of app {app} is set")


@notifier.command("list")
@_app
@_config
@_data
def list_(app: str | None, file: Path | None, data: str | None) -> None:
    """List notifiers, without their secrets."""
    notifiers, app = _open(file, data, app)
    channels = {number: channel for channel, number in PROVIDERS.items()}
    for it in notifiers.of(app):
        click.echo(
            f"{it.name}\t{channels[it.provider]}\t{'production' if it.environment else 'development'}\t{it.app_id}"
        )


@notifier.command()
@click.argument("name")
@_app
@_config
@_data
def remove(name: str, app: str | None, file: Path | None, data: str | None) -> None:
    """Remove the notifier NAME."""
    notifiers, app = _open(file, data, app)
    if not notifiers.remove(app, name):
        click.echo(f"app {app} has no notifier {name}; `lanying-cluster notifier list` shows them", err=True)
        sys.exit(1)
    click.echo(f"notifier {name} of app {app} is gone")


def _open(file: Path | None, data: str | None, app: str | None) -> tuple[Notifiers, str]:
    found = config.load(file, flags={"data": data})
    if not Path(found.data).is_dir():
        raise click.UsageError(f"{found.data}: there is no data directory; start the server once, or give --data")
    return Notifiers(Path(found.data)), app or found.app_id


def _read(file: Path | None) -> str:
    return file.read_text() if file else ""
