"""The client's side of xsync as a value: frames in, events and frames out (specification section 5; no socket, no clock).

It logs in, asks for the unread list, answers notices and pull loops, keeps what is not acknowledged and sends it again after a
reconnect under the same client id. A message is shown once: the server may repeat entries a lost acknowledgement covered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from lanying.errors import LanyingError
from lanying.protocol import frame
from lanying.protocol.frame import parse_frame
from lanying.protocol.schema.xsync_pb2 import Frame, MessageBody, Meta, Provision, SyncDL, UnreadDL, UserNotice
from lanying.protocol.schema.xsync_pb2 import Notice as NoticeFrame

SEEN_IDS = 10_000
"""Message ids remembered to show a repeated delivery once."""
OK = 1


class Refused(LanyingError):
    """The server did not accept a message: ``code`` is a Status.ErrorCode, ``reason`` its text."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} (status {code})")
        self.code = code
        self.reason = reason


class LoginRefused(Refused):
    """The server did not accept the login; log in again with a new token."""


@dataclass(slots=True)
class Connected:
    """Logged in, as device ``sn``."""

    sn: int


@dataclass(slots=True)
class Disconnected:
    """The connection is gone; the client connects again by itself."""

    reason: str


@dataclass(slots=True)
class Kicked:
    """Logged out by the server for good: ``kind`` is a UserNotice type (4 same device, 5 other device, 1 password …)."""

    kind: int


@dataclass(slots=True)
class Message:
    """A chat message. ``peer``: the conversation, ``sender``: who wrote it (this user on another device, too)."""

    mid: int
    peer: int
    sender: int
    text: str
    time_ms: int
    body: MessageBody = field(repr=False)


@dataclass(slots=True)
class Operation:
    """An operation (MessageOperation type ``kind``) on message ``target``."""

    kind: int
    target: int
    sender: int
    body: MessageBody = field(repr=False)


@dataclass(slots=True)
class Notice:
    """A group, roster or user notice or anything else that is no message: its Meta."""

    ns: int
    meta: Meta = field(repr=False)


@dataclass(slots=True)
class Sent:
    """An accepted message. ``client_mid`` is the id it was sent with."""

    client_mid: int
    mid: int
    time_ms: int


@dataclass(slots=True)
class Page:
    """A page of history, newest first; ``next_key`` asks for older ones."""

    peer: int
    messages: list[Message]
    next_key: int


Event = Connected | Disconnected | Kicked | Message | Operation | Notice
Outcome = Sent | Refused


class Session:
    """State of one logged-in device, across connections.

    :ivar events: what happened, to be taken by the caller
    :ivar outcomes: answers to sends, by client id
    :ivar pages: history pages that came
    :ivar unread: pending entries by conversation, of the last unread list
    :ivar refused: why the last login failed
    """

    def __init__(self, uid: int, token: str, guid: str) -> None:
        self.uid = uid
        self.token = token
        self.guid = guid
        self.sn = 0
        self.ready = False
        self.kicked = False
        self.refused: LoginRefused | None = None
        self.events: list[Event] = []
        self.outcomes: dict[int, Outcome] = {}
        self.pages: list[Page] = []
        self.unread: dict[int, int] = {}
        self.unread_lists = 0
        self._unacknowledged: dict[int, bytes] = {}
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._last_client_mid = 0

    def connected(self) -> bytes:
        """The first frame on a new connection."""
        self.ready = False
        return frame.provision(self.uid, self.token, self.guid, "lanying.client", 5, sn=self.sn)

    def heartbeat(self) -> bytes:
        """The frame to send every 50 s."""
        return frame.unread_request()

    def send(self, peer: int, body: MessageBody, now_ms: int, ns: int = Meta.MESSAGE) -> tuple[int, bytes]:
        """A message: its client id and its frame. It is sent again after every reconnect until it is answered."""
        client_mid = self._last_client_mid = max(self._last_client_mid + 1, now_ms)
        data = frame.send_meta(client_mid, self.uid, self.sn, peer, now_ms, ns, body.SerializeToString())
        self._unacknowledged[client_mid] = data
        return client_mid, data

    @property
    def unacknowledged(self) -> int:
        """Messages sent and not answered."""
        return len(self._unacknowledged)

    def receive(self, data: bytes) -> list[bytes]:
        """A frame of the server; the frames it has to be answered with."""
        command, payload = parse_frame(data)
        if command == Frame.SYNC:
            return self._sync(SyncDL.FromString(payload))
        if command == Frame.NOTICE:
            return [frame.sync_pull(NoticeFrame.FromString(payload).xid.uid)]
        if command == Frame.UNREAD:
            return self._unread(UnreadDL.FromString(payload))
        if command == Frame.PROVISION:
            return self._provision(Provision.FromString(payload))
        return []

    def _provision(self, answer: Provision) -> list[bytes]:
        if answer.status.code != OK:
            self.refused = LoginRefused(answer.status.code, answer.status.reason)
            return []
        self.sn = answer.xid.deviceSN
        self.ready = True
        self.events.append(Connected(self.sn))
        return [frame.unread_request(), *self._unacknowledged.values()]

    def _unread(self, answer: UnreadDL) -> list[bytes]:
        self.unread = {entry.xid.uid: entry.n for entry in answer.unread}
        self.unread_lists += 1
        return [frame.sync_pull(uid) for uid, count in self.unread.items() if count]

    def _sync(self, answer: SyncDL) -> list[bytes]:
        if answer.client_mid or answer.status.code != OK:
            self._answered(answer)
            return []
        if answer.is_full_sync:
            messages = [event for meta in answer.metas if isinstance(event := self._event(meta), Message)]
            self.pages.append(Page(answer.xid.uid, messages, answer.next_key))
            return []
        for meta in answer.metas:
            if meta.id in self._seen:
                continue
            self._seen[meta.id] = None
            if len(self._seen) > SEEN_IDS:
                self._seen.popitem(last=False)
            self.events.append(self._event(meta))
        return [frame.sync_pull(answer.xid.uid, answer.next_key)] if answer.next_key else []

    def _answered(self, answer: SyncDL) -> None:
        known = self._unacknowledged.pop(answer.client_mid, None)
        if known is None:
            return
        if answer.status.code == OK:
            self.outcomes[answer.client_mid] = Sent(answer.client_mid, answer.server_mid, answer.server_time)
        else:
            self.outcomes[answer.client_mid] = Refused(answer.status.code, answer.status.reason)

    def _event(self, meta: Meta) -> Event:
        sender = getattr(meta, "from").uid
        if meta.ns == Meta.USER_NOTICE:
            kind = UserNotice.FromString(meta.payload).type
            if kind in (1, 2, 3, 4, 5, 10):
                self.kicked = True
                return Kicked(kind)
        if meta.ns != Meta.MESSAGE:
            return Notice(meta.ns, meta)
        body = MessageBody.FromString(meta.payload)
        if body.type == MessageBody.OPER:
            return Operation(body.operation.type, body.operation.mid, sender, body)
        peer = meta.to.uid if sender == self.uid or body.type == MessageBody.GROUPCHAT else sender
        return Message(meta.id, peer, sender, body.content, meta.timestamp, body)
