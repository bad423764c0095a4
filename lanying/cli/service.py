"""``lanying-cluster install-service`` and ``uninstall-service``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lanying.cli import unit

Command = Callable[..., Any]


def _placing(command: Command) -> Command:
    for option in (
        click.option(
            "--root",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default="/",
            help="Work on the system below this directory, for example a mounted image.",
        ),
        click.option("--user", default="lanying", show_default=True, help="The service's user; made when missing."),
        click.option(
            "--data",
            metavar="DIR",
            type=click.Path(path_type=Path),
            default="/var/lib/lanying",
            show_default=True,
            help="Data directory.",
        ),
        click.option(
            "--config",
            "file",
            type=click.Path(path_type=Path),
            default="/etc/lanying/lanying.toml",
            show_default=True,
            help="TOML file, written when missing; see docs/configuration.md.",
        ),
    ):
        command = option(command)
    return command


@click.command("install-service", short_help="Make it a systemd service.")
@_placing
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8480", show_default=True, help="For a new TOML file.")
@click.option(
    "--listen-tls", metavar="HOST:PORT", default="0.0.0.0:8443", show_default=True, help="For a new TOML file."
)
@click.option("--profile", metavar="NAME", help="Settings for a board: auto, pi3, pi4, pi5, zero2w or generic.")
def install_service(
    file: Path, data: Path, user: str, root: Path, listen: str, listen_tls: str, profile: str | None
) -> None:
    """Write a hardened systemd unit, with a user of its own that owns nothing but the data directory.

    Nothing is started: `systemctl enable --now lanying` does that. Needs root.
    """
    for line in unit.install(unit.ServiceUnit(root, user, file, data, listen, profile, listen_tls=listen_tls)):
        click.echo(line)


@click.command("uninstall-service", short_help="Stop and remove the systemd service.")
@_placing
def uninstall_service(file: Path, data: Path, user: str, root: Path) -> None:
    """Stop the service and remove its unit; configuration, data and user are kept. Needs root."""
    for line in unit.uninstall(unit.ServiceUnit(root, user, file, data)):
        click.echo(line)


COMMANDS = (install_service, uninstall_service)
