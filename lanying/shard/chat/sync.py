"""Pull loops: how one device gets what is in one queue (xsync 5.2 to 5.5; pure).

A device acknowledges entries by asking for those behind them. The server pushes entries when the device is up to date, and
otherwise says that there are some. :data:`TRANSITIONS` is the whole machine (drawn in ``docs/states.md``):

- IDLE: the device has acknowledged everything that was sent, or was never sent anything.
- AWAITING: a batch was sent. New entries wait for the acknowledgement, which asks for them.
- NOTICED: a NOTICE was sent, the only one of this loop (5.4). The device has to ask.
- OWED: the device has asked behind the last entry, and has no answer yet. The end of a loop says nothing, so it waits for
  something that says more: new entries, another frame to this socket, or a second. That saves a write to the socket per message.

A device never gets entries it made itself: it shows them already (5.6). ``next_key`` is the position of the last entry looked at.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final

from lanying.base import limits
from lanying.base.states import State, transitions
from lanying.protocol import frame
from lanying.shard.chat import visible
from lanying.shard.core.mailbox import Conversation, Entry, Fetched, Mailboxes


class LoopEvent(IntEnum):
    """What happens to a loop: new entries in the queue, a SyncUL of the device, or time."""

    ENTRIES = auto()
    """New entries that follow what was sent, and fit a batch."""
    OWN_ENTRIES = auto()
    """The same, all made by this device."""
    SHARED = auto()
    """The same, in a frame that all devices of a group get."""
    BACKLOG = auto()
    """There are entries, but not the next ones, or more than fit a batch."""
    CONGESTED = auto()
    """New entries, and the socket does not take what it has."""
    LAST_KEY = auto()
    """The device asks behind the last entry, which it was sent."""
    FOUND = auto()
    """The device asks, and entries follow."""
    REMOVED = auto()
    """The device asks, and what follows is a stretch of removed entries or its own; more is behind it."""
    EXHAUSTED = auto()
    """The device asks, and nothing follows."""
    DUE = auto()
    """The answer that is owed has waited long enough, and nothing came."""


class LoopAnswer(IntEnum):
    """What the device is sent."""

    NONE = auto()
    KEEP = auto()
    """Nothing yet; the entries are kept for the next pull."""
    PULL = auto()
    """What a pull finds, at the end of the tick."""
    EAGER = auto()
    """A batch nobody asked for."""
    BATCH = auto()
    """A batch with ``next_key``."""
    KEY = auto()
    """A batch without metas: ask behind ``next_key``."""
    END = auto()
    """A batch without metas, ``next_key`` 0: that was all."""
    NOTICE = auto()


IDLE: Final = State[LoopEvent, LoopAnswer]("IDLE")
AWAITING: Final = State[LoopEvent, LoopAnswer]("AWAITING")
NOTICED: Final = State[LoopEvent, LoopAnswer]("NOTICED")
OWED: Final = State[LoopEvent, LoopAnswer]("OWED")

TRANSITIONS: Final = transitions(
    {
        (IDLE, LoopEvent.ENTRIES): (LoopAnswer.EAGER, AWAITING),
        (IDLE, LoopEvent.OWN_ENTRIES): (LoopAnswer.NONE, IDLE),
        (IDLE, LoopEvent.SHARED): (LoopAnswer.NONE, AWAITING),
        (IDLE, LoopEvent.BACKLOG): (LoopAnswer.NOTICE, NOTICED),
        (IDLE, LoopEvent.CONGESTED): (LoopAnswer.NONE, IDLE),
        (IDLE, LoopEvent.LAST_KEY): (LoopAnswer.PULL, IDLE),
        (IDLE, LoopEvent.FOUND): (LoopAnswer.BATCH, AWAITING),
        (IDLE, LoopEvent.REMOVED): (LoopAnswer.KEY, AWAITING),
        (IDLE, LoopEvent.EXHAUSTED): (LoopAnswer.END, IDLE),
        (AWAITING, LoopEvent.ENTRIES): (LoopAnswer.KEEP, AWAITING),
        (AWAITING, LoopEvent.BACKLOG): (LoopAnswer.KEEP, AWAITING),
        (AWAITING, LoopEvent.CONGESTED): (LoopAnswer.KEEP, AWAITING),
        (AWAITING, LoopEvent.LAST_KEY): (LoopAnswer.NONE, OWED),
        (AWAITING, LoopEvent.FOUND): (LoopAnswer.BATCH, AWAITING),
        (AWAITING, LoopEvent.REMOVED): (LoopAnswer.KEY, AWAITING),
        (AWAITING, LoopEvent.EXHAUSTED): (LoopAnswer.END, IDLE),
        (NOTICED, LoopEvent.ENTRIES): (LoopAnswer.NONE, NOTICED),
        (NOTICED, LoopEvent.BACKLOG): (LoopAnswer.NONE, NOTICED),
        (NOTICED, LoopEvent.CONGESTED): (LoopAnswer.NONE, NOTICED),
        (NOTICED, LoopEvent.LAST_KEY): (LoopAnswer.PULL, NOTICED),
        (NOTICED, LoopEvent.FOUND): (LoopAnswer.BATCH, AWAITING),
        (NOTICED, LoopEvent.REMOVED): (LoopAnswer.KEY, AWAITING),
        (NOTICED, LoopEvent.EXHAUSTED): (LoopAnswer.END, IDLE),
        (OWED, LoopEvent.ENTRIES): (LoopAnswer.BATCH, AWAITING),
        (OWED, LoopEvent.OWN_ENTRIES): (LoopAnswer.NONE, OWED),
        (OWED, LoopEvent.SHARED): (LoopAnswer.NONE, AWAITING),
        (OWED, LoopEvent.BACKLOG): (LoopAnswer.KEY, AWAITING),
        (OWED, LoopEvent.CONGESTED): (LoopAnswer.NONE, OWED),
        (OWED, LoopEvent.LAST_KEY): (LoopAnswer.PULL, OWED),
        (OWED, LoopEvent.FOUND): (LoopAnswer.BATCH, AWAITING),
        (OWED, LoopEvent.REMOVED): (LoopAnswer.KEY, AWAITING),
        (OWED, LoopEvent.EXHAUSTED): (LoopAnswer.END, IDLE),
        (OWED, LoopEvent.DUE): (LoopAnswer.END, IDLE),
    }
)

# A member of an enumeration costs more to look up than its transition (Python 3.11), and these are needed per message.
_ENTRIES: Final = LoopEvent.ENTRIES
_OWN_ENTRIES: Final = LoopEvent.OWN_ENTRIES
_SHARED: Final = LoopEvent.SHARED
_BACKLOG: Final = LoopEvent.BACKLOG
_CONGESTED: Final = LoopEvent.CONGESTED
_LAST_KEY: Final = LoopEvent.LAST_KEY
_FOUND: Final = LoopEvent.FOUND
_REMOVED: Final = LoopEvent.REMOVED
_EXHAUSTED: Final = LoopEvent.EXHAUSTED
_DUE: Final = LoopEvent.DUE
_NONE: Final = LoopAnswer.NONE
_PULL: Final = LoopAnswer.PULL
_EAGER: Final = LoopAnswer.EAGER
_BATCH: Final = LoopAnswer.BATCH
_KEY: Final = LoopAnswer.KEY
_END: Final = LoopAnswer.END


class PullLoop:
    """One device's progress in one queue; ``cursor`` is never beyond ``sent``.

    :ivar cursor: acknowledged up to here
    :ivar sent: pushed or looked at up to here
    :ivar since: when the device was last sent something, monotonic
    :ivar tail: entries behind ``sent`` kept while the device has not answered; None: read them from the store
    """

    __slots__ = ("cursor", "sent", "since", "state", "tail")

    def __init__(self, cursor: int) -> None:
        self.cursor = self.sent = cursor
        self.state = IDLE
        self.since = 0.0
        self.tail: list[Entry] | None = None

    @property
    def idle(self) -> bool:
        """Nothing outstanding: the loop can be dropped and made again from its cursor."""
        return self.state is IDLE and self.cursor == self.sent

    def share(self, first: int, last: int, now: float) -> bool:
        """Entries in a frame that other devices get too. False: it is not for this one, :meth:`offer` them."""
        if self.sent != first - 1 or (self.state is not IDLE and self.state is not OWED):
            return False
        self.sent, self.since = last, now
        self.state = self.state.on[_SHARED][1]
        return True

    def wants(self, key: int, head: Conversation) -> int | None:
        """Position a pull with this key has to read from the store, None when there is nothing or it is kept here."""
        cursor = max(self.cursor, key if key <= head.last_seq else 0)
        if cursor >= head.last_seq or (self.tail and self.tail[0].seq == cursor + 1):
            return None
        return cursor + 1

    def offer(
        self, mailboxes: Mailboxes, head: Conversation, sn: int, entries: list[Entry], now: float, congested: bool
    ) -> bytes | None:
        """New entries of the queue: the frame for the device, if any."""
        if (
            self.state is AWAITING
        ):  # whichever event it is, the table keeps them for the next pull; this is the common case in a burst
            self._keep(entries)
            return None
        # From here on nothing is on its way to the device that it has not answered: it gets these, or has to ask.
        count = len(entries)
        if congested:
            event = _CONGESTED
        elif self.sent != entries[0].seq - 1 or (
            count > 1 and (count > limits.BATCH_METAS or self.sent != entries[-1].seq - count)
        ):
            event = _BACKLOG
        else:
            event = _ENTRIES
        answer, state = self.state.on[event]
        if answer is _NONE:
            return None
        if answer is not _EAGER and answer is not _BATCH:
            return self._say(event, head, now)
        # The entries follow what was sent without a gap, and fit a batch.
        first = entries[0]
        if count == 1:
            metas = [first.meta] if first.meta and first.sn != sn else []
        else:
            metas = [entry.meta for entry in entries if entry.meta and entry.sn != sn]
        self.sent = last = entries[-1].seq
        if not metas:  # all its own or removed: there is nothing to acknowledge
            self.state = self.state.on[_OWN_ENTRIES][1]
            self.cursor = last
            mailboxes.move_cursor(head, sn, last)
            return None
        assert self.cursor <= self.sent, "nothing is acknowledged that was not sent"
        self.state, self.since = state, now
        if answer is _BATCH:  # the answer that is owed, with something to say
            return frame.batch(head.peer, metas, last)
        return frame.batch(head.peer, metas, last, eager=True, prev_mid=first.previous_mid)

    def remind(self, head: Conversation, now: float) -> bytes:
        """For entries that could not be offered: a NOTICE, or the answer that is owed with nothing but a key to go on from."""
        return self._say(_BACKLOG, head, now)

    def acknowledge(self, mailboxes: Mailboxes, head: Conversation, sn: int, key: int) -> bool:
        """The device confirms everything there is: from now on it is owed an answer. False: it has to :meth:`pull`."""
        if key != self.sent or key != head.last_seq or not key:
            return False
        answer, self.state = self.state.on[_LAST_KEY]
        if answer is _PULL:
            return False
        self.tail = None
        if key > self.cursor:
            self.cursor = key
            mailboxes.move_cursor(head, sn, key)
        return True

    def end(self, head: Conversation, now: float) -> bytes:
        """The end of the loop, which is owed; or what came while the device did not read."""
        return self._say(_BACKLOG if self.cursor < head.last_seq else _DUE, head, now)

    def pull(
        self,
        mailboxes: Mailboxes,
        head: Conversation,
        sn: int,
        key: int,
        now: float,
        now_ms: int = 0,
        fetched: Fetched | None = None,
    ) -> bytes:
        """The device asks for what is behind ``key`` (its cursor without one) and acknowledges everything up to it.

        A key beyond the end is from before a restore: it acknowledges nothing, so the device gets too much rather than too little.

        :param fetched: entries of the queue that are not in this shard's store
        """
        if self.cursor < key <= head.last_seq:
            self.cursor = key
            mailboxes.move_cursor(head, sn, key)
        metas, scanned = self._next(mailboxes, head, sn, self.cursor, now_ms, fetched)
        assert self.cursor <= scanned, "a pull goes forward"
        self.sent, self.tail = scanned, None
        if metas:
            self.state, self.since = self.state.on[_FOUND][1], now
            return frame.batch(head.peer, metas, scanned)
        event = _EXHAUSTED
        if scanned > self.cursor:  # nothing of it is for this device, so it need not acknowledge it
            self.cursor = scanned
            mailboxes.move_cursor(head, sn, scanned)
            if scanned < head.last_seq:
                event = _REMOVED
        return self._say(event, head, now)

    def pending(self, head: Conversation, now: float) -> int:
        """``n`` of the heartbeat's unread list: entries beyond the cursor, unless a loop that delivers them is under way."""
        if self.state is not IDLE and now - self.since < limits.IN_FLIGHT_RETRY_S:
            return 0
        return head.last_seq - self.cursor

    def _say(self, event: LoopEvent, head: Conversation, now: float) -> bytes:
        """An answer without entries."""
        answer, self.state = self.state.on[event]
        self.since = now
        if answer is _END:
            return frame.batch(head.peer, [])
        if answer is _KEY:
            return frame.batch(head.peer, [], self.cursor)
        assert answer is LoopAnswer.NOTICE, f"{event.name} has no answer without entries"
        return frame.notice(head.peer)

    def _keep(self, entries: list[Entry]) -> None:
        """Behind ``sent`` without a gap, or not at all: then the next pull reads them from the store."""
        tail = self.tail
        kept = len(tail) if tail else 0
        after = tail[-1].seq if tail else self.sent
        count = len(entries)
        if entries[0].seq == after + 1 and entries[-1].seq == after + count and kept + count <= limits.TAIL_METAS:
            if tail:
                tail += entries
            else:
                self.tail = list(entries)

    def _next(
        self, mailboxes: Mailboxes, head: Conversation, sn: int, cursor: int, now_ms: int, fetched: Fetched | None
    ) -> tuple[list[bytes], int]:
        """Metas behind the cursor, not this device's own, and the position of the last entry looked at."""
        tail = self.tail
        self.tail = None
        if tail and tail[0].seq == cursor + 1:
            metas = [entry.meta for entry in tail if entry.sn != sn and entry.meta]
            if metas or tail[-1].seq == head.last_seq:
                return metas, tail[-1].seq
            cursor = tail[-1].seq
        stop = min(head.last_seq, cursor + limits.PULL_ENTRIES)
        while cursor < stop:
            count = min(limits.BATCH_METAS, stop - cursor)
            if fetched is not None and fetched.first == cursor + 1:
                entries: list[bytes | None] = [*fetched.entries[:count]]
            else:
                entries = mailboxes.entries(head, cursor + 1, count)
            if not entries:  # the group's shard was not asked for these: the device asks again
                return [], cursor
            metas, cursor = _fit(mailboxes, head, entries, cursor, sn, now_ms)
            if metas:
                return metas, cursor
        return [], cursor


def _fit(
    mailboxes: Mailboxes, head: Conversation, entries: list[bytes | None], cursor: int, sn: int, now_ms: int
) -> tuple[list[bytes], int]:
    metas: list[bytes] = []
    size = 0
    for place, entry in enumerate(entries):
        if entry:
            shown = visible.for_device(mailboxes.store, head, sn, entries, place, now_ms, cursor + 1)
            if shown is not None:
                size += len(entry)
                if size > limits.BATCH_BYTES and metas:
                    break
                metas.append(shown)
        cursor += 1
    return metas, cursor
