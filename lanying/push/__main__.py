"""The push process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from lanying.base import limits
from lanying.base.lag import Lag
from lanying.base.logs import setup
from lanying.bus.call import Calls
from lanying.bus.messages import Drain, Envelope, Heartbeat, PushesWait, Reply
from lanying.bus.shards import BusShards
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import SUPERVISOR, Launch
from lanying.config.notifiers import Notifiers
from lanying.push.service import Service
from lanying.push.vendors import Vendors

log = logging.getLogger("lanying.push")

DRAIN_S = 3.0
"""Requests to vendors under way get this long; what is cut off is sent again after the next start."""


class Process:
    """Wires bus, service and heartbeats to one loop."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
        self.launch = launch
        self._loop = loop
        self._lag = Lag(loop)
        self._draining: asyncio.Task[None] | None = None
        directory = Directory.of(launch)
        self.bus = Bus(launch.name, directory, self._envelope)
        self.calls = Calls(self.bus)
        self.vendors = Vendors()
        shards = BusShards(self.calls, directory)
        self.service = Service(shards, launch.app_list(), Notifiers(Path(launch.data)), self.vendors)

    async def start(self) -> None:
        """Serve."""
        self.bus.start(self._loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.drain)
        self.service.start()
        self._lag.start()
        self.heartbeat()

    def heartbeat(self) -> None:
        """Tell the supervisor that the loop turns."""
        figures = {**self.service.figures(), **self._lag.figures()}
        self.bus.send(SUPERVISOR, Heartbeat(self.launch.name, os.getpid(), True, figures))
        self._loop.call_later(limits.HEARTBEAT_INTERVAL_S, self.heartbeat)

    def drain(self) -> None:
        """SIGTERM: finish what is with the vendors and end."""
        if self._draining is None:
            self._draining = self._loop.create_task(self._finish(), name="drain")

    def close(self) -> None:
        """Release everything."""
        self.bus.close()

    def _envelope(self, message: Envelope) -> None:
        if isinstance(message, Reply):
            self.calls.answered(message)
        elif isinstance(message, PushesWait):
            self.service.awaken(message.source)
        elif isinstance(message, Drain):
            self.drain()

    async def _finish(self) -> None:
        try:
            await self.service.drain(DRAIN_S)
            await self.vendors.close()
        finally:
            self._loop.stop()


def main() -> int:
    """Run until told to stop."""
    launch = Launch.read()
    setup(launch.name, launch.config.log_level, launch.config.log_format)
    for name in (
        "httpx",
        "httpcore",
        "hpack",
        "h2",
    ):  # a line per request, and Apple's addresses contain tokens of devices
        logging.getLogger(name).setLevel(logging.WARNING)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    process = Process(launch, loop)
    loop.run_until_complete(process.start())
    loop.run_forever()
    process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
