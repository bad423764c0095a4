"""Deadlines of many connections: a wheel of one-second slots instead of a timer each.

Scheduling and cancelling are one set operation. An entry comes due up to a second late, and again and again until it
is cancelled or scheduled anew, so the owner may simply move its deadline and look when it is called.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

SLOTS: Final = 64
"""Seconds the wheel reaches ahead; a later deadline comes due early and is scheduled anew by its owner."""

Key = TypeVar("Key", bound=Hashable)


class Wheel(Generic[Key]):
    """``now`` and deadlines are monotonic seconds."""

    __slots__ = ("_second", "_slot_of", "_slots")

    def __init__(self, now: float) -> None:
        self._second = int(now)
        self._slots: list[set[Key]] = [set() for _ in range(SLOTS)]
        self._slot_of: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._slot_of)

    def schedule(self, key: Key, deadline: float) -> None:
        """Set or move the deadline of ``key``."""
        self.cancel(key)
        ahead = min(max(int(deadline) + 1 - self._second, 1), SLOTS - 1)
        slot = (self._second + ahead) % SLOTS
        self._slots[slot].add(key)
        self._slot_of[key] = slot

    def cancel(self, key: Key) -> None:
        """Forget ``key``."""
        slot = self._slot_of.pop(key, None)
        if slot is not None:
            self._slots[slot].discard(key)

    def due(self, now: float) -> list[Key]:
        """Take out every key whose deadline has passed."""
        found: list[Key] = []
        steps = min(int(now) - self._second, SLOTS)
        for step in range(1, steps + 1):
            slot = self._slots[(self._second + step) % SLOTS]
            found.extend(slot)
            slot.clear()
        self._second = max(int(now), self._second)
        for key in found:
            del self._slot_of[key]
        return found
