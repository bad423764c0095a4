"""Pushes owed to users without a connected device: noted with the commit of the message, kept until the push process is done with
them. Pure.

A row says who is owed a push for which message, nothing else: what decides about it (settings, tokens, the message as it is
now) is asked for when it is its turn (:class:`~lanying.bus.messages.GetPushFacts`). So a row costs an ordinary message nothing and a
message to an absent user with a bound device 50 bytes, a user who has been back meanwhile is left out, and a recalled message is
never pushed.

The push process takes rows in the order they came, as often as it likes, and says when it is done with one: at least once,
whoever dies. When it is away for long, all but the newest of each conversation go, then
the oldest (:data:`~lanying.base.limits.PUSHES_OWED`): no message ever waits for a push.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.figures import Figure
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    STATE_DELETED,
    STATE_NORMAL,
    FinishPushes,
    GetGroupPushFacts,
    GetPushFacts,
    GroupPushFacts,
    Message,
    OwedPush,
    PushDone,
    PushesWait,
    PushFacts,
    PushTold,
    TakenPushes,
    TakePushes,
)
from lanying.bus.messages.base import answers
from lanying.cluster.runtime import PUSH
from lanying.shard.accounts import accounts, devices, roster
from lanying.shard.accounts.logins import Logins
from lanying.shard.chat import history, visible
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.session import Session
from lanying.shard.core.work import Work
from lanying.shard.groups import records
from lanying.shard.groups.membership import Memberships
from lanying.shard.store import schema

log = logging.getLogger(__name__)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_owed: Final = msgspec.msgpack.Decoder(OwedPush).decode


class Pushes:
    """What this shard owes the push process.

    :ivar on: there is a push process; without one nothing is noted
    :ivar dropped: pushes given up because there were too many
    """

    def __init__(self, work: Work, logins: Logins, memberships: Memberships) -> None:
        self._work = work
        self._logins = logins
        self._memberships = memberships
        self.on = False
        self.dropped = 0
        self._owed: dict[tuple[int, int], OwedPush] = {}
        self._order: list[tuple[int, tuple[int, int]]] = []
        self._last = 0
        self._epoch = 0
        self._awaited = False
        self._bound: set[int] = set()
        self._unbound: set[int] = set()
        self.handlers: dict[type[Message], Callable[[Any], object]] = dict(
            [
                answers(TakePushes)(self.take),
                answers(FinishPushes)(self.finish),
                answers(GetPushFacts)(self.facts),
                answers(GetGroupPushFacts)(self.group_facts),
            ]
        )

    def begin(self) -> None:
        """Note pushes from now on; those of earlier days are still owed. Call it before the first message of a tick."""
        if self.on:
            return
        self.on = True
        self._work.owe = self.message
        self._work.device_changed = self.device_changed
        self._memberships.owe = self.group_message
        self._logins.abandoned = self.abandoned
        rows = [_decode_owed(row) for _, row in self._work.store.scan(schema.PUSHES, b"", b"\xff" * 17)]
        for row in sorted(rows, key=lambda row: (row.since_ms, row.mid)):
            self._note(row)

    # --- a message is kept ----------------------------------------------------------------------------------------------

    def message(self, head: Conversation, mid: int) -> None:
        """The newest entry of this queue is message ``mid`` of somebody else."""
        uid = head.uid
        if uid not in self._work.registry.users and self._is_bound(uid):
            self._owe(uid, mid, head.peer, head.last_seq, False)

    def group_message(self, gid: int, mid: int, seq: int, members: set[int], author: int) -> None:
        """The newest entry of a group's timeline is message ``mid``."""
        for uid in self._work.registry.absent(members) - self._unbound:
            if uid != author and self._is_bound(uid):
                self._owe(uid, mid, gid, seq, True)

    def order(self, uid: int, task_id: int) -> None:
        """A back end has ordered a push to this user."""
        self._owe(uid, task_id, 0, 0, False)

    @property
    def much(self) -> bool:
        """The backlog is at least half full."""
        return len(self._owed) >= limits.PUSHES_OWED // 2

    def abandoned(self, session: Session) -> None:
        """A connection has ended. It may have been dead for a while: what it was sent and has not acknowledged is owed a push, of each
        conversation the newest message."""
        uid = session.uid
        peers = [peer for peer, loop in session.loops.items() if loop.sent > loop.cursor]
        if not peers or self._work.registry.sessions(uid) or not self._is_bound(uid):
            return
        for peer in peers:
            head = self._work.mailboxes.refresh(self._work.mailboxes.head(uid, peer))
            if head.last_mid and session.loops[peer].sent > head.acknowledged:
                self._owe(uid, head.last_mid, peer, head.last_seq, bool(head.flags & schema.IS_GROUP))

    def device_changed(self, uid: int) -> None:
        """A device of this user is not what it was: they may be bound now, or not any more."""
        self._bound.discard(uid)
        self._unbound.discard(uid)

    # --- the push process asks -------------------------------------------------------------------------------------------

    def take(self, request: TakePushes) -> TakenPushes:
        """Rows behind ``after``; all of them if the caller's epoch is stale."""
        self.begin()
        self._epoch = self._epoch or self._work.now_ms
        after = request.after if request.epoch == self._epoch else 0
        rows: list[OwedPush] = []
        start = bisect_right(self._order, after, key=lambda entry: entry[0])
        more = False
        for number, key in self._order[start:]:
            if len(rows) >= limits.PUSHES_TAKEN:
                more = True
                break
            after = number
            row = self._owed.get(key)
            if row is not None:
                rows.append(row)
        self._awaited = not more
        return TakenPushes(self._epoch, after, rows, more)

    def finish(self, request: FinishPushes) -> bool:
        """What became of pushes; what is over is owed no more."""
        work = self._work
        for done in request.done:
            work.recent.pushes.extend(done.told)
            for token in done.gone:
                devices.unbind_push(work, done.uid, token)
            if self._owed.get((done.uid, done.mid)) is None:
                continue  # reported a second time
            if done.shown:
                self._count_up(done.uid)
            if done.final:
                self._forget(done)
        return True

    def facts(self, request: GetPushFacts) -> PushFacts:
        """What decides about a push to one of our users. :raises CallError: 10000 they are gone"""
        work, uid = self._work, request.uid
        account = accounts.need(work.store, uid)
        if account.info.state != STATE_NORMAL:
            raise CallError(Refusal.NO_SUCH_USER, f"user {uid} may not log in")
        bound = [(it.sn, it.notifier, it.push_token) for it in devices.list_all(work.store, uid) if it.push_token]
        facts = PushFacts(account.info, account.extras.badge, bound)
        if request.task:
            return facts
        head = work.mailboxes.head(uid, request.peer)
        relation = roster.relation(work.store, uid, request.peer)
        meta, seq = (b"", 0) if head.flags & schema.IS_GROUP else self._entry(head, request.mid)
        return msgspec.structs.replace(
            facts,
            meta=meta,
            seq=seq,
            acknowledged=head.acknowledged,
            muted=relation.mute_notification,
            alias=relation.alias,
        )

    def group_facts(self, request: GetGroupPushFacts) -> GroupPushFacts:
        """A message of a group of this shard, and what a member has chosen. :raises CallError: 20001 there is none"""
        store, gid = self._work.store, request.gid
        group, member = records.load(store, gid), records.member(store, gid, request.uid)
        if group is None:
            raise CallError(Refusal.NO_SUCH_GROUP, f"there is no group {gid}")
        meta, seq = self._entry(self._work.mailboxes.head(gid, gid), request.mid)
        if member is None or not meta:
            return GroupPushFacts(meta, seq, member is not None)
        sender = visible.sender(self._work.mailboxes.head(gid, gid), meta)
        card = records.member(store, gid, sender)
        return GroupPushFacts(
            meta,
            seq,
            True,
            member.push_mode,
            member.mute_mode,
            records.role(group, card, sender) >= records.ADMIN,
            card.display_name if card is not None else "",
        )

    # --- for operators -------------------------------------------------------------------------------------------------------

    def told(self, mid: int) -> list[PushTold]:
        """What is known of the pushes for a message, in order."""
        found = [told for told in self._work.recent.pushes if told.mid == mid]
        waits = {(told.uid, told.mid) for told in found}
        owed = [row for key, row in self._owed.items() if row.mid == mid and key not in waits]
        waiting = [PushTold(mid, row.uid, 0, "", "a push is owed", row.since_ms) for row in owed]
        return [*found, *waiting][: limits.ADMIN_ROWS]

    def figures(self) -> list[Figure]:
        """For ``status``."""
        if not self.on:
            return []
        return [Figure("pushes_owed", float(len(self._owed))), Figure("pushes_dropped", float(self.dropped))]

    # --- inside ----------------------------------------------------------------------------------------------------------------

    def _is_bound(self, uid: int) -> bool:
        """Has a device of this user a vendor token? Looked up once, as long as their devices stay as they are."""
        if uid in self._bound:
            return True
        if uid in self._unbound:
            return False
        work = self._work
        bound = any(device.push_token for device in devices.list_all(work.store, uid))
        known = self._bound if bound else self._unbound
        if len(known) >= limits.PUSH_USERS_KNOWN:
            known.clear()
        known.add(uid)
        return bound

    def _owe(self, uid: int, mid: int, peer: int, seq: int, group: bool) -> None:
        work = self._work
        if (uid, mid) in self._owed:
            return
        if len(self._owed) >= limits.PUSHES_OWED:
            self._make_room()
        row = OwedPush(uid, mid, peer, seq, group, work.now_ms)
        work.put(schema.PUSHES, schema.pack_pair(uid, mid), _encode(row))
        self._note(row)
        if self._awaited:
            self._awaited = False
            work.tick.envelopes.append((PUSH, PushesWait(work.index)))

    def _note(self, row: OwedPush) -> None:
        key = (row.uid, row.mid)
        self._last += 1
        self._owed[key] = row
        self._work.undo((self._owed.pop, key, None))
        self._order.append((self._last, key))
        if len(self._order) > 2 * len(self._owed) + limits.PUSHES_TAKEN:
            self._order = [entry for entry in self._order if entry[1] in self._owed]

    def _forget(self, done: PushDone) -> None:
        row = self._owed.pop((done.uid, done.mid))
        self._work.undo((self._note, row))
        self._work.delete(schema.PUSHES, schema.pack_pair(done.uid, done.mid))

    def _make_room(self) -> None:
        """Of each conversation the newest message is enough; if that is not enough, the oldest go."""
        newest = {(row.uid, row.peer): key for key, row in self._owed.items() if row.seq}
        older = [key for key, row in self._owed.items() if row.seq and newest[row.uid, row.peer] != key]
        tenth = limits.PUSHES_OWED // 10
        gone = older if len(older) >= tenth else list(self._owed)[:tenth]
        for key in gone:
            self._work.undo((self._note, self._owed.pop(key)))
            self._work.delete(schema.PUSHES, schema.pack_pair(*key))
        self._order = [entry for entry in self._order if entry[1] in self._owed]
        self.dropped += len(gone)
        log.warning(
            "event=pushes_dropped count=%d remedy='%s'",
            len(gone),
            "is the push process up, do vendors answer? `lanying-cluster status` and its log",
        )

    def _count_up(self, uid: int) -> None:
        account = accounts.load(self._work.store, uid)
        if account is not None and account.info.state != STATE_DELETED:
            accounts.set_badge(self._work, uid, account.extras.badge + 1)

    def _entry(self, head: Conversation, mid: int) -> tuple[bytes, int]:
        """A message as it is now, and its position; empty: gone."""
        listed = history.listed(self._work.store, head.key, mid)
        return (b"", 0) if listed is None else (history.entry(self._work.store, head.key, listed), listed.seq)
