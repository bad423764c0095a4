"""What a start prints: addresses and commands as they are of use to whoever reads them."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lanying.config.load import load
from lanying.config.schema import Config
from lanying.supervisor import banner, launcher, machine

HERE = "192.168.7.5"
BLOCKS = "▀▄█"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's address in its network."""
    monkeypatch.setattr(machine, "_own_address", lambda family: HERE)


def _printed(
    capsys: pytest.CaptureFixture[str], data: Path, *, daemon: bool = False, qr: bool | None = None, **flags: object
) -> str:
    """Of a server that is configured so; nothing is listened on but at ports of loopback."""
    plan = launcher.prepare(load(environment={}, flags={"data": str(data), "listen": "127.0.0.1:0"}), Config)
    try:
        config = load(environment={}, flags={"data": str(data), **flags})
        banner.show(replace(plan, config=config), daemon=daemon, qr=qr)
    finally:
        for listener in plan.listeners.values():
            listener.close()
        plan.data.close()
    return capsys.readouterr().err


def _row(shown: str, name: str) -> str:
    (line,) = [line for line in shown.splitlines() if line.startswith(name)]
    return line.removeprefix(name).strip()


@pytest.mark.parametrize(("daemon", "end"), [(False, "Ctrl-C"), (True, "lanying-cluster stop --data ")])
def test_how_to_stop_it_is_true_of_the_foreground_and_the_background(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], daemon: bool, end: str
) -> None:
    shown = _printed(capsys, tmp_path / "data", daemon=daemon)
    assert end in _row(shown, "  stop") and ("Ctrl-C" in shown) is not daemon


def test_commands_are_printed_as_they_are_to_be_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [".venv/bin/lanying-cluster"])
    assert "`.venv/bin/lanying-cluster status`" in _printed(capsys, tmp_path / "data")
    spaced = tmp_path / "my data"
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert f"`lanying-cluster status --data {shlex.quote(str(spaced))}`" in _printed(capsys, spaced)


def test_an_app_elsewhere_finds_its_address_where_there_is_tls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = _row(_printed(capsys, tmp_path / "data", listen_tls="0.0.0.0:8443"), "dnsServer")
    assert server == f"http://127.0.0.1:8480/v2/app_dns or https://{HERE}:8443/v2/app_dns"


@pytest.mark.parametrize(
    ("settings", "address", "first"),
    [
        ({}, "http://127.0.0.1:8480", ""),
        ({"listen": "0.0.0.0:8480"}, f"http://{HERE}:8480", f"http://{HERE}:8480"),
        ({"listen_tls": "0.0.0.0:8443"}, f"https://{HERE}:8443", f"http://{HERE}:8443/trust"),
        ({"listen_tls": "0.0.0.0:443", "listen": ""}, f"https://{HERE}", f"http://{HERE}:443/trust"),
        (
            {"listen_tls": "0.0.0.0:443", "tls": "acme", "tls_names": ["chat.example"]},
            "https://chat.example",
            "https://chat.example",
        ),
        (
            {"listen_tls": "0.0.0.0:8443", "tls_certificate": "a", "tls_key": "b"},
            f"https://{HERE}:8443",
            f"https://{HERE}:8443",
        ),
        ({"listen_tls": "127.0.0.1:8443"}, "https://127.0.0.1:8443", ""),
    ],
)
def test_the_addresses_are_those_that_people_can_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, object], address: str, first: str
) -> None:
    shown = _printed(capsys, tmp_path / "data", **settings)
    assert _row(shown, "address") == address
    assert banner.first_visit(load(environment={}, flags=settings)) == first
    assert (first in shown) if first else "--listen-tls 0.0.0.0:8443" in _row(shown, "  phones")


def test_a_qr_code_is_drawn_for_those_who_can_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(qr: bool | None, **settings: object) -> bool:
        shown = _printed(capsys, tmp_path / "data", qr=qr, **settings)
        return any(set(line) & set(BLOCKS) or "\033[7m" in line for line in shown.splitlines())

    network = {"listen_tls": "0.0.0.0:8443"}
    assert drawn(True, **network) and not drawn(False, **network) and not drawn(None, **network)
    assert not drawn(True), "no phone can open it"
    monkeypatch.setattr(banner, "_is_looked_at", lambda: True)
    assert drawn(None, **network) and not drawn(False, **network)
