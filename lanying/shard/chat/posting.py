"""What comes over REST for conversations: the same queues, notices and rules as an upload of a session (pure).

``Post`` enters :meth:`~lanying.shard.chat.delivery.Delivery.post` with a user's id and device 0, so all of their devices get what they
send. ``Notify`` is a message of the server itself: from user 0, in the conversation 0 of whom it is for (xsync 6.6).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError, Refused
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    STATE_NORMAL,
    FetchHistory,
    GetPage,
    HistoryPage,
    ListUnread,
    Message,
    Notify,
    Post,
    Posted,
    PostMany,
    PostResult,
    ReadUpTo,
    Reply,
    Unread,
)
from lanying.bus.messages.base import answers
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import XID, MessageBody, MessageOperation, Meta
from lanying.shard.accounts import accounts
from lanying.shard.chat import door, history, marks, message_kinds, visible
from lanying.shard.chat.author import InName
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.policy import Policy
from lanying.shard.core.deferred import Deferred, defers
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.work import Work
from lanying.shard.store import schema

SYSTEM: Final = 0
"""User id of the server itself."""
_decode_page: Final = msgspec.msgpack.Decoder(HistoryPage).decode


class Posting:
    """Calls about conversations of this shard's users."""

    def __init__(self, work: Work, delivery: Delivery, policy: Policy) -> None:
        self._work = work
        self._delivery = delivery
        self._policy = policy
        self.handlers: dict[type[Message], Callable[[Any], object]] = dict(
            [
                defers(Post)(self.post),
                defers(PostMany)(self.post_many),
                answers(ReadUpTo)(self.read_up_to),
                answers(Notify)(self.notify),
                defers(GetPage)(self.page),
                answers(ListUnread)(self.unread),
            ]
        )

    def post(self, request: Post) -> Deferred[Posted]:
        """A message, an operation or a conversation operation of one of our users."""
        later = Deferred[Posted]()
        accounts.need(self._work.store, request.uid, request.app)
        author = InName(request.uid, request.app, request.sn)
        meta = Meta(id=request.client_mid, ns=request.ns, payload=request.payload)  # type: ignore[arg-type]
        meta.to.uid = request.to

        def answer(result: Posted | Refused) -> None:
            later.settle(result if isinstance(result, Posted) else refusal(result))

        try:
            if request.ns != Meta.MESSAGE:
                answer(self._delivery.other_namespace(author, meta))
            else:
                if not request.system:
                    self._policy.budgets.send(
                        self._policy.spent(request.uid), self._work.tick.now, len(request.payload)
                    )
                body = self._checked(meta, system=request.system)
                self._delivery.post(author, meta, body, answer)
        except Refused as refused:
            raise refusal(refused) from refused
        return later

    def post_many(self, request: PostMany) -> Deferred[list[PostResult]]:
        """The same to several targets, each by itself: one that is refused leaves nothing behind and stops no other."""
        assert request.targets, "the gateway refuses a post to nobody"
        work, later = self._work, Deferred[list[PostResult]]()
        rows: dict[int, PostResult] = {}

        def settled(index: int, result: Posted | CallError) -> None:
            if isinstance(result, CallError):
                rows[index] = PostResult(0, result.refusal, result.message, result.retry_s)
            else:
                rows[index] = PostResult(result.mid)
            if len(rows) == len(request.targets):
                later.settle([rows[at] for at in range(len(rows))])

        for index, (target, client_mid) in enumerate(zip(request.targets, request.client_mids, strict=True)):
            one = Post(request.uid, request.app, target, request.payload, client_mid=client_mid, system=request.system)
            work.apply_local()  # what is taken back below is of this target alone
            mark = work.tick.mark()
            try:
                self.post(one).then(partial(settled, index))
            except CallError as error:
                work.take_back(mark)
                settled(index, error)
        return later

    def read_up_to(self, request: ReadUpTo) -> bool:
        """Everything in a conversation is read: what a client says with two operations (xsync 6.4)."""
        work, peer, mid = self._work, request.peer, request.mid
        accounts.need(work.store, request.uid, request.app)
        author = InName(request.uid, request.app, request.sn)
        kinds = [MessageOperation.READ_ALL]
        if mid and not work.mailboxes.head(request.uid, peer).flags & schema.IS_GROUP:
            kinds.insert(0, MessageOperation.READ_ACK)
        for kind in kinds:
            body = MessageBody(type=MessageBody.OPER, ctype=MessageBody.COMMAND)
            body.operation.MergeFrom(MessageOperation(type=kind, mid=mid, xid=XID(uid=peer)))
            meta = Meta(ns=Meta.MESSAGE, payload=body.SerializeToString())
            meta.to.uid = peer
            try:
                self._delivery.post(author, meta, body, _accepted)
            except Refused as refused:
                raise refusal(refused) from refused
        return True

    def notify(self, request: Notify) -> Posted:
        """A message of the server to one of our users."""
        if accounts.need(self._work.store, request.uid, request.app).info.state != STATE_NORMAL:
            raise CallError(Refusal.NO_RECIPIENT)
        meta = Meta(payload=request.payload)
        try:
            self._checked(meta, system=True)
        except Refused as refused:
            raise refusal(refused) from refused
        return self.tell(request.uid, meta.payload, request.client_mid)

    def tell(self, uid: int, payload: bytes, client_mid: int = 0) -> Posted:
        """Put a message of the server into conversation 0 of one of our users; a repetition gets the first answer again."""
        work = self._work
        now_ms, author = work.now_ms, InName(uid, "")
        checksum = 0
        mid = self._delivery.repeated(author, client_mid, checksum)
        if not mid:
            mid = work.next_mid()
            stored = frame.meta(mid, SYSTEM, 0, uid, now_ms, Meta.MESSAGE, payload)
            head = work.mailboxes.head(uid, SYSTEM)
            self._delivery.put(head, mid, stored, listed=True, sn=0)
            if work.owe is not None:
                work.owe(head, mid)
            self._delivery.remember_sent(author, client_mid, mid, checksum)
            work.kinds[message_kinds.SYSTEM] += 1
        return Posted(mid, now_ms)

    def page(self, request: GetPage) -> HistoryPage | Deferred[HistoryPage]:
        """A page of history as one of our users sees it."""
        work = self._work
        head = work.mailboxes.head(request.uid, request.peer)
        if not head.flags & schema.IS_GROUP:
            page = history.page(work.store, head, request.before, request.limit)
            return HistoryPage(page.metas, page.next_key, last=page.last)
        later = Deferred[HistoryPage]()

        def answer(reply: Reply) -> None:
            if reply.refusal is None:
                found = _decode_page(reply.body)
                shown = history.personal(work.store, head, found.metas, found.read)
                later.settle(HistoryPage(shown, found.next_key, last=found.last))
            else:
                later.settle(CallError(reply.refusal, reply.message))

        asked = FetchHistory(request.peer, request.uid, request.before, request.limit)
        work.ask_owner(request.peer, asked, answer)
        return later

    def unread(self, request: ListUnread) -> list[Unread]:
        """Conversations of one of our users on their list, latest first."""
        heads = self._work.mailboxes.heads_of(request.uid)
        listed = [head for head in heads if head.last_mid and not head.flags & schema.UNLISTED]
        listed.sort(key=lambda head: head.last_mid, reverse=True)
        found: list[Unread] = []
        room = limits.UNREAD_LOOKED_AT
        for head in listed[: limits.UNREAD_CONVERSATIONS]:
            exact = room > 0 and not head.flags & schema.IS_GROUP
            count, looked = self._count(head) if exact else (_not_fetched(head), 0)
            room -= looked
            found.append(Unread(head.peer, count))
        return found

    def _count(self, head: Conversation) -> tuple[int, int]:
        """Messages of others in a 1:1 conversation the user has not read, and how many were looked at."""
        if head.read_mid >= head.last_mid and not head.flags & schema.NOTED:
            return 0, 0
        store = self._work.store
        rows = [row for row in history.older(store, head.key, 0, limits.UNREAD_COUNTED) if row.mid > head.read_mid]
        noted = marks.notes(store, head, head.read_mid + 1, head.last_mid) if rows else {}
        count = 0
        for row, message in zip(rows, history.entries(store, head.key, rows), strict=True):
            if message and visible.sender(head, message) != head.uid:
                count += not marks.is_read(head, row.mid, noted.get(row.mid, 0), row.marks)
        return count, len(rows)

    def _checked(self, meta: Meta, *, system: bool) -> MessageBody:
        """The body of what is to be sent, by the rules for uploads.

        :raises CallError: refused
        :raises Refused: it has forbidden words, or what no message may have
        """
        most = self._work.config.policy.message_bytes
        if self._work.full:
            raise CallError(Refusal.DISK_FULL)
        if len(meta.payload) > most:
            raise CallError(Refusal.INVALID_PARAMETER, f"a message has at most {most} bytes")
        body = door.body_of(meta, system=system)
        if self._policy.words is not None:
            self._policy.censor(meta, body)
        return body


def _not_fetched(head: Conversation) -> int:
    """Of a group, whose messages are elsewhere, and behind what is looked at: entries no device has fetched."""
    return min(max(0, head.last_seq - head.acknowledged), limits.UNREAD_COUNTED)


def _accepted(result: Posted | Refused) -> None:
    """:raises CallError: an operation was refused"""
    if isinstance(result, Refused):
        raise refusal(result)


def refusal(refused: Refused) -> CallError:
    """As REST says it."""
    return CallError(refused.refusal, refused.message, retry_s=refused.retry_s)
