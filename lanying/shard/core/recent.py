"""What happened lately, in bounded lists, for operators who ask (``upkeep.inspection``)."""

from __future__ import annotations

from collections import deque

from lanying.base import limits
from lanying.bus.messages import PushTold, Slow


class Recent:
    """The latest of each kind.

    :ivar accepted: messages accepted here: id, owner of the mailbox, peer, wall ms
    :ivar removed: messages taken out of a mailbox: id, and its trace as it was then, packed
    :ivar pushes: what became of pushes owed here
    :ivar slow: what took long
    """

    def __init__(self) -> None:
        self.accepted: deque[tuple[int, int, int, int]] = deque(maxlen=limits.RECENT_MESSAGES)
        self.removed: deque[tuple[int, bytes]] = deque(maxlen=limits.RECENT_REMOVED)
        self.pushes: deque[PushTold] = deque(maxlen=limits.RECENT_PUSHES)
        self.slow: deque[Slow] = deque(maxlen=limits.SLOW_KEPT)
