"""What a client reports: events for the application, answers to what it asked, and why a session ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from lanying.base import jsons
from lanying.base.errors import LanyingError
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta, UserNotice


class Refused(LanyingError):
    """The server did not accept what was sent.

    :ivar code: Status.ErrorCode
    :ivar reason: text of the server
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} (status {code})")
        self.code = code
        self.reason = reason


class LoginRefused(Refused):
    """The server does not let this token or account in; connecting again will not help, a new token may."""


class LoggedOut(LanyingError):
    """The server ended this login.

    :ivar kind: UserNotice.Type: 4 the same device logged in elsewhere, 5 kicked, 1 password changed, 2 frozen …
    """

    def __init__(self, kind: int) -> None:
        super().__init__(f"logged out by the server: {_notice_name(kind)}")
        self.kind = kind


class Closed(LanyingError):
    """The client was closed by its owner."""


# --- events ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """Logged in, as device ``sn``; after every reconnect again."""

    sn: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the client connects again by itself."""

    reason: str


@dataclass(frozen=True, slots=True)
class Kicked:
    """Logged out by the server for good; the last event. ``kind``: see :class:`LoggedOut`."""

    kind: int


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message.

    :ivar mid: message id, increasing within the conversation
    :ivar peer: the conversation: the other user, or the group
    :ivar sender: who wrote it; this user, when it was another device of theirs
    :ivar time_ms: when the server took it
    """

    mid: int
    peer: int
    sender: int
    text: str
    time_ms: int
    body: MessageBody = field(repr=False)

    @property
    def ctype(self) -> int:
        """MessageBody.ContentType."""
        return self.body.ctype

    @property
    def ext(self) -> str:
        """Free text of the application, usually JSON."""
        return self.body.ext

    @property
    def attachment(self) -> str:
        """JSON text, by ctype (xsync 6.2)."""
        return self.body.attachment

    @property
    def read(self) -> bool:
        """In history: read by this user, or by the peer when it is an own message."""
        return self.body.status == MessageBody.READ

    @property
    def edited_ms(self) -> int:
        """When its text was last changed, 0 for never."""
        return self.body.edit_timestamp


@dataclass(frozen=True, slots=True)
class Typing:
    """The peer has begun (or stopped) to type; never stored."""

    peer: int
    active: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """Something was done to message ``target`` of conversation ``peer``.

    :ivar kind: MessageOperation.OpType
    :ivar mid: the operation's own id
    """

    kind: int
    target: int
    peer: int
    sender: int
    mid: int
    body: MessageBody = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice of roster, group or user, or anything else that is no message: its Meta. ``ns``: Meta.NameSpace."""

    ns: int
    meta: Meta = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerError:
    """A refusal that answers no message in particular."""

    code: int
    reason: str


Event = Connected | Disconnected | Kicked | Message | Typing | Operation | Notice | ServerError
LOSSY = (Connected, Disconnected, Typing, ServerError)
"""Events that may be left out when the application does not keep up: they say what was, and nobody asks for them again."""


# --- answers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has this message on its disk. ``client_mid`` is the id it was sent with."""

    client_mid: int
    mid: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server refused a message; :class:`Client` raises ``error``."""

    client_mid: int
    error: Refused


@dataclass(frozen=True, slots=True)
class Page:
    """A page of history, newest first; ``next_key`` asks for older ones, and there are none when it is empty."""

    peer: int
    messages: list[Message]
    next_key: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A conversation with ``pending`` entries this device has not fetched yet."""

    peer: int
    pending: int
    is_group: bool


@dataclass(frozen=True, slots=True)
class UnreadList:
    """Answer to a request for the unread list. ``asked``: by the application, not by the heartbeat."""

    conversations: list[Unread]
    asked: bool


Answer = Sent | Rejected | Page | UnreadList

# --- from the wire ---------------------------------------------------------------------------------------------

LOGOUT_NOTICES = (0, 1, 2, 3, 4, 5, 10)
"""UserNotice types that end a login (xsync 5.7)."""


def read_meta(meta: Meta, own_uid: int) -> Event:
    """The event a received Meta stands for; one whose payload is not what its namespace says is a :class:`Notice` of it as it is.

    Servers deliver what they have stored even if they cannot read it: a client that ended by it would get it again, for ever.
    """
    try:
        return _read(meta, own_uid)
    except DecodeError:
        return Notice(meta.ns, meta)


def _read(meta: Meta, own_uid: int) -> Event:
    sender = getattr(meta, "from").uid
    if meta.ns == Meta.USER_NOTICE:
        kind = UserNotice.FromString(meta.payload).type
        if kind in LOGOUT_NOTICES:
            return Kicked(kind)
    if meta.ns != Meta.MESSAGE:
        return Notice(meta.ns, meta)
    body = MessageBody.FromString(meta.payload)
    to = meta.to.uid
    peer = to if sender == own_uid or body.type == MessageBody.GROUPCHAT else sender
    if body.type == MessageBody.OPER:
        operation = body.operation
        # A recall names the conversation as its author calls it; of a group everybody calls it the same.
        peer = (operation.xid.uid or to) if sender == own_uid else sender if to in (own_uid, 0) else to
        return Operation(operation.type, operation.mid, peer, sender, meta.id, body)
    if body.qos == MessageBody.AT_MOST_ONCE and not body.content and (active := _typing(body.ext)) is not None:
        return Typing(peer, active)
    return Message(meta.id, peer, sender, body.content, meta.timestamp, body)


def _typing(ext: str) -> bool | None:
    try:
        status = jsons.read(ext)["input_status"]
    except (ValueError, KeyError, TypeError):
        return None
    return bool(status == "typing")


def _notice_name(kind: int) -> str:
    try:
        return UserNotice.Type.Name(kind)  # type: ignore[arg-type]
    except ValueError:
        return f"notice {kind}"
