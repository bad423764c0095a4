"""From an upload to everyone who gets it (xsync 5.6, 6.1, 6.3).

An accepted message gets its id and its stored form once, goes into the sender's queue for the peer and into the
peer's queue for the sender (here, or over the link to the peer's shard), and the sender is acknowledged. Which devices get
what is decided by the pull loops after the write.

Sessions upload; the server itself posts in a user's name (:meth:`Delivery.post`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.base.refusals import Refusal
from lanying.bus.messages import Deliver, PeerQuery, PeerState, Posted, Reply
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta
from lanying.shard.chat import door, message_kinds
from lanying.shard.chat.author import Answer, Author
from lanying.shard.chat.policy import Policy
from lanying.shard.core.mailbox import Conversation, Entry
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Mark
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

CHAT: Final = MessageBody.CHAT
OPER: Final = MessageBody.OPER
NS_MESSAGE: Final = Meta.MESSAGE
AT_MOST_ONCE: Final = MessageBody.AT_MOST_ONCE
RECALL: Final = MessageOperation.RECALL

Take = Callable[[Author, Meta, MessageBody, Answer], None]
"""Accepts an upload of one kind, and answers it once, now or in a later tick. :raises Refused: not accepted"""


class Delivery:
    """Uploads of this shard's sessions, and what other shards deliver to its users.

    :ivar kinds: ``MessageBody.type`` -> who takes uploads of it, filled by the shard; CHAT is taken here
    :ivar other_namespace: port of the operations: takes a meta that is not a message
    :ivar operated: port of the operations: the stored effect of an operation another user made
    """

    other_namespace: Callable[[Author, Meta], Posted]
    operated: Callable[[Deliver], None]

    def __init__(self, work: Work, policy: Policy) -> None:
        self._work = work
        self._policy = policy
        self.kinds: dict[int, Take] = {CHAT: self._post_chat}
        self._parked: dict[tuple[int, int], list[Callable[[Refused | None], None]]] = {}
        self._most_bytes = work.config.policy.message_bytes

    # --- uploads ----------------------------------------------------------------------------------------------------

    def upload(self, session: Session, meta: Meta, mark: Mark) -> None:
        """A SyncUL with a meta: answered by exactly one acknowledgement or refusal.

        :param mark: the tick before this event: a refused upload leaves nothing behind
        """
        work, policy = self._work, self._policy
        mid = refused_mid = meta.id
        try:
            if not mid:
                raise Refused(Refusal.INVALID_PARAMETER, "a sent meta needs an id")
            if mid > door.LARGEST_ID:
                raise Refused(Refusal.INVALID_PARAMETER, f"ids are at most {door.LARGEST_ID}")
            sender = getattr(meta, "from").uid
            if sender and sender != session.uid:
                raise Refused(Refusal.INVALID_PARAMETER, "from is not the logged-in user")
            size = len(meta.payload)
            policy.budgets.send(session.sends, work.tick.now, size)
            if work.full:
                raise Refused(Refusal.DISK_FULL)
            if meta.ns != NS_MESSAGE:
                self._answer(session, mid, mid, self.other_namespace(session, meta))
                return
            if size > self._most_bytes:
                raise Refused(Refusal.INVALID_PARAMETER, f"a message has at most {self._most_bytes} bytes")
            body = door.body_of(meta)
            if policy.words is not None:
                policy.censor(meta, body)
            kind = body.type
            if kind == CHAT:
                self._chat(session, mid, meta, body)
                return
            if kind == OPER and body.operation.type == RECALL:
                refused_mid = 0  # the web client shows the reason of a refused recall only then (5.6)
            take = self.kinds.get(kind)
            if take is None:
                raise Refused(Refusal.INVALID_PARAMETER, f"message type {kind} is not one of CHAT, GROUPCHAT, OPER")
            take(session, meta, body, partial(self._answer, session, mid, refused_mid))
        except Refused as refused:
            work.take_back(mark)
            self._answer(session, mid, refused_mid, refused)

    def post(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        """What the server sends in the name of a user of this shard: by the same rules, without a session's limits.

        :param meta: ``to`` and ``payload`` count; its id recognises a repetition, 0 for none
        :param body: of the payload
        :param answer: is called once, now or in a later tick
        :raises Refused: not accepted
        """
        self.kinds.get(body.type, self.kinds[OPER])(author, meta, body, answer)

    def _post_chat(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        work = self._work
        head = work.mailboxes.head(author.uid, meta.to.uid)

        def known(refused: Refused | None) -> None:
            mark = work.tick.mark()
            try:
                if refused is not None:
                    raise refused
                self._post_chat(author, meta, body, answer)
            except Refused as error:
                work.take_back(mark)
                answer(error)

        if head.flags & schema.KNOWN or self._meet(author, head, known):
            self._check(head)
            if body.qos == AT_MOST_ONCE:
                mid = self._relay(author, meta)
            else:
                mid = self._accept(author, meta, head)
            answer(Posted(mid, work.tick.now_ms))

    def _chat(self, session: Session, client_mid: int, meta: Meta, body: MessageBody) -> None:
        work = self._work
        head = work.mailboxes.head(session.uid, meta.to.uid)
        if not head.flags & schema.KNOWN:
            if session.parked >= limits.PARKED_SENDS:
                raise Refused(Refusal.TOO_MANY_MESSAGES, "too many messages wait for a first contact")
            if not self._meet(session, head, partial(self._again, session, client_mid, meta, body)):
                session.parked += 1
                return
        self._check(head)
        if body.qos == AT_MOST_ONCE:
            mid = self._relay(session, meta)
        elif client_mid > session.highest_client_mid:  # cannot be a repetition
            session.highest_client_mid = client_mid
            payload = meta.payload
            mid = self._keep(session, client_mid, payload, head, zlib.crc32(payload))
        else:
            mid = self._accept(session, meta, head)
        tick = work.tick
        tick.send(session, frame.acknowledgement(client_mid, mid, tick.now_ms))

    def _again(self, session: Session, client_mid: int, meta: Meta, body: MessageBody, refused: Refused | None) -> None:
        """What waited for a first contact goes on."""
        session.parked -= 1
        if session.left:
            return
        mark = self._work.tick.mark()
        try:
            if refused:
                raise refused
            self._chat(session, client_mid, meta, body)
        except Refused as error:
            self._work.take_back(mark)
            self._answer(session, client_mid, client_mid, error)

    def _answer(self, session: Session, client_mid: int, refused_mid: int, result: Posted | Refused) -> None:
        if session.left:
            return
        work = self._work
        if isinstance(result, Refused):
            work.refused += 1
            work.refusals[result.status] += 1
            work.tick.send(session, frame.refusal(refused_mid, result.status, result.reason))
        else:
            work.tick.send(session, frame.acknowledgement(client_mid, result.mid, result.time_ms, result.edit_ms))

    # --- a message is taken ------------------------------------------------------------------------------------------

    def _accept(self, author: Author, meta: Meta, head: Conversation) -> int:
        """Keep a message that may be a repetition; its id."""
        payload = meta.payload
        checksum = zlib.crc32(payload)
        return self.repeated(author, meta.id, checksum) or self._keep(author, meta.id, payload, head, checksum)

    def _keep(self, author: Author, client_mid: int, payload: bytes, head: Conversation, checksum: int) -> int:
        work = self._work
        uid, sn, peer = author.uid, author.sn, head.peer
        now_ms = work.tick.now_ms
        mid = work.ids.next(now_ms)
        stored = frame.meta(mid, uid, sn, peer, now_ms, NS_MESSAGE, payload)
        if client_mid:
            key = schema.pack_device_peer(uid, sn, client_mid)
            work.put(schema.SENT, key, schema.SENT_VALUE.pack(mid, checksum))
        self.put(head, mid, stored, listed=True, sn=sn)
        if peer != uid:
            self.send_to(peer, uid, mid, stored)
        work.kinds[message_kinds.CHAT] += 1
        return mid

    def repeated(self, author: Author, client_mid: int, checksum: int) -> int:
        """Message id of an earlier upload with the same client id and body, 0 if there was none (xsync 5.6)."""
        work = self._work
        mid = sent_before(work.store, author.uid, author.sn, client_mid, checksum)
        if mid:
            work.tick.awaits_flush = True  # the first copy may still be on its way to the disk
        return mid

    def remember_sent(self, author: Author, client_mid: int, mid: int, checksum: int) -> None:
        """For :meth:`repeated`."""
        if client_mid:
            key = schema.pack_device_peer(author.uid, author.sn, client_mid)
            self._work.put(schema.SENT, key, schema.SENT_VALUE.pack(mid, checksum))

    def put(self, head: Conversation, mid: int, meta: bytes, *, listed: bool, sn: int) -> None:
        """Append to one of our users' queues; their devices but ``sn`` are offered it after the write."""
        work = self._work
        previous = head.last_mid
        seq = work.mailboxes.append(head, mid, meta, listed)
        tick = work.tick
        tick.gathered_bytes += len(meta)
        if listed:
            work.recent.accepted.append((mid, head.uid, head.peer, tick.now_ms))
        if head.uid in work.registry.users:
            tick.touched.append((head, Entry(seq, meta, sn, previous)))

    def send_to(
        self, uid: int, peer: int, mid: int, meta: bytes, *, listed: bool = True, operation: int = 0, target: int = 0
    ) -> None:
        """Into the queue ``peer`` of any user, here or on their shard; ``peer`` 0: a system message (6.6)."""
        message = Deliver(uid, peer, mid, meta, listed, False, operation, target)
        if not self._work.tell_other(uid, message):
            # At once and not at the end of the event: it is in the queue before what follows it.
            self.delivered(message)

    def delivered(self, message: Deliver) -> None:
        """Another shard's message for one of our users."""
        work = self._work
        if message.live:
            self.show(message.uid, message.peer, message.meta)
            return
        work.ids.observe(message.mid)
        if message.operation:
            self.operated(message)
        head = work.mailboxes.head(message.uid, message.peer)
        if not head.flags & schema.KNOWN:
            work.mailboxes.remember(head)
            head.flags |= schema.KNOWN
        self.put(head, message.mid, message.meta, listed=message.listed, sn=0)
        if message.listed and work.owe is not None:
            work.owe(head, message.mid)

    def show(self, uid: int, peer: int, meta: bytes, except_sn: int = 0) -> None:
        """To a user's connected devices only, not stored (xsync 5.8: typing, signals, user notices)."""
        work = self._work
        sessions = work.registry.sessions(uid)
        if sessions:
            live = frame.batch(peer, [meta])
            for session in sessions:
                if session.sn != except_sn and not session.unsent:
                    work.tick.send(session, live)

    def _relay(self, author: Author, meta: Meta) -> int:
        """AT_MOST_ONCE: to the peer's connected devices only. The id."""
        work = self._work
        peer, mid = meta.to.uid, work.next_mid()
        work.kinds[message_kinds.LIVE] += 1
        live = frame.meta(mid, author.uid, author.sn, peer, work.tick.now_ms, NS_MESSAGE, meta.payload)
        owner = work.shard_of(peer)
        if owner == work.index:
            self.show(peer, author.uid, live)
        else:
            work.live(owner, Deliver(peer, author.uid, mid, live, listed=False, live=True))
        return mid

    def must_follow(self, head: Conversation) -> None:
        """One of our users puts something into this queue. :raises Refused: its other side has to come first, which was here before
        (:mod:`lanying.shard.core.links`)"""
        work = self._work
        if head.peer and work.shard_of(head.peer) in work.replaying:
            raise Refused(Refusal.RECIPIENT_AWAY)

    def _check(self, head: Conversation) -> None:
        if self._work.replaying:
            self.must_follow(head)
        if head.flags & schema.BARRED:
            raise Refused(Refusal.BLOCKED)
        policy = self._policy
        if not policy.anybody and not policy.may_chat(head.uid, head.peer):
            raise Refused(Refusal.STRANGERS)

    # --- first contact: the recipient's shard says whether they exist and take messages -----------------------------

    def _meet(self, author: Author, head: Conversation, then: Callable[[Refused | None], None]) -> bool:
        """True when the peer is known now; otherwise ``then`` is called when their shard has answered."""
        work = self._work
        uid, peer = head.uid, head.peer
        if not peer:
            raise Refused(Refusal.INVALID_PARAMETER, "a message needs a recipient")
        self._policy.may_ask(uid)
        waiting = self._parked.get((uid, peer))
        if waiting is not None:
            waiting.append(then)
            work.undo((waiting.remove, then))
            return False
        if work.owns(peer):
            self._remember(head, self._policy.peer_state(peer, uid, author.app))
            return True
        self._parked[uid, peer] = [then]
        work.undo((self._parked.pop, (uid, peer), None))
        work.ask_owner(peer, PeerQuery(peer, uid, author.app), partial(self._peer_answered, uid, peer))
        return False

    def _peer_answered(self, uid: int, peer: int, reply: Reply) -> None:
        work = self._work
        refused: Refused | None = None
        if reply.refusal is None:
            try:
                self._remember(work.mailboxes.head(uid, peer), self._policy.decode_peer(reply.body))
            except Refused as error:
                refused = error
        else:
            refused = Refused(Refusal.RECIPIENT_AWAY, Refusal.RECIPIENT_AWAY.message)
        for then in self._parked.pop((uid, peer), []):
            work.event(then, refused)

    def _remember(self, head: Conversation, state: PeerState) -> None:
        if not state.exists:
            self._policy.nobody(head.uid)
            raise Refused(Refusal.NO_RECIPIENT)
        # A block may have overtaken the answer: the newer version counts.
        state = self._policy.remember(head.uid, head.peer, state)
        self._work.mailboxes.remember(head)
        head.flags |= schema.KNOWN
        head.flags = head.flags | schema.BARRED if state.barred else head.flags & ~schema.BARRED


def sent_before(store: Store, uid: int, sn: int, client_mid: int, checksum: int) -> int:
    """Id that an upload of this device with this client id and this body got before; 0: it is new."""
    row = store.get(schema.SENT, schema.pack_device_peer(uid, sn, client_mid)) if client_mid else None
    if row is None:
        return 0
    mid, known = schema.SENT_VALUE.unpack(row)
    return int(mid) if known == checksum else 0
