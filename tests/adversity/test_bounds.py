"""What clients can make a shard hold in memory has an end (pure: shards without processes)."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.protocol import frame
from lanying.testing.simulation import Simulation

ASKED = 300


@pytest.mark.parametrize("what", ["pull", "history"])
def test_a_thousand_questions_are_answered_in_portions(what: str) -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    phone = alice.device()
    for _ in range(120):
        phone.send(bob, "x" * 1500)
    greedy = bob.device(automatic=False, listing=False)
    seen = len(greedy.frames)
    ask = frame.sync_pull(alice.uid) if what == "pull" else frame.history_request(alice.uid, 0, 100)
    for _ in range(ASKED):
        greedy.put(ask, run=False)
    portions = []
    while sim.commit(bob.shard):
        portions.append(sum(answer.ByteSize() for _, answer in greedy.frames[seen:]))
        seen = len(greedy.frames)
    assert len(greedy.frames) >= ASKED, "every question has its answer"
    assert max(portions) < limits.TICK_ANSWER_BYTES + 2 * limits.BATCH_BYTES
    assert len(portions) > 3
