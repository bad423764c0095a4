"""How fast one peer may open connections. How many it may have is the matter of :mod:`lanying.base.places`."""

from __future__ import annotations

from typing import Final

from lanying.base import limits
from lanying.base.peers import Proxies, is_loopback, peer_key
from lanying.base.rate import Rate, RateLimiter

PEERS: Final = 16_384
"""Peers remembered. When more connect within a second, the rate of those seen longest ago begins anew; the places limit all."""


class Throttle:
    """A rate of connections per peer. ``now`` is monotonic seconds.

    This machine and trusted proxies are exempt: who connects from there is a proxy in front of everybody, a tool of the operator or a
    test.

    :param per_s: connections of one peer per second, and the size of its bucket
    """

    __slots__ = ("_proxies", "_rates")

    def __init__(
        self,
        proxies: Proxies | None = None,
        per_s: int = limits.CONNECTIONS_PER_ADDRESS_PER_S,
        peers: int = PEERS,
    ) -> None:
        self._rates = RateLimiter(Rate(per_s), peers)
        self._proxies = proxies or Proxies()

    def __len__(self) -> int:
        """Peers remembered."""
        return len(self._rates)

    def limited(self, address: str) -> bool:
        """Whether an address stands for one peer."""
        return not (is_loopback(address) or address in self._proxies)

    def admit(self, address: str, now: float) -> bool:
        """Ask for one more connection."""
        return not self.limited(address) or self._rates.take(peer_key(address), now)

    def owe(self, address: str, now: float, connections: float) -> None:
        """One has cost as much as so many newcomers."""
        if self.limited(address):
            self._rates.owe(peer_key(address), now, connections)
