"""Pull loops: how one device gets what is in one queue (xsync 5.2 to 5.5; pure).

A device acknowledges entries by asking for those behind them; the server pushes when it may and otherwise says that
there is something::

    state      has acknowledged up to   event                        answer                                   next
    state
    ---------  -----------------------  ---------------------------  ---------------------------------------  ----------
    IDLE       the end                  new entries                  eager batch                              AWAITING
    IDLE       the end                  new entries, all its own     none, the cursor follows                 IDLE
    IDLE       less                     new entries                  NOTICE                                   NOTICED
    NOTICED    anything                 new entries                  none: one NOTICE per loop (5.4)          NOTICED
    AWAITING   anything                 new entries                  none: they follow the acknowledgement    AWAITING
    AWAITING   the end                  SyncUL of the last key       none yet                                 OWED
    OWED       the end                  new entries                  batch: the answer that is owed           AWAITING
    OWED       the end                  :meth:`PullLoop.end`         batch without metas, next_key 0          IDLE
    OWED       less                     :meth:`PullLoop.end`         batch without metas, with next_key       AWAITING
    any        anything                 SyncUL, entries follow       batch with next_key                      AWAITING
    any        anything                 SyncUL, nothing follows      batch without metas, next_key 0          IDLE

A device never gets entries it made itself: it shows them already (5.6). ``next_key`` is the position of the last
entry looked at.

OWED saves a write to the socket per message: the end of a loop, which says nothing, waits for something that says more. It is
sent along with whatever else the socket gets, and within a second.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Meta
from lanying.shard.chat import visible
from lanying.shard.chat.mailbox import Conversation, Mailboxes

IDLE: Final = 0
AWAITING: Final = 1
NOTICED: Final = 2
OWED: Final = 3


class Entry(NamedTuple):
    """An entry appended in this tick.

    :ivar meta: empty: not for this user's devices
    :ivar sn: serial number of the device of the mailbox's owner that made it, 0 for another user's
    :ivar previous_mid: newest listed message before it
    """

    seq: int
    meta: bytes
    sn: int
    previous_mid: int


class PullLoop:
    """One device's progress in one queue.

    :ivar cursor: acknowledged up to here
    :ivar sent: pushed or looked at up to here
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
        return self.state == IDLE and self.cursor == self.sent

    def ready_for(self, first: int) -> bool:
        """The device is up to date: entries from ``first`` on may be pushed to it."""
        return (self.state == IDLE or self.state == OWED) and self.sent == first - 1

    def pushed(self, last: int, now: float) -> None:
        """Entries up to ``last`` were pushed."""
        self.sent, self.state, self.since = last, AWAITING, now

    def wants(self, key: int, head: Conversation) -> int | None:
        """Position a pull with this key has to read from the store, None when there is nothing or it is kept here."""
        cursor = max(self.cursor, min(key, head.last_seq))
        if cursor >= head.last_seq or (self.tail and self.tail[0].seq == cursor + 1):
            return None
        return cursor + 1

    def offer(
        self, mailboxes: Mailboxes, head: Conversation, sn: int, entries: list[Entry], now: float, congested: bool
    ) -> bytes | None:
        """New entries of the queue: the frame for the device, if any."""
        state = self.state
        if state == AWAITING:
            self._keep(entries)
            return None
        if state == NOTICED:
            return None
        if congested:
            return None
        if self.sent != entries[0].seq - 1 or len(entries) > limits.BATCH_METAS:
            return self.remind(head, now)
        last = self.sent = entries[-1].seq
        metas = [entry.meta for entry in entries if entry.sn != sn and entry.meta]
        if not metas:
            self.cursor = last
            mailboxes.move_cursor(head, sn, last)
            return None
        self.state, self.since = AWAITING, now
        if state == OWED:
            return frame.batch(head.peer, metas, last)
        return frame.batch(head.peer, metas, last, eager=True, prev_mid=entries[0].previous_mid)

    def remind(self, head: Conversation, now: float) -> bytes:
        """For entries that could not be offered: a NOTICE, or the answer that is owed with nothing but a key to go on from."""
        if self.state == OWED:
            self.state, self.since = AWAITING, now
            return frame.batch(head.peer, [], self.cursor)
        self.state, self.since = NOTICED, now
        return frame.notice(head.peer)

    def acknowledge(self, mailboxes: Mailboxes, head: Conversation, sn: int, key: int) -> bool:
        """The device confirms everything there is: from now on it is owed an answer. False: it has to :meth:`pull`."""
        if self.state != AWAITING or key != self.sent or key != head.last_seq or not key:
            return False
        self.state = OWED
        self.tail = None
        if key > self.cursor:
            self.cursor = key
            mailboxes.move_cursor(head, sn, key)
        return True

    def end(self, head: Conversation, now: float) -> bytes:
        """The end of the loop, which is owed."""
        assert self.state == OWED
        if self.cursor < head.last_seq:  # what came while the device did not read
            return self.remind(head, now)
        self.state = IDLE
        return frame.batch(head.peer, [])

    def pull(self, mailboxes: Mailboxes, head: Conversation, sn: int, key: int, now: float, now_ms: int = 0) -> bytes:
        """The device asks for what is behind ``key`` (its cursor without one) and acknowledges everything up to it."""
        if key > head.last_seq:
            key = head.last_seq
        if key > self.cursor:
            self.cursor = key
            mailboxes.move_cursor(head, sn, key)
        metas, scanned = self._next(mailboxes, head, sn, self.cursor, now_ms)
        if not metas:
            advanced = scanned > self.cursor
            if advanced:  # only entries of its own
                self.cursor = scanned
                mailboxes.move_cursor(head, sn, scanned)
            self.sent, self.tail = scanned, None
            if advanced and scanned < head.last_seq:  # a stretch of removed entries: the device goes on behind it
                self.state, self.since = AWAITING, now
                return frame.batch(head.peer, [], scanned)
            self.state = IDLE
            return frame.batch(head.peer, [])
        self.sent, self.state, self.since = scanned, AWAITING, now
        return frame.batch(head.peer, metas, scanned)

    def pending(self, head: Conversation, now: float) -> int:
        """``n`` of the heartbeat's unread list: entries beyond the cursor, unless a loop that delivers them is under way."""
        if self.state != IDLE and now - self.since < limits.IN_FLIGHT_RETRY_S:
            return 0
        return head.last_seq - self.cursor

    def _keep(self, entries: list[Entry]) -> None:
        tail = self.tail
        if tail is None:
            if entries[0].seq == self.sent + 1 and len(entries) <= limits.TAIL_METAS:
                self.tail = list(entries)
        elif tail[-1].seq + 1 == entries[0].seq and len(tail) + len(entries) <= limits.TAIL_METAS:
            tail += entries

    def _next(
        self, mailboxes: Mailboxes, head: Conversation, sn: int, cursor: int, now_ms: int
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
    uid = head.uid
    for place, entry in enumerate(entries):
        if entry:
            meta = Meta.FromString(entry)
            sender = getattr(meta, "from")
            own = sender.deviceSN == sn and sender.uid == uid
            if not own and not visible.withheld(mailboxes.store, head, meta, entries, place, now_ms):
                size += len(entry)
                if size > limits.BATCH_BYTES and metas:
                    break
                metas.append(visible.with_status(mailboxes.store, head, meta, entry))
        cursor += 1
    return metas, cursor
