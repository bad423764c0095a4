"""Old messages are in the cold store and nobody notices: conversations across the border."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from lanying.base import limits
from lanying.base.errors import StoreError
from lanying.base.figures import totals
from lanying.base.refusals import Refusal
from lanying.config.schema import Config, Storage
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta
from lanying.shard.store import cold, schema
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.tiers import TieredStore
from lanying.shard.upkeep.aging import Done
from lanying.storage.verify import verify_store
from lanying.testing.simulation import Device, Simulation, User
from tests.shard.groups.test_timeline import Club, say
from tests.shard.upkeep.test_retention import later

HOT, KEPT = 30, 365


class Tiers(TieredStore):
    """Both tiers in memory, with crashes to order."""

    def __init__(self, hot: MemoryStore | None = None, cold: MemoryStore | None = None) -> None:
        self.hot_memory, self.cold_memory = hot or MemoryStore(), cold or MemoryStore()
        super().__init__(self.hot_memory, self.cold_memory)

    def crash(self, kept: int = 0) -> Tiers:
        """What a power failure leaves."""
        return Tiers(self.hot_memory.crash(kept), self.cold_memory.crash())

    @property
    def moved(self) -> int:
        """Rows in the cold tier."""
        return sum(1 for _ in cold.rows(self.cold_memory))

    @property
    def left(self) -> int:
        """Queue rows in the hot tier."""
        return sum(1 for _ in self.hot_memory.scan(schema.QUEUE, b"", b"\xff" * 40))


def config(retention_days: int = 0) -> Config:
    return Config(storage=Storage(cold_path="/cold", hot_days=HOT, retention_days=retention_days))


def town(retention_days: int = 0) -> tuple[Simulation, Tiers, User, User]:
    store = Tiers()
    sim = Simulation(1, config(retention_days), stores=[store])
    return sim, store, sim.user("alice"), sim.user("bob")


def age(sim: Simulation, steps: int = 12) -> None:
    """Steps of maintenance, a second apart."""
    for _ in range(steps):
        for shard in sim.shards:
            shard.turn(sim.now, sim.now_ms)
            shard.store_cursors()
            shard.maintain()
        sim.run()
        sim.advance(1)


def healthy(sim: Simulation) -> None:
    for index, shard in enumerate(sim.shards):
        shard.store_cursors()
        sim.run()
        assert verify_store(sim.stores[index], index, sim.map) == []


def grown_old(retention_days: int = 0, messages: int = 30) -> tuple[Simulation, Tiers, User, User, Device]:
    """Alice has written to Bob, whose phone was away, so long ago that it is in the cold store, and again since."""
    sim, store, alice, bob = town(retention_days)
    bob.device("phone").leave()
    a = alice.device()
    for number in range(messages):
        a.send(bob, f"old {number}")
    later(sim, HOT + 1)
    for number in range(3):
        a.send(bob, f"new {number}")
    age(sim)
    assert store.moved == 2 * messages and store.left == 6
    return sim, store, alice, bob, a


def test_history_crosses_the_border_unseen() -> None:
    sim, _, alice, bob, a = grown_old()
    pages, key = [], 0
    for _ in range(5):
        page = a.history(bob, key, 7)
        pages += [MessageBody.FromString(meta.payload).content for meta in page.metas]
        key = page.next_key
    assert pages == [f"new {n}" for n in (2, 1, 0)] + [f"old {n}" for n in range(29, -1, -1)]
    assert bob.device("tablet").history_texts(alice)[-3:] == ["new 0", "new 1", "new 2"]
    healthy(sim)


def test_a_device_far_behind_pulls_across_the_border() -> None:
    sim, store, alice, bob, a = grown_old(messages=limits.BATCH_METAS + 20)
    phone = bob.device("phone", automatic=False)
    assert phone.unread[alice.uid] == limits.BATCH_METAS + 23
    phone.pull(alice.uid)
    assert len(phone.texts) == limits.BATCH_METAS
    phone.pull(alice.uid, limits.BATCH_METAS)
    expected = [f"old {n}" for n in range(limits.BATCH_METAS + 20)] + ["new 0", "new 1", "new 2"]
    assert phone.texts == expected
    a.send(bob, "and on")
    healthy(sim)
    assert store.left == 8


def test_operations_on_old_messages() -> None:
    sim, store, alice, bob, a = grown_old()
    phone = bob.device("phone")
    ids = {MessageBody.FromString(meta.payload).content: meta.id for meta in phone.metas}
    assert a.operate(bob, MessageOperation.REPLACE, ids["old 3"], content="edited") in a.acknowledged
    assert phone.operations[-1] == (MessageOperation.REPLACE, ids["old 3"])
    phone.operate(alice, MessageOperation.READ_ACK, ids["old 4"])
    phone.operate(bob, MessageOperation.DELETE, ids["old 5"], conversation=alice.uid)
    a.operate(bob, MessageOperation.RECALL, ids["old 6"])
    assert a.refused[0][1] == Refusal.TOO_LATE_TO_RECALL.text

    def shown(device: Device, peer: User) -> list[tuple[str, int]]:
        bodies = [MessageBody.FromString(meta.payload) for meta in device.history(peer, 0, 100).metas]
        return [(body.content, body.status) for body in bodies]

    def look() -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        return shown(a, bob), shown(phone, alice)

    seen = look()
    assert ("edited", 0) in seen[0] and ("edited", 0) in seen[1] and ("old 4", MessageBody.READ) in seen[0]
    assert "old 5" not in dict(seen[1]) and "old 5" in dict(seen[0]) and "old 6" in dict(seen[1])
    later(sim, HOT + 1)
    age(sim)
    assert store.left == 2, "a notice, and the removed entry that hides its copy"
    assert look() == seen
    healthy(sim)


def test_groups_across_the_border() -> None:
    club = Club()
    sim = club.sim
    stores = [Tiers(store) for store in sim.stores]
    sim = club.sim = Simulation(2, config(), stores=stores, now_ms=sim.now_ms)
    people = [User(sim, user.uid, user.name, user.app) for user in club.people]
    for user in people[1:]:
        user.device("away").leave()
    writer = people[0].device()
    for number in range(limits.BATCH_METAS + 5):
        say(writer, club, f"old {number}")
    later(sim, HOT + 1)
    say(writer, club, "new")
    age(sim)
    home = stores[sim.map.shard_of(club.gid)]
    assert home.moved >= limits.BATCH_METAS + 5 and home.left == 1
    first = home.cold_memory.scan(schema.QUEUE, b"", b"\xff" * 40)
    mid = next(meta.id for _, entry in first if "old 7" in str((meta := Meta.FromString(entry)).payload))
    assert writer.operate(club.gid, MessageOperation.RECALL, mid) in writer.acknowledged, "its owner, however old"
    for user in people[1:]:
        device = user.device("away")
        assert device.texts == [f"old {n}" for n in range(limits.BATCH_METAS + 5) if n != 7] + ["new"]
        assert device.history_texts(club.gid)[-2:] == [f"old {limits.BATCH_METAS + 4}", "new"]
    healthy(sim)


def test_retention_deletes_in_both_tiers() -> None:
    sim, store, alice, bob, a = grown_old(KEPT)
    later(sim, KEPT - HOT - 10)
    age(sim)
    assert store.left == 0 and store.moved == 66
    later(sim, 20)
    age(sim)
    assert store.left == 0 and store.moved == 6
    assert a.history_texts(bob) == ["new 0", "new 1", "new 2"]
    later(sim, HOT)
    age(sim)
    assert store.moved == 0 and store.left == 0
    assert a.history_texts(bob) == []
    a.send(bob, "goes on")
    phone = bob.device("phone")
    assert phone.texts == ["goes on"] and phone.unread[alice.uid] == 1
    healthy(sim)


def test_retention_reaches_into_the_cold_store_up_to_its_day() -> None:
    sim, store, alice, bob = town(KEPT)
    a = alice.device()
    for day in range(10):
        for number in range(3):
            a.send(bob, f"{day} {number}")
        later(sim, 1)
    later(sim, HOT)
    age(sim)
    assert store.moved == 60
    later(sim, KEPT - HOT - 5)
    sim.advance(limits.RETENTION_PAUSE_MS / 1000)
    age(sim)
    kept = a.history_texts(bob)
    assert kept[-1] == "9 2" and 4 <= int(kept[0].split()[0]) <= 6
    assert store.moved == 2 * len(kept), "gone from the disk, too"
    healthy(sim)


@pytest.mark.parametrize("step", range(4))
def test_power_fails_at_any_step(step: int) -> None:
    sim, _, alice, bob = town()
    bob.device("phone").leave()
    a = alice.device()
    for number in range(20):
        a.send(bob, f"old {number}")
    later(sim, HOT + 1)
    sim.shards[0].store_cursors()
    sim.run()
    age(sim, step)
    sim.crash(0)
    sim.run()
    assert bob.device("phone").texts == [f"old {n}" for n in range(20)]
    healthy(sim)
    later(sim, 1)
    age(sim)
    sim.crash(0)
    sim.run()
    a = alice.device()
    assert a.history(bob, 0, 30).metas[-1].id
    assert a.send(bob, "on") in a.acknowledged
    assert sim.shards[0].work.mailboxes.head(bob.uid, alice.uid).last_seq == 21
    healthy(sim)


class Slow:
    """A worker thread whose jobs the test runs."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Done]] = []

    def __call__(self, job: Callable[[], Any], done: Done) -> None:
        self.jobs.append((job, done))


