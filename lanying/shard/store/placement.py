"""Which rows move with which hash slot, when slots move between shards.

Every family has its place here; a family that is missing stops resharding before anything is touched, and a test.
"""

from __future__ import annotations

from typing import Final

from lanying.base.ids import SLOTS
from lanying.cluster.shardmap import ShardMap
from lanying.shard.store import schema

BY_ID: Final = "id"
"""The key begins with the user or group id (u64) whose slot the row moves with."""
BY_SLOT: Final = "slot"
"""The key begins with the slot itself (u16)."""
BY_SECOND_ID: Final = "second id"
"""The same with the second id of the key: a user's row in something of a group."""
EVERYWHERE: Final = "everywhere"
"""Wanted on the shard of a user and on those of their groups, and the row does not say which: every shard gets it."""
STAYS: Final = "stays"
"""Belongs to the shard, not to its users: ``meta`` is merged, ``broadcasts`` are done and ``outbox`` and ``links`` empty when
slots move, what ``borders`` keep apart comes together again, and ``push_orders`` end where they are."""

PLACES: Final = {
    schema.META: STAYS,
    schema.COUNTERS: BY_SLOT,
    schema.NAMES: BY_SLOT,
    schema.CODES: BY_SLOT,
    schema.ACCOUNTS: BY_ID,
    schema.DEVICES: BY_ID,
    schema.ROSTER: BY_ID,
    schema.APPLICATIONS: BY_ID,
    schema.GROUPS: BY_ID,
    schema.MEMBERS: BY_ID,
    schema.GROUP_ITEMS: BY_ID,
    schema.INVITATIONS: BY_ID,
    schema.QUEUE: BY_ID,
    schema.BORDERS: STAYS,
    schema.HISTORY: BY_ID,
    schema.CONVERSATIONS: BY_ID,
    schema.CURSORS: BY_ID,
    schema.SENT: EVERYWHERE,
    schema.SEATS: BY_SECOND_ID,
    schema.MARKS: BY_ID,
    schema.READERS: BY_ID,
    schema.FILES: BY_ID,
    schema.FILE_USAGE: BY_ID,
    schema.PUSHES: BY_ID,
    schema.PUSH_TASKS: BY_ID,
    schema.PUSH_ORDERS: STAYS,
    schema.BROADCASTS: STAYS,
    schema.OUTBOX: STAYS,
    schema.LINKS: STAYS,
}

MOVING: Final = tuple(family for family in schema.FAMILIES if PLACES.get(family) != STAYS)
"""Families whose rows move, in the order they are copied."""
OWNED: Final = tuple(family for family in MOVING if PLACES.get(family) != EVERYWHERE)
"""Those of them whose rows are on exactly one shard."""


def slot(family: str, key: bytes) -> int:
    """Hash slot a row of an owned family belongs to."""
    place = PLACES[family]
    if place == BY_SLOT:
        return int.from_bytes(key[:2], "big")
    return int.from_bytes(key[8:16] if place == BY_SECOND_ID else key[:8], "big") % SLOTS


def is_tip(family: str, key: bytes, index: int, shard_map: ShardMap) -> bool:
    """A member's shard keeps the end of a group's timeline as a conversation of the group with itself: not the group's own
    row, and made anew when slots move."""
    return family == schema.CONVERSATIONS and key[:8] == key[8:] and shard_map.slots[slot(family, key)] != index
