"""The server's name in a network without a name server: ``lanying.local``, and the chat as a service, by mDNS (RFC 6762, RFC 6763).

The name goes to whoever had it first: behind another server with ``lanying.local``, this one is announced by the machine's own name, which
is in the certificate, too. Avahi on the same machine is no hindrance: both listen to the same port.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from lanying.config.schema import Config
from lanying.supervisor.machine import is_loopback
from lanying.tls.names import addresses, host_name

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

log = logging.getLogger("lanying.admin")

ASKED_MS: Final = 1500
"""How long another owner of a name has for an answer."""
LOOKED_S: Final = 60.0
"""How often this machine's addresses are looked at: a network that came late, a new lease."""
SERVICES: Final = {"https": "_https._tcp.local.", "http": "_http._tcp.local."}


def offered(config: Config) -> tuple[str, int] | None:
    """Scheme and port that a network can reach; None: there is nothing to announce."""
    if config.mdns_name and config.listen_tls and not is_loopback(config.tls_address[0]):
        return "https", config.tls_address[1]
    if config.mdns_name and config.listen and not is_loopback(config.address[0]):
        return "http", config.address[1]
    return None


class NetworkName:
    """Says the name to the network, for as long as the process lives.

    :param interfaces: addresses to speak from; None: those of every network of this machine
    :ivar name: the one that is announced, such as ``lanying.local``; empty: none yet
    """

    def __init__(self, name: str, scheme: str, port: int, interfaces: Sequence[str] | None = None) -> None:
        self._names = [f"{each}.local" for each in dict.fromkeys((name, host_name()))]
        self._scheme = scheme
        self._port = port
        self._interfaces = interfaces
        self._voice: AsyncZeroconf | None = None
        self._said: list[str] = []
        self.name = ""

    async def run(self) -> None:
        """Announce, and again when this machine's addresses change. Whatever goes wrong is in the log, and tried again."""
        from zeroconf import Error

        while True:
            found = list(self._interfaces or addresses())
            if found != self._said:
                try:
                    await self.stop()
                    await self._announce(found)
                except (OSError, Error, TimeoutError) as error:
                    log.warning("event=mdns_failed error=%r remedy='mdns_name = \"\" turns it off'", str(error))
            await asyncio.sleep(LOOKED_S)

    async def stop(self) -> None:
        """Take the name back."""
        voice, self._voice, self.name, self._said = self._voice, None, "", []
        if voice is not None:
            with suppress(OSError):
                await voice.async_close()

    async def _announce(self, found: list[str]) -> None:
        # 5 MB that only a server on a network needs.
        from zeroconf import IPVersion, ServiceInfo
        from zeroconf.asyncio import AsyncZeroconf

        if not found:
            return
        voice = self._voice = AsyncZeroconf(interfaces=found, ip_version=IPVersion.V4Only)
        name = await self._free(voice, found)
        if not name:
            log.warning("event=mdns_taken names=%s remedy='set mdns_name to another name'", ",".join(self._names))
            return
        kind = SERVICES[self._scheme]
        service = ServiceInfo(
            kind, f"{name.partition('.')[0]}.{kind}", port=self._port, server=f"{name}.",
            parsed_addresses=found, properties={"path": "/"},
        )  # fmt: skip
        await (await voice.async_register_service(service, allow_name_change=True))
        self._said, self.name = found, name
        log.info("event=mdns_announced name=%s url=%s://%s:%d", name, self._scheme, name, self._port)

    async def _free(self, voice: AsyncZeroconf, found: list[str]) -> str:
        """The first of the names that nobody else answers to; empty: each is somebody's."""
        from zeroconf import AddressResolverIPv4  # type: ignore[attr-defined]  # public, but for the typing

        for name in self._names:
            owner = AddressResolverIPv4(f"{name}.")
            if not await owner.async_request(voice.zeroconf, ASKED_MS) or set(owner.parsed_addresses()) & set(found):
                return name
        return ""
