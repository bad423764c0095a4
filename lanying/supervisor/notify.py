"""Reports to systemd how the server is: the protocol of ``sd_notify(3)``, a datagram of ``NAME=value`` lines.

Without ``NOTIFY_SOCKET`` in the environment (not started by systemd) nothing happens.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class ServiceNotifier:
    """One service's line to its manager.

    :ivar watchdog_s: seconds between two signs of life, None when nobody waits for them
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # an abstract socket
        patience = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # Half of the manager's patience, as sd_watchdog_enabled(3) recommends.
        self.watchdog_s = int(patience) / 2e6 if self._address and patience.isdecimal() and mine else None

    def send(self, *lines: str) -> None:
        """``READY=1``, ``STOPPING=1``, ``WATCHDOG=1``, ``STATUS=…``; a manager that is away is no reason to stop."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as line:
                line.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("event=notify_failed error=%r", str(error))
