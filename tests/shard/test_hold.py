"""While shards hold their links no store gets ahead of another's, and afterwards everything arrives."""

from __future__ import annotations

import msgspec

from lanying.base import limits
from lanying.bus.messages import HoldLinks
from lanying.storage.verify import verify_links
from lanying.testing.simulation import Simulation
from tests.shard.chat.test_chat import pair


def hold(sim: Simulation, seconds: float) -> list[bool]:
    answers: list[bool] = []
    for index in range(len(sim.shards)):
        assert sim.map.shard_of(index) == index
        sim.shards[0].work.ask_owner(
            index, HoldLinks(seconds), lambda reply: answers.append(msgspec.msgpack.decode(reply.body, type=bool))
        )
    sim.run()
    return answers


def test_nothing_is_applied_during_a_hold_and_everything_after_it() -> None:
    sim, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    a.send(bob, "before")
    assert hold(sim, 20) == [False, False]
    for number in range(5):
        client_mid = a.send(bob, f"during {number}")
        assert client_mid in a.acknowledged, "the sender notices nothing"
    assert b.texts == ["before"]
    assert verify_links(sim.stores) == []
    assert hold(sim, 0) == [True, True]
    assert b.texts == ["before", *(f"during {n}" for n in range(5))]
    assert hold(sim, 0) == [False, False]


def test_a_hold_ends_by_itself() -> None:
    sim, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    a.send(bob, "before")
    hold(sim, 5)
    a.send(bob, "during")
    sim.advance(4)
    assert b.texts == ["before"]
    sim.advance(limits.LINK_RESEND_S + 1)
    sim.advance(limits.LINK_RESEND_S + 1)
    assert b.texts == ["before", "during"]
    assert hold(sim, 0) == [False, False], "whoever held learns that it was too short"
