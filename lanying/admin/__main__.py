"""The admin process."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import msgspec
import zmq

from lanying.admin.announced import NetworkName, offered
from lanying.admin.commands import shards, web
from lanying.admin.endpoint import ConsoleEndpoint
from lanying.admin.files import ServerFiles
from lanying.admin.server import Server
from lanying.base.errors import ConfigError
from lanying.bus.messages import Call, Envelope, LogLine, Message, ProcessEvent, Traced
from lanying.bus.process import Process, run
from lanying.bus.shards import BusShards
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.config.runtime import RuntimeSettings

log = logging.getLogger("lanying.admin")


class AdminProcess(Process):
    """Wires bus, endpoint and heartbeats to one loop."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop)
        self._last_words: asyncio.Task[None] | None = None
        self._announced: NetworkName | None = None
        files = ServerFiles(Path(launch.data))
        settings = RuntimeSettings(launch.config)
        shards_ = BusShards(self.calls, directory)
        self.server = Server(settings, launch.app_list(settings), shards_, files, self._send)
        self.endpoint = ConsoleEndpoint(self.server, files.ring)
        self.server.publish = self.endpoint.publish

    async def start(self) -> None:
        """Serve. :raises ConfigError: the address of ``admin.listen`` cannot be had"""
        self.bus.start(self._loop)
        self.endpoint.listen_local()
        listen = self.launch.config.admin.listen
        if listen:
            host, _, port = listen.rpartition(":")
            try:
                self.endpoint.listen_tcp(host, int(port))
            except zmq.ZMQError as error:
                raise ConfigError(f"{error}; give another admin.listen than {listen}") from error
        if (offer := offered(self.launch.config)) is not None:
            self._announced = NetworkName(self.launch.config.mdns_name, *offer)
            self._announcing = self._loop.create_task(self._announced.run(), name="announce")
        self._outcome = self._loop.create_task(shards.tell_outcome(self.server), name="tell-outcome")

    def drain(self, reason: str) -> None:
        """End as soon as what is about to be answered is."""
        if self._last_words is None:
            self._last_words = self._loop.create_task(self._end(), name="last-words")
            self._last_words.add_done_callback(lambda _: self._loop.stop())

    async def _end(self) -> None:
        await self.endpoint.last_words()
        if self._announced is not None:
            self._announcing.cancel()
            await self._announced.stop()

    def close(self) -> None:
        """Release everything."""
        self.endpoint.close()
        super().close()
        self.server.close()

    def received(self, message: Envelope) -> None:
        """Calls of the gateway's pages, what followers asked for, and what happens to processes."""
        if isinstance(message, Call):
            if (reply := web.answer(self.server, message)) is not None:
                self.bus.send(message.caller, reply)
        elif isinstance(message, LogLine | Traced):
            self.server.followers.tell(message)
        elif isinstance(message, ProcessEvent):
            self.server.publish("process", msgspec.structs.asdict(message))

    def _send(self, process: str, message: Message) -> None:
        self._loop.call_soon_threadsafe(self.bus.send, process, message)


def main() -> int:
    """Run until asked to stop."""
    return run(AdminProcess)


if __name__ == "__main__":
    sys.exit(main())
