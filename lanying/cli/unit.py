"""``lanying-cluster install-service``: the server as a hardened systemd service with a user of its own.

Written: the unit, a configuration file when there is none, the data directory. Removed again: the unit alone.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lanying.base.errors import ConfigError
from lanying.config import profiles
from lanying.config.load import load
from lanying.supervisor import machine

UNIT = Path("etc/systemd/system/lanying.service")
PRIVILEGED_PORTS = 1024
CONFIG_TEXT = """# Settings of the lanying service: docs/configuration.md lists them all. After a change: systemctl restart lanying
listen = "{listen}"
# With TLS, by a certificate of the server's own that devices come to trust at http://ADDRESS:8443/trust: docs/tls.md
listen_tls = "{listen_tls}"

[accounts]
open_registration = false
"""


@dataclass(frozen=True)
class ServiceUnit:
    """What to install.

    :ivar root: the tree to write to; ``/`` is this system, which then also learns of it
    :ivar listen, listen_tls: for a new configuration file
    """

    root: Path
    user: str
    config: Path
    data: Path
    listen: str = ""
    profile: str | None = None
    python: str = sys.executable
    listen_tls: str = "0.0.0.0:8443"

    @property
    def live(self) -> bool:
        """Is it this system?"""
        return self.root == Path("/")

    @property
    def unit(self) -> Path:
        """The unit's file."""
        return self.root / UNIT


def install(service: ServiceUnit) -> list[str]:
    """Write everything. What was done, a line each.

    :raises ConfigError: not root, no systemd, or the service's user could not run the program
    """
    _check(service)
    done = []
    config_file = _below(service.root, service.config)
    if not config_file.exists():
        config_file.parent.mkdir(parents=True, exist_ok=True)
        config_file.write_text(CONFIG_TEXT.format(listen=service.listen, listen_tls=service.listen_tls))
        done.append(f"wrote {service.config}")
    text = unit_text(service, config_file)
    if service.live:
        done += _make_user(service)
    service.unit.parent.mkdir(parents=True, exist_ok=True)
    service.unit.write_text(text)
    done.append(f"wrote /{UNIT}")
    if service.live:
        _run("systemctl", "daemon-reload")
        done.append("next: systemctl enable --now lanying, then systemctl status lanying")
    return done


def uninstall(service: ServiceUnit) -> list[str]:
    """Stop the service and remove its unit; configuration, data and user stay. What was done, a line each."""
    _check(service)
    if not service.unit.exists():
        raise ConfigError(
            f"{service.unit} is not there: no service is installed; `lanying-cluster install-service` installs one"
        )
    if service.live:
        _run("systemctl", "disable", "--now", "lanying")
    service.unit.unlink()
    if service.live:
        _run("systemctl", "daemon-reload")
    return [f"removed /{UNIT}; kept: {service.config}, {service.data} and the user {service.user}"]


def unit_text(service: ServiceUnit, config_file: Path) -> str:
    """The unit of this installation."""
    config = load(config_file, environment={}, profile=service.profile)
    at_home = any(path.is_relative_to("/home") for path in _program(service))
    values = {
        "user": service.user,
        "python": service.python,
        "config": str(service.config),
        "data": str(service.data),
        "profile": f" --profile {service.profile}" if service.profile else "",
        "more": "".join(f" {path}" for path in (config.storage.cold_path, config.storage.backup_path) if path),
        "descriptors": str(machine.descriptors_needed(config.max_connections)),
        "protect_home": "read-only" if at_home else "yes",
        "capabilities": "CAP_NET_BIND_SERVICE"
        if any(port < PRIVILEGED_PORTS for _, port in config.listens.values() if port)
        else "",
    }
    text = (profiles.directory() / "files/systemd/lanying.service").read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _check(service: ServiceUnit) -> None:
    if service.live and os.geteuid():
        raise ConfigError("only root may install a service: sudo lanying-cluster install-service")
    if service.live and shutil.which("systemctl") is None:
        raise ConfigError("this system has no systemd: use `lanying-cluster start --daemon` from your init scripts")
    if any(part in (" ", "\n", "%") for path in (service.data, service.config) for part in str(path)):
        raise ConfigError(f"{service.data}, {service.config}: paths of a service may have no spaces or %")
    hidden = [path for path in _program(service) if path.is_relative_to("/root")]
    if service.live and hidden:
        raise ConfigError(
            f"the user {service.user} cannot run {hidden[0]}, /root is root's alone: install lanying elsewhere with the "
            "system's Python, for example /usr/bin/python3 -m venv /opt/lanying, and run its install-service"
        )


def _program(service: ServiceUnit) -> list[Path]:
    """What the service's user has to be able to read. A virtual environment's Python is a link to the one it was made with."""
    python = Path(service.python)
    return [python.absolute(), python.resolve(), Path(sys.prefix).absolute(), Path(__file__).absolute()]


def _make_user(service: ServiceUnit) -> list[str]:
    """The service's own user and its data directory."""
    done = []
    try:
        pwd.getpwnam(service.user)
    except KeyError:
        _run("useradd", "--system", "--home-dir", str(service.data), "--shell", "/usr/sbin/nologin", service.user)
        done.append(f"made the user {service.user}")
    if not service.data.exists():
        service.data.mkdir(mode=0o700, parents=True)
        shutil.chown(service.data, service.user, service.user)
        done.append(f"made {service.data}")
    return done


def _below(root: Path, path: Path) -> Path:
    return root / str(path).lstrip("/")


def _run(*command: str) -> None:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise ConfigError(f"{' '.join(command)} failed: {found.stderr.strip() or found.stdout.strip()}")
