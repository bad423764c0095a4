"""Which rows move with a slot: none is left behind, none goes with a stranger."""

from __future__ import annotations

import pytest

from lanying.cluster.shardmap import ShardMap
from lanying.shard.store import placement, schema
from lanying.shard.store.placement import BY_ID, BY_SECOND_ID, BY_SLOT, EVERYWHERE, MOVING, OWNED, PLACES, STAYS

UID, GID = 1024 * 9 + 5, 1024 * 7 + 700


def test_every_family_has_a_place() -> None:
    assert PLACES.keys() == set(schema.FAMILIES)
    assert set(PLACES.values()) == {BY_ID, BY_SLOT, BY_SECOND_ID, EVERYWHERE, STAYS}


def test_what_moves_is_what_does_not_stay_and_all_but_what_is_everywhere_has_one_owner() -> None:
    stay = {schema.META, schema.BORDERS, schema.PUSH_ORDERS, schema.BROADCASTS, schema.OUTBOX, schema.LINKS}
    assert set(MOVING) == set(schema.FAMILIES) - stay
    assert set(OWNED) == set(MOVING) - {schema.SENT}


@pytest.mark.parametrize(
    ("family", "key", "slot"),
    [
        (schema.NAMES, schema.name_key(700, "app", "ann"), 700),
        (schema.COUNTERS, schema.pack_u16(1023), 1023),
        (schema.ACCOUNTS, schema.pack_u64(UID), 5),
        (schema.QUEUE, schema.pack_triple(UID, GID, 1), 5),
        (schema.SEATS, schema.pack_pair(GID, UID), 5),
        (schema.MEMBERS, schema.pack_pair(GID, UID), 700),
        (schema.CURSORS, schema.pack_device_peer(UID, 1, GID), 5),
    ],
)
def test_a_row_moves_with_the_slot_of_its_owner(family: str, key: bytes, slot: int) -> None:
    assert placement.slot(family, key) == slot


def test_a_timelines_end_on_a_members_shard_is_not_the_groups_row() -> None:
    even = ShardMap.even(2)
    home = even.shard_of(GID)
    own, peer = schema.pack_pair(GID, GID), schema.pack_pair(UID, GID)
    assert placement.is_tip(schema.CONVERSATIONS, own, 1 - home, even)
    assert not placement.is_tip(schema.CONVERSATIONS, own, home, even)
    assert not placement.is_tip(schema.CONVERSATIONS, peer, 1 - even.shard_of(UID), even)
    assert not placement.is_tip(schema.QUEUE, own + schema.pack_u64(1), 1 - home, even)
