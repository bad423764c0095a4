"""Operations on messages and conversations (xsync 6.4, 6.5): what each changes in the store, and who is told.

=============  ======================================  ==========================================================
operation      stored effect                           told
=============  ======================================  ==========================================================
READ_ACK       reader: read; author: read by peer      author's devices, reader's other devices
DELIVER_ACK    author: delivered                       author's devices
PLAY_ACK       both: played                            author's devices, listener's other devices
RECALL         gone from both histories and queues     peer's devices, author's other devices
APPEND REPLACE both copies changed, edit time set      peer's devices, all of the author's devices
READ_ALL       reader: everything up to mid is read    reader's other devices (queue 0)
READ_CANCEL    reader: unread                          reader's other devices (queue 0)
DELETE         gone from the user's own history        user's other devices (queue 0)
=============  ======================================  ==========================================================

Operations travel through the queues for devices that are away, are not listed in history and never recognised as
repetitions: applying one twice changes nothing (APPEND: the client id of its device is remembered like that of a
message).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from lanying.bus.messages import Deliver
from lanying.ids import message_time_ms
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Conversation as ConversationPayload
from lanying.protocol.schema.xsync_pb2 import ConversationOperation, MessageBody, MessageOperation, Meta, Status
from lanying.shard.mailbox import Conversation
from lanying.shard.policy import Refused
from lanying.shard.session import Session
from lanying.shard.store import schema

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

READ_ACK = MessageOperation.READ_ACK
READ_ALL = MessageOperation.READ_ALL
READ_CANCEL = MessageOperation.READ_CANCEL
DELIVER_ACK = MessageOperation.DELIVER_ACK
RECALL = MessageOperation.RECALL
DELETE = MessageOperation.DELETE
PLAY_ACK = MessageOperation.PLAY_ACK
APPEND = MessageOperation.APPEND
REPLACE = MessageOperation.REPLACE

_MARK_OF_OWNER: dict[int, int] = {READ_ACK: schema.READ_BY_OWNER, PLAY_ACK: schema.PLAYED}
_MARK_OF_PEER: dict[int, int] = {READ_ACK: schema.READ_BY_PEER, PLAY_ACK: schema.PLAYED, DELIVER_ACK: schema.DELIVERED}
MERGE_DEPTH = 32
"""Deeper objects are replaced instead of merged."""
NO_SUCH_MESSAGE = "no such message in this conversation"
TOO_OLD = "exceed recall time limit"
NOT_THE_AUTHOR = "only the author may change a message"


def operation(shard: Shard, session: Session, meta: Meta, body: MessageBody) -> None:
    """An OPER message; answered by one acknowledgement or a raised refusal."""
    kind = body.operation.type
    if kind in (RECALL, APPEND, REPLACE) and shard.mailboxes.head(session.uid, meta.to.uid).flags & schema.IS_GROUP:
        shard.timelines.upload(session, meta, body)
    elif kind in (READ_ALL, READ_CANCEL, DELETE):
        _own(shard, session, meta, body)
    elif kind in (READ_ACK, DELIVER_ACK, PLAY_ACK):
        _mark(shard, session, meta, body)
    elif kind == RECALL:
        _recall(shard, session, meta, body)
    elif kind in (APPEND, REPLACE):
        _edit(shard, session, meta, body)
    else:
        raise Refused(Status.INVALID_PARAMETER, f"operation {kind} is not known")


def other_namespace(shard: Shard, session: Session, meta: Meta) -> None:
    """A meta that is not a message: conversation operations; anything else is acknowledged and dropped (xsync 6.7, 6.8)."""
    mid = shard.next_mid()
    if meta.ns == Meta.CONVERSATION:
        try:
            payload = ConversationPayload.FromString(meta.payload)
        except Exception as error:
            raise Refused(Status.PB_PARSER_ERROR, "payload is not a Conversation") from error
        peer = payload.operation.xid.uid
        head = shard.mailboxes.head(session.uid, peer)
        if payload.operation.type == ConversationOperation.DELETE_EVERYWHERE:
            if head.stored:
                head.flags |= schema.UNLISTED
                shard.mailboxes.changed(head)
            stored = frame.meta(
                mid, session.uid, session.sn, session.uid, shard.tick.now_ms, Meta.CONVERSATION, meta.payload
            )
            _tell_own(shard, session, mid, stored)
        elif head.last_seq:
            shard.mailboxes.move_cursor(head, session.sn, head.last_seq)
            session.loops.pop(peer, None)
    shard.tick.send(session, frame.acknowledgement(meta.id, mid, shard.tick.now_ms))


def apply(shard: Shard, message: Deliver) -> None:
    """The stored effect of an operation another user made, on our user's copy of the message."""
    head = shard.mailboxes.head(message.uid, message.peer)
    kind = message.operation
    if kind in _MARK_OF_PEER:
        mark(shard, head, message.target, _MARK_OF_PEER[kind])
    elif kind == RECALL:
        remove(shard, head, message.target)
    elif kind in (APPEND, REPLACE):
        edited = Meta.FromString(message.meta)
        body = MessageBody.FromString(edited.payload)
        change(shard, head, message.target, kind, body, edited.timestamp)


