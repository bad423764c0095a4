"""The session on a socket: connects, reads, writes, keeps time, and gives each answer to the call that waits for it.

Over 400 lines: everything an application calls is a method of one class.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import urllib.parse
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from lanying.base import limits
from lanying.base.clock import wall_ms
from lanying.base.errors import LanyingError
from lanying.client import outgoing as out
from lanying.client import trust
from lanying.client.events import (
    Answer,
    Closed,
    Event,
    LoggedOut,
    LoginRefused,
    Page,
    Rejected,
    Sent,
    Unread,
    UnreadList,
)
from lanying.client.outgoing import Outgoing
from lanying.client.rest import Rest
from lanying.client.session import Session, SessionState
from lanying.protocol.connection import SOCKETIO, XSYNC

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
LOGIN_TIMEOUT_S: Final = 30.0
_LOG_IN_FIRST: Final = "log in first: await client.login(name, password)"
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_KINDS = {"xsync": XSYNC, "socketio": SOCKETIO}


class Client:
    """One device of one user.

    ``await client.login(name, password)``, then ``async for event in client`` in one task and the other methods in any. The
    client reconnects by itself; what was sent and not answered is sent again, what was received is shown once.

    :param url: REST address of the server, for example ``http://127.0.0.1:8480``
    :param transport: ``xsync`` (plain WebSocket) or ``socketio`` (as the web SDK speaks it)
    :param device_guid: names this device; the same name is the same device to the server, also after a restart
    :param store: file that keeps the name of the device; made when it is not there. Without both, a new device each time.
    :param authority: PEM file of the authority that vouches for an ``https`` server; None: those the system trusts
    """

    def __init__(
        self,
        url: str,
        app_id: str = "lanying",
        transport: Literal["xsync", "socketio"] = "xsync",
        device_guid: str | None = None,
        store: Path | None = None,
        authority: Path | None = None,
    ) -> None:
        self.guid = device_guid or (_stored_guid(store) if store else _new_guid())
        self.session: Session | None = None
        self._kind = _KINDS[transport]
        self._address = urllib.parse.urlsplit(url)
        self._tls = trust.context(authority) if self._address.scheme == "https" else None
        self._rest = Rest(url, app_id, self._tls)
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._changed = asyncio.Event()
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._sends: dict[int, asyncio.Future[Sent]] = {}
        self._pages: deque[asyncio.Future[Page]] = deque()
        self._lists: deque[asyncio.Future[list[Unread]]] = deque()
        self._room = asyncio.Event()
        self._room.set()

    # --- accounts --------------------------------------------------------------------------------------------------

    async def rest(self, method: str, path: str, **params: Any) -> Any:
        """``data`` of a REST call, as the logged-in user.

        :raises CallError: the server's code is not 200, or the server is not there (503)
        """
        return await self._rest.call(method, path, params)

    async def register(self, username: str, password: str) -> int:
        """Create an account; its uid.

        :raises CallError: 10004 or 11011 the name is taken, 10002 not allowed, 40001 registration is closed
        """
        account = await self.rest("POST", "/user/register/v2", username=username, password=password)
        return int(account["user_id"])

    async def login(self, username: str, password: str, timeout_s: float = LOGIN_TIMEOUT_S) -> int:
        """Log in and connect; the uid. Messages can be sent when this returns.

        :raises CallError: wrong name or password, or the server is not there
        :raises LoginRefused: the account may not connect
        """
        grant = await self.rest("POST", "/token/user", name=username, password=password)
        await self.login_with_token(int(grant["user_id"]), grant["token"], timeout_s)
        return int(grant["user_id"])

    async def login_with_token(self, uid: int, token: str, timeout_s: float = LOGIN_TIMEOUT_S) -> None:
        """Connect with the token of an earlier login.

        :raises LoginRefused: the token is not good (any more)
        :raises LanyingError: no connection within ``timeout_s``
        """
        assert self.session is None or self.session.state is SessionState.ENDED, "logged in already"
        self._rest.token = token
        self._address = await self._rest.message_server()
        session = self.session = Session(self._kind, uid, token, self.guid)
        self._pump()
        try:
            async with asyncio.timeout(timeout_s):
                while not session.ready and session.error is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            error = session.refused or LanyingError(f"not connected to {self._address.netloc} within {timeout_s:g} s")
            await self.close()
            raise error from None
        if session.error is not None:
            raise session.error

    @property
    def uid(self) -> int:
        """User id of the user who logged in, also after the session ended.

        :raises LanyingError: nobody did
        """
        if self.session is None:
            raise LanyingError(_LOG_IN_FIRST)
        return self.session.uid

    @property
    def connected(self) -> bool:
        """Logged in on a living connection at the moment."""
        return self.session is not None and self.session.ready

    # --- messages --------------------------------------------------------------------------------------------------

    async def send(self, outgoing: Outgoing) -> Sent:
        """Send a message or an operation (see :mod:`lanying.client.outgoing`); returns when the server has it on its disk.

        Waits through reconnects, and while ``CLIENT_UNANSWERED`` others are unanswered. A cancelled call may have sent.

        :raises Refused: the server does not accept it
        :raises LanyingError: the session ended (:class:`LoggedOut`, :class:`LoginRefused`, :class:`Closed`)
        """
        session = self._need_session()
        while session.unanswered >= limits.CLIENT_UNANSWERED or not self._writable.is_set():
            if session.unanswered >= limits.CLIENT_UNANSWERED:
                self._room.clear()
            await self._room.wait()
            await self._writable.wait()
            session = self._need_session()
        client_mid = session.send(outgoing, wall_ms())
        future: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._sends[client_mid] = future
        self._pump()
        return await future

    async def send_text(self, to_uid: int, text: str, *, ext: str = "") -> Sent:
        """Send a text to a user. Like :meth:`send`."""
        return await self.send(out.message(to_uid, text, ext=ext))

    async def history(self, peer: int, before: int = 0, amount: int = 20) -> Page:
        """A page of a conversation, newest first; ``before`` is ``next_key`` of the page before, 0 for the newest."""
        self._need_session().ask_history(peer, before, amount)
        future: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._pages.append(future)
        self._pump()
        return await future

    async def unread(self) -> list[Unread]:
        """Conversations with entries this device has not fetched yet; right after a login there are none, they come as events."""
        self._need_session().ask_unread()
        future: asyncio.Future[list[Unread]] = asyncio.get_running_loop().create_future()
        self._lists.append(future)
        self._pump()
        return await future

    # --- events ----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Ends after :meth:`close`.

        :raises LoggedOut: kicked; the event before it was :class:`Kicked`
        :raises LoginRefused: a reconnect was refused: the token has expired or was revoked
        """
        while not self._events:
            error = self.session.error if self.session is not None else None
            if isinstance(error, Closed):
                raise StopAsyncIteration
            if error is not None:
                raise error
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        session = self.session
        if session is not None and session.paused and len(self._events) <= limits.CLIENT_EVENTS // 2:
            session.resume()
            self._pump()
        return event

    def cut(self) -> None:
        """Drop the connection as a lost network does; the client connects again by itself."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say good-bye and disconnect; calls that wait get :class:`Closed`, the events end. The account stays logged in."""
        if self.session is not None:
            self.session.leave()
            self._pump()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        await asyncio.sleep(0)  # the transport closes its socket in the next turn

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- the session's owner ----------------------------------------------------------------------------------------

    def _need_session(self) -> Session:
        if self.session is None:
            raise LanyingError(_LOG_IN_FIRST)
        if self.session.error is not None:
            raise self.session.error
        return self.session

    def _pump(self) -> None:
        """Perform what the session has decided; called after everything that happens to it."""
        session = self.session
        assert session is not None
        loop = asyncio.get_running_loop()
        data = session.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)
        for item in session.take():
            self._deliver(item)
        if len(self._events) >= limits.CLIENT_EVENTS:
            session.pause()
        if self._transport is not None and (session.broken or session.state is SessionState.ENDED):
            self._drop(session.broken, loop.time())
        if session.state is SessionState.ENDED:
            self._end(session.error or Closed("the client was closed"))
        elif session.due(loop.time()) and self._connecting is None:
            self._connecting = loop.create_task(self._connect(session), name="lanying-client-connect")
        self._changed.set()
        self._schedule(session, loop)

    def _schedule(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = session.next_timer()
        if at is not None and self._connecting is None:
            self._timer = loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        assert self.session is not None
        # The loop calls timers up to its clock's resolution early; the session would say "not yet" again and again.
        self.session.timeout(asyncio.get_running_loop().time() + 0.001)
        self._pump()

    async def _connect(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        address = self._address
        secure = address.scheme in ("https", "wss")
        host, port = address.hostname or "127.0.0.1", address.port or _PORTS.get(address.scheme, 80)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: _Socket(self), host, port, ssl=self._tls if secure else None)
        except (OSError, TimeoutError) as error:
            session.lost(f"{host}:{port}: {trust.explain(error, host) if str(error) else 'no connection'}", loop.time())
        finally:
            self._connecting = None
        self._pump()

    def _opened(self, transport: asyncio.Transport) -> None:
        session = self.session
        assert session is not None
        if session.state is not SessionState.OFFLINE:  # closed meanwhile
            transport.abort()
            return
        self._transport = transport
        session.connect(self._address.netloc, asyncio.get_running_loop().time(), self._address.path.rstrip("/"))
        self._pump()

    def _received(self, data: bytes) -> None:
        assert self.session is not None
        self.session.receive(data, asyncio.get_running_loop().time())
        self._pump()

    def _drop(self, reason: str, now: float) -> None:
        """The socket is of no use any more; what was written is still sent."""
        transport, self._transport = self._transport, None
        assert transport is not None and self.session is not None
        transport.close()
        self._writable.set()
        self.session.lost(reason, now)
        for item in self.session.take():
            self._deliver(item)

    def _lost(self, transport: asyncio.BaseTransport | None, error: Exception | None) -> None:
        if transport is not None and transport is self._transport:
            self._drop(str(error) if error else "closed by the server", asyncio.get_running_loop().time())
            self._pump()

    def _deliver(self, item: Event | Answer) -> None:
        if isinstance(item, Sent):
            _resolve(self._sends.pop(item.client_mid, None), item)
            self._room.set()
        elif isinstance(item, Rejected):
            future = self._sends.pop(item.client_mid, None)
            if future is not None and not future.done():
                future.set_exception(item.error)
            self._room.set()
        elif isinstance(item, Page):
            _resolve(self._pages.popleft(), item)
        elif isinstance(item, UnreadList):
            if item.asked:
                _resolve(self._lists.popleft(), item.conversations)
        else:
            self._events.append(item)
            self._arrived.set()

    def _end(self, error: LanyingError) -> None:
        waiting: list[asyncio.Future[Any]] = [*self._sends.values(), *self._pages, *self._lists]
        self._sends.clear()
        self._pages.clear()
        self._lists.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(error)
        for flag in (self._room, self._writable, self._arrived):
            flag.set()
        if isinstance(error, LoginRefused | LoggedOut):
            log.info("event=session_ended uid=%d reason=%s", self.session.uid if self.session else 0, error)


class _Socket(asyncio.Protocol):
    """Carries bytes between the loop and one client; outlived by it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._client._opened(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is self._client._transport:
            self._client._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client._lost(self._transport, exc)

    def pause_writing(self) -> None:
        self._client._writable.clear()

    def resume_writing(self) -> None:
        self._client._writable.set()


def _resolve(future: asyncio.Future[Any] | None, value: object) -> None:
    if future is not None and not future.done():  # the caller may have been cancelled
        future.set_result(value)


def _new_guid() -> str:
    return secrets.token_hex(16)


def _stored_guid(file: Path) -> str:
    """The device name kept in ``file``."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        guid = _new_guid()
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(guid + "\n")
        return guid
