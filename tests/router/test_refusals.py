from __future__ import annotations

from lanying.router.refusals import PEERS, QUIET_S, Refusals


def test_the_first_is_said_the_others_are_counted_and_then_there_is_a_first_again() -> None:
    refusals = Refusals()
    assert [refusals.first("a", 5.0) for _ in range(4)] == [True, False, False, False]
    assert refusals.first("b", 6.0)
    assert refusals.due(5.0 + QUIET_S - 0.1) == []
    assert refusals.due(5.0 + QUIET_S) == [("a", 3)]
    assert refusals.due(5.0 + QUIET_S) == []
    assert refusals.first("a", 20.0)


def test_a_thousand_addresses_are_a_bounded_number_of_lines() -> None:
    refusals = Refusals()
    assert sum(refusals.first(f"peer {number}", 5.0) for number in range(1000)) == PEERS
    assert refusals.due(99.0) == [("", 1000 - PEERS)]
