"""Who keeps a shard for more than their share waits; everybody else does not, and nobody waits for what costs little."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import Call, Checked, GetRelations, ListFriends, encode
from lanying.protocol import frame
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


def test_answers_of_a_tick_are_charged_to_who_asked_for_them() -> None:
    """Each question is taken in no time; its answer at the tick's end is what costs, and little answers are much together."""
    sim = Simulation(1)
    greedy, other = sim.user("alice"), sim.user("bob")
    asks, polite = greedy.device("greedy"), other.device("polite")
    shard = greedy.shard
    shard.pulls.clock = ticking(limits.COSTLY_S / 2)
    questions = 10
    for _ in range(int(limits.COSTLY_S_PER_MINUTE / limits.COSTLY_S) // questions * 3):
        for _ in range(questions):
            asks.put(frame.history_request(other.uid, 0, 20), run=False)
        sim.run()
        asks.pages.clear()
    assert set(shard.work.costs.over) == {greedy.uid}
    for ask in (frame.history_request(other.uid, 0, 20), frame.sync_pull(77), frame.unread_request()):
        asks.frames.clear()
        asks.put(ask)
        [(_, answer)] = asks.frames
        assert answer.status.code == Refusal.TOO_MANY_MESSAGES.status
    polite.put(frame.history_request(greedy.uid, 0, 20))
    assert polite.pages
    sim.advance(61.0)
    asks.put(frame.history_request(other.uid, 0, 20))
    assert asks.pages


def test_single_answers_that_cost_what_answers_cost_are_free() -> None:
    sim = Simulation(1)
    user = sim.user("alice")
    phone = user.device("phone")
    user.shard.pulls.clock = ticking(limits.COSTLY_S / 2)
    for _ in range(int(limits.COSTLY_S_PER_MINUTE / limits.COSTLY_S) * 4):
        phone.history(user.uid)
    assert not user.shard.work.costs.over


def ticking(step_s: float) -> Callable[[], float]:
    """A clock that goes on by so much whenever it is looked at."""
    seconds = count(0.0, step_s)
    return lambda: next(seconds)
