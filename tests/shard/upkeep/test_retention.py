"""Retention deletes what is old, in small steps, and nothing else; devices that were away go on behind it."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.config.schema import Config, Storage
from lanying.protocol.schema.xsync_pb2 import MessageOperation
from lanying.shard.store import schema
from lanying.shard.upkeep.retention import DAY_MS, RETAINED, Retention
from lanying.storage.verify import verify_store
from lanying.testing.simulation import Device, Simulation, User
from tests.shard.groups.test_timeline import Club, say

DAYS = 30


def town(days: int = DAYS) -> tuple[Simulation, User, User]:
    sim = Simulation(1, Config(storage=Storage(retention_days=days)))
    return sim, sim.user("alice"), sim.user("bob")


def later(sim: Simulation, days: float) -> None:
    sim.now += 1
    sim.now_ms += int(days * DAY_MS)
    sim.run()
    sim.advance(0)


def maintain(sim: Simulation) -> int:
    """Steps until a whole pass is over; how many."""
    steps = 0
    for shard in sim.shards:
        for _ in range(10_000):
            before = shard.retention.deleted
            shard.turn(sim.now, sim.now_ms)
            shard.maintain()
            sim.run()
            steps += 1
            if shard.retention.deleted == before and steps > 3:
                break
    return steps


def rows(sim: Simulation, family: str) -> int:
    return sum(1 for _ in sim.stores[0].scan(family, b"", b"\xff" * 40))


def healthy(sim: Simulation) -> None:
    for index, shard in enumerate(sim.shards):
        shard.store_cursors()
        sim.run()
        assert verify_store(sim.stores[index], index, sim.map) == []


def test_old_messages_go_and_younger_ones_stay() -> None:
    sim, alice, bob = town()
    a, b = alice.device(), bob.device()
    for number in range(5):
        a.send(bob, f"old {number}")
    later(sim, DAYS - 1)
    for number in range(3):
        a.send(bob, f"young {number}")
    later(sim, 2)
    maintain(sim)
    young = [f"young {n}" for n in range(3)]
    assert a.history_texts(bob) == b.history_texts(alice) == young
    assert rows(sim, schema.QUEUE) == rows(sim, schema.HISTORY) == 6
    assert sim.stores[0].get(schema.META, RETAINED)
    a.send(bob, "next")
    assert b.texts[-1] == "next", "positions go on"
    healthy(sim)


def test_without_the_setting_everything_stays() -> None:
    sim, alice, bob = town(0)
    a = alice.device()
    a.send(bob, "old")
    later(sim, 5000)
    maintain(sim)
    assert a.history_texts(bob) == ["old"]


def test_a_device_that_was_away_gets_what_is_left_and_its_unread_count_says_so() -> None:
    sim, alice, bob = town()
    phone = bob.device("phone")
    phone.leave()
    a = alice.device()
    for number in range(limits.BATCH_METAS * 3):
        a.send(bob, f"old {number}")
    later(sim, DAYS - 1)
    a.send(bob, "young")
    later(sim, 2)
    maintain(sim)
    phone = bob.device("phone", automatic=False)
    assert phone.unread[alice.uid] == 1
    assert phone.texts == []
    phone.pull(alice.uid)
    assert phone.texts == ["young"]
    tablet = bob.device("tablet")
    assert tablet.texts == ["young"], "a new device as well"
    healthy(sim)


def test_a_device_in_the_middle_of_a_loop_goes_on() -> None:
    sim, alice, bob = town()
    a, b = alice.device(), bob.device(automatic=False)
    for number in range(10):
        a.send(bob, f"old {number}")
    later(sim, DAYS + 1)
    a.send(bob, "young")
    maintain(sim)
    b.pull(alice.uid, 1)
    assert b.texts[-1] == "young"


def test_when_all_is_deleted_positions_are_not_used_again_also_after_a_crash() -> None:
    sim, alice, bob = town()
    a, b = alice.device(), bob.device()
    for number in range(40):
        a.send(bob, f"old {number}")
    sim.commit(sim.shards[0])
    later(sim, DAYS + 1)
    maintain(sim)
    assert rows(sim, schema.QUEUE) == 0
    sim.stores[0].flush()
    sim.crash(0)
    sim.run()
    a, b = alice.device(), bob.device()
    assert b.texts == []
    a.send(bob, "after")
    assert b.texts == ["after"]
    assert sim.shards[0].work.mailboxes.head(bob.uid, alice.uid).last_seq == 41
    healthy(sim)


def test_steps_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETENTION_ROWS", 20)
    sim, alice, bob = town()
    a = alice.device()
    for number in range(100):
        a.send(bob, f"old {number}")
    later(sim, DAYS + 1)
    shard = sim.shards[0]
    gone = []
    for _ in range(15):
        before = rows(sim, schema.QUEUE)
        shard.turn(sim.now, sim.now_ms)
        shard.maintain()
        sim.run()
        gone.append(before - rows(sim, schema.QUEUE))
    assert max(gone) <= 20 and sum(gone) == 200


def test_recalled_entries_at_the_border_go_with_the_old_ones() -> None:
    sim, alice, bob = town()
    a: Device = alice.device()
    for number in range(3):
        mid = a.acknowledged[a.send(bob, f"old {number}")]
        a.operate(bob, MessageOperation.RECALL, mid)
    later(sim, DAYS + 1)
    a.send(bob, "young")
    maintain(sim)
    assert a.history_texts(bob) == ["young"]
    assert all(entry for _, entry in sim.stores[0].scan(schema.QUEUE, b"", b"\xff" * 40))
    healthy(sim)


def test_an_edit_of_a_message_that_is_gone_is_refused() -> None:
    sim, alice, bob = town()
    a = alice.device()
    mid = a.acknowledged[a.send(bob, "old")]
    later(sim, DAYS + 1)
    maintain(sim)
    client_mid = a.operate(bob, MessageOperation.REPLACE, mid, content="new")
    assert client_mid in a.refused


def test_a_damaged_row_of_a_send_goes_and_stops_nothing() -> None:
    sim, alice, bob = town(0)
    alice.device().send(bob, "hello")
    store = sim.stores[0]
    batch = store.batch()
    batch.put(schema.SENT, schema.pack_device_peer(1, 1, 1), b"short")
    store.write(batch)
    assert rows(sim, schema.SENT) == 2
    maintain(sim)
    assert rows(sim, schema.SENT) == 1
    assert not sim.shards[0].work.failed_events


def test_repeated_sends_are_recognised_for_a_week() -> None:
    sim, alice, bob = town(0)
    a = alice.device()
    first = a.send(bob, "hello")
    mid = a.acknowledged[first]
    later(sim, 6.9)
    maintain(sim)
    a.send(bob, "hello", client_mid=first)
    assert a.acknowledged[first] == mid
    assert rows(sim, schema.SENT) == 1
    later(sim, 0.2)
    maintain(sim)
    assert rows(sim, schema.SENT) == 0


def test_a_pass_begins_again_after_a_while() -> None:
    sim, alice, bob = town()
    a = alice.device()
    a.send(bob, "first")
    later(sim, DAYS + 1)
    maintain(sim)
    a.send(bob, "second")
    maintain(sim)
    assert a.history_texts(bob) == ["second"]
    later(sim, DAYS + 1)
    maintain(sim)
    assert a.history_texts(bob) == []


def test_members_of_a_group_go_on_behind_what_was_deleted() -> None:
    club = Club()
    sim = club.sim
    for shard in sim.shards:
        shard.retention = Retention(shard.work, DAYS)
    away = [user.device("away") for user in club.people]
    for device in away:
        device.leave()
    writer = club.people[0].device()
    for number in range(limits.BATCH_METAS * 2 + 10):
        say(writer, club, f"old {number}")
    later(sim, DAYS - 1)
    say(writer, club, "young")
    later(sim, 2)
    maintain(sim)
    for user in club.people[1:]:
        device = user.device("away")
        assert device.texts == ["young"]
        assert device.history_texts(club.gid) == ["young"]
    say(writer, club, "next")
    healthy(sim)
