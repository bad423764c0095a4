"""What a supervisor runs: each process is told what it needs and nothing of the others'."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lanying.cluster.launch import Launch
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.supervisor import plan as plans
from lanying.supervisor.move import MOVER
from lanying.supervisor.plan import MODULES, SHARED, Plan


@pytest.fixture
def sockets() -> Any:
    found = [socket.socket() for _ in range(3)]
    yield found
    for one in found:
        one.close()


def plan(sockets: list[socket.socket], shards: int = 2, *, push: bool = False, tls: bool = False) -> Plan:
    data: Any = SimpleNamespace(path="/data")
    return Plan(
        config=Config(),
        data=data,
        shard_map=ShardMap.even(shards),
        apps=(),
        listeners={"listen": sockets[0], "metrics_port": sockets[1]} | ({"listen_tls": sockets[2]} if tls else {}),
        cores=[4, 5],
        push=push,
    )


def test_shards_come_first_and_the_door_opens_last(sockets: list[socket.socket]) -> None:
    assert plan(sockets).names == ["shard-0", "shard-1", "gateway", "admin", "router"]
    assert plan(sockets, 1, push=True, tls=True).names == ["shard-0", "gateway", "admin", "push", "tls", "router"]


def test_each_process_gets_its_own_sockets_and_no_other(sockets: list[socket.socket]) -> None:
    made = plan(sockets, push=True, tls=True)
    listener, metrics, tls = (one.fileno() for one in sockets)
    assert {name: made.launch(name).fds for name in made.names if made.launch(name).fds} == {
        "router": {"listen": listener},
        "gateway": {"metrics_port": metrics},
        "tls": {"listen_tls": tls},
    }


def test_a_shard_is_told_its_number_and_others_have_none(sockets: list[socket.socket]) -> None:
    made = plan(sockets, 12, push=True)
    assert [made.launch(name).index for name in ("shard-0", "shard-11", "gateway", "router")] == [0, 11, -1, -1]
    for name in made.names:
        launch = made.launch(name)
        assert (launch.name, launch.push, launch.data, launch.shard_map) == (name, True, "/data", made.shard_map)
    assert made.launch("gateway").cpu is None


def test_every_kind_of_process_has_a_module_that_runs_it() -> None:
    assert {"shard", "gateway", "router", "admin", "push", "tls"} == MODULES.keys() - {MOVER}
    for kind, module in MODULES.items():
        source = importlib.util.find_spec(module if kind != MOVER else f"{module}.__main__")
        assert source is not None and source.origin is not None
        assert "\ndef main() -> int:" in Path(source.origin).read_text()
    assert set(SHARED) <= set(MODULES.values())


def test_what_is_not_forked_reads_its_launch_and_nothing_of_it_is_on_its_command_line(
    sockets: list[socket.socket], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (tmp_path / "echo.py").write_text("import sys; sys.stdout.write(sys.stdin.read() + sys.argv[1])")
    launch = plan(sockets).launch("shard-1")
    monkeypatch.setattr(sys, "stderr", open(out, "w"))  # noqa: SIM115
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = plans.spawn("echo", "settle", launch, sockets[2].fileno())
    assert process.wait(30) == 0
    sys.stderr.close()
    assert msgspec.json.decode(out.read_bytes().removesuffix(b"settle"), type=Launch) == launch


def test_a_process_that_is_gone_at_once_is_no_error(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def write(self, data: bytes) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: SimpleNamespace(stdin=Gone()))
    assert plans.spawn("nothing", "", plan(sockets).launch("router"), 0)
