"""Who may open another connection: a rate per address, and a total of connections without a login."""

from __future__ import annotations

import enum
from ipaddress import IPv6Address
from typing import Final

from lanying.base import limits
from lanying.base.rate import Rate, RateLimiter

ADDRESSES: Final = 16_384
"""Addresses remembered. When more connect within a second, the rate of those seen longest ago begins anew; the total limits all."""


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

    __slots__ = ("_rates", "_total", "pending")

    def __init__(
        self,
        per_s: int = limits.CONNECTIONS_PER_ADDRESS_PER_S,
        total: int = limits.PENDING_CONNECTIONS,
        addresses: int = ADDRESSES,
    ) -> None:
        self._rates = RateLimiter(Rate(per_s), addresses)
        self._total = total
        self.pending = 0

    def __len__(self) -> int:
        """Addresses remembered."""
        return len(self._rates)

    def admit(self, address: str, now: float) -> Admission:
        """Ask for one more connection; OK counts it as pending until :meth:`release`."""
        if self.pending >= self._total:
            return Admission.FULL
        if not is_loopback(address):
            key = address if ":" not in address else network(address)
            if not self._rates.take(key, now):
                return Admission.TOO_FAST
        self.pending += 1
        return Admission.OK

    def release(self) -> None:
        """A connection is logged in, handed over or closed."""
        assert self.pending > 0
        self.pending -= 1


def is_loopback(address: str) -> bool:
    """Whether the peer is on this machine."""
    return address.startswith("127.") or address == "::1"


def network(address: str) -> str:
    """What counts as one peer in IPv6: the /64, of which a single subscriber has all."""
    return address if "%" in address else str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))


def plain_address(address: str) -> str:
    """An address as the kernel gives it, an IPv4 one behind a dual-stack listener in its usual form."""
    return address.removeprefix("::ffff:") if "." in address else address
