"""The admin process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

import msgspec
import uvloop
import zmq

from lanying.admin import keys
from lanying.admin.commands import shards, web
from lanying.admin.endpoint import Endpoint
from lanying.admin.server import Server
from lanying.base import limits
from lanying.base.errors import LanyingError
from lanying.base.lag import Lag
from lanying.base.logs import setup
from lanying.bus.call import Calls
from lanying.bus.messages import Call, Drain, Envelope, Heartbeat, LogLine, Message, ProcessEvent, Reply, Traced
from lanying.bus.shards import BusShards
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import EXIT_CONFIG, SUPERVISOR, Launch
from lanying.config.runtime import RuntimeSettings

log = logging.getLogger("lanying.admin")


class Process:
    """Wires bus, endpoint and heartbeats to one loop."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
        self.launch = launch
        self._loop = loop
        directory = Directory.of(launch)
        self.bus = Bus(launch.name, directory, self._envelope)
        self.lag = Lag(loop)
        self.calls = Calls(self.bus)
        data = Path(launch.data)
        settings = RuntimeSettings(launch.config)
        shards_ = BusShards(self.calls, directory)
        self.server = Server(settings, launch.app_list(settings), shards_, data, self._send)
        self.endpoint = Endpoint(self.server, partial(keys.load, data))
        self.server.publish = self.endpoint.publish

    async def start(self) -> None:
        """Serve. :raises ConfigError: the address cannot be had"""
        self.bus.start(self._loop)
        self.endpoint.listen_local()
        if self.launch.config.admin.listen:
            host, _, port = self.launch.config.admin.listen.rpartition(":")
            self.endpoint.listen_tcp(host, int(port))
        self._outcome = asyncio.create_task(shards.tell_outcome(self.server), name="tell-outcome")
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.leave)
        self.lag.start()
        self.heartbeat()

    def leave(self) -> None:
        """End as soon as what is about to be answered is."""
        self._last_words = self._loop.create_task(self.endpoint.last_words(), name="last-words")
        self._last_words.add_done_callback(lambda _: self._loop.stop())

    def heartbeat(self) -> None:
        """Tell the supervisor that the loop turns."""
        self.bus.send(SUPERVISOR, Heartbeat(self.launch.name, os.getpid(), True, self.lag.figures()))
        self._loop.call_later(limits.HEARTBEAT_INTERVAL_S, self.heartbeat)

    def close(self) -> None:
        """Release everything."""
        self.endpoint.close()
        self.bus.close()
        self.server.close()

    def _send(self, process: str, message: Message) -> None:
        self._loop.call_soon_threadsafe(self.bus.send, process, message)

    def _envelope(self, message: Envelope) -> None:
        if isinstance(message, Reply):
            self.calls.answered(message)
        elif isinstance(message, Call):
            self.bus.send(message.caller, web.answer(self.server, message))
        elif isinstance(message, LogLine | Traced):
            self.server.followers.tell(message)
        elif isinstance(message, ProcessEvent):
            self.server.publish("process", msgspec.structs.asdict(message))
        elif isinstance(message, Drain):
            self.leave()


def main() -> int:
    """Run until told to stop."""
    launch = Launch.read()
    setup(launch.name, launch.config.log_level, launch.config.log_format)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    process = Process(launch, loop)
    try:
        loop.run_until_complete(process.start())
    except (LanyingError, zmq.ZMQError) as error:
        log.critical("event=cannot_start error=%r remedy='give another admin.listen'", str(error))
        return EXIT_CONFIG
    loop.run_forever()
    process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
