"""Frames of clients: what each asks for, and the answers (xsync 4, 5). Pure.

A frame is one event. If the server fails on it, nothing of it is left, its client gets a refusal and its connection is closed: the others
go on.

Answers are made after the tick's write, from what is written: new entries, pulls, history pages. What one device gets of one queue is
decided by its pull loop (:mod:`lanying.shard.chat.sync`). The server may fail on a stored entry: then that session ends and the others
get theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.protocol import frame
from lanying.protocol.frame import FrameError, parse_frame
from lanying.protocol.schema.xsync_pb2 import Frame, Provision, Status, SyncUL
from lanying.shard.accounts.logins import Logins
from lanying.shard.chat import door, history
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.sync import IDLE, OWED, PullLoop
from lanying.shard.chat.unread import unread_list
from lanying.shard.core.costs import Laps
from lanying.shard.core.mailbox import Conversation, Entry, Fetched
from lanying.shard.core.ports import Loop
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.core.work import Work
from lanying.shard.store import schema

SYNC, UNREAD, PROVISION = Frame.SYNC, Frame.UNREAD, Frame.PROVISION
FAILED: Final = "the server failed on this, its log says why"
Pull = tuple[Session, int, int, Fetched | None]
Page = tuple[Session, int, int, int]


class Frames:
    """What the sessions of a shard send.

    :ivar watch: port of the inspection: looks at every frame while somebody is traced
    """

    def __init__(self, work: Work, logins: Logins, delivery: Delivery, pulls: Pulls) -> None:
        self._work = work
        self._logins = logins
        self._delivery = delivery
        self._pulls = pulls
        self.watch: Callable[[Session, bytes], None] | None = None

    def received(self, session: Session, data: bytes) -> None:
        """A frame of a client."""
        if session.left:
            return
        if self.watch is not None:
            self.watch(session, data)
        work = self._work
        mark = work.tick.mark()
        try:
            command, payload = parse_frame(data)
            if command == SYNC:
                try:
                    sync = SyncUL.FromString(payload)
                except Exception as error:
                    raise FrameError(Status.PB_PARSER_ERROR, "payload is not a SyncUL") from error
                if sync.HasField("meta"):
                    self._delivery.upload(session, sync.meta, mark)
                else:
                    self._asked(session, sync)
            elif command == UNREAD:
                self._pulls.may_ask(session)
                work.tick.add(work.tick.unreads, session)
            elif command == PROVISION:
                self._provision_again(session, payload)
            else:
                raise FrameError(Status.UNKNOWN_COMMAND, f"command {command} is not for the server")
            if work.local:
                work.apply_local()
        except FrameError as error:
            work.refused += 1
            work.refusals[error.status_code] += 1
            work.tick.send(session, frame.refusal(0, error.status_code, error.reason))
        except Exception as error:  # noqa: BLE001 - whatever it was, only this connection ends
            work.take_back(mark)
            work.failed(error, "frame")
            work.event(self.give_up, session)

    def give_up(self, session: Session) -> None:
        """The server failed on a session: it ends, its client may come back."""
        tick = self._work.tick
        tick.send(session, frame.refusal(0, Status.FAIL, FAILED))
        self._logins.left(session, "server_failed")
        tick.add(tick.closing, session)

    def _asked(self, session: Session, sync: SyncUL) -> None:
        """For what is behind a position of a queue, or for a page of its history."""
        peer, key = sync.xid.uid, sync.key
        if key > door.LARGEST_ID or peer > door.LARGEST_ID:
            raise FrameError(Status.INVALID_PARAMETER, f"ids and keys are at most {door.LARGEST_ID}")
        if sync.is_full_sync:
            self._pulls.may_ask(session)
            tick = self._work.tick
            tick.add(tick.histories, (session, peer, key, sync.full_sync_num))
        else:
            self._pulls.pull(session, peer, key)

    def _provision_again(self, session: Session, payload: bytes) -> None:
        try:
            wanted = Provision.FromString(payload).xid.uid
        except Exception as error:
            raise FrameError(Status.PB_PARSER_ERROR, "payload is not a Provision") from error
        tick = self._work.tick
        if wanted == session.uid:
            tick.send(session, frame.provision_ok(session.uid, session.sn))
        else:
            reason = "this connection is logged in, open another one for another user"
            tick.send(session, frame.provision_refused(Status.FAIL, reason, wanted))


class Pulls:
    """Pull loops of this shard's sessions.

    :ivar elsewhere: port of the groups: session, head, key and what was fetched for a pull; True when its entries have to be fetched from
        another shard first
    :ivar group_page: port of the groups: session, head, key, amount of a page of a group's history
    :ivar clock: port of the runner, monotonic seconds: answers are charged to whoever asked. Without one time stands still
    :ivar owed: sessions with loops whose end they are owed, and the queues of these
    :ivar broken: sessions the server failed on since the tick was written
    """

    elsewhere: Callable[[Session, Conversation, int, Fetched | None], bool]
    group_page: Callable[[Session, Conversation, int, int], None]

    def __init__(self, work: Work) -> None:
        self._work = work
        self.clock: Callable[[], float] = float
        self.owed: dict[Session, list[int]] = {}
        self.broken: list[Session] = []

    def loop(self, session: Session, head: Conversation) -> Loop:
        """The session's loop of a queue, made from the device's cursor when there is none."""
        loop = session.loops.get(head.peer)
        if loop is None:
            if len(session.loops) >= limits.LOOPS_PER_SESSION:
                session.forget_some_loops()
            cursor = self._work.mailboxes.cursor(session.uid, session.sn, head.peer)
            loop = session.loops[head.peer] = PullLoop(cursor)
        return loop

    def pull(self, session: Session, peer: int, key: int) -> None:
        """A device asks for what is behind ``key``: answered after the write, or owed when that is all there is."""
        mailboxes = self._work.mailboxes
        loop = session.loops.get(peer)
        if loop is not None and key:
            head = mailboxes.head(session.uid, peer)
            if head.flags & schema.IS_GROUP:
                mailboxes.refresh(head)
            if loop.acknowledge(mailboxes, head, session.sn, key):
                owed = self.owed.get(session)
                if owed is None:
                    self.owed[session] = [peer]
                else:
                    owed.append(peer)
                return
        self.may_ask(session)
        tick = self._work.tick
        tick.add(tick.pulls, (session, peer, key, None))

    def may_ask(self, session: Session) -> None:
        """Something that is looked up for a session. :raises FrameError: its user has kept the shard too long"""
        costs = self._work.costs
        if costs.over:
            try:
                costs.check(session.uid, self._work.tick.now)
            except CallError as error:
                raise FrameError(Refusal.TOO_MANY_MESSAGES.status, error.message) from error

    def offer(self, touched: list[tuple[Conversation, Entry]]) -> None:
        """New entries of queues of this shard's users, to those of their devices that are here."""
        by_head: dict[Conversation, list[Entry]] = {}
        for head, entry in touched:
            entries = by_head.get(head)
            if entries is None:
                by_head[head] = [entry]
            else:
                entries.append(entry)
        work = self._work
        tick, mailboxes, users = work.tick, work.mailboxes, work.registry.users
        # Here the tick is written and not yet durable: what is sent waits in it, and reads find every entry of every head.
        for head, entries in by_head.items():
            assert entries[-1].seq - entries[0].seq == len(entries) - 1, "positions of a queue have no gaps"
            for session in users.get(head.uid, ()):
                try:
                    loop = session.loops.get(head.peer) or self.loop(session, head)
                    congested = len(session.unsent) > limits.OUT_SOFT_BYTES
                    out = loop.offer(mailboxes, head, session.sn, entries, tick.now, congested)
                except Exception as error:  # noqa: BLE001 - only this session ends
                    self.fail(session, error)
                    continue
                if out is not None:
                    work.deliveries += 1
                    tick.send(session, out)

    def answer(self, tick: Tick) -> tuple[Sequence[Pull], Sequence[Page]]:
        """Answer pulls and requests for history up to ``TICK_ANSWER_BYTES``; those left for the next tick."""
        if not tick.pulls and not tick.histories:
            return [], []
        laps = Laps(self._work.costs, self.clock)
        left_over = self._answer(tick, laps)
        laps.end(tick.now)
        return left_over

    def _answer(self, tick: Tick, laps: Laps) -> tuple[Sequence[Pull], Sequence[Page]]:
        room = limits.TICK_ANSWER_BYTES
        for done, pull in enumerate(tick.pulls):
            if room <= 0:
                return tick.pulls[done:], tick.histories
            try:
                room -= self._answer_pull(tick, *pull)
            except Exception as error:  # noqa: BLE001 - only this session ends
                self.fail(pull[0], error)
            laps.lap(pull[0].uid)
        for done, page in enumerate(tick.histories):
            if room <= 0:
                return [], tick.histories[done:]
            try:
                room -= self._answer_page(tick, *page)
            except Exception as error:  # noqa: BLE001 - only this session ends
                self.fail(page[0], error)
            laps.lap(page[0].uid)
        return [], []

    def answer_unread(self, tick: Tick) -> None:
        """Unread lists, behind everything else: what was sent along with them is not counted again."""
        laps = Laps(self._work.costs, self.clock)
        for session in tick.unreads:
            if not session.left:
                try:
                    tick.send(session, unread_list(self._work, self.loop, session))
                except Exception as error:  # noqa: BLE001 - only this session ends
                    self.fail(session, error)
                laps.lap(session.uid)
        laps.end(tick.now)

    def drained(self, session: Session) -> None:
        """A session that did not read has read: remind it of the queues it was not told of meanwhile."""
        work = self._work
        for peer, loop in session.loops.items():
            head = work.mailboxes.head(session.uid, peer)
            if (loop.state is IDLE or loop.state is OWED) and loop.cursor < head.last_seq:
                work.tick.send(session, loop.remind(head, work.tick.now))

    def end_loops(self) -> None:
        """Once a second: the ends of pull loops that found nothing to go along with (:data:`~lanying.shard.chat.sync.OWED`)."""
        for session in list(self.owed):
            self._end_loops(session)

    def end_along(self, tick: Tick) -> None:
        """The ends of pull loops of sessions that get something anyway."""
        owed = self.owed
        for session, _ in tick.outs[:]:
            if session in owed:
                self._end_loops(session)

    def fail(self, session: Session, error: Exception) -> None:
        """The server failed on a session while it answered: it ends with the next tick."""
        self._work.failed(error, "answer")
        self.broken.append(session)

    def _answer_pull(self, tick: Tick, session: Session, peer: int, key: int, fetched: Fetched | None) -> int:
        if session.left:
            return 0
        mailboxes = self._work.mailboxes
        head = mailboxes.refresh(mailboxes.head(session.uid, peer))
        if not head.last_seq and peer not in session.loops:  # nothing was ever there: a loop would only be remembered
            answer = frame.batch(peer, [])
            tick.send(session, answer)
            return len(answer)
        if self.elsewhere(session, head, key, fetched):
            return 0
        answer = self.loop(session, head).pull(mailboxes, head, session.sn, key, tick.now, tick.now_ms, fetched)
        tick.send(session, answer)
        return len(answer)

    def _answer_page(self, tick: Tick, session: Session, peer: int, key: int, amount: int) -> int:
        if session.left:
            return 0
        head = self._work.mailboxes.head(session.uid, peer)
        if head.flags & schema.IS_GROUP:
            self.group_page(session, head, key, amount)
            return 0
        found = history.page(self._work.store, head, key, amount)
        answer = frame.batch(peer, found.metas, found.next_key, full=True)
        tick.send(session, answer)
        return len(answer)

    def _end_loops(self, session: Session) -> None:
        peers = self.owed.pop(session)
        if session.left:
            return
        work = self._work
        tick = work.tick
        for peer in peers:
            loop = session.loops.get(peer)
            if loop is None:
                tick.send(session, frame.batch(peer, []))
            elif loop.state is OWED:  # else it has had its answer
                tick.send(session, loop.end(work.mailboxes.head(session.uid, peer), tick.now))
