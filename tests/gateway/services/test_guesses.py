from __future__ import annotations

from lanying.gateway.services.guesses import ACCOUNT_FACTOR, ALL_FACTOR, LATE_S, LOGIN_FACTOR, PEER_FACTOR, Guesses


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


def test_the_right_password_costs_its_hash_alone() -> None:
    guesses = Guesses(10)
    for _ in range(10 * LOGIN_FACTOR):
        assert guesses.take("a", 5.0, ("app", 1))
        guesses.give_back("a", ("app", 1))
    assert not guesses.take("a", 5.0, ("app", 1))
    assert guesses.take("a", 5.0, ("app", 2)) and guesses.take("b", 5.0, ("app", 1))


def test_nobody_shuts_the_owner_out_and_many_peers_make_an_account_late() -> None:
    guesses, account = Guesses(10), ("app", 1)
    for _ in range(50):
        guesses.take("rude", 5.0, account) and guesses.late_s("rude", 5.0, account)
    assert not guesses.take("rude", 5.0, account)
    assert guesses.take("owner", 5.0, account) and guesses.late_s("owner", 5.0, account) == 0.0
    for n in range(10 * ACCOUNT_FACTOR):
        assert guesses.take(f"rude {n}", 5.0, account)
        guesses.late_s(f"rude {n}", 5.0, account)
    assert guesses.take("owner", 5.0, account) and guesses.late_s("owner", 5.0, account) == LATE_S
    assert guesses.take("", 5.0, account) and guesses.late_s("", 5.0, account) == 0.0


def test_a_token_of_an_earlier_login_is_no_licence_to_guess() -> None:
    guesses = Guesses(10)
    assert sum(guesses.take("", 5.0, ("app", 1)) for _ in range(50)) == 10
