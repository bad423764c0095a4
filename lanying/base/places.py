"""Places for connections, shared fairly between peers. Pure; ``now`` is monotonic seconds.

There are so many places in all, and so many for one peer. When none is left, the peer that has the most gives up the one that
has been idle the longest: whoever floods makes room for everybody else, and for their own newcomers. One thing is refused: a
newcomer of the peer that has the most, while all of that peer's connections are busy. A crowd behind one address that comes back
after a restart would otherwise push itself out of the door for ever.

Every call takes the same time, however many there are: peers are kept in a bucket by how many places they have.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

BUSY_S: Final = 1.0
"""A connection that was heard of within this time is busy."""

Member = TypeVar("Member", bound=Hashable)


class Places(Generic[Member]):
    """Who has a place.

    :param total: places in all
    :param each: places of one peer
    :param busy_s: how long after it was heard of a connection is busy
    """

    __slots__ = ("_busy_s", "_by_size", "_each", "_key_of", "_largest", "_members", "_total")

    def __init__(self, total: int, each: int, busy_s: float = BUSY_S) -> None:
        assert 0 < each <= total
        self._busy_s = busy_s
        self._total = total
        self._each = each
        self._key_of: dict[Member, str] = {}
        self._members: dict[str, OrderedDict[Member, float]] = {}
        self._by_size: dict[int, dict[str, None]] = {}
        self._largest = 0

    def __len__(self) -> int:
        return len(self._key_of)

    def held(self, key: str) -> int:
        """Places of a peer."""
        return len(self._members.get(key, ()))

    def full(self, key: str, *, limited: bool = True) -> bool:
        """Whether a newcomer of this peer finds no place, unless :meth:`make_room` finds somebody who leaves.

        :param limited: False: only the total counts (a proxy speaks for many)
        """
        return len(self._key_of) >= self._total or (limited and self.held(key) >= self._each)

    def make_room(self, key: str, now: float) -> Member | None:
        """Who has to leave for a newcomer of this peer; None: nobody, the newcomer has to go. The caller closes it."""
        held = self.held(key)
        own = held >= self._each or held + 1 >= self._largest
        peer = key if own and held else next(iter(self._by_size[self._largest]))
        member, heard = next(iter(self._members[peer].items()))
        return None if own and heard > now - self._busy_s else member

    def enter(self, member: Member, key: str, now: float) -> None:
        """Take a place."""
        assert member not in self._key_of
        members = self._members.setdefault(key, OrderedDict())
        members[member] = now
        self._key_of[member] = key
        self._resize(key, len(members) - 1, len(members))

    def heard(self, member: Member, now: float) -> None:
        """The member has done something; nothing happens without a place."""
        key = self._key_of.get(member)
        if key is not None:
            members = self._members[key]
            members[member] = now
            members.move_to_end(member)

    def leave(self, member: Member) -> None:
        """Give the place up; nothing happens without one."""
        key = self._key_of.pop(member, None)
        if key is None:
            return
        members = self._members[key]
        del members[member]
        if not members:
            del self._members[key]
        self._resize(key, len(members) + 1, len(members))

    def _resize(self, key: str, before: int, after: int) -> None:
        if before:
            bucket = self._by_size[before]
            del bucket[key]
            if not bucket:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[key] = None
        if after > self._largest or self._largest not in self._by_size:
            self._largest = after  # one less than before, if this peer alone had the most
