"""From an upload to everyone who gets it (xsync 5.6, 6.1, 6.3).

An accepted message gets its id and its stored form once, goes into the sender's queue for the peer and into the
peer's queue for the sender (here, or over the link to the peer's shard), and the sender is acknowledged. Who is told
what is decided by the pull loops after the write.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from lanying import limits
from lanying.bus.messages import Deliver, PeerQuery, PeerState, Reply, encode
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta, Status
from lanying.shard import operations
from lanying.shard.mailbox import Conversation
from lanying.shard.policy import DISK_FULL, Refused
from lanying.shard.session import Session
from lanying.shard.store import schema
from lanying.shard.sync import Entry

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

CHAT = MessageBody.CHAT
GROUPCHAT = MessageBody.GROUPCHAT
OPER = MessageBody.OPER
NS_MESSAGE = Meta.MESSAGE
AT_MOST_ONCE = MessageBody.AT_MOST_ONCE


NO_SUCH_USER = "the recipient does not exist"
BLOCKED = "you have been blocked by the recipient"
STRANGERS = "your relation with target does not allow chat"


class Delivery:
    """Uploads of this shard's sessions, and what other shards deliver to its users."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._parked: dict[tuple[int, int], list[tuple[Session, Meta, MessageBody]]] = {}

    def upload(self, session: Session, meta: Meta) -> None:
        """A SyncUL with a meta: answered by exactly one acknowledgement or refusal."""
        shard = self._shard
        try:
            if not meta.id:
                raise Refused(Status.INVALID_PARAMETER, "a sent meta needs an id")
            sender = getattr(meta, "from").uid
            if sender and sender != session.uid:
                raise Refused(Status.INVALID_PARAMETER, "from is not the logged-in user")
            _limit_rate(session, shard.tick.now)
            if shard.full:
                raise Refused(Status.FAIL, DISK_FULL)
            if meta.ns != NS_MESSAGE:
                operations.other_namespace(shard, session, meta)
                return
            try:
                body = MessageBody.FromString(meta.payload)
            except Exception as error:
                raise Refused(Status.PB_PARSER_ERROR, "payload is not a MessageBody") from error
            kind = body.type
            if kind == CHAT:
                self._chat(session, meta, body)
            elif kind == OPER:
                operations.operation(shard, session, meta, body)
            elif kind == GROUPCHAT:
                shard.timelines.upload(session, meta, body)
            else:
                raise Refused(Status.INVALID_PARAMETER, f"message type {kind} is not one of CHAT, GROUPCHAT, OPER")
        except Refused as refused:
            shard.refused += 1
            shard.tick.send(session, frame.refusal(meta.id, refused.code, refused.reason))

    def _chat(self, session: Session, meta: Meta, body: MessageBody) -> None:
        peer = meta.to.uid
        head = self._shard.mailboxes.head(session.uid, peer)
        if not head.flags & schema.KNOWN and not self._known(session, meta, body, head):
            return
        self._check(head)
        if body.qos == AT_MOST_ONCE:
            self._relay(session, meta)
            return
        self._accept(session, meta, head)

    def _accept(self, session: Session, meta: Meta, head: Conversation) -> None:
        shard = self._shard
        tick = shard.tick
        payload = meta.payload
        client_mid = meta.id
        checksum = zlib.crc32(payload)
        if client_mid <= session.highest_client_mid:
            mid = self._repeated(session, client_mid, checksum)
            if mid:
                tick.send(session, frame.acknowledgement(client_mid, mid, tick.now_ms))
                tick.durable = True  # the first copy may still be on its way to the disk
                return
        else:
            session.highest_client_mid = client_mid
        uid, peer = session.uid, head.peer
        mid = shard.next_mid()
        stored = frame.meta(mid, uid, session.sn, peer, tick.now_ms, NS_MESSAGE, payload)
        tick.batch.put(
            schema.SENT, schema.pack_device_peer(uid, session.sn, client_mid), schema.SENT_VALUE.pack(mid, checksum)
        )
        self.put(head, mid, stored, listed=True, sn=session.sn)
        if peer != uid:
            self.send_to(peer, uid, mid, stored)
        tick.send(session, frame.acknowledgement(client_mid, mid, tick.now_ms))
        shard.messages += 1

    def put(self, head: Conversation, mid: int, meta: bytes, *, listed: bool, sn: int) -> None:
        """Append to one of our users' queues; his devices but ``sn`` are told after the write."""
        shard = self._shard
        previous = head.last_mid
        seq = shard.mailboxes.append(shard.tick.batch, head, mid, meta, listed)
        shard.tick.gathered_bytes += len(meta)
        shard.tick.durable = True
        if shard.registry.sessions(head.uid):
            entries = shard.tick.touched.get((head.uid, head.peer))
            entry = Entry(seq, meta, sn, previous)
            if entries is None:
                shard.tick.touched[head.uid, head.peer] = [entry]
            else:
                entries.append(entry)

    def send_to(
        self, uid: int, peer: int, mid: int, meta: bytes, *, listed: bool = True, operation: int = 0, target: int = 0
    ) -> None:
        """Into the queue ``peer`` of any user, here or on his shard."""
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

    def show(self, uid: int, peer: int, meta: bytes, except_sn: int = 0) -> None:
        """To a user's connected devices only, not stored (xsync 5.8: typing, signals, user notices)."""
        shard = self._shard
        sessions = shard.registry.sessions(uid)
        if sessions:
            live = frame.batch(peer, [meta])
            for session in sessions:
                if session.sn != except_sn and not session.unsent:
                    shard.tick.send(session, live)

    def _relay(self, session: Session, meta: Meta) -> None:
        shard = self._shard
        tick = shard.tick
        peer, mid = meta.to.uid, shard.next_mid()
        live = frame.meta(mid, session.uid, session.sn, peer, tick.now_ms, NS_MESSAGE, meta.payload)
        owner = shard.shard_of(peer)
        if owner == shard.index:
            self.show(peer, session.uid, live)
        else:
            shard.live(owner, Deliver(peer, session.uid, mid, live, listed=False, live=True))
        tick.send(session, frame.acknowledgement(meta.id, mid, tick.now_ms))

    def _repeated(self, session: Session, client_mid: int, checksum: int) -> int:
        """Message id of an earlier send with the same client id and body, 0 if there was none (xsync 5.6)."""
        shard = self._shard
        shard.settle()
        row = shard.store.get(schema.SENT, schema.pack_device_peer(session.uid, session.sn, client_mid))
        if row is None:
            return 0
        mid, known = schema.SENT_VALUE.unpack(row)
        return int(mid) if known == checksum else 0

    def _check(self, head: Conversation) -> None:
        if head.flags & schema.BARRED:
            raise Refused(Status.FAIL, BLOCKED)
        if not self._shard.policy.may_chat(head.uid, head.peer):
            raise Refused(Status.FAIL, STRANGERS)

    # --- first contact: the recipient's shard says whether he exists and takes messages -----------------------------

    def _known(self, session: Session, meta: Meta, body: MessageBody, head: Conversation) -> bool:
        """True when the peer is known now; otherwise the upload waits for his shard's word."""
        shard = self._shard
        peer = head.peer
        if not peer:
            raise Refused(Status.INVALID_PARAMETER, "a message needs a recipient")
        waiting = self._parked.get((session.uid, peer))
        if waiting is None and shard.shard_of(peer) == shard.index:
            shard.settle()
            self._remember(head, shard.policy.peer_state(peer, session.uid, session.app))
            shard.settle()
            return True
        if session.parked >= limits.PARKED_SENDS:
            raise Refused(Status.RATE_LIMIT_EXCEEDED, "too many messages wait for a first contact")
        session.parked += 1
        if waiting is not None:
            waiting.append((session, meta, body))
        else:
            self._parked[session.uid, peer] = [(session, meta, body)]
            query = PeerQuery(peer, session.uid, session.app)
            uid = session.uid
            shard.ask(shard.shard_of(peer), query, lambda reply: self._peer_answered(uid, peer, reply))
        return False

    def _peer_answered(self, uid: int, peer: int, reply: Reply) -> None:
        shard = self._shard
        waiting = self._parked.pop((uid, peer), [])
        refused: Refused | None = None
        if reply.code == 200:
            try:
                self._remember(shard.mailboxes.head(uid, peer), shard.policy.decode_peer(reply.body))
            except Refused as error:
                refused = error
        else:
            refused = Refused(Status.FAIL, "the recipient's shard is not available, try again")
        for session, meta, body in waiting:
            session.parked -= 1
            if session.left:
                continue
            try:
                if refused:
                    raise refused
                self._chat(session, meta, body)
            except Refused as error:
                shard.tick.send(session, frame.refusal(meta.id, error.code, error.reason))

    def _remember(self, head: Conversation, state: PeerState) -> None:
        if not state.exists:
            raise Refused(Status.INVALID_PARAMETER, NO_SUCH_USER)
        # A block may have overtaken the answer: the newer word counts.
        state = self._shard.policy.remember(head.uid, head.peer, state)
        head.flags |= schema.KNOWN
        head.flags = head.flags | schema.BARRED if state.barred else head.flags & ~schema.BARRED


def _limit_rate(session: Session, now: float) -> None:
    if now - session.sends_since >= 1.0:
        session.sends_since = now
        session.sends = 0
    session.sends += 1
    if session.sends > limits.SENDS_PER_S:
        raise Refused(Status.RATE_LIMIT_EXCEEDED, f"more than {limits.SENDS_PER_S} messages in a second")