def _own(shard: Shard, session: Session, meta: Meta, body: MessageBody) -> None:
    operation, uid = body.operation, session.uid
    peer, target = operation.xid.uid, operation.mid
    head = shard.mailboxes.head(uid, peer)
    to = peer
    if operation.type == READ_ALL:
        head.read_mid = max(head.read_mid, target or head.last_mid)
        if head.stored:
            shard.mailboxes.changed(head)
        # Without mid and addressed to the conversation, web clients mark all of it (6.4 notes).
        operation.ClearField("mid")
    elif operation.type == READ_CANCEL:
        mark(shard, head, target, schema.MARKED_UNREAD, clear=schema.READ_BY_OWNER)
    else:
        shard.tick.batch.delete(schema.HISTORY, head.key + schema.pack_u64(target))
        to = uid
    mid = shard.next_mid()
    payload = body.SerializeToString()
    _tell_own(shard, session, mid, frame.meta(mid, uid, session.sn, to, shard.tick.now_ms, Meta.MESSAGE, payload))
    shard.tick.send(session, frame.acknowledgement(meta.id, mid, shard.tick.now_ms))


def _mark(shard: Shard, session: Session, meta: Meta, body: MessageBody) -> None:
    uid, author, kind, target = session.uid, meta.to.uid, body.operation.type, body.operation.mid
    head = shard.mailboxes.head(uid, author)
    mid = shard.next_mid()
    if kind in _MARK_OF_OWNER:
        mark(shard, head, target, _MARK_OF_OWNER[kind], clear=schema.MARKED_UNREAD)
    if head.stored:  # an acknowledgement of a message that never was is answered and goes nowhere
        stored = frame.meta(mid, uid, session.sn, author, shard.tick.now_ms, Meta.MESSAGE, meta.payload)
        if kind != DELIVER_ACK:
            shard.delivery.put(head, mid, stored, listed=False, sn=session.sn)
        if author and author != uid:
            shard.delivery.send_to(author, uid, mid, stored, listed=False, operation=kind, target=target)
    shard.tick.durable = True
    shard.tick.send(session, frame.acknowledgement(meta.id, mid, shard.tick.now_ms))


def _recall(shard: Shard, session: Session, meta: Meta, body: MessageBody) -> None:
    uid, peer, target = session.uid, meta.to.uid, body.operation.mid
    head = shard.mailboxes.head(uid, peer)
    now_ms = shard.tick.now_ms
    reason = _may_change(shard, head, target)
    if reason is None and now_ms - message_time_ms(target) > shard.config.policy.recall_seconds * 1000:
        reason = TOO_OLD
    if reason is not None:
        # Without client_mid: the web client shows the reason of a refused recall only then (5.6).
        shard.tick.send(session, frame.refusal(0, Status.FAIL, reason))
        return
    mid = shard.next_mid()
    stored = frame.meta(mid, uid, session.sn, peer, now_ms, Meta.MESSAGE, meta.payload)
    remove(shard, head, target)
    shard.delivery.put(head, mid, stored, listed=False, sn=session.sn)
    if peer != uid:
        shard.delivery.send_to(peer, uid, mid, stored, listed=False, operation=RECALL, target=target)
    shard.tick.send(session, frame.acknowledgement(meta.id, mid, now_ms))


