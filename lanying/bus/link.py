"""Links: link messages between two shards, exactly once and in order (pure; the shard's outbox does the storage).

Theory: the sending shard numbers its messages from 1 and keeps each in its outbox until it is acknowledged. The
receiving shard commits the highest number it has applied together with what the messages did, and acknowledges after
that commit. It ignores numbers it has seen and refuses numbers beyond the next one, so any loss or repetition on the
way, and any restart of either side, ends in the sender going back to the first unacknowledged message (go-back-N).
The outbox is the queue: memory holds no more than the messages of the current tick.

Four numbers say where a sender is, ``trimmed <= acknowledged <= sent <= last``: removed from the outbox; committed by the
peer; given to the transport since the last going back; assigned and committed in the outbox. What may happen depends on
how the last three stand to each other:

- HELD: nothing is sent until the peer has said what it knows, which may be more than we do.
- IDLE: all is sent and acknowledged.
- MOVING: all is sent, acknowledgements are due.
- LAGGING: the rest is in the outbox alone and is read from there.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final, TypeAlias

from lanying.base import limits
from lanying.base.states import State, transitions


class LinkEvent(IntEnum):
    """What became of the numbers."""

    MET = auto()
    """The peer has said what it knows; nothing is to be sent."""
    MET_BEHIND = auto()
    """It has, and there is something to send."""
    SENT = auto()
    """New messages, all given to the transport."""
    LEFT = auto()
    """New messages, not all of which may be sent yet."""
    READ_BACK = auto()
    """Some of what lagged was sent."""
    CAUGHT_UP = auto()
    """All of what lagged was sent."""
    CONFIRMED = auto()
    """An acknowledgement; not of everything."""
    COMPLETED = auto()
    """Everything is acknowledged."""
    WENT_BACK = auto()
    """What was sent has to be sent again."""


LinkState: TypeAlias = State[LinkEvent, None]

HELD: Final[LinkState] = State("HELD")
IDLE: Final[LinkState] = State("IDLE")
MOVING: Final[LinkState] = State("MOVING")
LAGGING: Final[LinkState] = State("LAGGING")

TRANSITIONS: Final = transitions(
    {
        (HELD, LinkEvent.LEFT): (None, HELD),
        (HELD, LinkEvent.MET): (None, IDLE),
        (HELD, LinkEvent.MET_BEHIND): (None, LAGGING),
        (IDLE, LinkEvent.SENT): (None, MOVING),
        (IDLE, LinkEvent.LEFT): (None, LAGGING),
        (IDLE, LinkEvent.COMPLETED): (None, IDLE),
        (IDLE, LinkEvent.WENT_BACK): (None, LAGGING),
        (MOVING, LinkEvent.SENT): (None, MOVING),
        (MOVING, LinkEvent.LEFT): (None, LAGGING),
        (MOVING, LinkEvent.CONFIRMED): (None, MOVING),
        (MOVING, LinkEvent.COMPLETED): (None, IDLE),
        (MOVING, LinkEvent.WENT_BACK): (None, LAGGING),
        (LAGGING, LinkEvent.LEFT): (None, LAGGING),
        (LAGGING, LinkEvent.READ_BACK): (None, LAGGING),
        (LAGGING, LinkEvent.CAUGHT_UP): (None, MOVING),
        (LAGGING, LinkEvent.CONFIRMED): (None, LAGGING),
        (LAGGING, LinkEvent.COMPLETED): (None, IDLE),
        (LAGGING, LinkEvent.WENT_BACK): (None, LAGGING),
    }
)


class LinkSender:
    """Numbers of one outgoing link; see the module for what they mean."""

    __slots__ = ("acknowledged", "last", "patience", "progress_at", "sent", "state", "trimmed")

    def __init__(self, last: int, oldest: int, *, held: bool = False) -> None:
        """:param last: highest number ever assigned, :param oldest: lowest number still in the outbox (``last + 1`` when empty)
        :param held: send nothing until the peer has said what it knows (:mod:`lanying.shard.core.outbox`)"""
        assert oldest <= last + 1
        self.last = last
        self.acknowledged = self.sent = self.trimmed = oldest - 1
        self.state = HELD if held else IDLE if self.sent == last else LAGGING
        self.progress_at = 0.0
        self.patience = limits.LINK_RESEND_S

    @property
    def held(self) -> bool:
        """Nothing may be sent yet."""
        return self.state is HELD

    @held.setter
    def held(self, held: bool) -> None:
        assert self.state is HELD and not held, "a link is held from its start or never"
        self._move(LinkEvent.MET if self.sent == self.last else LinkEvent.MET_BEHIND)

    def assign(self) -> int:
        """The number of a new message."""
        self.last += 1
        return self.last

    def committed(self, first: int, count: int, now: float) -> int:
        """``count`` new messages from number ``first`` on are in the outbox. How many of them may be sent from memory now."""
        assert first + count == self.last + 1, "numbers are assigned without gap"
        direct = 0
        if self.sent == first - 1 and self.state is not HELD:
            room = limits.LINK_WINDOW - (self.sent - self.acknowledged)
            direct = count if count <= room else max(0, room)
            if direct and self.sent == self.acknowledged:
                self.progress_at = now
            self.sent += direct
        self._move(LinkEvent.SENT if direct == count else LinkEvent.LEFT)
        return direct

    def lagging(self) -> tuple[int, int] | None:
        """First number and count to read from the outbox and send, if anything may be sent."""
        if self.state is not LAGGING:
            return None
        room = limits.LINK_WINDOW - (self.sent - self.acknowledged)
        count = min(self.last - self.sent, room)
        return (self.sent + 1, count) if count > 0 else None

    def resent(self, first: int, count: int, now: float) -> None:
        """``count`` messages from ``first`` on were read from the outbox and given to the transport."""
        assert first == self.sent + 1
        if self.sent == self.acknowledged:
            self.progress_at = now
        self.sent += count
        self._move(LinkEvent.CAUGHT_UP if self.sent == self.last else LinkEvent.READ_BACK)

    def acknowledge(self, number: int, rewind: bool, now: float) -> None:
        """The peer has committed everything up to ``number``.

        It can know numbers we do not: a power failure took our newest batches (durability ``interval`` or ``os``).
        Numbering goes on behind them.
        """
        if number <= self.acknowledged and not rewind:
            return  # it says nothing new
        if number > self.last:
            self.last = number
        if number > self.acknowledged:
            self.acknowledged = number
            self.progress_at = now
            self.patience = limits.LINK_RESEND_S
            if number > self.sent:
                self.sent = number
        if rewind:
            # The peer may have lost what it acknowledged (power failure, durability below fsync): give it again what is still there.
            self.acknowledged = min(self.acknowledged, max(number, self.trimmed))
            self.sent = self.acknowledged
            self.patience = limits.LINK_RESEND_S
        if self.acknowledged == self.last:
            self._move(LinkEvent.COMPLETED)
        else:
            self._move(LinkEvent.WENT_BACK if rewind else LinkEvent.CONFIRMED)

    def tick(self, now: float) -> None:
        """Go back when nothing moved for too long."""
        if self.sent > self.acknowledged and now - self.progress_at > self.patience:
            self.sent = self.acknowledged
            self.progress_at = now
            self.patience = min(2 * self.patience, limits.LINK_RESEND_MAX_S)
            self._move(LinkEvent.WENT_BACK)

    @property
    def depth(self) -> int:
        """Messages the peer has not acknowledged."""
        return self.last - self.acknowledged

    def _move(self, event: LinkEvent) -> None:
        _, state = self.state.on[event]
        self.state = state
        last, sent, acknowledged = self.last, self.sent, self.acknowledged
        assert self.trimmed <= acknowledged <= sent <= last, self
        assert sent - acknowledged <= limits.LINK_WINDOW, "more is on its way than the peer has room for"
        # No call of its own: this is once per message that travels alone.
        standing = LAGGING if sent < last else IDLE if acknowledged == last else MOVING
        assert state is standing or state is HELD, self

    def __repr__(self) -> str:
        return f"{self.state} {self.trimmed} <= {self.acknowledged} <= {self.sent} <= {self.last}"


class LinkReceiver:
    """Numbers of one incoming link.

    :ivar seen: highest number applied in this or an earlier tick
    """

    __slots__ = ("seen",)

    def __init__(self, committed: int) -> None:
        self.seen = committed

    def fresh(self, first: int, count: int, oldest: int) -> int | None:
        """How many messages of a batch to skip because they were seen; None: the batch begins beyond the next
        number, ask to go back.

        :param oldest: lowest number the sender still has; what came before and was not seen is lost for good and
            passed over
        """
        if oldest > self.seen + 1:
            self.seen = oldest - 1
        if first > self.seen + 1:
            return None
        skip = min(count, self.seen + 1 - first)
        self.seen += count - skip
        assert 0 <= skip <= count
        return skip


def bundles(items: list[bytes]) -> list[bytes]:
    """Encoded link messages as few MessagePack arrays of at most ``LINK_BUNDLE_BYTES`` (a larger message goes alone)."""
    found: list[bytes] = []
    start = size = 0
    for at, item in enumerate(items):
        size += len(item)
        if size > limits.LINK_BUNDLE_BYTES and at > start:
            found.append(_array(items[start:at]))
            start, size = at, len(item)
    found.append(_array(items[start:]))
    return found


def _array(items: list[bytes]) -> bytes:
    """MessagePack array 16 of encoded items. By hand: a :class:`msgspec.Raw` for each message costs 0.3 us more."""
    return b"\xdc%b%b" % (len(items).to_bytes(2, "big"), b"".join(items))
