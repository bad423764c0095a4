"""Group timelines on the group's shard: written once, passed to every shard with members (pure).

The entries are the queue and history of owner and peer *gid*. Every shard with members is sent each new one: one link message per shard,
whatever the number of members. What a member's shard does with it: :mod:`lanying.shard.groups.membership`.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.base.ids import message_time_ms
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    FetchEntries,
    FetchHistory,
    GroupDeliver,
    GroupPost,
    GroupPosted,
    HistoryPage,
    Message,
    Posted,
    Seat,
    Unseat,
)
from lanying.bus.messages.base import answers
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.chat import edits, history, message_kinds, operations
from lanying.shard.chat.delivery import sent_before
from lanying.shard.chat.policy import Policy
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.work import Work
from lanying.shard.groups import records
from lanying.shard.store import schema


class Timelines:
    """Timelines of the groups that live here.

    :ivar _audiences: members per shard, by group: which shards are sent what is new
    """

    def __init__(self, work: Work, policy: Policy) -> None:
        self._work = work
        self._policy = policy
        self._audiences: dict[int, Counter[int]] = {}
        self.handlers: dict[type[Message], Callable[[Any], object]] = dict(
            [
                answers(FetchEntries)(self.fetch_entries),
                answers(FetchHistory)(self.fetch_history),
            ]
        )
        self.links: dict[type[Message], Callable[[Any], object]] = {GroupPost: self.post}
        work.group_notice = self.notice
        work.prepare[Seat] = self._seats
        work.prepare[Unseat] = self._unseats

    def post(self, message: GroupPost) -> None:
        """An upload from a member's shard: answered, whatever becomes of it, unless it is live."""
        work, ticket, uid = self._work, message.ticket, message.uid
        mark = work.tick.mark()
        try:
            posted = self.accept(message)
            work.apply_local()  # what fails here has to be answered too
            answer = GroupPosted(ticket, uid, posted.mid, posted.time_ms, posted.edit_ms)
        except Refused as refused:
            work.take_back(mark)
            answer = GroupPosted(ticket, uid, refusal=refused.refusal, reason=refused.reason)
        except Exception as error:  # noqa: BLE001 - whatever it was, only this upload is refused
            work.take_back(mark)
            work.failed(error, "group_post")
            answer = GroupPosted(ticket, uid, refusal=Refusal.SERVER_FAILED, reason=Refusal.SERVER_FAILED.text)
        if not message.live:
            work.link(uid, answer)

    def accept(self, request: GroupPost) -> Posted:
        """Put an upload into the timeline of a group of this shard. :raises Refused: its author may not"""
        work = self._work
        gid, uid, now_ms = request.gid, request.uid, work.tick.now_ms
        if work.full:
            raise Refused(Refusal.DISK_FULL)
        speaks = request.operation != operations.RECALL  # a banned member may still take back
        refusal = records.may_post(work.store, gid, uid, request.app, now_ms, speaks=speaks)
        if refusal is not None:
            raise refusal
        head = work.mailboxes.head(gid, gid)
        size = len(request.payload)
        if size > limits.SHORT_BYTES:  # of short ones the number is what costs
            size *= self._audience(gid).total()
        if request.live:
            if not self._policy.count_group(gid, work.tick.now, request.priority or 1, size):
                return Posted(work.next_mid(), now_ms)
            work.kinds[message_kinds.LIVE] += 1
            mid = request.ticket or work.next_mid()
            stored = frame.meta(mid, uid, request.sn, gid, now_ms, Meta.MESSAGE, request.payload)
            self._pass_on(gid, GroupDeliver(gid, 0, mid, stored, uid, request.sn, False, 0), live=True)
            return Posted(mid, now_ms)
        checksum = zlib.crc32(request.payload)
        mid = sent_before(work.store, uid, request.sn, request.client_mid, checksum)
        if mid:
            work.tick.awaits_flush = True
            return Posted(mid, now_ms)
        if not self._policy.count_group(gid, work.tick.now, request.priority, size):
            return Posted(work.next_mid(), now_ms)  # a message that may be dropped, and is
        posted = self._operate(request, head) if request.operation else self._keep(request, head)
        if request.client_mid:
            key = schema.pack_device_peer(uid, request.sn, request.client_mid)
            work.put(schema.SENT, key, schema.SENT_VALUE.pack(posted.mid, checksum))
        return posted

    def put(self, head: Conversation, mid: int, meta: bytes, *, listed: bool, author: int = 0, sn: int = 0) -> None:
        """Append to a timeline of this shard and pass it on to every shard with members."""
        work = self._work
        previous = head.last_mid
        seq = work.mailboxes.append(head, mid, meta, listed)
        if listed:
            work.recent.accepted.append((mid, head.uid, head.peer, work.tick.now_ms))
        self._pass_on(head.peer, GroupDeliver(head.peer, seq, mid, meta, author, sn, listed, previous))

    def notice(self, gid: int, sender: int, payload: bytes) -> None:
        """See :class:`~lanying.shard.core.work.Work`."""
        work = self._work
        mid = work.next_mid()
        meta = frame.meta(mid, sender, 0, gid, work.now_ms, Meta.GROUP_NOTICE, payload)
        self.put(work.mailboxes.head(gid, gid), mid, meta, listed=False)

    def fetch_entries(self, request: FetchEntries) -> list[bytes]:
        """Entries of a timeline, for a member's device that pulls."""
        mailboxes = self._work.mailboxes
        head = mailboxes.head(request.gid, request.gid)
        count = max(0, min(request.count, limits.BATCH_METAS, head.last_seq - request.first + 1))
        entries: list[bytes] = []
        size = 0
        for entry in mailboxes.entries(head, request.first, count):
            size += len(entry or b"")
            if size > limits.BATCH_BYTES and entries:
                break
            entries.append(entry or b"")
        return entries

    def fetch_history(self, request: FetchHistory) -> HistoryPage:
        """A page of a group's history as far as a member may read it."""
        store = self._work.store
        since = records.member_since(store, request.gid, request.uid)
        if since is None:
            return HistoryPage([], request.key, last=True)
        joined_ms, everything = since
        queue = self._work.mailboxes.head(request.gid, request.gid).key
        most = history.page_size(request.amount)
        rows = history.older(store, queue, request.key, most)
        if not everything:
            rows = [row for row in rows if message_time_ms(row.mid) >= joined_ms]
        metas: list[bytes] = []
        read: list[int] = []
        oldest, size = request.key, 0
        for row, message in zip(rows, history.entries(store, queue, rows), strict=True):
            size += len(message)
            if size > limits.BATCH_BYTES and metas:
                break
            oldest = row.mid
            if message:
                metas.append(message)
                if row.marks & schema.READ_BY_PEER:
                    read.append(row.mid)
        return HistoryPage(metas, oldest, read, last=len(rows) < most and (not rows or oldest == rows[-1].mid))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _keep(self, request: GroupPost, head: Conversation) -> Posted:
        work = self._work
        mid, now_ms = work.next_mid(), work.tick.now_ms
        stored = frame.meta(mid, request.uid, request.sn, request.gid, now_ms, Meta.MESSAGE, request.payload)
        self.put(head, mid, stored, listed=True, author=request.uid, sn=request.sn)
        work.kinds[message_kinds.GROUP] += 1
        return Posted(mid, now_ms)

    def _operate(self, request: GroupPost, head: Conversation) -> Posted:
        work = self._work
        uid, kind, now_ms = request.uid, request.operation, work.now_ms
        found = edits.need(work, head, request.target)
        payload, sn, edit_ms = request.payload, request.sn, 0
        if kind == operations.RECALL:
            if not records.may_recall(work.store, request.gid, uid):
                edits.check_recall(work, found, uid)
            edits.recall(work, found)
        elif kind in (operations.APPEND, operations.REPLACE):
            edits.check_author(found, uid)
            payload, edit_ms = edits.edit(work, found, kind, payload, MessageBody.FromString(payload))
            sn = 0  # the author's device gets its own edit as well (xsync 6.4)
        else:
            raise Refused(Refusal.INVALID_PARAMETER, f"operation {kind} is not for groups")
        mid = work.next_mid()
        stored = frame.meta(mid, uid, sn, request.gid, edit_ms or now_ms, Meta.MESSAGE, payload)
        self.put(head, mid, stored, listed=False, author=uid, sn=sn)
        work.kinds[message_kinds.OF_OPERATION[kind]] += 1
        return Posted(mid, now_ms, edit_ms)

    def _pass_on(self, gid: int, message: GroupDeliver, *, live: bool = False) -> None:
        work = self._work
        # Of a group in use it is known: a call less per message.
        for index in self._audiences.get(gid) or self._audience(gid):
            if live and index != work.index:
                work.live(index, message)
            else:
                work.tell(index, message)

    def recount(self) -> None:
        """Members may live on other shards now."""
        self._audiences.clear()

    def _audience(self, gid: int) -> Counter[int]:
        """Members of a group of this shard, by the shards they live on."""
        found = self._audiences.get(gid)
        if found is None:
            work = self._work
            if len(self._audiences) >= limits.GROUPS_CACHED:
                for old in list(self._audiences)[: limits.GROUPS_CACHED // 10]:
                    del self._audiences[old]
            found = Counter(work.shard_of(uid) for uid in records.member_uids(work.store, gid))
            self._audiences[gid] = found
            work.undo((self._audiences.pop, gid, None))
        return found

    def _seats(self, message: Seat) -> None:
        """A member comes: called when the link message is made, before the group's notice about it. The row is there already."""
        message.start = self._work.mailboxes.head(message.gid, message.gid).last_seq
        self._move(message.gid, message.uid, 1)

    def _unseats(self, message: Unseat) -> None:
        """A member goes. Their shard gets no more of the group once it has none left."""
        self._move(message.gid, message.uid, -1)

    def _move(self, gid: int, uid: int, by: int) -> None:
        found = self._audiences.get(gid)
        if found is not None:
            self._work.undo((self._audiences.pop, gid, None))
            shard = self._work.shard_of(uid)
            found[shard] += by
            assert found[shard] >= 0, "nobody leaves twice"
            if not found[shard]:
                del found[shard]
