"""A phone's vendor token belongs to who bound it last: the one before gets nothing of theirs any more."""

from __future__ import annotations

import pytest

from lanying.bus.messages import BindPush
from lanying.shard.accounts import devices, push_tokens
from lanying.testing.simulation import Simulation, User


def bind(user: User, token: str = "T", notifier: str = "ours") -> None:
    device = user.device("phone")
    user.simulation.call(user.shard.work.index, BindPush(user.uid, device.sn, notifier, token))
    user.simulation.run()


def bound(user: User) -> list[tuple[str, str]]:
    found = devices.list_all(user.shard.work.store, user.uid)
    return [(one.notifier, one.push_token) for one in found if one.push_token]


@pytest.mark.parametrize("shards", [1, 3])
def test_the_last_who_bound_a_token_has_it(shards: int) -> None:
    sim = Simulation(shards)
    users = [sim.user(f"user{n}") for n in range(5)]
    for user in users:
        bind(user)
        assert [bool(bound(one)) for one in users] == [one is user for one in users]
    bind(users[0])
    assert bound(users[0]) == [("ours", "T")] and not bound(users[-1])


def test_another_token_another_vendor_and_another_app_are_not_the_same() -> None:
    sim = Simulation(2)
    ann, bea, cora, dora = (sim.user(name) for name in ("ann", "bea", "cora", "dora"))
    foreign = sim.user("ann", app="other")
    bind(ann)
    bind(bea, "t")
    bind(cora, notifier="theirs")
    bind(foreign)
    assert [bound(one) for one in (ann, bea, cora, foreign)] == [
        [("ours", "T")],
        [("ours", "t")],
        [("theirs", "T")],
        [("ours", "T")],
    ]
    bind(dora)
    assert not bound(ann) and bound(bea) and bound(cora) and bound(foreign)


def test_names_of_tokens_are_short_and_tell_them_apart() -> None:
    names = {push_tokens._name(*one) for one in (("a", "b"), ("a", "B"), ("ab", ""), ("", "ab"), ("a", "x" * 9999))}
    assert len(names) == 5 and all(len(name) <= 64 and name == name.lower() for name in names)
