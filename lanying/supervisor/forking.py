"""The supervisor's end of the fork server (:mod:`lanying.supervisor.fork_server`), and the children it gets from there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from lanying.base import limits
from lanying.cluster.launch import Launch
from lanying.supervisor.children import explain_exit
from lanying.supervisor.fork_server import FIRST_OWN, ORDER_BYTES, READY, Birth, ForkOrder
from lanying.supervisor.kinship import adopting

log = logging.getLogger(__name__)

MODULE: Final = "lanying.supervisor.fork_server"
ANSWER_S: Final = 10.0
"""A fork takes milliseconds; one that is silent for so long is ended, and the supervisor is not late for its watchdog."""


@dataclass(frozen=True)
class Forked:
    """A running child of this process."""

    pid: int
    pidfd: int

    def signal(self, number: signal.Signals) -> None:
        """Send it; nothing when the child has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def bury(self) -> int:
        """Wait for its end. Its return code, as of ``subprocess``: negative when a signal ended it."""
        os.close(self.pidfd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class ForkServer:
    """Starts the fork server, again when it ends, and asks it for children.

    :param modules: what it imports before the first child
    :param on_ready: it can be asked
    :param on_failure: it ended before it could; the reason is in the log
    """

    def __init__(
        self,
        modules: Sequence[str],
        loop: asyncio.AbstractEventLoop,
        on_ready: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        self._modules = modules
        self._loop = loop
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._announced = False
        self.ready = False
        """It can be asked now."""

    @property
    def pid(self) -> int:
        """Its process id; 0: there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it unless there is one. :raises OSError: no memory or no processes left"""
        if self._process is not None:
            return
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            try:
                self._process = subprocess.Popen(
                    (sys.executable, "-m", MODULE, *self._modules),
                    stdin=its.fileno(),
                    stdout=sys.stderr.fileno(),
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        ours.settimeout(ANSWER_S)
        self._control = ours
        self._loop.add_reader(ours.fileno(), self._heard)
        self._patience = self._loop.call_later(limits.START_TIMEOUT_S, self._process.kill)

    def fork(self, module: str, title: str, launch: Launch, lock_fd: int) -> Forked | None:
        """A new child; it holds the lock of the data directory, too.

        None: the fork server has ended or does not answer, ask again when it is ready. :raises OSError: no memory or no processes left
        """
        assert self._control is not None
        own = [lock_fd, *launch.fds.values()]
        numbers = {name: FIRST_OWN + 1 + place for place, name in enumerate(launch.fds)}
        order = msgspec.json.encode(ForkOrder(module, title))
        reading, writing = os.pipe()
        with contextlib.suppress(BrokenPipeError), open(writing, "wb") as record:
            try:
                with adopting():
                    socket.send_fds(self._control, [order], [reading, sys.stderr.fileno(), *own])
                    answer = self._control.recv(ORDER_BYTES)
            except OSError:
                answer = b""
            finally:
                os.close(reading)
            if not answer:
                self._kill()
                return None
            birth = msgspec.json.decode(answer, type=Birth)
            if birth.error:
                raise OSError(birth.error, os.strerror(birth.error))
            child = Forked(birth.pid, os.pidfd_open(birth.pid))
            record.write(msgspec.json.encode(msgspec.structs.replace(launch, fds=numbers)))
        return child  # it may be gone already, before it read its record; the pidfd reports its exit

    def hang_up(self) -> None:
        """Have it open the log again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """End it; its children go on."""
        self._kill()
        self._bury()

    def _kill(self) -> None:
        """Its end is heard of like any other."""
        self.ready = False
        if self._process is not None:
            self._process.kill()

    def _heard(self) -> None:
        """It says that it is ready, or has ended."""
        assert self._control is not None
        try:
            heard = self._control.recv(ORDER_BYTES)
        except OSError:
            heard = b""
        if heard == READY:
            log.info("event=fork_server_ready pid=%d", self.pid)
            self._announced = self.ready = True
            self._be_patient()
            self._on_ready()
            return
        was_announced, pid = self._announced, self.pid
        self._kill()
        log.error(
            "event=fork_server_died pid=%d how=%r remedy='none: its children go on, another one is started'",
            pid, explain_exit(self._bury()),
        )  # fmt: skip
        try:
            if was_announced:
                self.start()
        except OSError as error:
            log.error("event=spawn_failed process='fork server' error=%r", str(error))
        if self._process is None:
            self._on_failure()

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _bury(self) -> int:
        """Forget the one there is; its return code."""
        self._be_patient()
        self._announced = self.ready = False
        if self._control is not None:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        process, self._process = self._process, None
        return process.wait() if process is not None else 0
