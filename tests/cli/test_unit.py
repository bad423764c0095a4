"""The systemd unit, without systemd: what is written, and what systemd's own tools say of it where they are installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lanying.base.errors import ConfigError
from lanying.cli.service import install_service, uninstall_service
from lanying.cli.unit import UNIT, ServiceUnit, install, uninstall, unit_text
from lanying.config.load import load
from lanying.supervisor import machine

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: apt install systemd"
)


@pytest.fixture
def service(tmp_path):
    return ServiceUnit(
        tmp_path, "chat", tmp_path / "lanying.toml", tmp_path / "data", "0.0.0.0:8480", python="/usr/bin/python3"
    )


def lines(service):
    return service.unit.read_text().splitlines()


def test_what_grows_does_not_take_the_machine_along(service):
    install(service)
    unit = lines(service)
    assert {"MemoryHigh=75%", "MemoryMax=90%", "OOMPolicy=continue", "TasksMax=1024"} <= set(unit)
    assert not [line for line in unit if line.startswith("OOMScoreAdjust=-")], "the kernel would end the others first"


def test_install_writes_the_unit_and_a_first_configuration(tmp_path):
    service = ServiceUnit(
        tmp_path, "chat", "/etc/lanying/lanying.toml", "/srv/chat", "[::]:8480", "pi3", "/opt/bin/python"
    )
    done = install(service)
    assert done == ["wrote /etc/lanying/lanying.toml", f"wrote /{UNIT}"]
    config = load(tmp_path / "etc/lanying/lanying.toml", environment={}, profile="pi3")
    assert config.listen == "[::]:8480" and not config.accounts.open_registration
    unit = lines(service)
    start = "ExecStart=/opt/bin/python -m lanying.cli start --config /etc/lanying/lanying.toml --data /srv/chat --profile pi3"
    assert start in unit
    assert f"LimitNOFILE={machine.descriptors_needed(config.max_connections)}" in unit
    assert {"User=chat", "ReadWritePaths=/srv/chat", "ProtectSystem=strict", "NoNewPrivileges=yes", "Type=notify"} <= {
        *unit
    }
    assert not re.findall(r"=.*@\w+@", "\n".join(unit)), "a placeholder was left"


def test_install_keeps_a_configuration_that_is_there(tmp_path):
    (tmp_path / "own.toml").write_text('listen = "0.0.0.0:443"\nmax_connections = 100\n')
    service = ServiceUnit(tmp_path, "chat", "own.toml", "/srv/chat", "0.0.0.0:8480")
    assert install(service) == [f"wrote /{UNIT}"]
    assert {"LimitNOFILE=1124", "AmbientCapabilities=CAP_NET_BIND_SERVICE"} <= {*lines(service)}


def test_a_cold_store_and_backups_may_be_written_too(tmp_path):
    (tmp_path / "own.toml").write_text('[storage]\ncold_path = "/mnt/usb"\nbackup_path = "/mnt/backup"\n')
    service = ServiceUnit(tmp_path, "chat", "own.toml", "/srv/chat", "0.0.0.0:8480")
    install(service)
    assert "ReadWritePaths=/srv/chat /mnt/usb /mnt/backup" in lines(service)


def test_a_configuration_that_cannot_start_installs_nothing(tmp_path):
    (tmp_path / "own.toml").write_text("max_connections = 'many'\n")
    service = ServiceUnit(tmp_path, "chat", "own.toml", "/srv/chat", "0.0.0.0:8480")
    with pytest.raises(ConfigError, match="max_connections"):
        install(service)
    assert not service.unit.exists()


def test_a_program_under_home_can_be_read(service):
    service.config.write_text("")
    assert "ProtectHome=read-only" in unit_text(
        ServiceUnit(service.root, "chat", service.config, service.data, "", python="/home/pi/lanying/.venv/bin/python"),
        service.config,
    )


def test_uninstall_removes_the_unit_alone(service):
    install(service)
    (line,) = uninstall(service)
    assert "kept" in line and not service.unit.exists() and (service.root / str(service.config)[1:]).exists()
    with pytest.raises(ConfigError, match="no service is installed"):
        uninstall(service)


@pytest.mark.parametrize("command", [install_service, uninstall_service])
def test_paths_a_unit_cannot_hold_are_refused(service, command):
    with pytest.raises(ConfigError, match="no spaces"):
        command.main(["--root", str(service.root), "--data", "/srv/my data"], standalone_mode=False)


@needs_systemd
def test_systemd_understands_the_unit(service):
    install(service)
    done = subprocess.run(["systemd-analyze", "verify", service.unit], capture_output=True, text=True, timeout=60)
    about_ours = [line for line in done.stderr.splitlines() if "lanying.service" in line]
    assert about_ours == []


@needs_systemd
def test_systemd_rates_the_unit_as_well_confined(service):
    install(service)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", service.unit],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:]


def test_a_python_that_the_service_user_cannot_reach_is_refused(monkeypatch, tmp_path):
    """ProtectHome hides /root from the service: also when the virtual environment is elsewhere and only its Python is there."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    python = tmp_path / "python3"
    python.symlink_to("/root/.pyenv/versions/3.11.7/bin/python3.11")
    with pytest.raises(ConfigError, match=r"cannot run /root/\.pyenv.*/usr/bin/python3 -m venv /opt/lanying"):
        install(ServiceUnit(Path("/"), "chat", tmp_path / "lanying.toml", tmp_path / "data", "", python=str(python)))
