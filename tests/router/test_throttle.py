"""Admission of connections, with explicit time."""

from __future__ import annotations

import pytest

from lanying.router.throttle import Admission, Throttle, network, plain_address


def burst(throttle: Throttle, address: str, now: float, tries: int) -> int:
    """Connections admitted out of ``tries``; each is released at once."""
    admitted = 0
    for _ in range(tries):
        if throttle.admit(address, now) is Admission.OK:
            admitted += 1
            throttle.release()
    return admitted


def test_an_address_has_a_second_worth_of_connections_at_once_and_its_rate_afterwards() -> None:
    throttle = Throttle(per_s=200)
    assert burst(throttle, "192.0.2.1", 100.0, 1000) == 200
    assert throttle.admit("192.0.2.1", 100.0) is Admission.TOO_FAST
    assert burst(throttle, "192.0.2.1", 100.5, 1000) == 100
    assert burst(throttle, "192.0.2.1", 200.0, 1000) == 200
    assert burst(throttle, "192.0.2.2", 200.0, 1000) == 200


def test_ipv6_counts_by_subscriber() -> None:
    throttle = Throttle(per_s=10)
    assert burst(throttle, "2001:db8:1:2::1", 5.0, 10) == 10
    assert throttle.admit("2001:db8:1:2:ffff::9", 5.0) is Admission.TOO_FAST
    assert throttle.admit("2001:db8:1:3::1", 5.0) is Admission.OK
    assert network("fe80::1%eth0") == "fe80::1%eth0"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_has_no_rate(address: str) -> None:
    assert burst(Throttle(per_s=10), address, 5.0, 500) == 500


def test_the_total_bounds_everybody() -> None:
    throttle = Throttle(total=3)
    assert [throttle.admit("127.0.0.1", 0.0) for _ in range(4)] == [Admission.OK] * 3 + [Admission.FULL]
    throttle.release()
    assert throttle.admit("192.0.2.1", 0.0) is Admission.OK
    assert throttle.pending == 3


def test_memory_is_bounded_and_the_remembered_stay_limited() -> None:
    throttle = Throttle(per_s=2, addresses=100)
    for number in range(1000):
        burst(throttle, f"10.0.{number >> 8}.{number & 255}", 50.0, 2)
    assert len(throttle) == 100
    assert all(throttle.admit(f"10.0.3.{n}", 50.0) is Admission.TOO_FAST for n in range(132, 232))
    burst(throttle, "192.0.2.9", 60.0, 1)  # everybody else is forgotten: their buckets are full again
    assert len(throttle) == 1


def test_addresses_behind_a_dual_stack_listener() -> None:
    assert plain_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert plain_address("192.0.2.7") == "192.0.2.7"
    assert plain_address("2001:db8::7") == "2001:db8::7"
