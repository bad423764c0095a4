"""Operations on messages and conversations (xsync 6.4, 6.5): what each changes in the store, and who is told.

=============  ======================================  ==========================================================
operation      stored effect                           told
=============  ======================================  ==========================================================
READ_ACK       reader: read; author: read by peer      author's devices, reader's other devices
DELIVER_ACK    author: delivered                       author's devices
PLAY_ACK       both: played                            author's devices, listener's other devices
RECALL         gone from both histories and queues     peer's devices, author's other devices
APPEND REPLACE both histories changed, edit time set   peer's devices, all of the author's devices
READ_ALL       reader: everything up to mid is read    reader's other devices (queue 0)
READ_CANCEL    reader: unread                          reader's other devices (queue 0)
DELETE         gone from the user's own history        user's other devices (queue 0)
=============  ======================================  ==========================================================

Messages of groups: RECALL and edits are the group's shard's (``timeline``), acknowledgements go there to be noted
(``group_reading``); what a member does for himself is a row in ``marks``. Operations travel through the queues for devices that are
away and are not listed in history. Those that must not be done twice are recognised by their client id, like messages.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from lanying.base.errors import Refused
from lanying.base.ids import message_time_ms
from lanying.base.refusals import Refusal
from lanying.bus.messages import Deliver, Posted
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Conversation as ConversationPayload
from lanying.protocol.schema.xsync_pb2 import ConversationOperation, MessageBody, MessageOperation, Meta
from lanying.shard.accounts import devices
from lanying.shard.chat import edits, marks, message_kinds
from lanying.shard.chat.author import Answer, Author
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.groups import reading
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

MARK_OF_OWNER: dict[int, int] = {READ_ACK: schema.READ_BY_OWNER, PLAY_ACK: schema.PLAYED, DELIVER_ACK: 0}
MARK_OF_PEER: dict[int, int] = {READ_ACK: schema.READ_BY_PEER, PLAY_ACK: schema.PLAYED, DELIVER_ACK: schema.DELIVERED}


def operation(shard: Shard, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
    """An OPER message. :raises Refused: not accepted; else ``answer`` is told"""
    kind = body.operation.type
    if kind in (RECALL, APPEND, REPLACE):
        if shard.mailboxes.head(author.uid, meta.to.uid).flags & schema.IS_GROUP:
            shard.timelines.submit(author, meta, body, answer)  # counted where it is decided
            return
        posted = _once(shard, author, meta, body)
    elif kind in (READ_ALL, READ_CANCEL, DELETE):
        posted = _own(shard, author, body)
    elif kind in MARK_OF_OWNER:
        posted = _acknowledge(shard, author, meta, body)
    else:
        raise Refused(Refusal.INVALID_PARAMETER, f"operation {kind} is not known")
    shard.kinds[message_kinds.OF_OPERATION[kind]] += 1
    answer(posted)


def other_namespace(shard: Shard, author: Author, meta: Meta) -> Posted:
    """A meta that is not a message: conversation operations; anything else is acknowledged and dropped (xsync 6.7, 6.8)."""
    mid = shard.next_mid()
    if meta.ns == Meta.CONVERSATION:
        shard.kinds[message_kinds.CONVERSATION] += 1
        try:
            payload = ConversationPayload.FromString(meta.payload)
        except Exception as error:
            raise Refused(Refusal.MALFORMED, "payload is not a Conversation") from error
        head = shard.timelines.refresh(shard.mailboxes.head(author.uid, payload.operation.xid.uid))
        if payload.operation.type == ConversationOperation.DELETE_EVERYWHERE:
            if head.stored:
                _drop_everywhere(shard, head)
            _tell_own(shard, author, mid, frame.meta(
                mid, author.uid, author.sn, author.uid, shard.tick.now_ms, Meta.CONVERSATION, meta.payload
            ))  # fmt: skip
        elif payload.operation.type == ConversationOperation.DELETE and head.stored and author.sn:
            shard.skip(head, author.sn)
            marks.drop(shard, head, author.sn)
    return Posted(mid, shard.tick.now_ms)


def apply(shard: Shard, message: Deliver) -> None:
    """The stored effect of an operation another user made, on our user's copy of the message."""
    head = shard.mailboxes.head(message.uid, message.peer)
    kind = message.operation
    if kind in MARK_OF_PEER:
        marks.mark(shard, head, message.target, MARK_OF_PEER[kind])
    elif kind == RECALL:
        edits.remove(shard, head, message.target, "recalled")
    elif kind in (APPEND, REPLACE):
        edited = Meta.FromString(message.meta)
        body = MessageBody.FromString(edited.payload)
        try:
            edits.change(shard, head, message.target, kind, body, edited.timestamp)
        except Refused:  # the author's copy took it: they differ only if this one was shortened by another limit
            pass


def _drop_everywhere(shard: Shard, head: Conversation) -> None:
    """Off the list of all devices, which are told and drop what they have: what they have not fetched would bring it back."""
    head.flags |= schema.UNLISTED
    for device in devices.list_all(shard.store, head.uid):
        shard.skip(head, device.sn)
    shard.mailboxes.changed(head)


