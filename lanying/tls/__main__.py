"""The tls process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from pathlib import Path
from typing import Final

from lanying.base.clock import monotonic
from lanying.base.figures import Figure
from lanying.base.peers import Proxies
from lanying.bus.handoff.sender import Sender
from lanying.bus.process import Process, run, settle_memory
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import ROUTER, Launch
from lanying.config.certificates import DIRECTORY, LOOKED_AT_S, SERVER, SERVER_KEY, Certificates
from lanying.tls.names import of_machine
from lanying.tls.terminator import Terminator

DAY_S: Final = 86_400.0

log = logging.getLogger("lanying.tls")


class TlsProcess(Process):
    """Wires the terminator to certificates, the router, heartbeats and signals."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop)
        config = launch.config
        self._local = Path(launch.data) / DIRECTORY if not config.tls_files else None
        self._certificates = (
            Certificates(self._local / SERVER, self._local / SERVER_KEY)
            if self._local
            else Certificates(Path(config.tls_certificate), Path(config.tls_key))
        )
        self._router = Sender(directory.handoff(ROUTER), loop)
        self._terminator = Terminator(
            socket.socket(fileno=launch.fds["tls"]),
            self._certificates.context,
            self._router,
            loop,
            connections=config.max_connections,
            proxies=Proxies(config.listen_proxies),
            leads_to_trust=self._local is not None,
        )

    async def start(self) -> None:
        """Serve."""
        if self._local:
            await self._renew()
        self._certificates.read()
        self.bus.start(self._loop)
        self._router.start()
        settle_memory()
        self._terminator.start()
        self._watching = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOKED_AT_S)
            if self._local and (monotonic() > self._due or set(of_machine()) - self._known):
                await self._renew()
            self._certificates.look()

    async def _renew(self) -> None:
        """Have the certificate looked at, and made anew when it is due: it may be for other names, or about to end."""
        assert self._local is not None
        names = [*dict.fromkeys((*self.launch.config.tls_names, *of_machine()))]
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lanying.tls.authority", str(self._local), *names
        )
        if await program.wait():
            log.error("event=certificate_not_made directory=%s remedy='the lines above say why'", self._local)
        self._known = set(names)
        self._due = monotonic() + DAY_S

    def drain(self, reason: str) -> None:
        """Accept nobody more; end when the last connection has."""
        log.info("event=drain reason=%r", reason)
        self._terminator.drain(self._loop.stop)

    def close(self) -> None:
        """Release everything but the listening socket's port, which is the supervisor's."""
        self._terminator.close()
        self._router.close()
        super().close()

    def figures(self) -> list[Figure]:
        """Those of the terminator."""
        return self._terminator.figures()


if __name__ == "__main__":
    sys.exit(run(TlsProcess))
