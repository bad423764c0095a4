"""The router process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys

import uvloop

from lanying.base import limits
from lanying.base.lag import Lag
from lanying.base.logs import setup
from lanying.bus.handoff.sender import Sender
from lanying.bus.messages import Drain, Envelope, Heartbeat
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import GATEWAY, SUPERVISOR, Launch
from lanying.router.listener import Listener
from lanying.router.login import Doorkeeper

log = logging.getLogger("lanying.router")


class Process:
    """Wires listener, hand-off, heartbeats and signals to one loop."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
        self._name = launch.name
        self._loop = loop
        self._lag = Lag(loop)
        self._directory = directory = Directory.of(launch)
        self._bus = Bus(launch.name, directory, self._on_message)
        self._shards = _Senders(directory, loop)
        self._gateway = Sender(directory.handoff(GATEWAY), loop)
        self._listener = Listener(
            socket.socket(fileno=launch.fds["listener"]),
            Doorkeeper(launch.app_list(), directory),
            directory,
            self._shards,
            self._gateway,
            loop,
        )

    def start(self) -> None:
        """Serve."""
        self._bus.start(self._loop)
        for shard in self._directory.map.peers:
            self._shards[shard]  # connect now
        self._gateway.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._drain, signal.Signals(number).name)
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        self._listener.start()
        self._lag.start()
        self._heartbeat()

    def close(self) -> None:
        """Release everything but the listening socket's port, which is the supervisor's."""
        self._listener.close()
        for sender in (*self._shards.values(), self._gateway):
            sender.close()
        self._bus.close()

    def _heartbeat(self) -> None:
        self._bus.send(
            SUPERVISOR, Heartbeat(self._name, os.getpid(), True, {**self._listener.figures(), **self._lag.figures()})
        )
        self._loop.call_later(limits.HEARTBEAT_INTERVAL_S, self._heartbeat)

    def _on_message(self, message: Envelope) -> None:
        if isinstance(message, Drain):
            self._drain(message.reason)

    def _drain(self, reason: str) -> None:
        log.info("event=drain reason=%r", reason)
        self._listener.drain(self._loop.stop)


class _Senders(dict[int, Sender]):
    """A started sender for every shard; of one that was not there yet too."""

    def __init__(self, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        self._directory = directory
        self._loop = loop

    def __missing__(self, shard: int) -> Sender:
        sender = self[shard] = Sender(self._directory.handoff(self._directory.process(shard)), self._loop)
        sender.start()
        return sender


def main() -> int:
    """Run the router until it is told to drain."""
    launch = Launch.read()
    setup(launch.name, launch.config.log_level, launch.config.log_format)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    process = Process(launch, loop)
    process.start()
    loop.run_forever()
    process.close()
    loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