def slow(sim: Simulation) -> Slow:
    background = Slow()
    aging = sim.shards[0].aging
    assert aging is not None
    aging._background = background
    return background


def test_what_is_changed_while_it_is_copied_keeps_its_change() -> None:
    sim, store, alice, bob = town()
    a = alice.device()
    mid = a.acknowledged[a.send(bob, "first")]
    a.send(bob, "second")
    later(sim, HOT + 1)
    worker = slow(sim)
    age(sim, 3)
    ((job, done),) = worker.jobs
    job()
    assert store.moved == store.left == 4
    a.operate(bob, MessageOperation.REPLACE, mid, content="edited")
    done(None, None)
    sim.run()
    assert a.history_texts(bob) == ["edited", "second"]
    assert bob.device().history_texts(alice) == ["edited", "second"]
    healthy(sim)


def test_a_full_cold_disk_stops_the_moves_only(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, store, alice, bob = town()
    a = alice.device()
    a.send(bob, "old")
    later(sim, HOT + 1)
    monkeypatch.setattr(store.cold_memory, "free_bytes", lambda: 0)
    age(sim)
    assert store.moved == 0 and store.cold is not None
    monkeypatch.undo()
    sim.advance(2 * limits.RETENTION_PAUSE_MS / 1000)
    age(sim)
    assert store.moved == 2


def test_without_its_disk_old_content_is_missing_and_nothing_else_and_it_comes_back() -> None:
    sim, store, alice, bob, a = grown_old()
    disk = store.cold
    store.lose(OSError(5, "Input/output error"))
    found: list[Any] = []

    def find() -> Any:
        if not found:
            raise StoreError("/cold: not there")
        return found[0]

    aging = sim.shards[0].aging
    assert aging is not None
    aging._find = find
    age(sim)
    tablet = bob.device("tablet")
    assert tablet.history_texts(alice) == ["new 0", "new 1", "new 2"]
    page = tablet.history(alice, tablet.pages[-1].next_key, 40)
    assert list(page.metas) == [] and not page.status.reason
    a.send(bob, "meanwhile")
    assert tablet.texts[-1] == "meanwhile"
    assert store.reason == "/cold: not there" and totals(store.figures())["cold_missing"] == 1
    later(sim, HOT + 1)
    age(sim)
    assert store.left == 8, "nothing moves meanwhile"
    found.append(disk)
    sim.advance(limits.COLD_RETRY_MS / 1000)
    age(sim)
    assert totals(store.figures())["cold_missing"] == 0 and store.reason == ""
    assert tablet.history(alice, 0, 40).metas[-1].id and len(tablet.pages[-1].metas) == 34
    healthy(sim)


def test_a_long_stretch_that_is_not_there_is_passed_over_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PULL_ENTRIES", 40)
    _, store, alice, bob, _ = grown_old(messages=150)
    store.lose(OSError(5, "Input/output error"))
    phone = bob.device("phone", automatic=False)
    phone.pull(alice.uid)
    passed = [sync.next_key for _, sync in phone.frames if getattr(sync, "next_key", 0)]
    while phone.texts == []:
        phone.pull(alice.uid, passed[-1])
        passed = [sync.next_key for _, sync in phone.frames if getattr(sync, "next_key", 0)]
    assert passed == [40, 80, 120, 153] and phone.texts == ["new 0", "new 1", "new 2"]


def test_steps_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AGING_ROWS", 20)
    sim, store, alice, bob = town()
    a = alice.device()
    for number in range(100):
        a.send(bob, f"old {number}")
    later(sim, HOT + 1)
    moved = [0]
    for _ in range(14):
        age(sim, 1)
        moved.append(store.moved)
    steps = [b - a for a, b in itertools.pairwise(moved)]
    assert max(steps) <= 20 and sum(steps) == 200


def test_while_a_backup_is_taken_nothing_moves() -> None:
    sim, store, alice, bob = town()
    alice.device().send(bob, "old")
    later(sim, HOT + 1)
    sim.shards[0].links.hold(20)
    age(sim, 5)
    assert store.moved == 0
    sim.shards[0].links.hold(0)
    age(sim, 5)
    assert store.moved == 2
