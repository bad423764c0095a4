"""Groups on their members' shards: what members send, and what reaches their devices (pure).

A member's shard keeps the last position of the timeline (the head of (gid, gid), written once per shard), who its members are
(``seats``), and a cursor per device. It pushes to whoever is connected from what the group's shard has passed on
(:mod:`lanying.shard.groups.timeline`); what a device asks for later it reads here, or fetches from the group's shard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from lanying.base import limits
from lanying.base.errors import Refused
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
from lanying.shard.chat import history
from lanying.shard.chat.author import Answer, Author
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.frames import Pulls
from lanying.shard.core.mailbox import Conversation, Entry, Fetched
from lanying.shard.core.session import Session
from lanying.shard.core.work import Work
from lanying.shard.groups.awaited import AwaitedPosts
from lanying.shard.groups.timeline import Timelines
from lanying.shard.store import schema

_decode_entries = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_page = msgspec.msgpack.Decoder(HistoryPage).decode


class Memberships:
    """Groups that have members here.

    :ivar owe: port of the pushes: gid, id, position, members here, author of a new message; None: nobody pushes
    :ivar _seats: members here, by group
    """

    def __init__(
        self, work: Work, delivery: Delivery, pulls: Pulls, timelines: Timelines, awaited: AwaitedPosts
    ) -> None:
        self._work = work
        self._delivery = delivery
        self._pulls = pulls
        self._timelines = timelines
        self._awaited = awaited
        self._seats: dict[int, set[int]] = {}
        self.owe: Callable[[int, int, int, set[int], int], None] | None = None
        self.links: dict[type[Message], Callable[[Any], object]] = {
            Seat: self.seat,
            Unseat: self.unseat,
            Silence: self.silence,
            GroupDeliver: self.deliver,
        }
        pulls.elsewhere = self.elsewhere
        pulls.group_page = self.page

    # --- a member's upload ------------------------------------------------------------------------------------------

    def submit(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        """A message or operation of one of our users for a group; ``answer`` is called when the group's shard has decided.

        :raises Refused: not accepted (groups of this shard; others answer later)
        """
        work = self._work
        gid = meta.to.uid
        live = body.qos == MessageBody.AT_MOST_ONCE
        operation, target = (body.operation.type, body.operation.mid) if body.type == MessageBody.OPER else (0, 0)
        post = GroupPost(
            gid, author.uid, author.sn, author.app, meta.id, meta.payload, operation, target, live, body.priority
        )
        if not gid:
            raise Refused(Refusal.INVALID_PARAMETER, "a group message needs a group")
        if work.owns(gid):
            answer(self._timelines.accept(post))
        elif live:  # it may get lost, and so might an answer
            if not work.mailboxes.head(author.uid, gid).flags & schema.IS_GROUP:
                raise Refused(Refusal.MEMBERS_ONLY, "you are not a member of this group")
            post.ticket = work.next_mid()
            work.live(work.shard_of(gid), post)
            answer(Posted(post.ticket, work.now_ms))
        else:
            post.ticket = self._awaited.add(author, answer)
            work.link(gid, post)

    # --- members of this shard --------------------------------------------------------------------------------------

    def seat(self, message: Seat) -> None:
        """One of our users is a member now; their devices start at the end of the timeline."""
        work = self._work
        mailboxes = work.mailboxes
        uid, gid = message.uid, message.gid
        head, tip = mailboxes.head(uid, gid), mailboxes.head(gid, gid)
        mailboxes.change(head)
        head.flags = (head.flags | schema.IS_GROUP | schema.KNOWN) & ~(schema.UNLISTED | schema.SILENT | schema.UNASKED)
        head.flags |= schema.UNASKED if message.unasked else 0
        head.last_seq = max(head.last_seq, message.start)
        for device in devices.list_all(work.store, uid):
            mailboxes.move_cursor(head, device.sn, message.start, at_once=True)
        head.acknowledged = max(head.acknowledged, message.start)
        for session in work.registry.sessions(uid):
            session.loops.pop(gid, None)
        if tip.last_seq < message.start:
            mailboxes.change(tip)
            tip.last_seq = message.start
        work.put(schema.SEATS, schema.pack_pair(gid, uid), b"")
        self._change(gid).add(uid)

    def unseat(self, message: Unseat) -> None:
        """One of our users is no member any more."""
        work = self._work
        mailboxes = work.mailboxes
        uid, gid = message.uid, message.gid
        head = mailboxes.refresh(mailboxes.head(uid, gid))
        mailboxes.change(head)
        head.flags = (head.flags & ~schema.IS_GROUP) | schema.UNLISTED
        for device in devices.list_all(work.store, uid):  # what was not fetched is not theirs any more
            work.skip(head, device.sn)
        work.delete(schema.SEATS, schema.pack_pair(gid, uid))
        self._change(gid).discard(uid)

    def silence(self, message: Silence) -> None:
        """One of our users wants no messages of a group delivered, or wants them again."""
        mailboxes = self._work.mailboxes
        head = mailboxes.head(message.uid, message.gid)
        if head.flags & schema.IS_GROUP:
            mailboxes.change(head)
            head.flags = head.flags | schema.SILENT if message.silent else head.flags & ~schema.SILENT

    def deliver(self, message: GroupDeliver) -> None:
        """An entry for our members: pushed after the write; a live one at once."""
        work = self._work
        mailboxes = work.mailboxes
        gid = message.gid
        if not message.seq:
            for uid in self.members(gid):
                if not mailboxes.head(uid, gid).flags & schema.SILENT:
                    except_sn = message.author_sn if uid == message.author else 0
                    self._delivery.show(uid, gid, message.meta, except_sn)
            return
        work.ids.observe(message.mid)
        if not work.owns(gid):
            tip = mailboxes.head(gid, gid)
            mailboxes.follow(tip)
            tip.last_seq = message.seq
            if message.listed:
                tip.last_mid = message.mid
        work.tick.add(work.tick.groups, message)
        if message.listed and self.owe is not None:
            self.owe(gid, message.mid, message.seq, self.members(gid), message.author)

    def offer(self, delivered: Sequence[GroupDeliver]) -> None:
        """After the write: new entries to members' devices."""
        by_group: dict[int, list[GroupDeliver]] = {}
        for message in delivered:
            by_group.setdefault(message.gid, []).append(message)
        for gid, messages in by_group.items():
            self._offer(gid, messages)

    def members(self, gid: int) -> set[int]:
        """Members of a group that are users of this shard; not to be changed."""
        found = self._seats.get(gid)
        if found is None:
            work = self._work
            if len(self._seats) >= limits.GROUPS_CACHED:
                for old in list(self._seats)[: limits.GROUPS_CACHED // 10]:
                    del self._seats[old]
            prefix = schema.pack_u64(gid)
            rows = work.store.scan(schema.SEATS, prefix, schema.successor(prefix))
            found = self._seats[gid] = {int(schema.unpack_u64(key[8:])[0]) for key, _ in rows}
            work.undo((self._seats.pop, gid, None))
        return found

    # --- reading ----------------------------------------------------------------------------------------------------

    def elsewhere(self, session: Session, head: Conversation, key: int, fetched: Fetched | None) -> bool:
        """A pull whose entries are on the group's shard and were not fetched: asked for there, answered in a later tick."""
        work = self._work
        if not head.flags & schema.IS_GROUP or work.owns(head.peer):
            return False
        loop = self._pulls.loop(session, head)
        first = loop.wants(key, head)
        if first is None or (fetched is not None and fetched.first == first):
            return False

        def answered(reply: Reply) -> None:
            if reply.refusal is None and not session.left:
                found = Fetched(first, _decode_entries(reply.body))
                work.tick.add(work.tick.pulls, (session, head.peer, key, found))

        work.ask_owner(head.peer, FetchEntries(head.peer, first, limits.BATCH_METAS), answered)
        return True

    def page(self, session: Session, head: Conversation, key: int, amount: int) -> None:
        """A page of a group's history, from here or from the group's shard."""
        work = self._work
        gid, uid = head.peer, head.uid
        request = FetchHistory(gid, uid, key, amount)

        def send(found: HistoryPage) -> None:
            metas = history.personal(work.store, head, found.metas, found.read)
            work.tick.send(session, frame.batch(gid, metas, found.next_key, full=True))

        if work.owns(gid):
            send(self._timelines.fetch_history(request))
            return

        def answered(reply: Reply) -> None:
            if not session.left:
                send(_decode_page(reply.body) if reply.refusal is None else HistoryPage([], key))

        work.ask_owner(gid, request, answered)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _change(self, gid: int) -> set[int]:
        """The members, about to change: read again if the event fails."""
        self._work.undo((self._seats.pop, gid, None))
        return self.members(gid)

    def _offer(self, gid: int, messages: list[GroupDeliver]) -> None:
        """One frame for all devices that are up to date, the same bytes to each."""
        work = self._work
        tick, mailboxes = work.tick, work.mailboxes
        # Entries of one group in one tick follow each other: the group's shard numbers them, and the link keeps their order.
        first, last = messages[0].seq, messages[-1].seq
        metas = [message.meta for message in messages]
        shared = frame.batch(gid, metas, last, eager=True, prev_mid=messages[0].previous_mid)
        wires = {wrap: wrap(shared) for wrap in WRAPPERS.values()}
        authors = {message.author for message in messages if message.author_sn}
        usual = len(messages) <= limits.BATCH_METAS
        ordinary: list[Entry] | None = None
        for uid in self.members(gid):
            sessions = work.registry.sessions(uid)
            if not sessions:
                continue
            head = mailboxes.head(uid, gid)
            silent = head.flags & schema.SILENT
            simple = usual and not silent and uid not in authors
            for session in sessions:
                try:
                    congested = len(session.unsent) > limits.OUT_SOFT_BYTES
                    loop = session.loops.get(gid) or self._pulls.loop(session, mailboxes.refresh(head))
                    if simple and not congested and loop.share(first, last, tick.now):
                        tick.send_wrapped(session, wires[session.wrap], shared)
                        work.deliveries += 1
                        continue
                    mailboxes.refresh(head)
                    entries = ordinary
                    if entries is None or silent or uid in authors:
                        entries = _entries(messages, uid, silent)
                        if not silent and uid not in authors:
                            ordinary = entries
                    out = loop.offer(mailboxes, head, session.sn, entries, tick.now, congested)
                except Exception as error:  # noqa: BLE001 - only this session ends
                    self._pulls.fail(session, error)
                    continue
                if out is not None:
                    tick.send(session, out)
                    work.deliveries += 1


def _entries(messages: list[GroupDeliver], uid: int, silent: int) -> list[Entry]:
    """A timeline's entries as one of ``uid``'s devices gets them."""
    return [
        Entry(m.seq, b"" if silent and m.listed else m.meta, m.author_sn if m.author == uid else 0, m.previous_mid)
        for m in messages
    ]
