"""The rate of connections per peer, with explicit time."""

from __future__ import annotations

import pytest

from lanying.base.peers import Proxies
from lanying.base.throttle import Throttle


def burst(throttle: Throttle, address: str, now: float, tries: int) -> int:
    """Connections admitted out of ``tries``."""
    return sum(throttle.admit(address, now) for _ in range(tries))


def test_an_address_has_a_second_worth_of_connections_at_once_and_its_rate_afterwards() -> None:
    throttle = Throttle(per_s=200)
    assert burst(throttle, "192.0.2.1", 100.0, 1000) == 200
    assert burst(throttle, "192.0.2.1", 100.5, 1000) == 100
    assert burst(throttle, "192.0.2.1", 200.0, 1000) == 200
    assert burst(throttle, "192.0.2.2", 200.0, 1000) == 200


def test_ipv6_counts_by_subscriber() -> None:
    throttle = Throttle(per_s=10)
    assert burst(throttle, "2001:db8:1:2::1", 5.0, 10) == 10
    assert not throttle.admit("2001:db8:1:2:ffff::9", 5.0)
    assert throttle.admit("2001:db8:1:3::1", 5.0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3"])
def test_who_speaks_for_many_has_no_rate(address: str) -> None:
    assert burst(Throttle(Proxies(["10.0.0.0/8"]), per_s=10), address, 5.0, 500) == 500


def test_memory_is_bounded_and_the_remembered_stay_limited() -> None:
    throttle = Throttle(per_s=2, peers=100)
    for number in range(1000):
        burst(throttle, f"10.0.{number >> 8}.{number & 255}", 50.0, 2)
    assert len(throttle) == 100
    assert not any(throttle.admit(f"10.0.3.{n}", 50.0) for n in range(132, 232))
    burst(throttle, "192.0.2.9", 60.0, 1)  # everybody else is forgotten: their buckets are full again
    assert len(throttle) == 1
