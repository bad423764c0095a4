"""What a start prints: addresses and commands as they are of use to whoever reads them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from lanying.config.load import load
from lanying.config.schema import Config
from lanying.supervisor import launcher


def _printed(capsys: pytest.CaptureFixture[str], data: Path, *, daemon: bool = False, **flags: str) -> str:
    config = load(environment={}, flags={"data": str(data), "listen": "127.0.0.1:0", **flags})
    plan = launcher.prepare(config, Config)
    try:
        launcher._banner(plan, "http://127.0.0.1:8480", daemon=daemon)
    finally:
        for listener in (plan.listener, plan.metrics, plan.tls):
            if listener is not None:
                listener.close()
        plan.data.close()
    return capsys.readouterr().err


@pytest.mark.parametrize(("daemon", "end"), [(False, "Ctrl-C stops"), (True, "lanying-cluster stop --data ")])
def test_how_to_stop_it_is_true_of_the_foreground_and_the_background(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], daemon: bool, end: str
) -> None:
    shown = _printed(capsys, tmp_path / "data", daemon=daemon)
    assert end in shown and ("Ctrl-C" in shown) is not daemon


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
    shown = _printed(capsys, tmp_path / "data", listen_tls="127.0.0.1:0")
    (server,) = [line for line in shown.splitlines() if line.startswith("dnsServer")]
    assert "http://127.0.0.1:8480/v2/app_dns" in server and "https://127.0.0.1:" in server
    assert "/trust leads" in shown and "lanying-cluster trust" in shown
