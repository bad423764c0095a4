"""The lines systemd gets, and what a real server sends."""

import os
import signal
import socket

from lanying.cluster.runtime import RunDirectory
from lanying.supervisor import control
from lanying.supervisor.notify import ServiceNotifier
from lanying.supervisor.requests import RestartRequest
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S, until


def manager(tmp_path):
    """A socket like systemd's and its name."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    line.bind(str(tmp_path / "notify"))
    line.settimeout(PATIENCE_S)
    return line, str(tmp_path / "notify")


def test_lines_are_one_datagram(tmp_path):
    line, name = manager(tmp_path)
    ServiceNotifier({"NOTIFY_SOCKET": name}).send("READY=1", "STATUS=2 shards serve")
    assert line.recv(200) == b"READY=1\nSTATUS=2 shards serve"


def test_an_abstract_socket(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0lanying-test-{os.getpid()}")
        ServiceNotifier({"NOTIFY_SOCKET": f"@lanying-test-{os.getpid()}"}).send("STOPPING=1")
        assert line.recv(200) == b"STOPPING=1"


def test_without_a_manager_nothing_is_sent(caplog):
    ServiceNotifier({}).send("READY=1")
    assert not caplog.records


def test_a_manager_that_is_gone_is_a_warning_in_the_log(tmp_path, caplog):
    ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["event=notify_failed"]


def test_half_of_the_managers_patience(tmp_path):
    here = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    assert ServiceNotifier(here).watchdog_s == 15
    assert ServiceNotifier(here | {"WATCHDOG_PID": str(os.getpid())}).watchdog_s == 15
    assert ServiceNotifier(here | {"WATCHDOG_PID": "1"}).watchdog_s is None
    assert ServiceNotifier({"WATCHDOG_USEC": "30000000"}).watchdog_s is None
    assert ServiceNotifier({"NOTIFY_SOCKET": "x"}).watchdog_s is None


def test_a_server_says_that_it_is_ready_alive_and_stopping(tmp_path, monkeypatch):
    line, name = manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "6000000")  # a socket holds ten lines nobody has read

    def hears(wanted):
        until(f"systemd hears {wanted!r}", lambda: line.recv(200).split(b"\n")[0] == wanted)

    with Cluster(tmp_path, shards=1) as cluster:
        hears(b"READY=1")
        hears(b"WATCHDOG=1")
        control.ask(RunDirectory(cluster.data), RestartRequest(None))
        hears(b"RELOADING=1")  # STOPPING=1 would have it killed when its time to stop is over
        hears(b"READY=1")
        os.kill(cluster.status()["pid"], signal.SIGTERM)
        hears(b"STOPPING=1")
