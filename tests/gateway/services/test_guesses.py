from __future__ import annotations

from lanying.gateway.services.guesses import ALL_FACTOR, PEER_FACTOR, Guesses


def test_an_account_and_a_peer_have_their_budgets() -> None:
    guesses = Guesses(10)
    assert sum(guesses.take("a", 5.0, ("app", 1)) for _ in range(50)) == 10
    assert sum(guesses.take("a", 5.0) for _ in range(500)) == 10 * PEER_FACTOR - 10
    assert guesses.take("b", 5.0)


def test_under_attack_from_everywhere_each_peer_has_a_tenth_and_who_mistypes_gets_in() -> None:
    guesses = Guesses(10)
    for peer in range(10 * ALL_FACTOR):
        assert guesses.take(f"attacker {peer}", 5.0)
    assert sum(guesses.take("honest", 5.0, ("app", user)) for user in range(100)) == PEER_FACTOR
    assert sum(guesses.take("later", 70.0, ("app", user)) for user in range(100)) == 100


def test_the_right_password_costs_nothing() -> None:
    guesses = Guesses(1)
    for _ in range(1000):
        assert guesses.take("a", 5.0, ("app", 1))
        guesses.give_back("a", ("app", 1))
