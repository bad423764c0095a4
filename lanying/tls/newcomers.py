"""Who waits for their handshake, and who shakes hands. Pure; ``now`` is monotonic seconds.

A handshake costs its CPU in the answer to the client's first bytes (key exchange and signature). When more come than the core serves and
all are answered, most end at their deadline after they have cost that, come again and cost it once more: the more come, the fewer get in.
So few shake hands at a time, and the others wait unread, which costs nothing and is lost without loss.

The newest goes first: whoever has waited long is about to give up, and what is spent on them is lost. Who gives up comes again as the
newest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, NamedTuple, TypeVar

from lanying.base.places import Places

SHAKING: Final = 256
"""Shake hands at a time: 1,200 a second if the clients take 0.2 s for their part, and 46 KB each."""
SHAKING_PER_PEER: Final = 64
"""Of these, for one address."""
SLOW_S: Final = 3.0
"""Who has not ended it after so long makes room for one that waits; less would turn a slow network away when it is full."""
LOOKED_AT: Final = 64
"""Waiting ones of addresses without a place that are passed over in one call."""

Member = TypeVar("Member", bound=Hashable)


class Next(NamedTuple, Generic[Member]):
    """Who begins, and who has to leave for them."""

    member: Member
    leaves: Member | None


class Newcomers(Generic[Member]):
    """Connections before the end of their handshake that have sent something."""

    __slots__ = ("_shaking", "_waiting")

    def __init__(self, total: int = SHAKING, each: int = SHAKING_PER_PEER) -> None:
        self._shaking: Places[Member] = Places(total, each, SLOW_S)
        self._waiting: OrderedDict[Member, tuple[str, bool]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def shaking(self) -> int:
        """How many shake hands."""
        return len(self._shaking)

    def waits(self, member: Member) -> bool:
        """Whether this one does."""
        return member in self._waiting

    def wait(self, member: Member, key: str, *, limited: bool) -> None:
        """The first bytes are there.

        :param key: of the peer
        :param limited: the key stands for one peer alone
        """
        self._shaking.leave(member)  # what had come was not enough to begin
        self._waiting[member] = (key, limited)

    def leave(self, member: Member) -> None:
        """Wait and shake hands no more; nothing happens if it does neither."""
        self._waiting.pop(member, None)
        self._shaking.leave(member)

    def next(self, now: float) -> Next[Member] | None:
        """The newest one whose peer has a place, which it takes; None: all have to wait. The caller closes the one that leaves."""
        for _ in range(min(len(self._waiting), LOOKED_AT)):
            member, (key, limited) = next(reversed(self._waiting.items()))
            leaves = None
            if self._shaking.full(key, limited=limited):
                leaves = self._shaking.make_room(key, now)
                if leaves is None:
                    self._waiting.move_to_end(member, last=False)  # behind those of other peers
                    continue
                self._shaking.leave(leaves)
            del self._waiting[member]
            self._shaking.enter(member, key, now)
            return Next(member, leaves)
        return None
