"""What a device shows: a client's store of messages, as the web SDK keeps it (xsync 6).

It outlives connections: ``screen.attach(device)`` after each login, ``screen.look()`` takes in what has come since the last time.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanying.protocol.schema.xsync_pb2 import Conversation, GroupNotice, MessageBody, MessageOperation, Meta
from lanying.testing.simulation import Device

APPEND, REPLACE = MessageOperation.APPEND, MessageOperation.REPLACE
GONE = (GroupNotice.KICKED, GroupNotice.BLOCKED)


@dataclass
class ScreenMessage:
    """A message on the screen. ``edited``: ms of the last edit it has, or of the message."""

    text: str
    sender: int
    edited: int


class Screen:
    """All conversations of one device.

    :ivar messages: by conversation (peer or gid) and message id
    :ivar times: how often each message came
    """

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.messages: dict[int, dict[int, ScreenMessage]] = {}
        self.times: dict[int, int] = {}
        self.device: Device | None = None
        self._seen = 0

    def attach(self, device: Device) -> None:
        """Another connection of this device."""
        self.look()
        self.device, self._seen = device, 0
        self.look()

    def look(self) -> None:
        """Take in what has come."""
        if self.device is not None:
            metas = self.device.metas[self._seen :]
            self._seen += len(metas)
            for meta in metas:
                self._apply(meta)

    def sent(self, conversation: int, mid: int, text: str, now_ms: int) -> None:
        """A message of this device was acknowledged."""
        self.look()
        self._show(conversation, mid, ScreenMessage(text, self.uid, now_ms))

    def forget(self, conversation: int, mid: int) -> None:
        """RECALL or DELETE of this device was acknowledged."""
        self.look()
        self.messages.get(conversation, {}).pop(mid, None)

    def drop(self, conversation: int) -> None:
        """The conversation is gone from the list, with all that was in it."""
        self.look()
        self.messages.pop(conversation, None)

    def texts(self, conversation: int) -> list[str]:
        """In the order of ids."""
        return [shown.text for _, shown in sorted(self.messages.get(conversation, {}).items())]

    def _show(self, conversation: int, mid: int, shown: ScreenMessage) -> None:
        self.messages.setdefault(conversation, {}).setdefault(mid, shown)

    def _apply(self, meta: Meta) -> None:
        sender = getattr(meta, "from").uid
        if meta.ns == Meta.MESSAGE:
            body = MessageBody.FromString(meta.payload)
            peer = meta.to.uid if body.type == MessageBody.GROUPCHAT or sender == self.uid else sender
            if body.type == MessageBody.OPER:
                self._operate(meta, body)
            else:
                self.times[meta.id] = self.times.get(meta.id, 0) + 1
                self._show(peer, meta.id, ScreenMessage(body.content, sender, body.edit_timestamp or meta.timestamp))
        elif meta.ns == Meta.CONVERSATION:
            self.messages.pop(Conversation.FromString(meta.payload).operation.xid.uid, None)
        elif meta.ns == Meta.GROUP_NOTICE:
            notice = GroupNotice.FromString(meta.payload)
            me = self.uid in [xid.uid for xid in notice.to]
            left = notice.type == GroupNotice.LEAVED and getattr(notice, "from").uid == self.uid
            if (notice.type in GONE and me) or left or notice.type == GroupNotice.DESTROYED:
                self.messages.pop(notice.gid.uid, None)

    def _operate(self, meta: Meta, body: MessageBody) -> None:
        operation = body.operation
        if self.times.setdefault(meta.id, 0):
            return  # a crash of its shard lets a device have again what it acknowledged in the last second
        self.times[meta.id] = 1
        if operation.type in (MessageOperation.RECALL, MessageOperation.DELETE):
            for conversation in self.messages.values():
                conversation.pop(operation.mid, None)
        elif operation.type in (APPEND, REPLACE):
            for conversation in self.messages.values():
                shown = conversation.get(operation.mid)
                if shown is not None and body.edit_timestamp >= shown.edited:
                    if operation.type == APPEND:
                        shown.text += body.content
                    elif body.content:
                        shown.text = body.content
                    shown.edited = body.edit_timestamp
