from __future__ import annotations

from lanying.gateway.services.registrations import ALL_FACTOR, Registrations


def test_a_peer_and_all_together_have_their_budgets() -> None:
    new = Registrations(5)
    assert sum(new.take("a", 5.0) for _ in range(50)) == 5
    assert sum(new.take(f"peer {n}", 5.0) for n in range(100)) == 5 * ALL_FACTOR - 5
    assert not new.take("late", 5.0)
    assert new.take("late", 7.0)


def test_none_is_any_number() -> None:
    new = Registrations(0)
    assert all(new.take("a", 5.0) for _ in range(10_000))
