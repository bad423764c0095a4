"""Rows of links, as they are read: what was given out and committed when a shard starts, and bundles that are sent again. Pure."""

from __future__ import annotations

from lanying.base import limits
from lanying.shard.store import schema
from lanying.shard.store.base import Store


def read(store: Store, peer: int, first: int, count: int) -> list[bytes]:
    """Bundles from number ``first`` on, at least one and at most ``count``, as many as fit a blob."""
    rows = store.get_many(schema.OUTBOX, [schema.pack_outbox(peer, n) for n in range(first, first + count)])
    items: list[bytes] = []
    size = 0
    for row in rows:
        assert row is not None, f"outbox row {first + len(items)} for shard {peer} is missing"
        size += len(row)
        if size > limits.LINK_BLOB_BYTES and items:
            break
        items.append(row)
    return items


def number(store: Store, direction: bytes, peer: int) -> int:
    """Highest number given out (``b"out"``) to a shard, or committed (``b"in"``) from it; 0 for none."""
    row = store.get(schema.LINKS, direction + schema.pack_u16(peer))
    return int(schema.unpack_u64(row)[0]) if row else 0
