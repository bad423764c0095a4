"""What a session may make the shard remember by asking."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.testing.simulation import Simulation


def test_asking_for_queues_that_never_were_leaves_nothing() -> None:
    sim = Simulation(1)
    alice = sim.user("alice")
    a = alice.device()
    answers = len(a.frames)
    for peer in range(1_000_000, 1_000_050):
        a.pull(peer)
        a.pull(peer, 7)
    assert len(a.frames) == answers + 100
    assert not a.session.loops


def test_loops_of_a_session_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOOPS_PER_SESSION", 6)
    sim = Simulation(1)
    alice = sim.user("alice")
    friends = [sim.user(f"friend{n}") for n in range(20)]
    quiet = alice.device("quiet", automatic=False)
    usual = alice.device("usual")
    for n, friend in enumerate(friends):
        friend.device().send(alice, str(n))
        assert len(quiet.session.loops) <= 6
        assert len(usual.session.loops) <= 6
    assert usual.texts == [str(n) for n in range(20)]
    for friend in friends:
        quiet.pull(friend.uid)
    assert sorted(set(quiet.texts)) == sorted(usual.texts)
