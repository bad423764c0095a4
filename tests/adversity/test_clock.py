"""The wall clock steps back: message ids stay unique and in order, also through a restart (pure)."""

from __future__ import annotations

import pytest

from lanying.testing.simulation import Simulation, User

HOUR_MS = 3_600_000


def mids(user: User, peer: User, sim: Simulation) -> list[int]:
    """Ids in a user's history, oldest first."""
    device = user.device("reader", automatic=False, listing=False)
    found = [meta.id for meta in reversed(device.history(peer, 0, 100).metas)]
    device.leave()
    return found


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("back_ms", [1, 5_000, 48 * HOUR_MS])
def test_ids_stay_unique_and_ordered(restart: bool, back_ms: int) -> None:
    sim = Simulation(2)
    everybody = [sim.user(f"user{n}") for n in range(12)]
    alice = everybody[0]
    bob = next(user for user in everybody if user.shard is not alice.shard)
    phone, desk = alice.device("phone"), bob.device("desk")
    sent = []
    for number in range(20):
        device, peer = (phone, bob) if number % 2 else (desk, alice)
        sent.append(device.acknowledged[device.send(peer, f"{number}")])
        if number == 9:
            sim.now_ms -= back_ms
            if restart:
                for index in range(2):
                    sim.crash(index)
                sim.run()
                phone, desk = alice.device("phone"), bob.device("desk")
            sim.advance(0.001)
    assert len(set(sent)) == len(sent), "no id twice"
    assert sent == sorted(sent), "an answer sorts behind its question"
    assert mids(alice, bob, sim) == mids(bob, alice, sim) == sent
