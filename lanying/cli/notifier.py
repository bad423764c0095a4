"""``lanying-cluster notifier``: the vendor certificates of a data directory; a running server takes changes over at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from lanying.base import texts
from lanying.base.errors import ConfigError
from lanying.cluster.runtime import RunDirectory
from lanying.config import apps
from lanying.config.load import load
from lanying.config.notifiers import PROVIDERS, Notifier, Notifiers, Secret
from lanying.supervisor import control
from lanying.supervisor.requests import PushRequest

_PATH = click.Path(path_type=Path)
_config = click.option("--config", "file", type=_PATH, help="TOML file; see docs/configuration.md.")
_data = click.option("--data", metavar="DIR", help="Data directory (default ./data).")
_app = click.option("--app", metavar="ID", help="App the notifier belongs to (default: the first one).")


_ANOTHER_FILE: Final = "give a file this user can read"
_DER_SEQUENCE: Final = b"\x30"
"""How a .p12 begins; the text of a certificate, a key or a service account never does (it is the digit 0)."""
WORDS: Final = {
    "sent": "sent: the vendor has the push",
    "gone": "gone: the vendor does not know this token (any more)",
    "later": "later: the vendor cannot be reached or is busy",
    "refused": "refused: the vendor does not take this push",
}


@click.group(short_help="Vendor certificates for pushes.")
def notifier() -> None:
    """Vendor certificates and keys for pushes, kept encrypted in the data directory."""


@notifier.command()
@click.argument("name")
@click.option("--provider", type=click.Choice(list(PROVIDERS)), required=True, help="Vendor.")
@click.option("--development", is_flag=True, help="For development builds.")
@click.option("--app-id", default="", help="The vendor's app id; Apple: the bundle id.")
@click.option("--app-key", default="", help="The vendor's app key; Apple: the id of the .p8 key.")
@click.option("--team-id", default="", help="Apple: the team id.")
@click.option("--secret-file", type=_PATH, help="File with the vendor's app secret, or the password of a .p12.")
@click.option("--certificate", type=_PATH, help="Apple: .p8 key, .pem or .p12; Google: the service account's JSON.")
@click.option("--package", default="", help="Xiaomi: name of the Android package.")
@click.option("--endpoint", default="", help="Base URL instead of the vendor's: a regional host, a proxy.")
@click.option("--login-endpoint", default="", help="The same for the login of Huawei and Google.")
@_app
@_config
@_data
def add(
    name: str,
    provider: str,
    development: bool,
    app_id: str,
    app_key: str,
    team_id: str,
    secret_file: Path | None,
    certificate: Path | None,
    package: str,
    endpoint: str,
    login_endpoint: str,
    app: str | None,
    file: Path | None,
    data: str | None,
) -> None:
    """Add or replace the notifier NAME. docs/push.md says what each vendor needs."""
    from lanying.push.vendors import check

    notifiers, app = _open(file, data, app)
    served = {it.app_id for it in apps.load(notifiers.data)}
    if served and app not in served | set(load(file).apps):
        raise click.UsageError(f"there is no app {app}; there are: {', '.join(sorted(served))}")
    number, environment = PROVIDERS[provider], int(not development)
    try:
        app_secret = texts.read(secret_file, _ANOTHER_FILE).strip() if secret_file else ""
        text, app_secret = _certificate(certificate, app_secret)
        secret = Secret(app_key, team_id or app_secret, text)
        check(Notifier(app, name, number, environment, app_id, "", endpoint, login_endpoint, package), secret)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    notifiers.put(app, name, number, environment, app_id, secret, endpoint, login_endpoint, package)
    click.echo(f"notifier {name} of app {app} is set")
    try:
        control.ask(RunDirectory(notifiers.data), PushRequest())
    except control.NotRunning:
        pass  # its next start finds it
    except control.NoAnswer as error:
        click.echo(f"restart the server, then it sends pushes: {error}", err=True)


@notifier.command("test")
@click.argument("name")
@click.option("--token", required=True, help="Token of a device, as its push SDK shows it.")
@click.option("--title", default="lanying", help="Title of the push.")
@click.option("--body", default="This is a test.", help="Text of the push.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a sentence.")
@_app
@_config
@_data
def test(
    name: str,
    token: str,
    title: str,
    body: str,
    as_json: bool,
    app: str | None,
    file: Path | None,
    data: str | None,
) -> None:
    """Send one push with the notifier NAME and say what the vendor answers. Exits 0 only when it was sent."""
    from lanying.push.decision import Push
    from lanying.push.vendors import PushOutcome, PushState, PushTarget, Vendors

    notifiers, app = _open(file, data, app)
    found = next((it for it in notifiers.of(app) if it.name == name), None)
    if found is None:
        _unknown(app, name)
        return
    target = PushTarget(found, notifiers.secret(found), token)

    async def send() -> PushOutcome:
        vendors = Vendors()
        try:
            return await vendors.send(target, Push(title, body, 1), "lanying-test")
        finally:
            await vendors.close()

    outcome = asyncio.run(send())
    if as_json:
        click.echo(msgspec.json.encode({"notifier": name} | msgspec.to_builtins(outcome)).decode())
    else:
        reason = f" ({outcome.reason})" if outcome.reason else ""
        again = f"; again in {outcome.retry_after_s:.0f} s" if outcome.state is PushState.LATER else ""
        click.echo(WORDS[outcome.state] + reason + again)
    if outcome.state is not PushState.SENT:
        sys.exit(1)


@notifier.command("list")
@_app
@_config
@_data
def list_(app: str | None, file: Path | None, data: str | None) -> None:
    """List notifiers, without their secrets."""
    notifiers, app = _open(file, data, app)
    channels = {number: channel for channel, number in PROVIDERS.items()}
    for it in notifiers.of(app):
        environment = "production" if it.environment else "development"
        row = (it.name, channels[it.provider], environment, it.app_id, *([it.endpoint] if it.endpoint else []))
        click.echo("\t".join(row))


@notifier.command()
@click.argument("name")
@_app
@_config
@_data
def remove(name: str, app: str | None, file: Path | None, data: str | None) -> None:
    """Remove the notifier NAME."""
    notifiers, app = _open(file, data, app)
    if not notifiers.remove(app, name):
        _unknown(app, name)
    click.echo(f"notifier {name} of app {app} is gone")


def _open(file: Path | None, data: str | None, app: str | None) -> tuple[Notifiers, str]:
    found = load(file, flags={"data": data})
    if not (Path(found.data) / apps.FILE).exists():
        raise click.UsageError(f"{found.data}: there is no data directory; start the server once, or give --data")
    return Notifiers(Path(found.data)), app or found.app_id


def _unknown(app: str, name: str) -> None:
    click.echo(f"app {app} has no notifier {name}; `lanying-cluster notifier list` shows them", err=True)
    sys.exit(1)


def _certificate(file: Path | None, password: str) -> tuple[str, str]:
    """The text of a certificate file, a .p12 as PEM; and the app secret, which of a .p12 was its password.

    :raises ConfigError: it cannot be read
    """
    if file is None:
        return "", password
    content = texts.read_bytes(file, _ANOTHER_FILE)
    if content[:1] == _DER_SEQUENCE:
        from lanying.push.vendors.apns import pem_of_p12

        return pem_of_p12(content, password), ""
    return texts.decode(content, file), password
