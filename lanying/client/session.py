"""The client's side of xsync as a value: bytes in, bytes and events out; no socket, no loop, no clock.

One session is one login of one device, across connections::

    state      event                       does                                              next
    ---------  --------------------------  ------------------------------------------------  ----------
    OFFLINE    connect                     asks for the upgrade                              UPGRADING
    UPGRADING  101, frames may be sent     PROVISION                                         LOGGING_IN
    LOGGING_IN login accepted              unread list; everything unanswered is sent again  ONLINE
    LOGGING_IN refused for now             hangs up: ``broken``                              LOGGING_IN
    LOGGING_IN refused for good            :class:`LoginRefused` in ``error``                ENDED
    ONLINE     kicked                      :class:`LoggedOut` in ``error``                   ENDED
    any        violation, silence, "41"    hangs up: ``broken``                              unchanged
    but ENDED  lost                        waits for ``next_timer``, then ``connect``        OFFLINE
               leave                       good-bye, :class:`Closed` in ``error``            ENDED

The owner connects a socket when :meth:`due` says so, feeds :meth:`receive`, and after every call sends :meth:`data_to_send`, takes
:meth:`take`, drops the socket if ``broken`` or ended (then :meth:`lost`), and calls :meth:`timeout` at :meth:`next_timer`.

**Sending.** A message keeps its client id until it is answered, and goes out again, in order, after every reconnect; the server
recognises the repetition. **Receiving.** A NOTICE or an unread entry starts a pull, ``next_key`` continues it (xsync
5.3); entries are shown once by their id. While :meth:`pause` holds, pulls are put off: unacknowledged batches stop the server, one
batch per conversation.

Times: ``now`` is monotonic seconds, ``now_ms`` wall milliseconds. Over 400 lines: one state machine, whose table is above.
"""

from __future__ import annotations

import enum
import random
from collections import OrderedDict, deque
from collections.abc import Callable

from google.protobuf.message import DecodeError

from lanying.base import limits
from lanying.base.errors import LanyingError, ProtocolError
from lanying.client.events import (
    LOSSY,
    Answer,
    Closed,
    Connected,
    Disconnected,
    Event,
    Kicked,
    LoggedOut,
    LoginRefused,
    Message,
    Page,
    Refused,
    Rejected,
    Sent,
    ServerError,
    Unread,
    UnreadList,
    read_meta,
)
from lanying.client.outgoing import SELF, Outgoing
from lanying.protocol import frame
from lanying.protocol.connection import Connection, goodbye, wrap_client
from lanying.protocol.frame import FrameError, parse_frame
from lanying.protocol.handshake import check_upgrade_response, client_path, new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import ConversationUnread, Notice, Provision, Status, SyncDL, UnreadDL

OK = Status.OK
TRY_AGAIN = (Status.UNKNOWN, Status.FAIL, Status.RATE_LIMIT_EXCEEDED)
"""Login refusals that pass: the shard is being restarted, too many logins at once."""


class SessionState(enum.Enum):
    """See the module."""

    OFFLINE = "offline"
    UPGRADING = "upgrading"
    LOGGING_IN = "logging in"
    ONLINE = "online"
    ENDED = "ended"


