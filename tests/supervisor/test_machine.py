"""Checks of the machine."""

import os
import resource
import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.schema import Accounts, Config
from lanying.supervisor import machine


@pytest.fixture
def descriptor_limits(monkeypatch):
    """Pretend limits; returns what was set."""
    done = []

    def pretend(soft, hard):
        monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda which, to: done.append(to))
        return done

    return pretend


def test_the_soft_limit_is_raised_as_far_as_needed(descriptor_limits):
    done = descriptor_limits(1024, 1 << 20)
    machine.raise_descriptor_limit(10_000)
    assert done == [(10_000 + limits.RESERVED_DESCRIPTORS, 1 << 20)]


def test_a_high_soft_limit_is_left_alone(descriptor_limits):
    done = descriptor_limits(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    machine.raise_descriptor_limit(10_000)
    assert done == []


def test_a_low_hard_limit_names_the_tool_and_what_would_fit(descriptor_limits):
    done = descriptor_limits(1024, 4096)
    with pytest.raises(ConfigError, match=r"needs 11024.*hard limit is 4096.*tools/pi_tune\.sh.*at most 3072"):
        machine.raise_descriptor_limit(10_000)
    assert done == []


def test_more_shards_than_cores_wrap_around():
    assert [machine.pin(shard, [0, 2, 3]) for shard in range(5)] == [0, 2, 3, 0, 2]


def test_listener_options_are_inherited_by_accepted_sockets():
    with machine.listen("listen", "127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("host", "remedy"),
    [("192.0.2.1", "not an address of this machine"), ("no such host", "HOST:PORT"), ("127.0.0.1", "port is taken")],
)
def test_an_address_that_cannot_be_had(host, remedy):
    with machine.listen("listen", "127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"listen = {host}:{port}.*{remedy}"):
            machine.listen("listen", host, port)


def test_hosts():
    assert machine.is_loopback("127.0.0.9") and machine.is_loopback("::1") and machine.is_loopback("localhost")
    assert not machine.is_loopback("0.0.0.0") and not machine.is_loopback("example.org")
    assert machine.reachable_host("::1") == "[::1]" and machine.reachable_host("10.1.2.3") == "10.1.2.3"
    assert machine.reachable_host("0.0.0.0") != "0.0.0.0"


def test_warnings():
    quiet = Config()
    assert not [it for it in machine.warnings(quiet, 1, [0]) if "somaxconn" not in it.found]
    loud = Config(listen="0.0.0.0:8480", accounts=Accounts(open_registration=True))
    cautions = machine.warnings(loud, 4, [0, 1])
    text = "\n".join(map(str, cautions))
    assert "open registration on 0.0.0.0" in text and "not encrypted" in text and "wrap around" in text
    assert all(it.remedy for it in cautions) and "reshard --shards 2" in text


def test_open_registration_is_as_open_with_tls():
    only_tls = Config(listen_tls="0.0.0.0:8443", accounts=Accounts(open_registration=True))
    text = "\n".join(map(str, machine.warnings(only_tls, 1, [0])))
    assert "open registration on 0.0.0.0" in text and "not encrypted" not in text


@pytest.mark.parametrize(
    ("key", "where"),
    [("listen", "with --listen"), ("listen_tls", "with --listen-tls"), ("metrics_port", "as metrics_port")],
)
def test_a_port_that_is_taken_names_the_setting_to_change(key, where):
    with machine.listen("listen", "127.0.0.1", 0) as taken, pytest.raises(ConfigError) as refused:
        machine.try_listen(key, *taken.getsockname())
    assert str(refused.value).endswith(where)


def test_a_listener_is_handed_over_to_the_next_program(monkeypatch):
    monkeypatch.delenv(machine.KEPT, raising=False)
    first, other = (machine.listen("listen", "127.0.0.1", 0) for _ in range(2))
    port = first.getsockname()[1]
    waiting = socket.create_connection(first.getsockname())
    machine.keep({"listen": (first, "127.0.0.1", 0), "metrics_port": (other, "127.0.0.1", 5)})
    with machine.listen("listen", "127.0.0.1", 0) as again:
        assert again.getsockname()[1] == port, "the same socket, though any port would do"
        again.setblocking(True)
        again.accept()[0].close()
        assert waiting.recv(1) == b"", "who connected in between was not refused"
        waiting.close()
        assert not again.get_inheritable()
        with machine.listen("metrics_port", "127.0.0.1", 0) as new:
            assert new.getsockname()[1] not in (5, port), "another address is configured now"
    assert machine.KEPT not in os.environ


def test_a_listener_that_nobody_wants_any_more_is_closed(monkeypatch):
    monkeypatch.delenv(machine.KEPT, raising=False)
    first, other = (machine.listen("listen", "127.0.0.1", 0) for _ in range(2))
    address = other.getsockname()
    machine.keep({"listen": (first, "127.0.0.1", 0), "listen_tls": (other, "127.0.0.1", 0)})
    (kept,) = machine.listen_all({"listen": ("127.0.0.1", 0)}).values()
    with kept, pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert machine.KEPT not in os.environ


def test_a_network_that_leads_nowhere_has_an_address_too(monkeypatch):
    class NoWay(socket.socket):
        def connect(self, address):
            raise OSError(101, "Network is unreachable")

    def found(**addresses):
        monkeypatch.setattr(socket, "socket", NoWay)
        monkeypatch.setattr(
            psutil, "net_if_stats", lambda: {name: SimpleNamespace(isup=name != "eth1") for name in addresses}
        )
        rows = {name: [SimpleNamespace(family=socket.AF_INET, address=one)] for name, one in addresses.items()}
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: rows)
        return machine.reachable_host("0.0.0.0")

    assert found(lo="127.0.0.1", docker0="172.17.0.1", eth1="10.0.0.9", wlan0="192.168.4.1") == "192.168.4.1"
    assert found(lo="127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("settings", "urls"),
    [
        ({}, ["http://127.0.0.1:8480"]),
        ({"listen": "10.0.0.1:80", "listen_tls": "10.0.0.1:443"}, ["http://10.0.0.1", "https://10.0.0.1"]),
        ({"listen": "", "listen_tls": "10.0.0.1:8443", "tls_names": ("a.lan",)}, ["https://10.0.0.1:8443"]),
        (
            {"listen_tls": "10.0.0.1:443", "tls": "acme", "tls_names": ("im.example", "b")},
            ["http://127.0.0.1:8480", "https://im.example"],
        ),
    ],
)
def test_people_reach_it_by_what_its_certificate_is_for(settings, urls):
    assert machine.urls(Config(**settings)) == urls


def test_listeners_of_another_process_are_not_touched(monkeypatch):
    monkeypatch.setenv(machine.KEPT, '[1, {"listen": [0, "127.0.0.1", 0]}]')
    before = os.fstat(0)
    with machine.listen("listen", "127.0.0.1", 0) as new:
        assert new.fileno() != 0
    assert os.fstat(0) == before


def cgroup(tmp_path, own: str, **files: str) -> tuple[Path, Path]:
    (tmp_path / "own").write_text(own)
    for path, text in files.items():
        file = tmp_path / "fs" / path.replace("__", "/").replace("memory_", "memory.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "fs", tmp_path / "own"


def test_memory_is_what_the_control_groups_leave(tmp_path) -> None:
    whole = machine.measured(tmp_path, tmp_path).memory_mb
    assert whole == psutil.virtual_memory().total >> 20
    inner = cgroup(
        tmp_path, "0::/a/b\n", a__b__memory_max="max\n", a__memory_max=f"{200 << 20}\n", a__b__memory_high="junk"
    )
    assert machine.measured(*inner).memory_mb == 200


def test_a_slice_that_is_pressed_earlier_counts(tmp_path) -> None:
    files = cgroup(tmp_path, "0::/a\n", a__memory_max=f"{300 << 20}", a__memory_high=f"{150 << 20}")
    assert machine.measured(*files).memory_mb == 150


def test_control_groups_of_the_first_version(tmp_path) -> None:
    files = cgroup(tmp_path, "3:cpu:/x\n2:memory:/x\n", memory__x__memory_limit_in_bytes=f"{128 << 20}\n")
    assert machine.measured(*files).memory_mb == 128
