"""Who may connect over TCP: ZeroMQ asks about every CURVE key (ZMQ RFC 27), the ring of keys answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from lanying.admin.keys import ConsoleKey, Ring, Role
from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.base.errors import LanyingError

log = logging.getLogger(__name__)

MAPPED: Final = "::ffff:"
"""Before an IPv4 address on a socket that takes both."""
REFUSED_S: Final = 60.0
"""Between two lines of the log about the same unknown key, which tries again by itself."""


class Authenticator(AsyncioAuthenticator):
    """Passes on the address to the keys as well, which its callback does not get."""

    def __init__(self, context: zmq.asyncio.Context, keys: CurveKeys) -> None:
        super().__init__(context)
        self._keys = keys

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """One question of ZeroMQ after the other: version, its number, domain, address … (ZMQ RFC 27)."""
        self._keys.address = msg[3].decode("ascii", "replace").removeprefix(MAPPED) if len(msg) > 3 else ""
        await super().handle_zap_message(msg)


class CurveKeys:
    """Answers ZeroMQ which CURVE keys may connect.

    :ivar address: where the key comes from that is asked about
    """

    def __init__(self, ring: Callable[[], Ring]) -> None:
        self.address = ""
        self._ring = ring
        self._admitted: set[str] = set()
        self._told: dict[str, float] = {}

    def callback(self, domain: str, key: bytes) -> bool:
        """Is it a registered key? ``key``: Z85 text."""
        public, now = key.decode("ascii", "replace"), monotonic()
        if registered(self._ring, public) is not None:
            self._admitted.add(public)
            return True
        if now - self._told.get(public, -REFUSED_S) >= REFUSED_S:
            if len(self._told) >= limits.ADMIN_QUEUE:
                self._told.clear()
            self._told[public] = now
            text = "event=console_refused address=%s key=%s reason='not a registered key'"
            log.warning(text, self.address, public)
        return False

    def forget_others(self, public: set[str]) -> set[str]:
        """Keys that were let in once and are none of these."""
        gone = self._admitted - public
        self._admitted &= public
        return gone


def registered(ring: Callable[[], Ring], key: str) -> ConsoleKey | None:
    """The console of a key. While the file of keys cannot be read nobody is let in, and the endpoint goes on."""
    try:
        console = ring().console(key)
    except LanyingError as error:
        log.error("event=keys_unreadable error=%r", str(error))
        return None
    if console is not None and console.role.upper() not in Role.__members__:
        log.error("event=keys_unreadable error='%s has the role %r, which there is not'", console.name, console.role)
        return None
    return console
