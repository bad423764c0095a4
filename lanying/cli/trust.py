"""``lanying-cluster trust``: what the person who runs a server passes on to those whose devices are to trust it."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import click
import msgspec
import segno

from lanying.base.errors import ConfigError
from lanying.cluster.runtime import RunDirectory
from lanying.config.certificates import AUTHORITY, DIRECTORY, fingerprint
from lanying.config.load import load
from lanying.supervisor import control
from lanying.supervisor.requests import StatusRequest


@click.command(short_help="How devices come to trust its TLS.")
@click.option("--config", "file", type=click.Path(path_type=Path), help="TOML file; see docs/configuration.md.")
@click.option("--data", metavar="DIR", help="Data directory (default ./data).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: page, fingerprint, authority (a PEM file).")
def trust(file: Path | None, data: str | None, as_json: bool) -> None:
    """The page that leads a device to trust this server, and the fingerprint that has to stand on it.

    For a server that is its own certificate authority (tls = local), see docs/tls.md.
    """
    config = load(file, flags={"data": data})
    authority = Path(config.data).absolute() / DIRECTORY / AUTHORITY
    try:
        der = ssl.PEM_cert_to_DER_cert(authority.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{authority}: no authority of the server's own ({getattr(error, 'strerror', None) or error}); start the server with "
            "--listen-tls 0.0.0.0:8443 and without tls_certificate first, or name its data directory with --data"
        ) from error
    run = RunDirectory(Path(config.data))
    page = ""
    if control.is_listening(run):
        page = control.ask(run, StatusRequest()).tls_url.replace("https:", "http:", 1) + "/trust"
    found = {"page": page, "fingerprint": fingerprint(der), "authority": str(authority)}
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
        return
    if page:
        if sys.stdout.isatty():
            segno.make(page, error="m").terminal(compact=True)
        click.echo(f"open on the device   {page}")
    else:
        click.echo("the server is not running: start it, then this shows the address of its page too")
    click.echo(f"the page has to show {found['fingerprint']}")
    click.echo(f"for programs         {authority}")
