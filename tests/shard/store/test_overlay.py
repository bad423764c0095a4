"""Reads over a batch that is not written see what they would see if it were; and a tick is written once, as a whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lanying.shard.store import schema
from lanying.shard.store.base import Batch
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.overlay import Overlay
from lanying.testing.simulation import Simulation

FAMILIES = (schema.QUEUE, schema.META)
KEYS = [bytes([n]) for n in range(12)]
keys = st.sampled_from(KEYS)
changes = st.lists(
    st.tuples(st.sampled_from(FAMILIES), keys, st.one_of(st.none(), keys), st.one_of(st.none(), st.binary(max_size=2)))
)


def apply(batch: Batch, family: str, key: bytes, stop: bytes | None, value: bytes | None) -> None:
    if stop is not None:
        batch.delete_range(family, min(key, stop), max(key, stop))
    elif value is None:
        batch.delete(family, key)
    else:
        batch.put(family, key, value)


@given(before=changes, pieces=st.lists(changes, max_size=3), undone=changes, limit=st.integers(0, 5))
def test_the_open_batch_reads_like_a_written_one(before, pieces, undone, limit) -> None:  # type: ignore[no-untyped-def]
    below, written = MemoryStore(), MemoryStore()
    for store in (below, written):
        batch = store.batch()
        for change in before:
            apply(batch, *change)
        store.write(batch)
    overlay = Overlay(below)
    writes = below.writes
    tick = overlay.batch()
    for piece in pieces:
        batch = written.batch()
        for change in piece:
            apply(tick, *change)
            apply(batch, *change)
        written.write(batch)
        kept = len(tick.operations)
        for change in undone:
            apply(tick, *change)
        for family in FAMILIES[:1]:  # some families are read before it is undone, others not
            [*overlay.scan(family, b"", b"\xff")]
        overlay.cut(kept)
    assert below.writes == writes
    for family in FAMILIES:
        assert [overlay.get(family, key) for key in KEYS] == [written.get(family, key) for key in KEYS]
        assert overlay.get_many(family, KEYS) == written.get_many(family, KEYS)
        for reverse in (False, True):
            for stop in (KEYS[7], b"\xff"):
                asked = {"limit": limit, "reverse": reverse}
                expected = [*written.scan(family, KEYS[2], stop, **asked)]
                assert [*overlay.scan(family, KEYS[2], stop, **asked)] == expected
    overlay.write(tick)
    for family in FAMILIES:
        assert [*overlay.scan(family, b"", b"\xff")] == [*written.scan(family, b"", b"\xff")]


def test_a_tick_is_written_once_whatever_its_events_read() -> None:
    """A kill in the middle of a tick leaves nothing of it: no message that is remembered as sent and owed to nobody."""
    sim = Simulation(2)
    users = [sim.user(f"user{n}") for n in range(12)]
    alice = users[0]
    phone = alice.device()
    neighbours = [user for user in users[1:] if user.shard is alice.shard]
    assert neighbours
    store = sim.stores[alice.shard.work.index]
    writes = store.writes
    for peer in neighbours:  # the first message to each reads what the ones before have put
        phone.send(peer, "hello", run=False)
        phone.send(peer, "again", client_mid=phone.send(peer, "again", run=False), run=False)
    alice.shard.left(phone.session)
    assert store.writes == writes
    sim.commit(alice.shard)
    assert store.writes == writes + 1
