"""From configuration to bound ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lanying.base.errors import ConfigError
from lanying.config.load import load
from lanying.config.schema import Config
from lanying.supervisor import launcher, machine


def test_what_is_configured_is_bound_and_nothing_else(tmp_path: Path) -> None:
    flags = {"data": str(tmp_path), "listen": "", "listen_tls": "127.0.0.1:0", "listen_redirect": "127.0.0.1:0"}
    plan = launcher.prepare(load(environment={}, flags=flags), Config)
    ports = {key: one.getsockname()[1] for key, one in plan.listeners.items()}
    for listener in plan.listeners.values():
        listener.close()
    plan.data.close()
    assert ports.keys() == {"listen_tls", "listen_redirect", "metrics_port"}
    assert plan.config.tls_address == ("127.0.0.1", ports["listen_tls"])
    assert plan.config.listens["listen_redirect"][1] == ports["listen_redirect"] and not plan.config.listen
    assert "router" in plan.names and plan.launch("router").fds == {}
    assert machine.urls(plan.config) == [f"https://127.0.0.1:{ports['listen_tls']}"]


def test_a_port_that_is_taken_gives_the_others_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as taken:
        first, second = (one.getsockname()[1] for one in (free, taken))
        free.close()
        flags = {"data": str(tmp_path), "listen": f"127.0.0.1:{first}", "listen_tls": f"127.0.0.1:{second}"}
        with pytest.raises(ConfigError, match="the port is taken"):
            launcher.prepare(load(environment={}, flags=flags), Config)
        machine.try_listen("listen", "127.0.0.1", first)
