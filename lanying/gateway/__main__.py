"""The gateway process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from pathlib import Path

from prometheus_client import make_asgi_app

from lanying.base.figures import Figure
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import decode_visitor
from lanying.bus.messages import AdminRequest, Envelope, Reconfigure
from lanying.bus.messages.base import R
from lanying.bus.process import Process, run
from lanying.bus.shards import BusShards
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import ADMIN, SUPERVISOR
from lanying.config.runtime import RuntimeSettings
from lanying.gateway.app import build
from lanying.gateway.http.connection import Hall
from lanying.gateway.http.metrics import Metrics, ProcessCollector
from lanying.gateway.http.metrics_page import DEADLINE_S, MetricsPage, ProcessRows
from lanying.gateway.server import HttpServer
from lanying.gateway.services.services import Services
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.supervisor import control
from lanying.supervisor.answers import ProcessStatus
from lanying.supervisor.requests import StatusRequest

log = logging.getLogger("lanying.gateway")

DRAIN_S = 3.0
"""Requests in flight get this long; the longest call to a shard is not waited for."""


class GatewayProcess(Process):
    """Wires bus, hand-off, application and heartbeats to one loop."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop)
        self._draining: asyncio.Task[None] | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._metrics = Metrics()
        shards = BusShards(self.calls, directory, launch.config.rest.call_timeout_ms / 1000)
        settings = RuntimeSettings(launch.config)
        apps, data = launch.app_list(settings), Path(launch.data)
        allotted = launch.allotted
        self.services = Services(settings, apps, shards, data=data, ask_admin=self._ask_admin, allotted=allotted)
        hall = Hall(self.services.proxies, allotted.rest_connections, allotted.rest_connections_per_peer)
        self.server = HttpServer(build(self.services, self._metrics), loop, hall)
        self.receiver = Receiver(directory.handoff(launch.name), self.accept, loop)

    async def start(self) -> None:
        """Serve."""
        self.bus.start(self._loop)
        if "metrics_port" in self.launch.fds:
            rows = ProcessRows(self._rows)
            self._metrics.registry.register(ProcessCollector(lambda: rows.rows))
            page = HttpServer(MetricsPage(make_asgi_app(self._metrics.registry), rows), self._loop)
            listener = socket.socket(fileno=self.launch.fds["metrics_port"])
            await self._loop.create_server(page.protocol, sock=listener)
        self.receiver.start()
        self._housekeeping = self._loop.create_task(self.services.files.housekeeping(), name="files")

    def accept(self, fd: int, record: bytes) -> wire.Verdict:
        """An HTTP client's socket from the router."""
        if self._draining is not None:
            return wire.HandoffRefused(Status.FAIL, "the server is stopping")
        visitor = decode_visitor(record)
        self.server.adopt(socket.socket(fileno=fd), visitor.first_bytes, visitor.address, visitor.secure)
        return wire.ACCEPTED

    def heartbeat(self) -> None:
        """As every process, and a new date for HTTP answers."""
        super().heartbeat()
        self.server.tell_time()

    def figures(self) -> list[Figure]:
        """Connections, requests, passwords."""
        return [
            Figure("connections", float(self.server.connections)),
            Figure("requests", float(self._metrics.total)),
            Figure("passwords_waiting", float(self.services.passwords.waiting)),
        ]

    def _rows(self) -> list[ProcessStatus]:
        """Every process as the supervisor has it. Blocks. :raises LanyingError: it does not answer"""
        status = control.ask(self.launch.run, StatusRequest(), DEADLINE_S)
        own = ProcessStatus(SUPERVISOR, status.pid, "ready", figures=status.figures, series=status.series)
        return [*status.processes, own]

    def drain(self, reason: str) -> None:
        """Take no more sockets, finish what runs, end the loop."""
        if self._draining is None:
            self.receiver.close()
            self._draining = self._loop.create_task(self._finish(), name="drain")

    def close(self) -> None:
        """Release everything."""
        super().close()
        self.services.passwords.close()

    async def _ask_admin(self, request: AdminRequest[R]) -> R:
        return await self.calls.ask(ADMIN, request)

    def received(self, message: Envelope) -> None:
        """A setting has changed."""
        if isinstance(message, Reconfigure):
            self.services.settings.change(message.key, message.value)
        else:
            super().received(message)

    async def _finish(self) -> None:
        try:
            await self.server.drain(DRAIN_S)
        finally:
            self._loop.stop()


def main() -> int:
    """Run until asked to stop."""
    return run(GatewayProcess)


if __name__ == "__main__":
    sys.exit(main())
