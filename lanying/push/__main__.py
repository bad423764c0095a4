"""The push process."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from lanying.base.figures import Figure
from lanying.bus.messages import Envelope, PushesWait
from lanying.bus.process import Process, run
from lanying.bus.shards import BusShards
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.config.notifiers import Notifiers
from lanying.push.service import Service
from lanying.push.vendors import Vendors

log = logging.getLogger("lanying.push")

DRAIN_S = 3.0
"""Requests to vendors under way get this long; what is cut off is sent again after the next start."""


class PushProcess(Process):
    """Wires bus, service and heartbeats to one loop."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop)
        self._draining: asyncio.Task[None] | None = None
        self.vendors = Vendors()
        shards = BusShards(self.calls, directory)
        self.service = Service(shards, launch.app_list(), Notifiers(Path(launch.data)), self.vendors)

    async def start(self) -> None:
        """Serve."""
        self.bus.start(self._loop)
        self.service.start()

    def drain(self, reason: str) -> None:
        """Finish what is with the vendors and end."""
        if self._draining is None:
            self._draining = self._loop.create_task(self._finish(), name="drain")

    def figures(self) -> list[Figure]:
        """Those of the service."""
        return self.service.figures()

    def received(self, message: Envelope) -> None:
        """Shards announce pushes."""
        if isinstance(message, PushesWait):
            self.service.awaken(message.source)

    async def _finish(self) -> None:
        try:
            await self.service.drain(DRAIN_S)
            await self.vendors.close()
        finally:
            self._loop.stop()


def main() -> int:
    """Run until asked to stop."""
    for name in (
        "httpx",
        "httpcore",
        "hpack",
        "h2",
    ):  # a line per request, and Apple's addresses contain tokens of devices
        logging.getLogger(name).setLevel(logging.WARNING)
    return run(PushProcess)


if __name__ == "__main__":
    sys.exit(main())
