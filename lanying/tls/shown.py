"""What the server shows to TLS clients, and has made and renewed: by whom, the configuration says."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lanying.base.clock import monotonic
from lanying.cluster.launch import Launch
from lanying.config.certificates import (
    CHALLENGES,
    DIRECTORY,
    LOOKED_AT_S,
    SERVER,
    SERVER_KEY,
    Certificates,
    server_context,
)
from lanying.tls.names import of_machine

log = logging.getLogger(__name__)

RENEWED_S: Final = 6 * 3600.0
"""How often it is looked whether a certificate is due."""
FIRST_S: Final = 5.0
"""Until the first time: the port over which a name is proved is opened when this process is ready."""
AGAIN_S: Final = 60.0
"""After an authority has refused; twice as long each time, as authorities count attempts."""
ALPN: Final = "acme-tls/1"


class Shown:
    """The certificate, and the programs that make it."""

    def __init__(self, launch: Launch) -> None:
        self._config = config = launch.config
        self._directory = Path(launch.data) / DIRECTORY
        own = (self._directory / SERVER, self._directory / SERVER_KEY)
        if config.tls_source == "files":
            self._certificates = Certificates((Path(config.tls_certificate), Path(config.tls_key)))
        elif config.tls_source == "acme":
            public = self._directory / f"acme-{urlsplit(config.acme_directory).hostname}"
            self._certificates = Certificates((public / SERVER, public / SERVER_KEY), until=own)
        else:
            self._certificates = Certificates(own)
        self._known: set[str] = set()
        self._due = 0.0
        self._patience = AGAIN_S
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """There is something to show when this returns. :raises ConfigError: files that are no good"""
        if self._config.tls_source != "files":
            await self._make()
        self._certificates.read()
        if self._config.tls_source == "acme":
            self._due = monotonic() + FIRST_S
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Look after nothing any more."""
        if self._task is not None:
            self._task.cancel()

    def context(self, hello: bytes) -> ssl.SSLContext:
        """For a newcomer whose first bytes are these."""
        if ALPN.encode() in hello and self._config.tls_source == "acme":
            proof = self._proof(hello)
            if proof is not None:
                return proof
        return self._certificates.context()

    def _proof(self, hello: bytes) -> ssl.SSLContext | None:
        """What an authority wants to see that looks whether a name leads here (RFC 8737); the name stands in the clear."""
        for file in (self._directory / CHALLENGES).glob("*.pem"):
            if file.stem.encode() in hello:
                context = server_context(file, file)
                context.set_alpn_protocols([ALPN])
                return context
        return None

    async def _watch(self) -> None:
        while True:
            if self._config.tls_source == "acme" and monotonic() > self._due:
                self._due = monotonic() + (RENEWED_S if await self._ask() else self._wait_again())
            elif self._config.tls_source == "local" and (monotonic() > self._due or set(of_machine()) - self._known):
                await self._make()
            self._certificates.look()
            await asyncio.sleep(min(LOOKED_AT_S, max(self._due - monotonic(), 1.0)))

    def _wait_again(self) -> float:
        wait = self._patience
        self._patience = min(2 * wait, RENEWED_S)
        return wait

    async def _make(self) -> None:
        """Have the server's own authority look at its certificate, and make it anew when it is due or for other names."""
        names = [*dict.fromkeys((*self._config.tls_names, *of_machine()))]
        if await _run("lanying.tls.authority", str(self._directory), *names):
            log.error("event=certificate_not_made directory=%s remedy='the lines above say why'", self._directory)
        self._known = set(names)
        if self._config.tls_source == "local":
            self._due = monotonic() + RENEWED_S

    async def _ask(self) -> bool:
        """Have the public authority asked, if one is due; whether all is well."""
        config = self._config
        challenge = config.challenge
        asked = (config.acme_directory, challenge, config.acme_email, *config.tls_names)
        failed = await _run("lanying.tls.acme", str(self._directory), *asked)
        if failed:
            port = 80 if challenge == "http-01" else 443
            log.error(
                "event=certificate_refused names=%s remedy='the line above says why; the names have to lead to this server, port %d'",
                ",".join(config.tls_names),
                port,
            )
        else:
            self._patience = AGAIN_S
        return not failed


async def _run(module: str, *arguments: str) -> int:
    """Exit status of a program; one that cannot be started has failed, and is tried again like every other."""
    try:
        program = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments)
    except OSError as error:
        log.error("event=program_not_started module=%s error=%r", module, str(error))
        return 1
    return await program.wait()
