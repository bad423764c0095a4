"""What waits for the second's settling is read as memory had it, also before the tick that has it is written."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.config.schema import Config, Storage
from lanying.shard.store import schema
from lanying.shard.upkeep.retention import DAY_MS
from lanying.testing.simulation import Simulation
from tests.shard.chat.test_chat import pair


def test_a_head_forgotten_within_the_tick_that_stores_it_gives_no_position_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim, alice, bob = pair(1)
    strangers = [sim.user(f"stranger{n}") for n in range(20)]
    a, b = alice.device(), bob.device(automatic=False)
    a.send(bob, "first")
    monkeypatch.setattr(limits, "CONVERSATIONS_CACHED", 10)
    shard = alice.shard
    a.send(bob, "second", run=False)
    shard.store_cursors()
    for stranger in strangers:  # a busy second: others push the conversation out of memory
        shard.work.mailboxes.head(stranger.uid, alice.uid)
    a.send(bob, "third", run=False)
    sim.run()
    assert a.history_texts(bob) == b.history_texts(alice) == ["first", "second", "third"]


def test_retention_takes_no_cursor_back_that_was_stored_in_the_same_second() -> None:
    sim = Simulation(1, Config(storage=Storage(retention_days=30)))
    alice, bob = sim.user("alice"), sim.user("bob")
    a, phone = alice.device(), bob.device("phone", automatic=False)
    for number in range(3):
        a.send(bob, f"old {number}")
    sim.now_ms += 31 * DAY_MS
    sim.now += 1
    shard = bob.shard
    shard.turn(sim.now, sim.now_ms)
    for number in range(3):
        a.send(bob, f"young {number}")
    shard.store_cursors()
    sim.run()
    phone.pull(alice.uid, 6)  # acknowledges everything
    shard.turn(sim.now, sim.now_ms)
    shard.store_cursors()
    shard.maintain()
    sim.run()
    phone.leave()
    shard.store_cursors()
    sim.run()
    assert shard.work.mailboxes.cursor(bob.uid, phone.sn, alice.uid) == 6


def test_a_conversation_that_came_back_on_the_list_stays_there_after_a_crash() -> None:
    sim, alice, bob = pair(1)
    a, b = alice.device(), bob.device()
    a.send(bob, "first")
    head = bob.shard.work.mailboxes.head(bob.uid, alice.uid)
    head.flags |= schema.UNLISTED
    bob.shard.work.mailboxes.hurry(head)
    bob.shard.tick.durable = True
    sim.run()
    a.send(bob, "second")
    assert b.texts == ["first", "second"]
    sim.crash(bob.shard.work.index)
    assert not bob.shard.work.mailboxes.head(bob.uid, alice.uid).flags & schema.UNLISTED
