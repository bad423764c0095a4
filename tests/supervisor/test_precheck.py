"""What ``check-config`` passes starts: whatever refuses a start is said by it, in the same words, and nothing is taken."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lanying.base.errors import ConfigError
from lanying.config import apps
from lanying.config.load import load
from lanying.config.schema import Config
from lanying.supervisor import launcher, precheck
from lanying.supervisor.datadir import DataDirectory
from lanying.supervisor.plan import Plan


def _taken() -> int:
    holder = socket.create_server(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])


_held: list[socket.socket] = []


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def _started(path: Path, **damage: str) -> str:
    data = DataDirectory(path)
    data.prepare(Config(), 2)
    data.close()
    for name, text in damage.items():
        (path / name.replace("_", ".")).write_text(text)
    return str(path)


REFUSED: dict[str, Callable[[Path], dict[str, Any]]] = {
    "no such host": lambda place: {"listen": "nosuchhost.invalid:8631"},
    "not of this machine": lambda place: {"listen": "192.0.2.1:8631"},
    "a port that is taken": lambda place: {"listen": f"127.0.0.1:{_taken()}"},
    "one port for both": lambda place: {"listen": "127.0.0.1:8631", "listen_tls": "0.0.0.0:8631"},
    "one port for TLS and redirects": lambda place: {
        "listen_tls": "127.0.0.1:8631",
        "listen_redirect": "127.0.0.1:8631",
    },
    "redirects to nothing": lambda place: {"listen_redirect": "127.0.0.1:8631"},
    "nothing listened on": lambda place: {"listen": ""},
    "a metrics port that is taken": lambda place: {"metrics_port": _taken()},
    "consoles at a taken port": lambda place: {"admin": {"listen": f"127.0.0.1:{_taken()}"}},
    "events at a taken port": lambda place: {"admin": {"listen": f"127.0.0.1:{_taken() - 1}"}},
    "consoles at a name": lambda place: {"admin": {"listen": "nosuchhost.invalid:8490"}},
    "consoles without a port": lambda place: {"admin": {"listen": "127.0.0.1"}},
    "no word list": lambda place: {"policy": {"words_file": str(place / "words")}},
    "an empty word list": lambda place: {"policy": {"words_file": _written(place / "words", "# none\n")}},
    "a bucket without a name": lambda place: {"files": {"store": "s3"}},
    "a bucket's prefix with a slash": lambda place: {"files": {"store": "s3", "s3_bucket": "b", "s3_prefix": "/x/"}},
    "more descriptors than there are": lambda place: {"max_connections": 1 << 40},
    "data of somebody else": lambda place: {"data": str(Path(_written(place / "thesis.doc", "x")).parent)},
    "data that is a file": lambda place: {"data": _written(place / "file", "x")},
    "data below a file": lambda place: {"data": _written(place / "file", "x") + "/below/it"},
    "a name that is too long": lambda place: {"data": str(place / ("x" * 300))},
    "another number of shards": lambda place: {"data": _started(place / "data"), "shards": 3},
    "another app": lambda place: {"data": _started(place / "data"), "app_id": "school"},
    "a damaged map": lambda place: {"data": _started(place / "data", shardmap_json="{")},
    "a damaged list of apps": lambda place: {"data": _started(place / "data", apps_json="{")},
    "a damaged list of notifiers": lambda place: {"data": _started(place / "data", notifiers_json="{")},
}


def close(plan: Plan) -> None:
    for listener in plan.listeners.values():
        listener.close()


def _snapshot(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in place.rglob("*")}


@pytest.mark.parametrize("what", REFUSED)
def test_what_refuses_a_start_is_said_by_the_check(tmp_path: Path, what: str) -> None:
    flags = {"data": str(tmp_path / "new"), "listen": "127.0.0.1:0"} | REFUSED[what](tmp_path)
    before = _snapshot(tmp_path)

    def check() -> None:
        config = load(environment={}, flags=flags)
        precheck.check_settings(config)
        precheck.check_machine(config)

    def start() -> None:
        config = load(environment={}, flags=flags)
        launcher.prepare(config, Config).data.close()

    said = []
    for act in (check, start):
        with pytest.raises(ConfigError) as refused:
            act()
        said.append(str(refused.value))
        assert _snapshot(tmp_path) == before
    assert said[0] == said[1] and ("; " in said[0] or ": write" in said[0])


def test_what_is_well_passes_and_nothing_is_made_or_kept(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    flags = {"data": str(tmp_path / "deep" / "data"), "listen": f"127.0.0.1:{port}"}
    config = load(environment={}, flags=flags)
    precheck.check_settings(config)
    precheck.check_machine(config)
    assert not list(tmp_path.iterdir())
    plan = launcher.prepare(config, Config)
    close(plan)
    plan.data.close()


RUNNING = (
    "a port that is taken",
    "no such host",
    "consoles at a taken port",
    "no word list",
    "a bucket without a name",
    "another app",
)


@pytest.mark.parametrize("what", RUNNING)
def test_a_restart_that_would_not_come_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    flags = {"data": _started(tmp_path / "now"), "listen": "127.0.0.1:0"}
    now = load(environment={}, flags=flags)
    monkeypatch.setattr(precheck, "is_running", lambda config: True)
    wanted = [now]
    plan = launcher.prepare(now, lambda: wanted[0])
    try:
        assert plan.recheck() == now
        wanted[0] = load(environment={}, flags=flags | REFUSED[what](tmp_path))
        with pytest.raises(ConfigError):
            plan.recheck()
    finally:
        close(plan)
        plan.data.close()


def test_a_server_that_runs_on_the_data_has_its_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apps.save(tmp_path, [apps.new("lanying", "")])
    config = load(environment={}, flags={"data": str(tmp_path), "listen": f"127.0.0.1:{_taken()}"})
    with pytest.raises(ConfigError, match="the port is taken"):
        precheck.check_machine(config)
    monkeypatch.setattr(precheck, "is_running", lambda config: True)
    precheck.check_machine(config)
