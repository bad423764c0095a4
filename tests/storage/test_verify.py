"""Every invariant is noticed when it is broken."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lanying.base.ids import SLOTS
from lanying.shard.store import schema
from lanying.shard.store.base import Batch
from lanying.shard.store.memory import MemoryStore
from lanying.storage.verify import count_rows, verify_links, verify_store
from lanying.testing.simulation import Simulation
from tests.storage import town


@pytest.fixture(scope="module")
def sim() -> Simulation:
    sim = Simulation(2)
    town.talk(sim)
    for shard in sim.shards:
        shard.store_cursors()
    sim.run()
    return sim


def copy(store: MemoryStore) -> MemoryStore:
    store.flush()
    return store.crash()


def first(store: MemoryStore, family: str) -> bytes:
    return next(key for key, value in store.scan(family, b"", b"\xff" * 40) if value or family == schema.SEATS)


def test_a_healthy_server_has_no_problems(sim: Simulation) -> None:
    looked = 0
    for index, store in enumerate(sim.stores):
        seen: list[int] = []
        assert verify_store(store, index, sim.map, seen.append) == []
        assert verify_store(store) == []
        assert sum(seen) == count_rows(store)
        looked += sum(seen)
    assert looked > 500
    assert verify_links(sim.stores) == []


def test_late_heads_and_cursors_are_no_problem() -> None:
    sim = Simulation(2)
    town.talk(sim, 1)
    assert [verify_store(copy(store), index, sim.map) for index, store in enumerate(sim.stores)] == [[], []]


def _long_queue(store: MemoryStore) -> list[tuple[bytes, bytes]]:
    """Entries of a listed queue with some."""
    for key, _ in store.scan(schema.CONVERSATIONS, b"", b"\xff" * 40):
        rows = [row for row in store.scan(schema.QUEUE, key, schema.successor(key)) if row[1]]
        if len(rows) > 3 and any(store.scan(schema.HISTORY, key, schema.successor(key))):
            return rows
    raise AssertionError("no long queue")


def _queue_gap(store: MemoryStore, batch: Batch) -> None:
    batch.delete(schema.QUEUE, _long_queue(store)[1][0])


def _queue_end(store: MemoryStore, batch: Batch) -> None:
    batch.delete(schema.QUEUE, _long_queue(store)[-1][0])


def _whole_queue(store: MemoryStore, batch: Batch) -> None:
    key = _long_queue(store)[0][0][:16]
    batch.delete_range(schema.QUEUE, key, schema.successor(key))


def _repeated(store: MemoryStore, batch: Batch) -> None:
    rows = _long_queue(store)
    for key, _ in rows[1:]:
        batch.put(schema.QUEUE, key, rows[0][1])


def _far_cursor(store: MemoryStore, batch: Batch) -> None:
    queue = first(store, schema.QUEUE)
    batch.put(schema.CURSORS, queue[:8] + schema.pack_u32(1) + queue[8:16], schema.pack_u64(10_000))


def _outbox_gap(store: MemoryStore, batch: Batch) -> None:
    for number in (70_000, 70_002):
        batch.put(schema.OUTBOX, schema.pack_outbox(1, number), b"x")


def _last_id(store: MemoryStore, batch: Batch) -> None:
    batch.put(schema.META, b"last_id", schema.pack_u64(5))


def _counter(store: MemoryStore, batch: Batch) -> None:
    batch.put(schema.COUNTERS, first(store, schema.COUNTERS), schema.pack_u64(3))


def _account(store: MemoryStore, batch: Batch) -> None:
    batch.delete(schema.ACCOUNTS, first(store, schema.ACCOUNTS))


def _no_message(store: MemoryStore, batch: Batch) -> None:
    batch.put(schema.QUEUE, first(store, schema.QUEUE), b"\xff\xff")


def _foreign(store: MemoryStore, batch: Batch) -> None:
    batch.put(schema.ROSTER, schema.pack_pair(SLOTS * 5000 + 1, 7), b"x")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_queue_gap, "missing"),
        (_queue_end, "instead of"),
        (_whole_queue, "entries are missing"),
        (_whole_queue, "in history without any entry"),
        (_repeated, "twice"),
        (_repeated, "history has message"),
        (_far_cursor, "cursor of device 1 is at 10000"),
        (_outbox_gap, "gaps"),
        (_last_id, "could be given out twice"),
        (_counter, "beyond the counter"),
        (_account, "account .* is missing"),
        (_no_message, "is no message"),
        (_foreign, "belongs to another shard"),
    ],
)
def test_what_is_broken_is_told(sim: Simulation, harm: Callable[[MemoryStore, Batch], None], said: str) -> None:
    store = copy(sim.stores[0])
    batch = store.batch()
    harm(store, batch)
    store.write(batch)
    assert any(re.search(said, problem) for problem in verify_store(store, 0, sim.map))


def test_numbers_that_do_not_fit_are_told() -> None:
    def stores(out: int, in_: int, kept: range) -> list[MemoryStore]:
        sender, receiver = MemoryStore(), MemoryStore()
        batch = sender.batch()
        batch.put(schema.LINKS, b"out" + schema.pack_u16(1), schema.pack_u64(out))
        for number in kept:
            batch.put(schema.OUTBOX, schema.pack_outbox(1, number), b"x")
        sender.write(batch)
        batch = receiver.batch()
        batch.put(schema.LINKS, b"in" + schema.pack_u16(0), schema.pack_u64(in_))
        receiver.write(batch)
        return [sender, receiver]

    assert verify_links(stores(9, 5, range(3, 10))) == []
    assert verify_links(stores(9, 5, range(6, 10))) == []
    assert "gave out only 9" in verify_links(stores(9, 10, range(3, 10)))[0]
    assert "6 to 6 from shard 0 to 1 are in neither" in verify_links(stores(9, 5, range(7, 10)))[0]
    assert "6 to 9" in verify_links(stores(9, 5, range(0)))[0]
