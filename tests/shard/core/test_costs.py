"""Who keeps a shard for more than their share waits; everybody else does not, and nobody waits for what costs little."""

from __future__ import annotations

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.bus.messages import Call, Checked, GetRelations, ListFriends, encode
from lanying.shard.core.costs import Costs
from lanying.testing.simulation import Simulation

ALICE, BOB = 1, 2


def test_a_tenth_of_the_time_is_fine_and_more_is_not() -> None:
    costs = Costs()
    for second in range(600):
        assert not costs.took(ALICE, float(second), 0.099)
    assert costs.took(BOB, 0.0, limits.COSTLY_S_PER_MINUTE) == 0.0
    wait_s = costs.took(BOB, 0.0, 1.0)
    assert wait_s == pytest.approx(10.0)
    with pytest.raises(CallError, match="try again in 10 seconds") as refused:
        costs.check(BOB, 0.0)
    assert refused.value.retry_s == pytest.approx(10.0)
    costs.check(ALICE, 0.0)
    costs.check(BOB, wait_s)
    assert not costs.over


def test_nobody_is_out_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "USERS_COUNTED", 2)
    costs = Costs()
    assert costs.took(ALICE, 0.0, 10_000.0) <= 240.0
    for uid in range(10, 20):
        costs.took(uid, 0.0, 100.0)
    assert len(costs.over) <= 2


def test_calls_of_who_is_over_are_refused_whoever_carries_them() -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    shard = sim.shards[0]
    call = Call(1, "gateway", 1000, encode(GetRelations(alice.uid, [bob.uid])))
    shard.dispatch.costly(call, 3.0)
    sim.call(0, ListFriends(alice.uid))
    shard.dispatch.costly(call, 4.0)
    for request in (ListFriends(alice.uid), Checked("lanying", alice.uid, alice.epoch, encode(ListFriends(alice.uid)))):
        with pytest.raises(CallError) as refused:
            sim.call(0, request)
        assert refused.value.code == 429
        assert refused.value.retry_s > 1
    assert msgspec.msgpack.decode(sim.call(0, ListFriends(bob.uid))) == []
    shard.dispatch.costly(Call(1, "gateway", 1000, b"\xc1"), 100.0)  # nobody's
    sim.advance(60)
    sim.call(0, ListFriends(alice.uid))
