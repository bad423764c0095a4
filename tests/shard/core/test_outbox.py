"""Bundles are read back in pieces that fit a blob."""

from __future__ import annotations

from lanying.base import limits
from lanying.shard.core import outbox
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore


def test_a_piece_fits_a_blob_and_has_one_bundle_at_least() -> None:
    store = MemoryStore()
    batch = store.batch()
    rows = [b"a" * 10, b"b" * limits.LINK_BLOB_BYTES, b"c" * 10, b"d" * 10]
    for number, row in enumerate(rows, 5):
        batch.put(schema.OUTBOX, schema.pack_outbox(3, number), row)
    store.write(batch)
    assert outbox.read(store, 3, 5, 4) == rows[:1]
    assert outbox.read(store, 3, 6, 3) == rows[1:2]
    assert outbox.read(store, 3, 7, 2) == rows[2:]


def test_numbers_of_links_begin_at_none() -> None:
    store = MemoryStore()
    batch = store.batch()
    batch.put(schema.LINKS, b"in" + schema.pack_u16(3), schema.pack_u64(9))
    store.write(batch)
    assert (outbox.number(store, b"in", 3), outbox.number(store, b"out", 3)) == (9, 0)
