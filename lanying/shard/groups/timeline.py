"""Group timelines: written once on the group's shard, read by members wherever they are (pure).

The group's shard keeps the entries (queue and history of owner and peer *gid*) and tells every shard with members of
each new one: one link message per shard, whatever the number of members. A member's shard keeps the last position of the
timeline (the head of (gid, gid), written once per shard), who its members are (``seats``), and a cursor per device. It
pushes to who is there from what it was told; what a device asks for later it reads here, or fetches from the group's shard.

Over 400 lines: both ends of one exchange between shards, which have to be read together.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError, Refused
from lanying.base.ids import message_time_ms
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    FetchEntries,
    FetchHistory,
    GroupDeliver,
    GroupPost,
    HistoryPage,
    Message,
    Posted,
    Reply,
    Seat,
    Silence,
    Unseat,
)
from lanying.protocol import frame
from lanying.protocol.connection import WRAPPERS
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.accounts import devices
from lanying.shard.chat import edits, marks, message_kinds, operations
from lanying.shard.chat.author import Answer, Author
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.chat.sync import Entry
from lanying.shard.core.session import Session
from lanying.shard.groups import records
from lanying.shard.store import schema

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

_decode_posted = msgspec.msgpack.Decoder(Posted).decode
_decode_entries = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_page = msgspec.msgpack.Decoder(HistoryPage).decode


class Timelines:
    """Both ends of every group that lives here or has members here."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._audiences: dict[int, set[int]] = {}
        self._seats: dict[int, set[int]] = {}
        self.handlers: dict[type[Message], Callable[[Any], object]] = {
            GroupPost: self.post,
            FetchEntries: self._fetch_entries,
            FetchHistory: self._fetch_history,
        }

    # --- a member's upload ------------------------------------------------------------------------------------------

    def submit(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        """A message or operation of one of our users for a group; ``answer`` is told when the group's shard has decided.

        :raises Refused: not accepted (groups of this shard; others answer later)
        """
        shard = self._shard
        gid = meta.to.uid
        live = body.qos == MessageBody.AT_MOST_ONCE
        operation, target = (body.operation.type, body.operation.mid) if body.type == MessageBody.OPER else (0, 0)
        request = GroupPost(
            gid, author.uid, author.sn, author.app, meta.id, meta.payload, operation, target, live, body.priority
        )
        if not gid:
            raise Refused(Refusal.INVALID_PARAMETER, "a group message needs a group")
        if shard.shard_of(gid) == shard.index:
            posted = self.accept(request)
            shard.apply_local()
            answer(posted)
            return

        def answered(reply: Reply) -> None:
            if reply.refusal is None:
                answer(_decode_posted(reply.body))
            else:
                answer(Refused(reply.refusal, reply.message))

        shard.ask(shard.shard_of(gid), request, answered)

    def post(self, request: GroupPost) -> Posted:
        """The call of a member's shard. :raises CallError: refused"""
        try:
            return self.accept(request)
        except Refused as refused:
            raise CallError(refused.refusal, refused.reason) from refused

    def accept(self, request: GroupPost) -> Posted:
        """Put an upload into the timeline of a group of this shard. :raises Refused: its author may not"""
        shard = self._shard
        gid, uid, now_ms = request.gid, request.uid, shard.tick.now_ms
        if shard.full:
            raise Refused(Refusal.DISK_FULL)
        speaks = request.operation != operations.RECALL  # a banned member may still take back
        refusal = records.may_post(shard.store, gid, uid, request.app, now_ms, speaks=speaks)
        if refusal is not None:
            raise refusal
        head = shard.mailboxes.head(gid, gid)
        if request.live:
            shard.kinds[message_kinds.LIVE] += 1
            mid = shard.next_mid()
            stored = frame.meta(mid, uid, request.sn, gid, now_ms, Meta.MESSAGE, request.payload)
            self._tell(gid, GroupDeliver(gid, 0, mid, stored, uid, request.sn, False, 0), live=True)
            return Posted(mid, now_ms)
        key = schema.pack_device_peer(uid, request.sn, request.client_mid)
        checksum = zlib.crc32(request.payload)
        shard.settle()
        row = shard.store.get(schema.SENT, key) if request.client_mid else None
        if row is not None and schema.SENT_VALUE.unpack(row)[1] == checksum:
            return Posted(schema.SENT_VALUE.unpack(row)[0], now_ms)
        if not shard.policy.count_group(gid, shard.tick.now, request.priority):
            return Posted(shard.next_mid(), now_ms)  # a message that may be dropped, and is
        posted = self._operate(request, head) if request.operation else self._keep(request, head)
        if request.client_mid:
            shard.tick.batch.put(schema.SENT, key, schema.SENT_VALUE.pack(posted.mid, checksum))
        return posted

    def _keep(self, request: GroupPost, head: Conversation) -> Posted:
        shard = self._shard
        mid, now_ms = shard.next_mid(), shard.tick.now_ms
        stored = frame.meta(mid, request.uid, request.sn, request.gid, now_ms, Meta.MESSAGE, request.payload)
        self.put(head, mid, stored, listed=True, author=request.uid, sn=request.sn)
        shard.kinds[message_kinds.GROUP] += 1
        return Posted(mid, now_ms)

    def put(self, head: Conversation, mid: int, meta: bytes, *, listed: bool, author: int = 0, sn: int = 0) -> None:
        """Append to a timeline of this shard and tell every shard with members."""
        shard = self._shard
        previous = head.last_mid
        seq = shard.mailboxes.append(shard.tick.batch, head, mid, meta, listed)
        shard.tick.durable = True
        if listed:
            shard.inspection.recent.append((mid, head.uid, head.peer, shard.tick.now_ms))
        self._tell(head.peer, GroupDeliver(head.peer, seq, mid, meta, author, sn, listed, previous))

    def seating(self, message: Seat | Unseat) -> None:
        """A member comes or goes: called when the link message is made, before the group's notice about it."""
        if isinstance(message, Seat):
            message.start = self._shard.mailboxes.head(message.gid, message.gid).last_seq
            self._audience(message.gid).add(self._shard.shard_of(message.uid))

    def _operate(self, request: GroupPost, head: Conversation) -> Posted:
        shard = self._shard
        uid, kind, target, now_ms = request.uid, request.operation, request.target, shard.tick.now_ms
        found = edits.find(shard, head, target)
        if found is None:
            raise Refused(Refusal.NO_SUCH_MESSAGE)
        own = getattr(found[1], "from").uid == uid
        mid, sn, edit_ms = shard.next_mid(), request.sn, 0
        payload = request.payload
        if kind == operations.RECALL:
            if not records.may_recall(shard.store, request.gid, uid):
                if not own:
                    raise Refused(Refusal.NOT_THE_AUTHOR)
                if now_ms - message_time_ms(target) > shard.config.policy.recall_seconds * 1000:
                    raise Refused(Refusal.TOO_LATE_TO_RECALL)
            edits.remove(shard, head, target, "recalled")
        elif kind in (operations.APPEND, operations.REPLACE):
            if not own:
                raise Refused(Refusal.NOT_THE_AUTHOR)
            edit_ms = edits.edit_time(found[1], now_ms)
            edits.change(shard, head, target, kind, MessageBody.FromString(payload), edit_ms)
            payload += b"\x78" + frame.varint(edit_ms)
            sn = 0  # the author's device gets its own edit as well (xsync 6.4)
        else:
            raise Refused(Refusal.INVALID_PARAMETER, f"operation {kind} is not for groups")
        stored = frame.meta(mid, uid, sn, request.gid, edit_ms or now_ms, Meta.MESSAGE, payload)
        self.put(head, mid, stored, listed=False, author=uid, sn=sn)
        shard.kinds[message_kinds.OF_OPERATION[kind]] += 1
        return Posted(mid, now_ms, edit_ms)

    def _audience(self, gid: int) -> set[int]:
        """Shards with members of a group of this shard."""
        found = self._audiences.get(gid)
        if found is None:
            members = records.member_uids(self._shard.store, gid)
            found = self._audiences[gid] = {self._shard.shard_of(uid) for uid in members}
        return found

    def _tell(self, gid: int, message: GroupDeliver, *, live: bool = False) -> None:
        shard = self._shard
        for index in self._audience(gid):
            if live and index != shard.index:
                shard.live(index, message)
            else:
                shard.tell(index, message)

    # --- members of this shard --------------------------------------------------------------------------------------

    def seat(self, message: Seat) -> None:
        """One of our users is a member now; his devices start at the end of the timeline."""
        shard = self._shard
        uid, gid = message.uid, message.gid
        head = shard.mailboxes.head(uid, gid)
        head.flags = (head.flags | schema.IS_GROUP | schema.KNOWN) & ~(schema.UNLISTED | schema.SILENT)
        head.last_seq = max(head.last_seq, message.start)
        for device in devices.list_all(shard.store, uid):
            shard.mailboxes.move_cursor(head, device.sn, message.start, at_once=True)
        head.acknowledged = max(head.acknowledged, message.start)
        for session in shard.registry.sessions(uid):
            session.loops.pop(gid, None)
        shard.mailboxes.changed(head)
        tip = shard.mailboxes.head(gid, gid)
        if tip.last_seq < message.start:
            tip.last_seq = message.start
            shard.mailboxes.changed(tip)
        shard.put(schema.SEATS, schema.pack_pair(gid, uid), b"")
        self._members(gid).add(uid)

    def unseat(self, message: Unseat) -> None:
        """One of our users is no member any more."""
        shard = self._shard
        uid, gid = message.uid, message.gid
        head = self.refresh(shard.mailboxes.head(uid, gid))
        head.flags = (head.flags & ~schema.IS_GROUP) | schema.UNLISTED
        for device in devices.list_all(shard.store, uid):  # what was not fetched is not his any more
            shard.skip(head, device.sn)
        shard.mailboxes.changed(head)
        shard.delete(schema.SEATS, schema.pack_pair(gid, uid))
        self._members(gid).discard(uid)

    def silence(self, message: Silence) -> None:
        """One of our users wants no messages of a group delivered, or wants them again."""
        head = self._shard.mailboxes.head(message.uid, message.gid)
        if head.flags & schema.IS_GROUP:
            head.flags = head.flags | schema.SILENT if message.silent else head.flags & ~schema.SILENT
            self._shard.mailboxes.changed(head)

    def deliver(self, message: GroupDeliver) -> None:
        """An entry for our members: pushed after the write; a live one at once."""
        shard = self._shard
        gid = message.gid
        if not message.seq:
            for uid in self._members(gid):
                if not shard.mailboxes.head(uid, gid).flags & schema.SILENT:
                    shard.delivery.show(uid, gid, message.meta, message.author_sn if uid == message.author else 0)
            return
        shard.ids.observe(message.mid)
        if shard.shard_of(gid) != shard.index:
            tip = shard.mailboxes.head(gid, gid)
            tip.last_seq = message.seq
            if message.listed:
                tip.last_mid = message.mid
            shard.mailboxes.changed(tip)
        shard.tick.durable = True
        shard.tick.groups.setdefault(gid, []).append(message)
        if message.listed and shard.pushes.on:
            shard.pushes.group_message(gid, message.mid, message.seq, self._members(gid), message.author)

    def offer(self, gid: int, messages: list[GroupDeliver]) -> None:
        """After the write: one frame for all devices that are up to date, the same bytes to each."""
        shard = self._shard
        tick = shard.tick
        first, last = messages[0].seq, messages[-1].seq
        metas = [message.meta for message in messages]
        shared = frame.batch(gid, metas, last, eager=True, prev_mid=messages[0].previous_mid)
        wires = {wrap: wrap(shared) for wrap in WRAPPERS.values()}
        authors = {message.author for message in messages if message.author_sn}
        usual = len(messages) <= limits.BATCH_METAS
        for uid in self._members(gid):
            sessions = shard.registry.sessions(uid)
            if not sessions:
                continue
            head = shard.mailboxes.head(uid, gid)
            silent = head.flags & schema.SILENT
            simple = usual and not silent and uid not in authors
            for session in sessions:
                congested = len(session.unsent) > limits.OUT_SOFT_BYTES
                loop = session.loops.get(gid) or shard.loop(session, self.refresh(head))
                if simple and not congested and loop.ready_for(first):
                    loop.pushed(last, tick.now)
                    tick.send_raw(session, wires[session.wrap])
                    continue
                self.refresh(head)
                entries = [
                    Entry(
                        m.seq,
                        b"" if silent and m.listed else m.meta,
                        m.author_sn if m.author == uid else 0,
                        m.previous_mid,
                    )
                    for m in messages
                ]
                out = loop.offer(shard.mailboxes, head, session.sn, entries, tick.now, congested)
                if out is not None:
                    tick.send(session, out)

    def refresh(self, head: Conversation) -> Conversation:
        """A member's head with the timeline's last position: it is not written per member."""
        if head.flags & schema.IS_GROUP:
            tip = self._shard.mailboxes.head(head.peer, head.peer)
            head.last_seq = max(head.last_seq, tip.last_seq)
            head.last_mid = max(head.last_mid, tip.last_mid)
        return head

    def joined(self, uid: int) -> list[int]:
        """Groups one of our users is a member of."""
        return [head.peer for head in self._shard.mailboxes.heads(uid) if head.flags & schema.IS_GROUP]

    def _members(self, gid: int) -> set[int]:
        found = self._seats.get(gid)
        if found is None:
            prefix = schema.pack_u64(gid)
            rows = self._shard.store.scan(schema.SEATS, prefix, schema.successor(prefix))
            found = self._seats[gid] = {int(schema.unpack_u64(key[8:])[0]) for key, _ in rows}
        return found

    # --- reading ----------------------------------------------------------------------------------------------------

    def elsewhere(self, session: Session, head: Conversation, key: int) -> bool:
        """A pull whose entries are on the group's shard: asked for there, answered in a later tick."""
        shard = self._shard
        owner = shard.shard_of(head.peer)
        if not head.flags & schema.IS_GROUP or owner == shard.index:
            return False
        loop = shard.loop(session, head)
        first = loop.wants(key, head)
        if first is None or shard.mailboxes.fetched(head.peer, first):
            return False

        def answered(reply: Reply) -> None:
            if reply.refusal is None and not session.left:
                shard.mailboxes.lend(head.peer, first, _decode_entries(reply.body))
                shard.tick.pulls.append((session, head.peer, key))

        shard.ask(owner, FetchEntries(head.peer, first, limits.BATCH_METAS), answered)
        return True

    def history(self, session: Session, head: Conversation, key: int, amount: int) -> None:
        """A page of a group's history, from here or from the group's shard."""
        shard = self._shard
        gid, uid = head.peer, head.uid
        request = FetchHistory(gid, uid, key, amount)

        def send(page: HistoryPage) -> None:
            shard.tick.send(session, frame.batch(gid, self.personal(head, page), page.next_key, full=True))

        if shard.shard_of(gid) == shard.index:
            send(self._fetch_history(request))
            return

        def answered(reply: Reply) -> None:
            if not session.left:
                send(_decode_page(reply.body) if reply.refusal is None else HistoryPage([], key))

        shard.ask(shard.shard_of(gid), request, answered)

    def personal(self, head: Conversation, page: HistoryPage) -> list[bytes]:
        """A page as one of our users sees it: without what he has removed, with what was read (5.9)."""
        metas = [Meta.FromString(meta) for meta in page.metas]
        if not metas:
            return []
        noted = marks.notes(self._shard.store, head, metas[-1].id, metas[0].id)
        read = set(page.read)
        shown: list[bytes] = []
        for stored, meta in zip(page.metas, metas, strict=True):
            note = noted.get(meta.id, 0)
            if note & schema.REMOVED:
                continue
            own = getattr(meta, "from").uid == head.uid
            if meta.id in read if own else marks.is_read(head, meta.id, note):
                meta.payload += marks.STATUS_READ
                stored = meta.SerializeToString()
            shown.append(stored)
        return shown

    def _fetch_entries(self, request: FetchEntries) -> list[bytes]:
        head = self._shard.mailboxes.head(request.gid, request.gid)
        count = max(0, min(request.count, limits.BATCH_METAS, head.last_seq - request.first + 1))
        entries: list[bytes] = []
        size = 0
        for entry in self._shard.mailboxes.entries(head, request.first, count):
            size += len(entry or b"")
            if size > limits.BATCH_BYTES and entries:
                break
            entries.append(entry or b"")
        return entries

    def _fetch_history(self, request: FetchHistory) -> HistoryPage:
        shard = self._shard
        since = records.member_since(shard.store, request.gid, request.uid)
        if since is None:
            return HistoryPage([], request.key)
        joined_ms, everything = since
        head = shard.mailboxes.head(request.gid, request.gid)
        amount = min(request.amount if request.amount > 0 else 20, limits.HISTORY_PAGE)
        stop = head.key + schema.pack_u64(request.key) if request.key else schema.successor(head.key)
        metas: list[bytes] = []
        read: list[int] = []
        oldest, size = request.key, 0
        for row_key, value in shard.store.scan(schema.HISTORY, head.key, stop, limit=amount, reverse=True):
            (mid,) = schema.unpack_u64(row_key[16:])
            if not everything and message_time_ms(mid) < joined_ms:
                break
            seq, marked = schema.HISTORY_VALUE.unpack_from(value)
            entry = value[9:] or shard.store.get(schema.QUEUE, head.key + schema.pack_u64(seq))
            size += len(entry or b"")
            if size > limits.BATCH_BYTES and metas:
                break
            oldest = mid
            if entry:
                metas.append(entry)
                if marked & schema.READ_BY_PEER:
                    read.append(mid)
        return HistoryPage(metas, oldest, read)