def _edit(shard: Shard, session: Session, meta: Meta, body: MessageBody) -> None:
    uid, peer, kind, target = session.uid, meta.to.uid, body.operation.type, body.operation.mid
    head = shard.mailboxes.head(uid, peer)
    reason = _may_change(shard, head, target)
    if reason is not None:
        raise Refused(Status.FAIL, reason)
    now_ms = max(shard.tick.now_ms, message_time_ms(target))
    mid = shard.next_mid()
    change(shard, head, target, kind, body, now_ms)
    payload = meta.payload + b"\x78" + frame.varint(now_ms)  # MessageBody.edit_timestamp
    # The author's device does not apply its own edit from the acknowledgement (6.4): from no device, so it gets it as well.
    stored = frame.meta(mid, uid, 0, peer, now_ms, Meta.MESSAGE, payload)
    shard.delivery.put(head, mid, stored, listed=False, sn=0)
    if peer != uid:
        shard.delivery.send_to(peer, uid, mid, stored, listed=False, operation=kind, target=target)
    shard.tick.send(session, frame.acknowledgement(meta.id, mid, shard.tick.now_ms, now_ms))


def _tell_own(shard: Shard, session: Session, mid: int, stored: bytes) -> None:
    shard.delivery.put(shard.mailboxes.head(session.uid, 0), mid, stored, listed=False, sn=session.sn)


def _may_change(shard: Shard, head: Conversation, target: int) -> str | None:
    """None when the mailbox's owner wrote the message, else the reason text."""
    found = find(shard, head, target)
    if found is None:
        return NO_SUCH_MESSAGE
    return None if getattr(found[1], "from").uid == head.uid else NOT_THE_AUTHOR


def find(shard: Shard, head: Conversation, mid: int) -> tuple[int, Meta] | None:
    """Position and Meta of a message listed in history."""
    shard.settle()
    row = shard.store.get(schema.HISTORY, head.key + schema.pack_u64(mid))
    if row is None:
        return None
    seq = schema.HISTORY_VALUE.unpack(row)[0]
    stored = shard.store.get(schema.QUEUE, head.key + schema.pack_u64(seq))
    return (seq, Meta.FromString(stored)) if stored else None


def mark(shard: Shard, head: Conversation, mid: int, marks: int, clear: int = 0) -> None:
    """Set marks of a message in its owner's history; one that is not there is left alone."""
    shard.settle()
    key = head.key + schema.pack_u64(mid)
    row = shard.store.get(schema.HISTORY, key)
    if row is None:
        return
    seq, old = schema.HISTORY_VALUE.unpack(row)
    new = (old | marks) & ~clear
    if new != old:
        shard.tick.batch.put(schema.HISTORY, key, schema.HISTORY_VALUE.pack(seq, new))
        shard.tick.durable = True


def remove(shard: Shard, head: Conversation, mid: int) -> None:
    """Take a message out of history and out of the queue of devices that have not seen it."""
    found = find(shard, head, mid)
    if found is not None:
        shard.tick.batch.delete(schema.HISTORY, head.key + schema.pack_u64(mid))
        shard.tick.batch.put(schema.QUEUE, head.key + schema.pack_u64(found[0]), b"")
        shard.tick.durable = True


def change(shard: Shard, head: Conversation, mid: int, kind: int, edit: MessageBody, now_ms: int) -> None:
    """APPEND or REPLACE in one stored copy (6.4)."""
    found = find(shard, head, mid)
    if found is None:
        return
    seq, meta = found
    body = MessageBody.FromString(meta.payload)
    if kind == APPEND:
        body.content += edit.content
    elif edit.content:
        body.content = edit.content
    body.config = merge_json(body.config, edit.config)
    body.ext = merge_json(body.ext, edit.ext)
    body.edit_timestamp = now_ms
    meta.payload = body.SerializeToString()
    shard.tick.batch.put(schema.QUEUE, head.key + schema.pack_u64(seq), meta.SerializeToString())
    shard.tick.durable = True


def merge_json(old: str, new: str) -> str:
    """Deep merge of two JSON objects as text; text that is not an object replaces."""
    if not new or not old:
        return new or old
    try:
        left, right = orjson.loads(old), orjson.loads(new)
    except orjson.JSONDecodeError:
        return new
    if not isinstance(left, dict) or not isinstance(right, dict):
        return new
    _merge(left, right, 0)
    return orjson.dumps(left).decode()


def _merge(left: dict[str, object], right: dict[str, object], depth: int) -> None:
    for key, value in right.items():
        have = left.get(key)
        if isinstance(have, dict) and isinstance(value, dict) and depth < MERGE_DEPTH:
            _merge(have, value, depth + 1)
        else:
            left[key] = value
