"""Operations on messages and conversations (xsync 6.4, 6.5): what each changes in the store, and where it goes.

=============  ======================================  ==========================================================
operation      stored effect                           goes to
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

Messages of groups: RECALL and edits are the group's shard's (``groups.timeline``), acknowledgements go there to be noted
(``groups.reading``); what members do for themselves is a row in ``marks``. Operations travel through the queues for devices that are
away and are not listed in history. Those that must not be done twice are recognised by their client id, like messages.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

from lanying.base.errors import Refused
from lanying.base.refusals import Refusal
from lanying.bus.messages import Deliver, Posted
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Conversation as ConversationPayload
from lanying.protocol.schema.xsync_pb2 import ConversationOperation, MessageBody, MessageOperation, Meta
from lanying.shard.accounts import devices
from lanying.shard.chat import door, edits, history, marking, message_kinds
from lanying.shard.chat.author import Answer, Author
from lanying.shard.chat.delivery import Delivery, Take
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.work import Work
from lanying.shard.store import schema

READ_ACK: Final = MessageOperation.READ_ACK
READ_ALL: Final = MessageOperation.READ_ALL
READ_CANCEL: Final = MessageOperation.READ_CANCEL
DELIVER_ACK: Final = MessageOperation.DELIVER_ACK
RECALL: Final = MessageOperation.RECALL
DELETE: Final = MessageOperation.DELETE
PLAY_ACK: Final = MessageOperation.PLAY_ACK
APPEND: Final = MessageOperation.APPEND
REPLACE: Final = MessageOperation.REPLACE

MARK_OF_OWNER: dict[int, int] = {READ_ACK: schema.READ_BY_OWNER, PLAY_ACK: schema.PLAYED, DELIVER_ACK: 0}
MARK_OF_PEER: dict[int, int] = {READ_ACK: schema.READ_BY_PEER, PLAY_ACK: schema.PLAYED, DELIVER_ACK: schema.DELIVERED}

Acknowledge = Callable[[Author, int, MessageOperation, int, bytes], None]


class Operations:
    """Operations of this shard's users, and the effects of those of others.

    :ivar in_groups: port of the groups: RECALL and edits of messages of a group
    :ivar acknowledged_elsewhere: port of the groups: reader, author, operation, id and Meta of the acknowledgement of something that is
        in none of the reader's 1:1 conversations
    """

    in_groups: Take
    acknowledged_elsewhere: Acknowledge

    def __init__(self, work: Work, delivery: Delivery) -> None:
        self._work = work
        self._delivery = delivery

    def take(self, author: Author, meta: Meta, body: MessageBody, answer: Answer) -> None:
        """An OPER message. :raises Refused: not accepted; else ``answer`` is called"""
        work = self._work
        kind = body.operation.type
        if kind in (RECALL, APPEND, REPLACE):
            if work.mailboxes.head(author.uid, meta.to.uid).flags & schema.IS_GROUP:
                self.in_groups(author, meta, body, answer)  # counted where it is decided
                return
            posted = self._once(author, meta, body)
        elif kind in (READ_ALL, READ_CANCEL, DELETE):
            posted = self._own(author, body)
        elif kind in MARK_OF_OWNER:
            posted = self._acknowledge(author, meta, body)
        else:
            raise Refused(Refusal.INVALID_PARAMETER, f"operation {kind} is not known")
        work.kinds[message_kinds.OF_OPERATION[kind]] += 1
        answer(posted)

    def other_namespace(self, author: Author, meta: Meta) -> Posted:
        """A meta that is not a message: conversation operations; anything else is acknowledged and dropped (xsync 6.7, 6.8)."""
        work = self._work
        mid = work.next_mid()
        if meta.ns == Meta.CONVERSATION:
            work.kinds[message_kinds.CONVERSATION] += 1
            try:
                payload = ConversationPayload.FromString(meta.payload)
            except Exception as error:
                raise Refused(Refusal.MALFORMED, "payload is not a Conversation") from error
            peer = payload.operation.xid.uid
            if peer > door.LARGEST_ID:
                raise Refused(Refusal.INVALID_PARAMETER, f"ids are at most {door.LARGEST_ID}")
            head = work.mailboxes.refresh(work.mailboxes.head(author.uid, peer))
            if payload.operation.type == ConversationOperation.DELETE_EVERYWHERE:
                if head.stored:
                    self._drop_everywhere(head)
                self._to_own(author, mid, frame.meta(
                    mid, author.uid, author.sn, author.uid, work.now_ms, Meta.CONVERSATION, meta.payload
                ))  # fmt: skip
            elif payload.operation.type == ConversationOperation.DELETE and head.stored and author.sn:
                work.skip(head, author.sn)
                marking.drop(work, head, author.sn)
        return Posted(mid, work.now_ms)

    def apply(self, message: Deliver) -> None:
        """The stored effect of an operation another user made, on our user's copy of the message."""
        work = self._work
        head = work.mailboxes.head(message.uid, message.peer)
        kind = message.operation
        if kind in MARK_OF_PEER:
            marking.mark(work, head, message.target, MARK_OF_PEER[kind])
            return
        found = edits.find(work, head, message.target)
        if found is None:
            return
        if kind == RECALL:
            edits.recall(work, found)
        elif kind in (APPEND, REPLACE):
            edited = Meta.FromString(message.meta)
            body = MessageBody.FromString(edited.payload)
            try:
                edits.change(work, found, kind, body, edited.timestamp)
            except Refused:  # the author's copy took it: they differ only if this one was shortened by another limit
                pass

    def _drop_everywhere(self, head: Conversation) -> None:
        """Off the list of all devices, which drop what they have: what they have not fetched would bring it back."""
        work = self._work
        work.mailboxes.change(head)
        head.flags |= schema.UNLISTED
        for device in devices.list_all(work.store, head.uid):
            work.skip(head, device.sn)

    def _own(self, author: Author, body: MessageBody) -> Posted:
        work, uid, operation = self._work, author.uid, body.operation
        peer, target = operation.xid.uid, operation.mid
        head = work.mailboxes.refresh(work.mailboxes.head(uid, peer))
        to = peer
        if operation.type == READ_ALL:
            marking.read_up_to(work, head, target or head.last_mid)
            # Without mid and addressed to the conversation, web clients mark all of it (6.4 notes).
            operation.ClearField("mid")
        elif operation.type == READ_CANCEL:
            if self._is_there(head, target):
                marking.note(work, head, target, schema.MARKED_UNREAD, clear=schema.READ_BY_OWNER)
        else:
            if head.flags & schema.IS_GROUP:
                if self._is_there(head, target):
                    marking.note(work, head, target, schema.REMOVED)
            elif (found := edits.find(work, head, target)) is not None:
                edits.remove(work, found, "removed by its owner")
            to = uid
        mid = work.next_mid()
        payload = body.SerializeToString()
        self._to_own(author, mid, frame.meta(mid, uid, author.sn, to, work.now_ms, Meta.MESSAGE, payload))
        return Posted(mid, work.now_ms)

    def _is_there(self, head: Conversation, mid: int) -> bool:
        """Is there a message of this id? Of a group of another shard: may there be one?"""
        work = self._work
        if not head.flags & schema.IS_GROUP:
            return history.listed(work.store, head.key, mid) is not None
        if work.owns(head.peer):
            return history.listed(work.store, schema.pack_pair(head.peer, head.peer), mid) is not None
        return schema.FIRST_MID <= mid <= head.last_mid

    def _acknowledge(self, author: Author, meta: Meta, body: MessageBody) -> Posted:
        """READ_ACK, PLAY_ACK, DELIVER_ACK: of a 1:1 message, or of a group's, which is addressed to its author just the same."""
        work, delivery = self._work, self._delivery
        uid, peer, kind, target = author.uid, meta.to.uid, body.operation.type, body.operation.mid
        mid, now_ms = work.next_mid(), work.now_ms
        head = work.mailboxes.head(uid, peer)
        delivery.must_follow(head)
        stored = frame.meta(mid, uid, author.sn, peer, now_ms, Meta.MESSAGE, meta.payload)
        if not marking.mark(work, head, target, MARK_OF_OWNER[kind]):
            # An acknowledgement of a message that never was is answered and goes nowhere.
            self.acknowledged_elsewhere(author, peer, body.operation, mid, stored)
            return Posted(mid, now_ms)
        if kind == READ_ACK:
            marking.note(work, head, target, 0, clear=schema.MARKED_UNREAD)
        if kind != DELIVER_ACK:
            delivery.put(head, mid, stored, listed=False, sn=author.sn)
        if peer and peer != uid:
            delivery.send_to(peer, uid, mid, stored, listed=False, operation=kind, target=target)
        return Posted(mid, now_ms)

    def _once(self, author: Author, meta: Meta, body: MessageBody) -> Posted:
        """RECALL or an edit of a 1:1 message; a repetition gets the first answer again."""
        work, delivery = self._work, self._delivery
        uid, peer, kind, target = author.uid, meta.to.uid, body.operation.type, body.operation.mid
        checksum = zlib.crc32(meta.payload)
        mid = delivery.repeated(author, meta.id, checksum)
        if mid:
            return Posted(mid, work.now_ms)
        head = work.mailboxes.head(uid, peer)
        delivery.must_follow(head)
        found = edits.need(work, head, target)
        payload, sn, edit_ms = meta.payload, author.sn, 0
        if kind == RECALL:
            edits.check_recall(work, found, uid)
            edits.recall(work, found)
        else:
            edits.check_author(found, uid)
            payload, edit_ms = edits.edit(work, found, kind, payload, body)
            sn = 0  # the author's device does not apply its own edit from the acknowledgement (6.4), so it gets it as well
        mid = work.next_mid()
        stored = frame.meta(mid, uid, sn, peer, edit_ms or work.now_ms, Meta.MESSAGE, payload)
        delivery.put(head, mid, stored, listed=False, sn=sn)
        if peer != uid:
            delivery.send_to(peer, uid, mid, stored, listed=False, operation=kind, target=target)
        delivery.remember_sent(author, meta.id, mid, checksum)
        return Posted(mid, work.now_ms, edit_ms)

    def _to_own(self, author: Author, mid: int, stored: bytes) -> None:
        head = self._work.mailboxes.head(author.uid, 0)
        self._delivery.put(head, mid, stored, listed=False, sn=author.sn)
