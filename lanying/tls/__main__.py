"""The tls process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Final

from lanying.base.figures import Figure
from lanying.base.peers import Proxies
from lanying.bus.handoff.sender import Sender
from lanying.bus.process import Process, run, settle_memory
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import ROUTER
from lanying.tls.kernel import Kernel
from lanying.tls.shown import Shown
from lanying.tls.terminator import Terminator

log = logging.getLogger("lanying.tls")

DRAIN_S: Final = 5.0
"""How long a drain waits for connections that the processes behind have not closed."""


class TlsProcess(Process):
    """Wires the terminator to certificates, the router, heartbeats and signals."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop)
        config = launch.config
        self._shown = Shown(launch)
        self._kernel = Kernel.find() if config.tls_kernel else None
        self._router = Sender(directory.handoff(ROUTER), loop)
        self._terminator = Terminator(
            [socket.socket(fileno=fd) for fd in launch.fds.values()],
            self._shown.context,
            self._router,
            loop,
            connections=config.max_connections,
            proxies=Proxies(config.listen_proxies),
            places=launch.allotted.waiting_connections,
            places_per_peer=launch.allotted.waiting_per_peer,
            port=config.tls_address[1],
            kernel=self._kernel,
            leads_to_trust=config.tls_source == "local",
        )

    async def start(self) -> None:
        """Serve."""
        await self._shown.start()
        self.bus.start(self._loop)
        self._router.start()
        settle_memory()
        self._terminator.start()
        log.info("event=serving by=%s", "relay" if self._kernel is None else "kernel")

    def drain(self, reason: str) -> None:
        """Accept nobody more; end when the last connection has."""
        log.info("event=drain reason=%r", reason)
        self._terminator.drain(self._loop.stop)
        self._loop.call_later(DRAIN_S, self._loop.stop)

    def close(self) -> None:
        """Release everything but the listening socket's port, which is the supervisor's."""
        self._shown.stop()
        if self._kernel is not None:
            self._kernel.close()
        self._terminator.close()
        self._router.close()
        super().close()

    def figures(self) -> list[Figure]:
        """Those of the terminator."""
        return self._terminator.figures()


def main() -> int:
    """Run until asked to stop."""
    return run(TlsProcess)


if __name__ == "__main__":
    sys.exit(main())
