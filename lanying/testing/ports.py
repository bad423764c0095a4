"""Ports for servers that have to be given one: below those that the kernel gives to whoever asks for any."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

FIRST: Final = 15_000
LAST: Final = 32_000
"""Linux gives out 32768 and above, also to every connection that begins: a port from there is soon somebody else's."""


def free_port(count: int = 1) -> int:
    """The first of ``count`` ports in a row that nobody listens on, at random: other runs look for some as well."""
    while True:
        port = random.SystemRandom().randrange(FIRST, LAST)
        with contextlib.ExitStack() as held:
            try:
                for number in range(port, port + count):
                    held.enter_context(socket.create_server(("127.0.0.1", number)))
            except OSError:
                continue
        return port
