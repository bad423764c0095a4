"""What comes over REST for conversations: the same queues, notices and rules as an upload of a session (pure).

``Post`` enters :meth:`~lanying.shard.chat.delivery.Delivery.post` with a user's id and device 0, so all of his devices get what he
sends. ``Notify`` is a message of the server itself: from user 0, in the conversation 0 of whom it is for (xsync 6.6).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

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
    encode,
)
from lanying.protocol import frame
from lanying.protocol.frame import parse_frame
from lanying.protocol.schema.xsync_pb2 import XID, MessageBody, MessageOperation, Meta, SyncDL
from lanying.shard.accounts import accounts
from lanying.shard.chat import history, marks, message_kinds, operations
from lanying.shard.chat.author import InName
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.core.later import Later
from lanying.shard.store import schema

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

SYSTEM: Final = 0
"""User id of the server itself."""
_decode_posted: Final = msgspec.msgpack.Decoder(Posted).decode
_decode_page: Final = msgspec.msgpack.Decoder(HistoryPage).decode


class Posting:
    """Calls about conversations of this shard's users."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.handlers: dict[type[Message], Callable[[Any], object]] = {
            Post: self.post,
            PostMany: self.post_many,
            ReadUpTo: self.read_up_to,
            Notify: self.notify,
            GetPage: self.page,
            ListUnread: self.unread,
        }

    def post(self, request: Post) -> Later:
        """A message, an operation or a conversation operation of one of our users."""
        shard, later = self._shard, Later()
        accounts.need(shard.store, request.uid, request.app)
        author = InName(request.uid, request.app, request.sn)
        meta = Meta(id=request.client_mid, ns=request.ns, payload=request.payload)  # type: ignore[arg-type]
        meta.to.uid = request.to
        if request.ns != Meta.MESSAGE:
            later.settle(encode(operations.other_namespace(shard, author, meta)))
            return later
        body = self._checked(meta, system=request.system)

        def answer(result: Posted | Refused) -> None:
            later.settle(encode(result) if isinstance(result, Posted) else refusal(result))

        shard.delivery.post(author, meta, body, answer)
        return later

    def post_many(self, request: PostMany) -> Later:
        """The same to several targets, each by itself: one that is refused stops no other."""
        assert request.targets, "the gateway refuses a post to nobody"
        later = Later()
        rows: dict[int, PostResult] = {}

        def settled(index: int, result: bytes | CallError) -> None:
            if isinstance(result, CallError):
                rows[index] = PostResult(0, result.refusal, result.message)
            else:
                rows[index] = PostResult(_decode_posted(result).mid)
            if len(rows) == len(request.targets):
                later.settle(encode([rows[at] for at in range(len(rows))]))

        for index, (target, client_mid) in enumerate(zip(request.targets, request.client_mids, strict=True)):
            one = Post(request.uid, request.app, target, request.payload, client_mid=client_mid, system=request.system)
            try:
                self.post(one).then(partial(settled, index))
            except CallError as error:
                settled(index, error)
        return later

    def read_up_to(self, request: ReadUpTo) -> bool:
        """Everything in a conversation is read: what a client says with two operations (xsync 6.4)."""
        shard, peer, mid = self._shard, request.peer, request.mid
        accounts.need(shard.store, request.uid, request.app)
        author = InName(request.uid, request.app, request.sn)
        kinds = [MessageOperation.READ_ALL]
        if mid and not shard.mailboxes.head(request.uid, peer).flags & schema.IS_GROUP:
            kinds.insert(0, MessageOperation.READ_ACK)
        for kind in kinds:
            body = MessageBody(type=MessageBody.OPER, ctype=MessageBody.COMMAND)
            body.operation.MergeFrom(MessageOperation(type=kind, mid=mid, xid=XID(uid=peer)))
            meta = Meta(ns=Meta.MESSAGE, payload=body.SerializeToString())
            meta.to.uid = peer
            shard.delivery.post(author, meta, body, _accepted)
        return True

    def notify(self, request: Notify) -> Posted:
        """A message of the server to one of our users."""
        shard = self._shard
        if accounts.need(shard.store, request.uid, request.app).info.state != STATE_NORMAL:
            raise CallError(Refusal.NO_RECIPIENT)
        meta = Meta(payload=request.payload)
        self._checked(meta, system=True)
        return self.tell(request.uid, meta.payload, request.client_mid)

    def tell(self, uid: int, payload: bytes, client_mid: int = 0) -> Posted:
        """Put a message of the server into conversation 0 of one of our users; a repetition gets the first answer again."""
        shard = self._shard
        now_ms, author = shard.tick.now_ms, InName(uid, "")
        checksum = 0
        mid = shard.delivery.repeated(author, client_mid, checksum)
        if not mid:
            mid = shard.next_mid()
            stored = frame.meta(mid, SYSTEM, 0, uid, now_ms, Meta.MESSAGE, payload)
            head = shard.mailboxes.head(uid, SYSTEM)
            shard.delivery.put(head, mid, stored, listed=True, sn=0)
            if shard.pushes.on:
                shard.pushes.message(head, mid)
            shard.delivery.remember_sent(author, client_mid, mid, checksum)
            shard.kinds[message_kinds.SYSTEM] += 1
        return Posted(mid, now_ms)

    def page(self, request: GetPage) -> Later:
        """A page of history as one of our users sees it."""
        shard, later = self._shard, Later()
        head = shard.mailboxes.head(request.uid, request.peer)
        if not head.flags & schema.IS_GROUP:
            _, payload = parse_frame(history.page(shard.store, head, request.before, request.limit))
            sync = SyncDL.FromString(payload)
            metas = [meta.SerializeToString() for meta in sync.metas]
            later.settle(encode(HistoryPage(metas, sync.next_key)))
            return later
        asked = FetchHistory(request.peer, request.uid, request.before, request.limit)

        def answer(reply: Reply) -> None:
            if reply.refusal is None:
                found = _decode_page(reply.body)
                later.settle(encode(HistoryPage(shard.timelines.personal(head, found), found.next_key)))
            else:
                later.settle(CallError(reply.refusal, reply.message))

        shard.ask(shard.shard_of(request.peer), asked, answer)
        return later

    def unread(self, request: ListUnread) -> list[Unread]:
        """Conversations of one of our users on his list, latest first."""
        shard = self._shard
        heads = [shard.timelines.refresh(head) for head in shard.mailboxes.heads(request.uid)]
        listed = [head for head in heads if head.last_mid and not head.flags & schema.UNLISTED]
        listed.sort(key=lambda head: head.last_mid, reverse=True)
        return [Unread(head.peer, self._count(head)) for head in listed[: limits.UNREAD_CONVERSATIONS]]

    def _count(self, head: Conversation) -> int:
        """Messages of others the user has not read; of a group, whose messages are elsewhere, those no device has fetched."""
        if head.flags & schema.IS_GROUP:
            return min(max(0, head.last_seq - max(head.acknowledged, 0)), limits.UNREAD_COUNTED)
        store = self._shard.store
        start, stop = head.key + schema.pack_u64(head.read_mid + 1), schema.successor(head.key)
        rows = list(store.scan(schema.HISTORY, start, stop, limit=limits.UNREAD_COUNTED, reverse=True))
        if not rows:
            return 0
        noted = marks.notes(store, head, head.read_mid + 1, head.last_mid)
        places = [schema.HISTORY_VALUE.unpack_from(value) for _, value in rows]
        entries = store.get_many(schema.QUEUE, [head.key + schema.pack_u64(seq) for seq, _ in places])
        count = 0
        for (key, _), (_, marked), entry in zip(rows, places, entries, strict=True):
            (mid,) = schema.unpack_u64(key[16:])
            if entry and getattr(Meta.FromString(entry), "from").uid != head.uid:
                count += not marks.is_read(head, mid, noted.get(mid, 0), marked)
        return count

    def _checked(self, meta: Meta, *, system: bool) -> MessageBody:
        """The body of what is to be sent, by the rules for uploads. :raises CallError: refused"""
        shard = self._shard
        most = shard.config.policy.message_bytes
        if shard.full:
            raise CallError(Refusal.DISK_FULL)
        if len(meta.payload) > most:
            raise CallError(Refusal.INVALID_PARAMETER, f"a message has at most {most} bytes")
        body = MessageBody.FromString(meta.payload)
        assert system or not body.is_system, "the gateway decides who may look like the server"
        try:
            if shard.policy.words is not None:
                shard.policy.censor(meta, body)
        except Refused as refused:
            raise refusal(refused) from refused
        return body


def _accepted(result: Posted | Refused) -> None:
    """:raises CallError: an operation was refused"""
    if isinstance(result, Refused):
        raise refusal(result)


def refusal(refused: Refused) -> CallError:
    """As REST says it."""
    return CallError(refused.refusal, refused.message)
