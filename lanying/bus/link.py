"""Links: link messages between two shards, exactly once and in order (pure; the shard's outbox does the storage).

Theory: the sending shard numbers its messages from 1 and keeps each in its outbox until it is acknowledged. The
receiving shard commits the highest number it has applied together with what the messages did, and acknowledges after
that commit. It ignores numbers it has seen and refuses numbers beyond the next one, so any loss or repetition on the
way, and any restart of either side, ends in the sender going back to the first unacknowledged message (go-back-N).
The outbox is the queue: memory holds no more than the messages of the current tick.

======================  ===============================================================
sender state            meaning
======================  ===============================================================
``acknowledged``        committed by the peer: may leave the outbox
``sent``                given to the transport since the last going back
``last``                assigned and committed in the outbox
======================  ===============================================================

``acknowledged <= sent <= last``. ``sent < last``: *lagging*, the rest is read from the outbox.
"""

from __future__ import annotations

from lanying.base import limits


class LinkSender:
    """Numbers of one outgoing link."""

    __slots__ = ("acknowledged", "held", "last", "patience", "progress_at", "sent", "trimmed")

    def __init__(self, last: int, oldest: int, *, held: bool = False) -> None:
        """:param last: highest number ever assigned, :param oldest: lowest number still in the outbox (``last + 1`` when empty)
        :param held: send nothing until the peer has said what it knows (:mod:`lanying.shard.core.outbox`)"""
        self.held = held
        assert oldest <= last + 1
        self.last = last
        self.acknowledged = self.sent = self.trimmed = oldest - 1
        self.progress_at = 0.0
        self.patience = limits.LINK_RESEND_S

    def assign(self) -> int:
        """The number of a new message."""
        self.last += 1
        return self.last

    def committed(self, first: int, count: int, now: float) -> int:
        """``count`` new messages from number ``first`` on are in the outbox. How many of them may be sent from memory now."""
        if self.held or self.sent != first - 1:
            return 0
        room = limits.LINK_WINDOW - (self.sent - self.acknowledged)
        direct = max(0, min(count, room))
        if direct:
            if self.sent == self.acknowledged:
                self.progress_at = now
            self.sent += direct
        return direct

    def lagging(self) -> tuple[int, int] | None:
        """First number and count to read from the outbox and send, if anything may be sent."""
        if self.held:
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

    def acknowledge(self, number: int, rewind: bool, now: float) -> None:
        """The peer has committed everything up to ``number``.

        It can know numbers we do not: a power failure took our newest batches (durability ``interval`` or ``os``).
        Numbering goes on behind them.
        """
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

    def tick(self, now: float) -> None:
        """Go back when nothing moved for too long."""
        if self.sent > self.acknowledged and now - self.progress_at > self.patience:
            self.sent = self.acknowledged
            self.progress_at = now
            self.patience = min(2 * self.patience, limits.LINK_RESEND_MAX_S)

    @property
    def depth(self) -> int:
        """Messages the peer has not acknowledged."""
        return self.last - self.acknowledged


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
        return skip
