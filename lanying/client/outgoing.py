"""Everything a client can send, as values: ``await client.send(outgoing.recall(bob, mid))`` (xsync 6).

``mid`` is always the server's id of a message, ``peer`` the user (or group) of the conversation it is in.
"""

from __future__ import annotations

from dataclasses import dataclass

from lanying.protocol.schema.xsync_pb2 import (
    XID,
    Conversation,
    ConversationOperation,
    MessageBody,
    MessageOperation,
    Meta,
)

TEXT = MessageBody.TEXT
SELF = -1
"""``to`` of what concerns only this user: the session knows the id."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message or operation without what the session adds: its client id, the sender, the time.

    :ivar to: user or group (0: the system), ``SELF``, or None for nobody (conversation operations)
    :ivar timed: carries the time of sending, as messages do and operations do not
    :ivar recall: a refusal of it does not name it (xsync 5.6)
    """

    to: int | None
    payload: bytes
    ns: int = Meta.MESSAGE
    timed: bool = False
    recall: bool = False


def message(
    to: int,
    content: str = "",
    *,
    ctype: int = TEXT,
    attachment: str = "",
    ext: str = "",
    config: str = "",
    group: bool = False,
) -> Outgoing:
    """A message of any content type.

    :param ctype: MessageBody.ContentType
    :param attachment: JSON text, by ``ctype``
    :param ext: free text for the receiving application
    :param config: JSON text for the server (mentions, push)
    """
    return body(
        to,
        MessageBody(
            type=MessageBody.GROUPCHAT if group else MessageBody.CHAT,
            content=content,
            ctype=ctype,  # type: ignore[arg-type]
            attachment=attachment,
            ext=ext,
            config=config,
        ),
    )


def body(to: int, content: MessageBody) -> Outgoing:
    """Whatever ``content`` says."""
    return Outgoing(to, content.SerializeToString(), timed=True)


def typing(peer: int, active: bool = True) -> Outgoing:
    """Notify the peer's connected devices that this user types, or has stopped."""
    ext = '{"input_status":"typing"}' if active else '{"input_status":"nothing"}'
    return body(peer, MessageBody(type=MessageBody.CHAT, ext=ext, qos=MessageBody.AT_MOST_ONCE))


def read_ack(author: int, mid: int) -> Outgoing:
    """This user has read a message of ``author``."""
    return _operation(author, MessageOperation.READ_ACK, mid)


def deliver_ack(author: int, mid: int) -> Outgoing:
    """A message of ``author`` has arrived on this device."""
    return _operation(author, MessageOperation.DELIVER_ACK, mid)


def play_ack(author: int, mid: int) -> Outgoing:
    """This user has listened to (watched) a message of ``author``."""
    return _operation(author, MessageOperation.PLAY_ACK, mid)


def read_all(peer: int, mid: int = 0) -> Outgoing:
    """Everything in the conversation up to ``mid`` is read; 0: all of it."""
    return _operation(SELF, MessageOperation.READ_ALL, mid, peer)


def mark_unread(peer: int, mid: int) -> Outgoing:
    """This user wants to see the message as unread again."""
    return _operation(SELF, MessageOperation.READ_CANCEL, mid, peer)


def delete(peer: int, mid: int) -> Outgoing:
    """Remove a message from this user's history only."""
    return _operation(SELF, MessageOperation.DELETE, mid, peer)


def recall(peer: int, mid: int) -> Outgoing:
    """Take back an own message, for everybody."""
    return _operation(peer, MessageOperation.RECALL, mid, peer)


def append(peer: int, mid: int, text: str, *, ext: str = "", config: str = "") -> Outgoing:
    """Add to an own message: text at its end, keys of JSON objects merged."""
    return _edit(peer, MessageOperation.APPEND, mid, text, ext, config)


def replace(peer: int, mid: int, text: str, *, ext: str = "", config: str = "") -> Outgoing:
    """Change an own message; an empty ``text`` keeps the old one."""
    return _edit(peer, MessageOperation.REPLACE, mid, text, ext, config)


def delete_conversation(peer: int, everywhere: bool = True) -> Outgoing:
    """Take a conversation off the list, on all devices of this user or on this one; history stays."""
    kind = ConversationOperation.DELETE_EVERYWHERE if everywhere else ConversationOperation.DELETE
    payload = Conversation(type=Conversation.OPER, operation=ConversationOperation(type=kind, xid=XID(uid=peer)))
    return Outgoing(None, payload.SerializeToString(), ns=Meta.CONVERSATION)


def _operation(to: int, kind: MessageOperation.OpType.ValueType, mid: int, conversation: int = 0) -> Outgoing:
    operation = MessageOperation(type=kind, mid=mid)
    if conversation:
        operation.xid.uid = conversation
    content = MessageBody(type=MessageBody.OPER, ctype=MessageBody.COMMAND, operation=operation)
    return Outgoing(to, content.SerializeToString(), recall=kind == MessageOperation.RECALL)


def _edit(peer: int, kind: MessageOperation.OpType.ValueType, mid: int, text: str, ext: str, config: str) -> Outgoing:
    operation = MessageOperation(type=kind, mid=mid)
    operation.xid.uid = peer
    content = MessageBody(type=MessageBody.OPER, content=text, operation=operation, ext=ext, config=config)
    return Outgoing(peer, content.SerializeToString())
