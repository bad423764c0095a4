"""The router process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from lanying.base.clock import wall_ms
from lanying.base.figures import Figure
from lanying.base.peers import Proxies
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import decode_tunnelled
from lanying.bus.handoff.sender import Sender
from lanying.bus.handoff.wire import ACCEPTED, Verdict
from lanying.bus.process import Process, run, settle_memory
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import GATEWAY, ROUTER
from lanying.router.listener import Listener
from lanying.router.login import Doorkeeper

log = logging.getLogger("lanying.router")


class RouterProcess(Process):
    """Wires listener, hand-off, heartbeats and signals to one loop."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop)
        self._shards = _Senders(directory, loop)
        self._gateway = Sender(directory.handoff(GATEWAY), loop)
        self._tunnels = Receiver(directory.handoff(ROUTER), self._tunnelled, loop) if launch.config.listen_tls else None
        self._listener = Listener(
            socket.socket(fileno=launch.fds["listen"]) if "listen" in launch.fds else None,
            Doorkeeper(launch.app_list(), directory, wall_ms),
            directory,
            self._shards,
            self._gateway,
            loop,
            proxies=Proxies(launch.config.listen_proxies),
            places=launch.allotted.waiting_connections,
            places_per_peer=launch.allotted.waiting_per_peer,
        )

    async def start(self) -> None:
        """Serve."""
        self.bus.start(self._loop)
        for shard in self.directory.map.peers:
            self._shards[shard]  # connect now
        self._gateway.start()
        settle_memory()
        self._listener.start()
        if self._tunnels is not None:
            self._tunnels.start()

    def _tunnelled(self, fd: int, record: bytes) -> Verdict:
        found = decode_tunnelled(record)
        self._listener.welcome(fd, found.address, secure=found.secure, first=found.first)
        return ACCEPTED

    def drain(self, reason: str) -> None:
        """Refuse new connections, finish logins under way."""
        log.info("event=drain reason=%r", reason)
        self._listener.drain(self._loop.stop)

    def close(self) -> None:
        """Release everything but the listening socket's port, which is the supervisor's."""
        self._listener.close()
        if self._tunnels is not None:
            self._tunnels.close()
        for sender in (*self._shards.values(), self._gateway):
            sender.close()
        super().close()

    def figures(self) -> list[Figure]:
        """Those of the listener."""
        return self._listener.figures()


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
    """Run until asked to stop."""
    return run(RouterProcess)


if __name__ == "__main__":
    sys.exit(main())
