"""What every child process of a server does: it joins the bus, reports to the supervisor, and ends when it is asked to.

A process is a subclass of :class:`Process`; its ``main`` is ``return run(…)``. In order: the constructor opens what can fail, ``start``
serves, then heartbeats and signals; ``drain`` finishes what is under way and stops the loop, ``close`` releases everything.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal

import uvloop

from lanying.base import failpoints, limits
from lanying.base.errors import LanyingError, StoreFull
from lanying.base.figures import Figure
from lanying.base.lag import Lag
from lanying.base.logs import setup
from lanying.bus.call import Calls
from lanying.bus.messages import Drain, Envelope, Heartbeat, Reply
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import EXIT_CONFIG, SUPERVISOR

log = logging.getLogger(__name__)


class Process:
    """One loop, a bus, heartbeats and signals.

    :param bus: of a process that makes its own, which gets its envelopes
    :ivar directory: where the others are
    :ivar lag: how late the loop is; None: what the process does every second measures it
    """

    def __init__(
        self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop, bus: Bus | None = None
    ) -> None:
        self.launch = launch
        self.directory = directory
        self.bus = bus or Bus(launch.name, directory, self._envelope)
        self.calls = Calls(self.bus)
        self.lag: Lag | None = Lag(loop)
        self._loop = loop

    async def start(self) -> None:
        """Serve. :raises LanyingError: it cannot; the text says what to change"""
        raise NotImplementedError

    def drain(self, reason: str) -> None:
        """SIGTERM, or an order of the supervisor: finish what is under way and stop the loop. May be called again."""
        raise NotImplementedError

    def close(self) -> None:
        """Release everything: the loop has ended."""
        self.bus.close()

    def figures(self) -> list[Figure]:
        """What a heartbeat says besides the lag; called every :data:`limits.HEARTBEAT_INTERVAL_S`."""
        return []

    def received(self, message: Envelope) -> None:
        """An envelope that is neither an answer to a call nor the order to drain."""
        log.warning("event=unexpected_envelope type=%s", type(message).__name__)

    def begin(self) -> None:
        """It serves: take signals, report to the supervisor from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.drain, signal.Signals(number).name)
        if self.lag is not None:
            self.lag.start()
        self.heartbeat()

    def heartbeat(self) -> None:
        """Report that the loop turns, again and again."""
        figures = self.figures()
        if self.lag is not None:
            figures += self.lag.figures()
        self.bus.send(SUPERVISOR, Heartbeat(self.launch.name, os.getpid(), True, figures))
        self._loop.call_later(limits.HEARTBEAT_INTERVAL_S, self.heartbeat)

    def _envelope(self, message: Envelope) -> None:
        if isinstance(message, Reply):
            self.calls.answered(message)
        elif isinstance(message, Drain):
            self.drain(message.reason)
        else:
            self.received(message)


def settle_memory() -> None:
    """Take what was made so far out of the garbage collector's sight, and let it look seldom: for processes with much in memory."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def run(kind: type[Process]) -> int:
    """Run a process until it is asked to end; its exit code.

    :data:`EXIT_CONFIG`: configuration or data do not allow a start, the log says what to change. 1: another start may do better.
    """
    launch = Launch.read()
    failpoints.here(launch.name)
    setup(launch.name, launch.config.log_level, launch.config.log_format)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        process = kind(launch, Directory.of(launch), loop)
        loop.run_until_complete(process.start())
    except LanyingError as error:
        log.critical("event=cannot_start error=%r", str(error))
        return 1 if isinstance(error, StoreFull) else EXIT_CONFIG  # room may be made; a wrong setting stays wrong
    process.begin()
    loop.run_forever()
    process.close()
    return 0