class Session:
    """State of one logged-in device, across connections.

    :param kind: ``XSYNC`` or ``SOCKETIO``
    :param guid: names the device for good
    :param chance: random numbers in [0, 1), for the backoff
    :ivar sn: serial number the server gave the device, 0 before the first login
    :ivar broken: why the socket has to be dropped; empty: keep it
    :ivar error: why the session ended
    :ivar refused: the latest login refusal that may pass
    """

    def __init__(
        self, kind: int, uid: int, token: str, guid: str, *, chance: Callable[[], float] = random.random
    ) -> None:
        self.kind = kind
        self.uid = uid
        self.token = token
        self.guid = guid
        self.sn = 0
        self.state = SessionState.OFFLINE
        self.broken = ""
        self.error: LanyingError | None = None
        self.refused: LoginRefused | None = None
        self._chance = chance
        self._out: list[bytes] = []
        self._taken: list[Event | Answer] = []
        # The connection of the moment, and what it waits for.
        self._connection = Connection(kind, "client")
        self._head = b""
        self._key = ""
        self._started = self._last_read = self._ping_at = self._heartbeat_at = 0.0
        self._attempts = 0
        self._retry_at = 0.0
        # What is owed to the server, and what the server owes.
        self._unanswered: dict[int, Outgoing] = {}
        self._times: dict[int, int] = {}
        self._last_client_mid = 0
        self._pulling: dict[int, bool] = {}
        self._put_off: dict[int, int | None] = {}
        self._histories: deque[tuple[int, int, int]] = deque()
        self._unread_asked: deque[bool] = deque()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._paused = False

    @property
    def ready(self) -> bool:
        """Logged in on a living connection."""
        return self.state is SessionState.ONLINE

    @property
    def unanswered(self) -> int:
        """Messages sent and not answered; at most ``CLIENT_UNANSWERED``."""
        return len(self._unanswered)

    @property
    def paused(self) -> bool:
        """:meth:`pause` holds."""
        return self._paused

    # --- the application -------------------------------------------------------------------------------------------

    def send(self, outgoing: Outgoing, now_ms: int) -> int:
        """Send, now or after the next login; answered by :class:`Sent` or :class:`Rejected` with the client id returned.

        Client ids increase by the clock, or by one where it stands still or goes back.
        """
        assert self.unanswered < limits.CLIENT_UNANSWERED, "the owner waits for answers before it sends more"
        self._check_open()
        client_mid = self._last_client_mid = max(self._last_client_mid + 1, now_ms)
        self._unanswered[client_mid] = outgoing
        self._times[client_mid] = now_ms if outgoing.timed else 0
        if self.ready:
            self._upload(client_mid)
        return client_mid

    def ask_history(self, peer: int, before: int, amount: int) -> None:
        """A page of messages older than id ``before`` (0: the newest); answered by a :class:`Page`, in the order asked."""
        self._check_open()
        self._histories.append((peer, before, amount))
        if self.ready:
            self._write(frame.history_request(peer, before, amount))

    def ask_unread(self) -> None:
        """Answered by an :class:`UnreadList` with ``asked``, in the order asked."""
        self._check_open()
        self._ask_unread(asked=True)

    def pause(self) -> None:
        """The application does not keep up: acknowledge nothing more."""
        self._paused = True

    def resume(self) -> None:
        """It does again."""
        self._paused = False
        put_off, self._put_off = self._put_off, {}
        for peer, key in put_off.items():
            self._pull(peer, key)

    def leave(self) -> None:
        """Log out of this connection for good."""
        if self.state in (SessionState.LOGGING_IN, SessionState.ONLINE):
            self._out.append(goodbye(self.kind, mask=True))
        self._end(Closed("the client was closed"))

    def take(self) -> list[Event | Answer]:
        """What happened since the last time."""
        taken, self._taken = self._taken, []
        return taken

    # --- the socket ------------------------------------------------------------------------------------------------

    def due(self, now: float) -> bool:
        """Time to connect a socket."""
        return self.state is SessionState.OFFLINE and now >= self._retry_at

    def connect(self, host: str, now: float, prefix: str = "") -> None:
        """A socket to ``host`` (``name:port``) is connected; ``prefix``: the path below which a proxy has the server, if any."""
        assert self.state is SessionState.OFFLINE
        self.state = SessionState.UPGRADING
        self.broken = ""
        self._connection = Connection(self.kind, "client")
        self._head = b""
        self._key = new_key()
        self._started = self._last_read = now
        self._out = [upgrade_request(host, prefix + client_path(self.kind), self._key)]

    def receive(self, data: bytes, now: float) -> None:
        """Bytes of the server."""
        if self.broken or self.state in (SessionState.OFFLINE, SessionState.ENDED):
            return
        self._last_read = now
        connection = self._connection
        try:
            if self.state is SessionState.UPGRADING and self._key:
                self._head += data
                size = check_upgrade_response(self._head, self._key)
                if size is None:
                    return
                data, self._head, self._key = self._head[size:], b"", ""
            frames = connection.receive(data)
            if self.state is SessionState.UPGRADING and connection.opened:
                self._log_in()
            for received in frames:
                if not self.broken and self.error is None:
                    self._frame(received, now)
        except ProtocolError as error:
            self._break(error.reason)
        except (FrameError, DecodeError) as error:
            self._break(f"a frame not understood: {error}")
        replies = connection.take_replies()
        if replies:
            self._out.append(replies)
        if connection.left and not self.broken:
            self._break(f"closed by the server ({connection.close_code or 'good-bye'})")

    def data_to_send(self) -> bytes:
        """Bytes for the server; each is returned once."""
        if not self._out:
            return b""
        out, self._out = self._out, []
        return b"".join(out)

    def lost(self, reason: str, now: float) -> None:
        """The socket is gone, or could not be connected."""
        if self.state is SessionState.ENDED:
            return
        if self.ready:
            self._report(Disconnected(reason))
            if now - self._started >= limits.CLIENT_STABLE_S:
                self._attempts = 0
        self.state = SessionState.OFFLINE
        self.broken = ""
        self._out = []
        self._pulling.clear()
        self._put_off.clear()
        self._unread_asked = deque(asked for asked in self._unread_asked if asked)
        wait = min(limits.CLIENT_BACKOFF_FIRST_S * 2**self._attempts, limits.CLIENT_BACKOFF_MAX_S)
        self._attempts = min(self._attempts + 1, 16)
        self._retry_at = now + wait * (0.5 + self._chance() / 2)

    # --- time ------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """When :meth:`timeout` or :meth:`due` has something to say; None: never."""
        if self.state is SessionState.ENDED or self.broken:
            return None
        if self.state is SessionState.OFFLINE:
            return self._retry_at
        if not self.ready:
            return self._started + limits.CLIENT_LOGIN_TIMEOUT_S
        return min(self._heartbeat_at, self._ping_at, self._dead_at())

    def timeout(self, now: float) -> None:
        """Time has passed: pings, the heartbeat, and giving up on a silent server."""
        if self.broken or self.state in (SessionState.OFFLINE, SessionState.ENDED):
            return
        if not self.ready:
            if now >= self._started + limits.CLIENT_LOGIN_TIMEOUT_S:
                self._break(f"no login within {limits.CLIENT_LOGIN_TIMEOUT_S:g} s")
            return
        if now >= self._dead_at():
            self._break("the server does not answer")
            return
        if now >= self._ping_at:
            self._ping_at = now + self._connection.ping_interval_ms / 1000
            self._out.append(self._connection.ping())
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + limits.HEARTBEAT_S
            self._ask_unread(asked=False)

    def _dead_at(self) -> float:
        return self._last_read + self._connection.ping_interval_ms / 1000 + limits.CLIENT_PONG_TIMEOUT_S

    # --- frames ----------------------------------------------------------------------------------------------------

    def _log_in(self) -> None:
        self.state = SessionState.LOGGING_IN
        self._write(frame.provision(self.uid, self.token, self.guid, "lanying.client", Provision.LINUX, sn=self.sn))

    def _frame(self, data: bytes, now: float) -> None:
        command, payload = parse_frame(data)
        if command == frame.SYNC:
            self._sync(SyncDL.FromString(payload))
        elif command == frame.NOTICE:
            self._notice(Notice.FromString(payload).xid.uid)
        elif command == frame.UNREAD:
            self._unread(UnreadDL.FromString(payload))
        elif command == frame.PROVISION:
            self._provision(Provision.FromString(payload), now)
        # Commands of later releases need no answer.

    def _provision(self, answer: Provision, now: float) -> None:
        if self.state is not SessionState.LOGGING_IN:
            return
        code, reason = answer.status.code, answer.status.reason
        if code != OK:
            refused = LoginRefused(code, reason)
            if code in TRY_AGAIN:
                self.refused = refused
                self._break(f"login refused: {reason}")
            else:
                self._end(refused)
            return
        self.state = SessionState.ONLINE
        self.sn = answer.xid.deviceSN
        self.refused = None
        self._started = now
        self._ping_at = now + self._connection.ping_interval_ms / 1000
        self._heartbeat_at = now + limits.HEARTBEAT_S
        self._report(Connected(self.sn))
        again, self._unread_asked = self._unread_asked, deque()
        for asked in again or [False]:
            self._ask_unread(asked)
        for client_mid in self._unanswered:
            self._upload(client_mid)
        for peer, before, amount in self._histories:
            self._write(frame.history_request(peer, before, amount))

    def _unread(self, answer: UnreadDL) -> None:
        conversations = [
            Unread(entry.xid.uid, entry.n, entry.type == ConversationUnread.GROUPCHAT) for entry in answer.unread
        ]
        asked = self._unread_asked.popleft() if self._unread_asked else False
        self._taken.append(UnreadList(conversations, asked))
        for entry in conversations:
            if entry.pending and entry.peer not in self._pulling:
                self._pull(entry.peer, None)

    def _notice(self, peer: int) -> None:
        if peer in self._pulling:
            self._pulling[peer] = True
        else:
            self._pull(peer, None)

    def _sync(self, answer: SyncDL) -> None:
        if answer.client_mid:
            self._answered(answer, answer.client_mid)
        elif answer.status.code != OK:
            self._refused(answer)
        elif answer.is_full_sync:
            self._history(answer)
        else:
            self._batch(answer)

    def _answered(self, answer: SyncDL, client_mid: int) -> None:
        if self._unanswered.pop(client_mid, None) is None:
            return  # answered before the connection broke, and again
        del self._times[client_mid]
        if answer.status.code == OK:
            self._taken.append(Sent(client_mid, answer.server_mid, answer.server_time))
        else:
            self._taken.append(Rejected(client_mid, Refused(answer.status.code, answer.status.reason)))

    def _refused(self, answer: SyncDL) -> None:
        """A refusal that names no message: of the oldest recall, because answers come in order (xsync 5.6)."""
        for client_mid, outgoing in self._unanswered.items():
            if outgoing.recall:
                self._answered(answer, client_mid)
                return
        self._report(ServerError(answer.status.code, answer.status.reason))

    def _history(self, answer: SyncDL) -> None:
        if not self._histories or self._histories[0][0] != answer.xid.uid:
            return
        self._histories.popleft()
        events = [read_meta(meta, self.uid) for meta in answer.metas]
        messages = [event for event in events if isinstance(event, Message)]
        self._taken.append(Page(answer.xid.uid, messages, answer.next_key))

    def _batch(self, answer: SyncDL) -> None:
        peer = answer.xid.uid
        for meta in answer.metas:
            if not meta.id or meta.id not in self._seen:
                self._remember(meta.id)
                event = read_meta(meta, self.uid)
                self._report(event)
                if isinstance(event, Kicked):
                    self._end(LoggedOut(event.kind))
                    return
        if answer.next_key:
            self._pull(peer, answer.next_key)
        elif self._pulling.pop(peer, False):
            self._pull(peer, None)

    # --- pieces ----------------------------------------------------------------------------------------------------

    def _pull(self, peer: int, key: int | None) -> None:
        """Acknowledge ``key`` (None: nothing) and ask for what follows."""
        if self._paused:
            if key is not None or peer not in self._put_off:
                self._put_off[peer] = key
            return
        self._pulling.setdefault(peer, False)
        self._write(frame.sync_pull(peer, key))

    def _ask_unread(self, asked: bool) -> None:
        self._unread_asked.append(asked)
        if self.ready:
            self._write(frame.unread_request())

    def _upload(self, client_mid: int) -> None:
        outgoing = self._unanswered[client_mid]
        to, to_sn = outgoing.to, 0
        if to == SELF:
            to, to_sn = self.uid, self.sn
        self._write(
            frame.send_meta(
                client_mid, self.uid, self.sn, to, self._times[client_mid], outgoing.ns, outgoing.payload, to_sn=to_sn
            )
        )

    def _remember(self, mid: int) -> None:
        self._seen[mid] = None
        if len(self._seen) > limits.CLIENT_SEEN_IDS:
            self._seen.popitem(last=False)

    def _report(self, event: Event) -> None:
        if not self._paused or not isinstance(event, LOSSY):
            self._taken.append(event)

    def _write(self, data: bytes) -> None:
        self._out.append(wrap_client(self.kind, data))

    def _break(self, reason: str) -> None:
        self.broken = reason

    def _end(self, error: LanyingError) -> None:
        if self.state is not SessionState.ENDED:
            self.state = SessionState.ENDED
            self.error = error

    def _check_open(self) -> None:
        if self.error is not None:
            raise self.error
