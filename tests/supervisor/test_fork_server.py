"""The fork server on its own: what it says, what it loads, and a fork that the kernel refuses."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lanying.supervisor import fork_server
from lanying.supervisor.fork_server import READY, Birth
from lanying.supervisor.plan import SHARED
from lanying.testing.poll import until


@pytest.mark.parametrize("which", [1, 2])
def test_a_fork_that_the_kernel_refuses_is_answered(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is that of the process between, which is a copy of this one."""
    real, count = os.fork, 0

    def fork() -> int:
        nonlocal count
        count += 1
        if count == which:
            raise OSError(errno.EAGAIN, "no more")
        return real()

    monkeypatch.setattr(os, "fork", fork)
    before = os.listdir("/proc/self/fd")
    assert fork_server._fork(os.getpid()) == Birth(error=errno.EAGAIN)
    assert os.listdir("/proc/self/fd") == before


def test_with_everything_loaded_it_has_one_thread_one_socket_and_ends_with_the_supervisor(tmp_path: Path) -> None:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        command = [sys.executable, "-m", "lanying.supervisor.fork_server", *SHARED]
        process = subprocess.Popen(command, stdin=its.fileno())
        its.close()
        ours.settimeout(60)
        assert ours.recv(100) == READY
        assert len(os.listdir(f"/proc/{process.pid}/task")) == 1, "a thread does not survive a fork, its locks do"
        opened = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
        assert sum(name.startswith(("socket:", "anon_inode:")) for name in opened) <= 2, opened
        assert len(opened) == 4, opened
        ours.close()
        assert process.wait(30) == 0


def test_it_dies_with_a_supervisor_that_is_killed_also_when_it_is_stopped(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = (
        "import os, signal, socket, subprocess, sys\n"
        "ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "process = subprocess.Popen([sys.executable, '-m', 'lanying.supervisor.fork_server'], stdin=its.fileno())\n"
        "ours.recv(100)\n"
        "process.send_signal(signal.SIGSTOP)\n"
        f"open({str(said)!r}, 'w').write(str(process.pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    pid = int(said.read_text())
    until("the fork server is gone", lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
