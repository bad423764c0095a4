"""Message ids, and the number space users and groups share.

Message id (below 2^53, JavaScript reads it as a double): 41 bits of milliseconds since 2024-01-01, 6 bits of shard,
6 bits of sequence. A full sequence borrows from the next millisecond; a clock that steps back does not take ids back.

User and group ids: ``counter * 1024 + slot`` (below 10^15). The slot is the hash slot the id lives in for ever, the counter belongs
to the slot and moves with it, so ids of one slot stay unique whichever shard owns it.
"""

from __future__ import annotations

from typing import Final

EPOCH_MS: Final = 1_704_067_200_000
"""2024-01-01T00:00:00Z."""
SLOTS: Final = 1024
MAX_ENTITY_ID: Final = 10**15 - 1
FIRST_COUNTER: Final = 1_000
"""First counter of a slot: ids start at seven digits, so they never look like small enumerations."""

_SHARD_BITS = 6
_SEQUENCE_BITS = 6
_SHARD_MASK = ((1 << _SHARD_BITS) - 1) << _SEQUENCE_BITS
_SEQUENCE_MASK = (1 << _SEQUENCE_BITS) - 1


class MessageIds:
    """Strictly increasing message ids of one shard.

    :ivar last: milliseconds since the epoch and sequence of the last id, as ``ms << 6 | sequence``; persisted with every
        commit that used an id and given back at start
    """

    __slots__ = ("_shard_field", "last")

    def __init__(self, shard: int, last: int = 0) -> None:
        assert 0 <= shard < 1 << _SHARD_BITS
        self._shard_field = shard << _SEQUENCE_BITS
        self.last = last

    def next(self, now_ms: int) -> int:
        """The next id at wall time ``now_ms`` (milliseconds since 1970)."""
        step = (now_ms - EPOCH_MS) << _SEQUENCE_BITS
        last = self.last + 1
        if step > last:
            last = step
        self.last = last
        return (last >> _SEQUENCE_BITS) << (_SHARD_BITS + _SEQUENCE_BITS) | self._shard_field | last & _SEQUENCE_MASK

    def observe(self, mid: int) -> None:
        """An id of another shard was seen: ids made from now on are larger, so an answer never sorts before its question."""
        moment = mid >> _SEQUENCE_BITS + _SHARD_BITS
        if self._shard_field <= mid & _SHARD_MASK:
            moment += 1
        floor = (moment << _SEQUENCE_BITS) - 1
        if floor > self.last:
            self.last = floor


def id_step(now_ms: int) -> int:
    """What :attr:`MessageIds.last` is for the first id of this millisecond."""
    return (now_ms - EPOCH_MS) << _SEQUENCE_BITS


def message_time_ms(mid: int) -> int:
    """Wall time a message id was made at, in milliseconds since 1970."""
    return (mid >> (_SHARD_BITS + _SEQUENCE_BITS)) + EPOCH_MS


def slot_of(entity_id: int) -> int:
    """Hash slot of a user or group id."""
    return entity_id % SLOTS


def entity_id(slot: int, counter: int) -> int:
    """The id with this counter in this slot."""
    return counter * SLOTS + slot
