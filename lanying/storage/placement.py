"""Which rows move with which hash slot, when slots move between shards.

Every family has its place here; a family that is missing stops resharding before anything is touched, and a test.
"""

from __future__ import annotations

from typing import Final

from lanying.ids import SLOTS
from lanying.shard.store import schema

BY_ID: Final = "id"
"""The key begins with the user or group id (u64) whose slot the row moves with."""
BY_SLOT: Final = "slot"
"""The key begins with the slot itself (u16)."""
STAYS: Final = "stays"
"""Belongs to the shard, not to its users: ``meta`` is merged, ``outbox`` and ``links`` are empty when slots move."""

PLACES: Final = {
    schema.META: STAYS,
    schema.COUNTERS: BY_SLOT,
    schema.NAMES: BY_SLOT,
    schema.ACCOUNTS: BY_ID,
    schema.DEVICES: BY_ID,
    schema.ROSTER: BY_ID,
    schema.APPLICATIONS: BY_ID,
    schema.GROUPS: BY_ID,
    schema.MEMBERS: BY_ID,
    schema.GROUP_ITEMS: BY_ID,
    schema.INVITATIONS: BY_ID,
    schema.QUEUE: BY_ID,
    schema.HISTORY: BY_ID,
    schema.CONVERSATIONS: BY_ID,
    schema.CURSORS: BY_ID,
    schema.SENT: BY_ID,
    schema.OUTBOX: STAYS,
    schema.LINKS: STAYS,
}

MOVING: Final = tuple(family for family in schema.FAMILIES if PLACES.get(family) != STAYS)
"""Families whose rows move, in the order they are copied."""


def slot(family: str, key: bytes) -> int:
    """Hash slot a row of a moving family belongs to."""
    if PLACES[family] == BY_SLOT:
        return int.from_bytes(key[:2], "big")
    return int.from_bytes(key[:8], "big") % SLOTS
