"""From an upload to everyone who gets it (xsync 5.6, 6.1, 6.3).

An accepted message gets its id and its stored form once, goes into the sender's queue for the peer and into the
peer's queue for the sender (here, or over the link to the peer's shard), and the sender is acknowledged. Who is told
what is decided by the pull loops after the write.

Sessions upload; the server itself posts in a user's name (:meth:`Delivery.post`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.base.refusals import Refusal
from lanying.bus.messages import Deliver, PeerQuery, PeerState, Posted, Reply, encode
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.chat import message_kinds, operations
from lanying.shard.chat.author import Answer, Author
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.chat.sync import Entry
from lanying.shard.core.session import Session
from lanying.shard.store import schema

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

CHAT = MessageBody.CHAT
GROUPCHAT = MessageBody.GROUPCHAT
OPER = MessageBody.OPER
NS_MESSAGE = Meta.MESSAGE
AT_MOST_ONCE = MessageBody.AT_MOST_ONCE


class Delivery:
    """Uploads of this shard's sessions, and what other shards deliver to its users."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._parked: dict[tuple[int, int], list[Callable[[Refused | None], None]]] = {}
        self._most_bytes = shard.config.policy.message_bytes

    # --- uploads ----------------------------------------------------------------------------------------------------

    def upload(self, session: Session, meta: Meta) -> None:
        """A SyncUL with a meta: answered by exactly one acknowledgement or refusal."""
        shard = self._shard
        refused_mid = meta.id
        try:
            if not meta.id:
                raise Refused(Refusal.INVALID_PARAMETER, "a sent meta needs an id")
            sender = getattr(meta, "from").uid
            if sender and sender != session.uid:
                raise Refused(Refusal.INVALID_PARAMETER, "from is not the logged-in user")
            if not shard.policy.user_rate.take(session.sends, shard.tick.now):
                raise shard.policy.too_many()
            if shard.full:
                raise Refused(Refusal.DISK_FULL)
            if meta.ns != NS_MESSAGE:
                self._answer(session, meta.id, meta.id, operations.other_namespace(shard, session, meta))
                return
            if len(meta.payload) > self._most_bytes:
                raise Refused(Refusal.INVALID_PARAMETER, f"a message has at most {self._most_bytes} bytes")
            try:
                body = MessageBody.FromString(meta.payload)
            except Exception as error:
                raise Refused(Refusal.MALFORMED, "payload is not a MessageBody") from error
            if body.is_system:  # only the server may look like the server
                body.ClearField("is_system")
                meta.payload = body.SerializeToString()
            if shard.policy.words is not None:
                shard.policy.censor(meta, body)
            kind = body.type
            if kind == CHAT:
                self._chat(session, meta, body)
            elif kind == OPER:
                if body.operation.type == operations.RECALL:
                    refused_mid = 0  # the web client shows the reason of a refused recall only then (5.6)
                answer = partial(self._answer, session, meta.id, refused_mid)
                operations.operation(shard, session, meta, body, answer)
            elif kind == GROUPCHAT:
                shard.timelines.submit(session, meta, body, partial(self._answer, session, meta.id, meta.id))
            else:
                raise Refused(Refusal.INVALID_PARAMETER, f"message type {kind} is not one of CHAT, GROUPCHAT, OPER")
        except Refused as refused:
            self._answer(session, meta.id, refused_mid, refused)

    def post(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        """What the server sends in the name of a user of this shard: by the same rules, without a session's limits.

        :param meta: ``to`` and ``payload`` count; its id recognises a repetition, 0 for none
        :param body: of the payload
        :param answer: is told once, now or in a later tick
        """
        shard = self._shard
        try:
            if body.type == CHAT:
                self._post_chat(author, meta, body, answer)
            elif body.type == GROUPCHAT:
                shard.timelines.submit(author, meta, body, answer)
            else:
                operations.operation(shard, author, meta, body, answer)
        except Refused as refused:
            answer(refused)
        shard.apply_local()

    def _post_chat(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        head = self._shard.mailboxes.head(author.uid, meta.to.uid)

        def known(refused: Refused | None) -> None:
            if refused is None:
                self._post_chat(author, meta, body, answer)
            else:
                answer(refused)

        if head.flags & schema.KNOWN or self._meet(author, head, known):
            self._check(head)
            if body.qos == AT_MOST_ONCE:
                mid = self._relay(author, meta)
            else:
                mid = self._accept(author, meta, head)
            answer(Posted(mid, self._shard.tick.now_ms))

    def _chat(self, session: Session, meta: Meta, body: MessageBody) -> None:
        head = self._shard.mailboxes.head(session.uid, meta.to.uid)
        if not head.flags & schema.KNOWN:
            if session.parked >= limits.PARKED_SENDS:
                raise Refused(Refusal.TOO_MANY_MESSAGES, "too many messages wait for a first contact")
            if not self._meet(session, head, partial(self._again, session, meta, body)):
                session.parked += 1
                return
        self._check(head)
        client_mid = meta.id
        if body.qos == AT_MOST_ONCE:
            mid = self._relay(session, meta)
        elif client_mid > session.highest_client_mid:  # cannot be a repetition
            session.highest_client_mid = client_mid
            payload = meta.payload
            mid = self._keep(session, client_mid, payload, head, zlib.crc32(payload))
        else:
            mid = self._accept(session, meta, head)
        tick = self._shard.tick
        tick.send(session, frame.acknowledgement(client_mid, mid, tick.now_ms))

    def _again(self, session: Session, meta: Meta, body: MessageBody, refused: Refused | None) -> None:
        """What waited for a first contact goes on."""
        session.parked -= 1
        if session.left:
            return
        try:
            if refused:
                raise refused
            self._chat(session, meta, body)
        except Refused as error:
            self._answer(session, meta.id, meta.id, error)

    def _answer(self, session: Session, client_mid: int, refused_mid: int, result: Posted | Refused) -> None:
        if session.left:
            return
        shard = self._shard
        if isinstance(result, Refused):
            shard.refused += 1
            shard.refusals[result.status] += 1
            shard.tick.send(session, frame.refusal(refused_mid, result.status, result.reason))
        else:
            shard.tick.send(session, frame.acknowledgement(client_mid, result.mid, result.time_ms, result.edit_ms))

    # --- a message is taken ------------------------------------------------------------------------------------------

    def _accept(self, author: Author, meta: Meta, head: Conversation) -> int:
        """Keep a message that may be a repetition; its id."""
        payload = meta.payload
        checksum = zlib.crc32(payload)
        mid = self.repeated(author, meta.id, checksum)
        if mid:
            self._shard.tick.durable = True  # the first copy may still be on its way to the disk
            return mid
        return self._keep(author, meta.id, payload, head, checksum)

    def _keep(self, author: Author, client_mid: int, payload: bytes, head: Conversation, checksum: int) -> int:
        shard = self._shard
        tick = shard.tick
        uid, sn, peer = author.uid, author.sn, head.peer
        mid = shard.next_mid()
        stored = frame.meta(mid, uid, sn, peer, tick.now_ms, NS_MESSAGE, payload)
        if client_mid:
            key = schema.pack_device_peer(uid, sn, client_mid)
            tick.batch.put(schema.SENT, key, schema.SENT_VALUE.pack(mid, checksum))
        self.put(head, mid, stored, listed=True, sn=sn)
        if peer != uid:
            self.send_to(peer, uid, mid, stored)
        shard.kinds[message_kinds.CHAT] += 1
        return mid

    def repeated(self, author: Author, client_mid: int, checksum: int) -> int:
        """Message id of an earlier upload with the same client id and body, 0 if there was none (xsync 5.6)."""
        if not client_mid:
            return 0
        shard = self._shard
        shard.settle()
        row = shard.store.get(schema.SENT, schema.pack_device_peer(author.uid, author.sn, client_mid))
        if row is None:
            return 0
        mid, known = schema.SENT_VALUE.unpack(row)
        return int(mid) if known == checksum else 0

    def remember_sent(self, author: Author, client_mid: int, mid: int, checksum: int) -> None:
        """For :meth:`repeated`."""
        if client_mid:
            key = schema.pack_device_peer(author.uid, author.sn, client_mid)
            self._shard.tick.batch.put(schema.SENT, key, schema.SENT_VALUE.pack(mid, checksum))

    def put(self, head: Conversation, mid: int, meta: bytes, *, listed: bool, sn: int) -> None:
        """Append to one of our users' queues; his devices but ``sn`` are told after the write."""
        shard = self._shard
        previous = head.last_mid
        seq = shard.mailboxes.append(shard.tick.batch, head, mid, meta, listed)
        shard.tick.gathered_bytes += len(meta)
        shard.tick.durable = True
        if listed:
            shard.inspection.recent.append((mid, head.uid, head.peer, shard.tick.now_ms))
        if shard.registry.sessions(head.uid):
            touched = shard.tick.touched
            entries = touched.get(head)
            entry = Entry(seq, meta, sn, previous)
            if entries is None:
                touched[head] = [entry]
            else:
                entries.append(entry)

    def send_to(
        self, uid: int, peer: int, mid: int, meta: bytes, *, listed: bool = True, operation: int = 0, target: int = 0
    ) -> None:
        """Into the queue ``peer`` of any user, here or on his shard; ``peer`` 0: a system message (6.6)."""
        shard = self._shard
        owner = shard.shard_of(uid)
        message = Deliver(uid, peer, mid, meta, listed, False, operation, target)
        if owner == shard.index:
            self.delivered(message)
        else:
            item = encode(message)
            shard.tick.links.setdefault(owner, []).append(item)
            shard.tick.gathered_bytes += len(item)
            shard.tick.durable = True

    def delivered(self, message: Deliver) -> None:
        """Another shard's message for one of our users."""
        shard = self._shard
        if message.live:
            self.show(message.uid, message.peer, message.meta)
        else:
            shard.ids.observe(message.mid)
            if message.operation:
                operations.apply(shard, message)
            head = shard.mailboxes.head(message.uid, message.peer)
            head.flags |= schema.KNOWN
            self.put(head, message.mid, message.meta, listed=message.listed, sn=0)
            if message.listed and shard.pushes.on:
                shard.pushes.message(head, message.mid)

    def show(self, uid: int, peer: int, meta: bytes, except_sn: int = 0) -> None:
        """To a user's connected devices only, not stored (xsync 5.8: typing, signals, user notices)."""
        shard = self._shard
        sessions = shard.registry.sessions(uid)
        if sessions:
            live = frame.batch(peer, [meta])
            for session in sessions:
                if session.sn != except_sn and not session.unsent:
                    shard.tick.send(session, live)

    def _relay(self, author: Author, meta: Meta) -> int:
        """AT_MOST_ONCE: to the peer's connected devices only. The id."""
        shard = self._shard
        peer, mid = meta.to.uid, shard.next_mid()
        shard.kinds[message_kinds.LIVE] += 1
        live = frame.meta(mid, author.uid, author.sn, peer, shard.tick.now_ms, NS_MESSAGE, meta.payload)
        owner = shard.shard_of(peer)
        if owner == shard.index:
            self.show(peer, author.uid, live)
        else:
            shard.live(owner, Deliver(peer, author.uid, mid, live, listed=False, live=True))
        return mid

    def _check(self, head: Conversation) -> None:
        if head.flags & schema.BARRED:
            raise Refused(Refusal.BLOCKED)
        if not self._shard.policy.may_chat(head.uid, head.peer):
            raise Refused(Refusal.STRANGERS)

    # --- first contact: the recipient's shard says whether he exists and takes messages -----------------------------

    def _meet(self, author: Author, head: Conversation, then: Callable[[Refused | None], None]) -> bool:
        """True when the peer is known now; otherwise ``then`` is called when his shard has answered."""
        shard = self._shard
        uid, peer = head.uid, head.peer
        if not peer:
            raise Refused(Refusal.INVALID_PARAMETER, "a message needs a recipient")
        waiting = self._parked.get((uid, peer))
        if waiting is not None:
            waiting.append(then)
            return False
        if shard.shard_of(peer) == shard.index:
            shard.settle()
            self._remember(head, shard.policy.peer_state(peer, uid, author.app))
            shard.settle()
            return True
        self._parked[uid, peer] = [then]
        shard.ask(shard.shard_of(peer), PeerQuery(peer, uid, author.app), partial(self._peer_answered, uid, peer))
        return False

    def _peer_answered(self, uid: int, peer: int, reply: Reply) -> None:
        shard = self._shard
        refused: Refused | None = None
        if reply.refusal is None:
            try:
                self._remember(shard.mailboxes.head(uid, peer), shard.policy.decode_peer(reply.body))
            except Refused as error:
                refused = error
        else:
            refused = Refused(Refusal.RECIPIENT_AWAY, Refusal.RECIPIENT_AWAY.message)
        for then in self._parked.pop((uid, peer), []):
            then(refused)

    def _remember(self, head: Conversation, state: PeerState) -> None:
        if not state.exists:
            raise Refused(Refusal.NO_RECIPIENT)
        # A block may have overtaken the answer: the newer word counts.
        state = self._shard.policy.remember(head.uid, head.peer, state)
        head.flags |= schema.KNOWN
        head.flags = head.flags | schema.BARRED if state.barred else head.flags & ~schema.BARRED
