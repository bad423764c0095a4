"""Message ids, and the number space users and groups share.

Message id (below 2^53, JavaScript reads it as a double): 41 bits of milliseconds since 2024-01-01 and 12 bits of who and
which, of one of two kinds::

    0 | 5 bits of shard      | 6 bits of sequence    shards 0 to 31: 64 ids a millisecond
    1 | 7 bits of shard - 32 | 4 bits of sequence    shards 32 to 159: 16 ids a millisecond

A full sequence borrows from the next millisecond; a clock that steps back does not take ids back. So bursts of any length
are ordered, and only what a shard makes for longer than it rests moves its ids ahead of the clock. A saturated shard makes
12,500 ids a second (docs/performance.md: 25,000 messages on two): a fifth of what a shard of the first kind has, four fifths
of the second. A layout of 7 and 5 bits for all would give 128 shards half the reserve, and other ids than those in data
directories that exist: here an id of a server of up to 32 shards is what it was.

User and group ids: ``counter * 1024 + slot`` (below 10^15). The slot is the hash slot the id lives in for ever, the counter belongs
to the slot and moves with it, so ids of one slot stay unique whichever shard owns it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

DeviceNumber = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
"""A device's serial number as rows have it; 0: none. What is decoded has no other, so none can fail when it is written."""
EPOCH_MS: Final = 1_704_067_200_000
"""2024-01-01T00:00:00Z."""
SLOTS: Final = 1024
MAX_ENTITY_ID: Final = 10**15 - 1
FIRST_COUNTER: Final = 1_000
"""First counter of a slot: ids start at seven digits, so they never look like small enumerations."""

_TIME_SHIFT: Final = 12
_FIELD_MASK: Final = (1 << _TIME_SHIFT) - 1
_SECOND_KIND: Final = 1 << 11
_FEW: Final = 32
"""Shards of the first kind."""
SHARDS: Final = _FEW + 128
_STEP_BITS: Final = 6


class MessageIds:
    """Strictly increasing message ids of one shard.

    :ivar last: milliseconds since the epoch and sequence of the last id, as ``ms << 6 | sequence`` (of the second kind
        ``sequence << 2``); persisted with every commit that used an id and given back at start
    """

    __slots__ = ("_field", "_shift", "_step", "last")

    def __init__(self, shard: int, last: int = 0) -> None:
        assert 0 <= shard < SHARDS
        self._shift = 0 if shard < _FEW else 2
        self._step = 1 << self._shift
        self._field = shard << 6 if shard < _FEW else _SECOND_KIND | shard - _FEW << 4
        self.last = last

    @property
    def last_time_s(self) -> float:
        """When the last id says that it was made, in seconds since 1970; 0: there is none yet."""
        return ((self.last >> _STEP_BITS) + EPOCH_MS) / 1000 if self.last else 0.0

    def next(self, now_ms: int) -> int:
        """The next id at wall time ``now_ms`` (milliseconds since 1970)."""
        step = (now_ms - EPOCH_MS) << _STEP_BITS
        last = self.last + self._step
        if step > last:
            last = step
        self.last = last
        return (last >> _STEP_BITS) << _TIME_SHIFT | self._field | (last & 63) >> self._shift

    def observe(self, mid: int) -> None:
        """An id of another shard was seen: ids made from now on are larger, so an answer never sorts before its question."""
        moment = mid >> _TIME_SHIFT
        if self._field <= mid & _FIELD_MASK:
            moment += 1
        floor = (moment << _STEP_BITS) - self._step
        if floor > self.last:
            self.last = floor


def made_by(mid: int) -> tuple[int, int]:
    """Of a message id: the shard that made it, and what :attr:`MessageIds.last` was then."""
    field = mid & _FIELD_MASK
    if field < _SECOND_KIND:
        shard, sequence = field >> 6, field & 63
    else:
        shard, sequence = _FEW + (field - _SECOND_KIND >> 4), (field & 15) << 2
    return shard, mid >> _TIME_SHIFT << _STEP_BITS | sequence


def id_step(now_ms: int) -> int:
    """What :attr:`MessageIds.last` is for the first id of this millisecond."""
    return (now_ms - EPOCH_MS) << _STEP_BITS


def message_time_ms(mid: int) -> int:
    """Wall time a message id was made at, in milliseconds since 1970."""
    return (mid >> _TIME_SHIFT) + EPOCH_MS


def slot_of(entity_id: int) -> int:
    """Hash slot of a user or group id."""
    return entity_id % SLOTS


def entity_id(slot: int, counter: int) -> int:
    """The id with this counter in this slot."""
    return counter * SLOTS + slot


def typed_id(text: str) -> int:
    """A user's or group's id as somebody typed it; 0 when it is none."""
    return int(text) if text.isdecimal() and len(text) <= len(str(MAX_ENTITY_ID)) else 0