def _own(shard: Shard, author: Author, body: MessageBody) -> Posted:
    operation, uid = body.operation, author.uid
    peer, target = operation.xid.uid, operation.mid
    head = shard.timelines.refresh(shard.mailboxes.head(uid, peer))
    to = peer
    if operation.type == READ_ALL:
        marks.read_up_to(shard, head, target or head.last_mid)
        # Without mid and addressed to the conversation, web clients mark all of it (6.4 notes).
        operation.ClearField("mid")
    elif operation.type == READ_CANCEL:
        if head.stored:
            marks.note(shard, head, target, schema.MARKED_UNREAD, clear=schema.READ_BY_OWNER)
    else:
        if head.flags & schema.IS_GROUP:
            marks.note(shard, head, target, schema.REMOVED)
        else:
            edits.remove(shard, head, target, "removed by its owner")
        to = uid
    mid = shard.next_mid()
    payload = body.SerializeToString()
    _tell_own(shard, author, mid, frame.meta(mid, uid, author.sn, to, shard.tick.now_ms, Meta.MESSAGE, payload))
    return Posted(mid, shard.tick.now_ms)


def _acknowledge(shard: Shard, author: Author, meta: Meta, body: MessageBody) -> Posted:
    """READ_ACK, PLAY_ACK, DELIVER_ACK: of a 1:1 message, or of a group's, which is addressed to its author just the same."""
    uid, peer, kind, target = author.uid, meta.to.uid, body.operation.type, body.operation.mid
    mid, now_ms = shard.next_mid(), shard.tick.now_ms
    head = shard.mailboxes.head(uid, peer)
    stored = frame.meta(mid, uid, author.sn, peer, now_ms, Meta.MESSAGE, meta.payload)
    shard.tick.durable = True
    if not marks.mark(shard, head, target, MARK_OF_OWNER[kind]):
        # An acknowledgement of a message that never was is answered and goes nowhere.
        reading.acknowledge(shard, author, peer, body.operation, mid, stored)
        return Posted(mid, now_ms)
    if kind == READ_ACK:
        marks.note(shard, head, target, 0, clear=schema.MARKED_UNREAD)
    if kind != DELIVER_ACK:
        shard.delivery.put(head, mid, stored, listed=False, sn=author.sn)
    if peer and peer != uid:
        shard.delivery.send_to(peer, uid, mid, stored, listed=False, operation=kind, target=target)
    return Posted(mid, now_ms)


def _once(shard: Shard, author: Author, meta: Meta, body: MessageBody) -> Posted:
    """RECALL or an edit of a 1:1 message; a repetition gets the first answer again."""
    checksum = zlib.crc32(meta.payload)
    mid = shard.delivery.repeated(author, meta.id, checksum)
    if mid:
        shard.tick.durable = True
        return Posted(mid, shard.tick.now_ms)
    posted = (_recall if body.operation.type == RECALL else _edit)(shard, author, meta, body)
    shard.delivery.remember_sent(author, meta.id, posted.mid, checksum)
    return posted


def _recall(shard: Shard, author: Author, meta: Meta, body: MessageBody) -> Posted:
    uid, peer, target = author.uid, meta.to.uid, body.operation.mid
    head = shard.mailboxes.head(uid, peer)
    now_ms = shard.tick.now_ms
    _own_message(shard, head, target)
    if now_ms - message_time_ms(target) > shard.config.policy.recall_seconds * 1000:
        raise Refused(Refusal.TOO_LATE_TO_RECALL)
    mid = shard.next_mid()
    stored = frame.meta(mid, uid, author.sn, peer, now_ms, Meta.MESSAGE, meta.payload)
    edits.remove(shard, head, target, "recalled")
    shard.delivery.put(head, mid, stored, listed=False, sn=author.sn)
    if peer != uid:
        shard.delivery.send_to(peer, uid, mid, stored, listed=False, operation=RECALL, target=target)
    return Posted(mid, now_ms)


def _edit(shard: Shard, author: Author, meta: Meta, body: MessageBody) -> Posted:
    uid, peer, kind, target = author.uid, meta.to.uid, body.operation.type, body.operation.mid
    head = shard.mailboxes.head(uid, peer)
    edit_ms = edits.edit_time(_own_message(shard, head, target), shard.tick.now_ms)
    edits.change(shard, head, target, kind, body, edit_ms)
    mid = shard.next_mid()
    payload = meta.payload + b"\x78" + frame.varint(edit_ms)  # MessageBody.edit_timestamp
    # The author's device does not apply its own edit from the acknowledgement (6.4): from no device, so it gets it as well.
    stored = frame.meta(mid, uid, 0, peer, edit_ms, Meta.MESSAGE, payload)
    shard.delivery.put(head, mid, stored, listed=False, sn=0)
    if peer != uid:
        shard.delivery.send_to(peer, uid, mid, stored, listed=False, operation=kind, target=target)
    return Posted(mid, shard.tick.now_ms, edit_ms)


def _own_message(shard: Shard, head: Conversation, target: int) -> Meta:
    """:raises Refused: there is none, or the mailbox's owner did not write it"""
    found = edits.find(shard, head, target)
    if found is None:
        raise Refused(Refusal.NO_SUCH_MESSAGE)
    if getattr(found[1], "from").uid != head.uid:
        raise Refused(Refusal.NOT_THE_AUTHOR)
    return found[1]


def _tell_own(shard: Shard, author: Author, mid: int, stored: bytes) -> None:
    shard.delivery.put(shard.mailboxes.head(author.uid, 0), mid, stored, listed=False, sn=author.sn)
