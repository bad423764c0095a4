"""The gateway process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import make_asgi_app

from lanying.base import limits
from lanying.base.errors import LanyingError
from lanying.base.lag import Lag
from lanying.base.logs import setup
from lanying.bus.call import Calls
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import decode_visitor
from lanying.bus.messages import AdminRequest, Drain, Envelope, Heartbeat, Reconfigure, Reply
from lanying.bus.messages.base import R
from lanying.bus.shards import BusShards
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import ADMIN, EXIT_CONFIG, SUPERVISOR, Launch
from lanying.config.runtime import RuntimeSettings
from lanying.gateway.app import build
from lanying.gateway.http.endpoint import Services
from lanying.gateway.http.metrics import Metrics, ProcessCollector
from lanying.gateway.http.metrics_page import DEADLINE_S, MetricsPage, ProcessRows
from lanying.gateway.server import Adopter
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.supervisor import control

log = logging.getLogger("lanying.gateway")

DRAIN_S = 3.0
"""Requests in flight get this long; the longest call to a shard is not waited for."""


class Process:
    """Wires bus, hand-off, application and heartbeats to one loop."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
        self.launch = launch
        self._loop = loop
        self._draining: asyncio.Task[None] | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._metrics = Metrics()
        self._lag = Lag(loop)
        directory = Directory.of(launch)
        self.bus = Bus(launch.name, directory, self._envelope)
        self.calls = Calls(self.bus)
        shards = BusShards(self.calls, directory, launch.config.rest.call_timeout_ms / 1000)
        settings = RuntimeSettings(launch.config)
        apps, data = launch.app_list(settings), Path(launch.data)
        self.services = Services(settings, apps, shards, data=data, ask_admin=self._ask_admin)
        self.adopter = Adopter(build(self.services, self._metrics), loop)
        self.receiver = Receiver(directory.handoff(launch.name), self.accept, loop)

    async def start(self) -> None:
        """Serve."""
        self.bus.start(self._loop)
        if "metrics" in self.launch.fds:
            rows = ProcessRows(self._rows)
            self._metrics.registry.register(ProcessCollector(lambda: rows.rows))
            page = Adopter(MetricsPage(make_asgi_app(self._metrics.registry), rows), self._loop)
            listener = socket.socket(fileno=self.launch.fds["metrics"])
            await self._loop.create_server(page.protocol, sock=listener)
        self.receiver.start()
        self._housekeeping = self._loop.create_task(self.services.files.housekeeping(), name="files")
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.drain)
        self._lag.start()
        self.heartbeat()

    def accept(self, fd: int, record: bytes) -> wire.Verdict:
        """An HTTP client's socket from the router."""
        if self._draining is not None:
            return wire.Refused(Status.FAIL, "the server is stopping")
        visitor = decode_visitor(record)
        self.adopter.adopt(socket.socket(fileno=fd), visitor.first_bytes, visitor.address)
        return wire.ACCEPTED

    def heartbeat(self) -> None:
        """Tell the supervisor that the loop turns."""
        figures = {
            "connections": float(self.adopter.connections),
            "requests": float(self._metrics.total),
            "passwords_waiting": float(self.services.passwords.waiting),
            **self._lag.figures(),
        }
        self.bus.send(SUPERVISOR, Heartbeat(self.launch.name, os.getpid(), True, figures))
        self.adopter.tell_time()
        self._loop.call_later(limits.HEARTBEAT_INTERVAL_S, self.heartbeat)

    def _rows(self) -> list[dict[str, Any]]:
        """Every process as the supervisor has it. Blocks. :raises LanyingError: it does not answer"""
        status = control.ask(self.launch.run, {"do": "status"}, DEADLINE_S)
        own = {"name": SUPERVISOR, "state": "ready", "restarts": 0, "figures": status["figures"]}
        return [*status["processes"], own]

    def drain(self) -> None:
        """SIGTERM: take no more sockets, finish what runs, end the loop."""
        if self._draining is None:
            self.receiver.close()
            self._draining = self._loop.create_task(self._finish(), name="drain")

    def close(self) -> None:
        """Release everything."""
        self.bus.close()
        self.services.passwords.close()

    async def _ask_admin(self, request: AdminRequest[R]) -> R:
        return await self.calls.ask(ADMIN, request)

    def _envelope(self, message: Envelope) -> None:
        if isinstance(message, Reply):
            self.calls.answered(message)
        elif isinstance(message, Drain):
            self.drain()
        elif isinstance(message, Reconfigure):
            self.services.settings.change(message.key, message.value)
        else:
            log.warning("event=unexpected_envelope type=%s", type(message).__name__)

    async def _finish(self) -> None:
        try:
            await self.adopter.drain(DRAIN_S)
        finally:
            self._loop.stop()


def main() -> int:
    """Run the gateway until it is told to stop."""
    launch = Launch.read()
    setup(launch.name, launch.config.log_level, launch.config.log_format)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        process = Process(launch, loop)
    except LanyingError as error:
        log.critical("event=cannot_start error=%s", error)
        return EXIT_CONFIG
    loop.run_until_complete(process.start())
    loop.run_forever()
    process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
