"""Who may open another connection: a token bucket per address, and a total of connections without a login.

The bucket is kept as the time at which it will be full again (GCRA): one float per address. An address whose time has
passed has a full bucket and needs no entry, so memory is bounded by the addresses of the last second.
"""

from __future__ import annotations

import enum
from ipaddress import IPv6Address
from typing import Final

from lanying.base import limits

ADDRESSES: Final = 16_384
"""Addresses remembered. When more connect within a second, newcomers get no entry and only the total limits them."""


class Admission(enum.Enum):
    """The answer to a new connection."""

    OK = "ok"
    TOO_FAST = "too_fast"
    FULL = "full"


class Throttle:
    """Admission of connections. ``now`` is monotonic seconds everywhere.

    Loopback is exempt from the rate per address: whoever connects from this machine is a TLS proxy in front of
    everybody, a tool of the operator or a test.

    :param per_s: connections of one address per second, and the size of its bucket
    :param total: connections admitted and not yet released
    :ivar pending: connections admitted and not yet released
    """

    __slots__ = ("_addresses", "_full_again", "_interval_s", "_sweep_at", "_total", "pending")

    def __init__(
        self,
        per_s: int = limits.CONNECTIONS_PER_ADDRESS_PER_S,
        total: int = limits.PENDING_CONNECTIONS,
        addresses: int = ADDRESSES,
    ) -> None:
        self._interval_s = 1.0 / per_s
        self._total = total
        self._addresses = addresses
        self._full_again: dict[str, float] = {}
        self._sweep_at = 0.0
        self.pending = 0

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._full_again)

    def admit(self, address: str, now: float) -> Admission:
        """Ask for one more connection; OK counts it as pending until :meth:`release`."""
        if self.pending >= self._total:
            return Admission.FULL
        if not is_loopback(address):
            key = address if ":" not in address else network(address)
            full_again = max(self._full_again.get(key, now), now) + self._interval_s
            if full_again > now + 1.0 + self._interval_s / 2:  # half a token of slack for rounding
                return Admission.TOO_FAST
            if key in self._full_again or self._room(now):
                self._full_again[key] = full_again
        self.pending += 1
        return Admission.OK

    def release(self) -> None:
        """A connection is logged in, handed over or closed."""
        assert self.pending > 0
        self.pending -= 1

    def _room(self, now: float) -> bool:
        if len(self._full_again) < self._addresses:
            return True
        if now >= self._sweep_at:  # at most once a second: a sweep of a table that stays full is not free
            self._sweep_at = now + 1.0
            self._full_again = {key: at for key, at in self._full_again.items() if at > now}
        return len(self._full_again) < self._addresses


def is_loopback(address: str) -> bool:
    """Whether the peer is on this machine."""
    return address.startswith("127.") or address == "::1"


def network(address: str) -> str:
    """What counts as one peer in IPv6: the /64, of which a single subscriber has all."""
    return address if "%" in address else str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))


def plain_address(address: str) -> str:
    """An address as the kernel gives it, an IPv4 one behind a dual-stack listener in its usual form."""
    return address.removeprefix("::ffff:") if "." in address else address
