"""The client on a socket: REST, connection, reconnects with backoff, resends."""

from __future__ import annotations

import asyncio
import base64
import http.client
import os
import random
import secrets
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import orjson

from lanying.client.session import Disconnected, Event, Page, Refused, Sent, Session
from lanying.clock import wall_ms
from lanying.errors import CallError, LanyingError, ProtocolError
from lanying.limits import HEARTBEAT_S, READ_BYTES
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, Connection, wrap_client
from lanying.protocol.handshake import check_upgrade_response, upgrade_request
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.protocol.websocket import close_frame

BACKOFF_FIRST_S = 0.1
BACKOFF_LAST_S = 10.0
CONNECT_TIMEOUT_S = 10.0
REST_TIMEOUT_S = 20.0
EVENTS_KEPT = 10_000
"""Events waiting for the caller; with more the connection is not read until he takes some."""

_PATHS = {XSYNC: "/xsync", SOCKETIO: "/socket.io/?EIO=3&transport=websocket"}


class Client:
    """One device of one user.

    :param url: REST address of the server, for example ``http://127.0.0.1:8480``
    :param transport: ``xsync`` (plain WebSocket) or ``socketio`` (as the web SDK)
    :param device_guid: name of this device; the same one is the same device to the server. Random without.

    Use: ``await client.login(name, password)``, then ``async for event in client`` in one task and the sending methods in any.
    """

    def __init__(
        self, url: str, app_id: str = "lanying", *, transport: str = "xsync", device_guid: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.app_id = app_id
        self.kind = {"xsync": XSYNC, "socketio": SOCKETIO}[transport]
        self.guid = device_guid or secrets.token_hex(16)
        self.session: Session | None = None
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(EVENTS_KEPT)
        self._waiting: dict[int, asyncio.Future[Sent]] = {}
        self._pages: list[asyncio.Future[Page]] = []
        self._ready = asyncio.Event()
        self._failed: LanyingError | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._heartbeat: asyncio.Task[None] | None = None

    # --- accounts ---------------------------------------------------------------------------------------------------

    async def rest(self, method: str, path: str, **params: Any) -> Any:
        """``data`` of a REST call: parameters go into the query of a GET, into the JSON body of a POST.

        :raises CallError: the envelope's code is not 200
        """
        return await asyncio.to_thread(self._rest, method, path, params)

    async def register(self, username: str, password: str) -> int:
        """Create an account; its uid."""
        return int((await self.rest("POST", "/user/register/v2", username=username, password=password))["user_id"])

    async def login(self, username: str, password: str) -> int:
        """Log in and connect; the uid. Returns when messages can be sent.

        :raises CallError: wrong name or password, :raises LoginRefused: the account may not connect
        """
        grant = await self.rest("POST", "/token/user", name=username, password=password)
        await self.login_with_token(int(grant["user_id"]), grant["token"])
        return int(grant["user_id"])

    async def login_with_token(self, uid: int, token: str) -> None:
        """Connect with a token of an earlier login."""
        self.session = Session(uid, token, self.guid)
        self._task = asyncio.create_task(self._run(self.session), name="lanying-client")
        self._heartbeat = asyncio.create_task(self._beat(self.session), name="lanying-client-heartbeat")
        await self._ready.wait()
        if self._failed is not None:
            raise self._failed

    # --- messages ---------------------------------------------------------------------------------------------------

    async def send(self, peer: int, body: MessageBody) -> Sent:
        """Send a message or operation; returns when the server has it on its disk, across reconnects.

        :raises Refused: the server does not accept it
        """
        session = self._need_session()
        client_mid, data = session.send(peer, body, wall_ms())
        future = self._waiting[client_mid] = asyncio.get_running_loop().create_future()
        if session.ready:
            self._write([data])
        return await future

    async def send_text(self, peer: int, text: str, ext: str = "") -> Sent:
        """Send a text to a user."""
        return await self.send(peer, MessageBody(type=MessageBody.CHAT, content=text, ext=ext))

    async def typing(self, peer: int, active: bool = True) -> Sent:
        """Tell a user's connected devices that this one is typing; never stored."""
        ext = '{"input_status":"typing"}' if active else '{"input_status":"nothing"}'
        return await self.send(peer, MessageBody(type=MessageBody.CHAT, ext=ext, qos=MessageBody.AT_MOST_ONCE))

    async def read(self, author: int, mid: int) -> Sent:
        """Mark a message of ``author`` as read."""
        return await self._operate(author, MessageOperation(type=MessageOperation.READ_ACK, mid=mid))

    async def recall(self, peer: int, mid: int) -> Sent:
        """Take back an own message."""
        operation = MessageOperation(type=MessageOperation.RECALL, mid=mid)
        operation.xid.uid = peer
        return await self._operate(peer, operation)

    async def replace(self, peer: int, mid: int, text: str) -> Sent:
        """Change the text of an own message."""
        return await self._operate(peer, MessageOperation(type=MessageOperation.REPLACE, mid=mid), text)

    async def append(self, peer: int, mid: int, text: str) -> Sent:
        """Add to the text of an own message."""
        return await self._operate(peer, MessageOperation(type=MessageOperation.APPEND, mid=mid), text)

    async def history(self, peer: int, before: int = 0, amount: int = 20) -> Page:
        """A page of a conversation, newest first; ``before`` is ``next_key`` of the page before."""
        self._need_session()
        future: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._pages.append(future)
        self._write([frame.history_request(peer, before, amount)])
        return await future

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._iterate()

    async def next_event(self) -> Event | None:
        """The next event, None when the client is closed or kicked."""
        return await self._events.get()

    async def close(self) -> None:
        """Disconnect; the events end."""
        for task in (self._task, self._heartbeat):
            if task is not None:
                task.cancel()
        if self._writer is not None:
            self._writer.write(close_frame(1000, "", True))
            self._writer.close()
        self._end(LanyingError("the client is closed"))

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _iterate(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            yield event

    async def _operate(self, peer: int, operation: MessageOperation, text: str = "") -> Sent:
        ctype = MessageBody.TEXT if text else MessageBody.COMMAND
        return await self.send(peer, MessageBody(type=MessageBody.OPER, ctype=ctype, content=text, operation=operation))

    def _need_session(self) -> Session:
        if self._failed is not None:
            raise self._failed
        if self.session is None:
            raise LanyingError("log in first: await client.login(name, password)")
        return self.session

    async def _run(self, session: Session) -> None:
        delay = BACKOFF_FIRST_S
        while True:
            reason = "the server closed the connection"
            try:
                await self._serve(session)
            except (OSError, ProtocolError, asyncio.IncompleteReadError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            was_ready, session.ready, self._writer = session.ready, False, None
            if session.refused is not None or session.kicked:
                self._end(session.refused or LanyingError("logged out by the server"))
                return
            for page in self._pages:
                if not page.done():
                    page.set_exception(LanyingError("the connection was lost, ask again"))
            self._pages.clear()
            if was_ready:
                delay = BACKOFF_FIRST_S
                await self._events.put(Disconnected(reason))
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))
            delay = min(delay * 2, BACKOFF_LAST_S)

    async def _serve(self, session: Session) -> None:
        address = await asyncio.to_thread(self._discover)
        host, port = (
            address.hostname or "127.0.0.1",
            address.port or (443 if address.scheme in ("https", "wss") else 80),
        )
        secure = address.scheme in ("https", "wss")
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=secure or None)
        self._writer = writer
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(upgrade_request(address.netloc, _PATHS[self.kind], key, {}))
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            check_upgrade_response(head, key)
            connection = Connection(self.kind, "client")
            greeted = connection.opened
            if greeted:
                self._write([session.connected()])
            while data := await reader.read(READ_BYTES):
                answers: list[bytes] = []
                for received in connection.receive(data):
                    answers += session.receive(received)
                if not greeted and connection.opened:
                    greeted = True
                    answers.insert(0, session.connected())
                replies = connection.take_replies()
                if replies:
                    writer.write(replies)
                self._write(answers)
                await self._publish(session)
                if connection.left or session.refused is not None or session.kicked:
                    return
        finally:
            writer.close()

    async def _publish(self, session: Session) -> None:
        for client_mid, outcome in list(session.outcomes.items()):
            future = self._waiting.pop(client_mid, None)
            if future is not None and not future.done():
                if isinstance(outcome, Refused):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        session.outcomes.clear()
        for page in session.pages:
            if self._pages:
                self._pages.pop(0).set_result(page)
        session.pages.clear()
        events, session.events = session.events, []
        for event in events:
            await self._events.put(event)
        if session.ready:
            self._ready.set()

    async def _beat(self, session: Session) -> None:
        connection = Connection(self.kind, "client")
        for turn in range(1 << 62):
            await asyncio.sleep(HEARTBEAT_S / 2)
            if session.ready and self._writer is not None:
                self._writer.write(connection.ping())
                if turn % 2:
                    self._write([session.heartbeat()])

    def _write(self, frames: list[bytes]) -> None:
        if self._writer is not None and frames:
            self._writer.write(b"".join([wrap_client(self.kind, data) for data in frames]))

    def _end(self, error: LanyingError) -> None:
        self._failed = error
        self._ready.set()
        for future in [*self._waiting.values(), *self._pages]:
            if not future.done():
                future.set_exception(error)
                future.exception()  # the caller may be gone
        self._waiting.clear()
        self._pages.clear()
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)

    def _discover(self) -> urllib.parse.SplitResult:
        found = self._rest("GET", "/v2/app_dns", {"app_id": self.app_id, "source": "sdk"})
        cluster = next(entry for entry in found["dns_list"] if entry["group_level"] == 0)["clusters"][0]
        server = cluster["webim"][0]
        return urllib.parse.urlsplit(f"{server['protocol']}://{server['host']}")

    def _rest(self, method: str, path: str, params: dict[str, Any]) -> Any:
        base = urllib.parse.urlsplit(self.url)
        make = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
        connection = make(base.netloc, timeout=REST_TIMEOUT_S)
        headers = {"app_id": self.app_id, "content-type": "application/json"}
        if self.session is not None:
            headers["access-token"] = self.session.token
        body = None
        if method == "GET":
            path += "?" + urllib.parse.urlencode(params)
        else:
            body = orjson.dumps(params)
        try:
            connection.request(method, base.path + path, body, headers)
            envelope = orjson.loads(connection.getresponse().read())
        except (http.client.HTTPException, orjson.JSONDecodeError) as error:
            raise CallError(503, f"{self.url}{path}: {error}") from error
        finally:
            connection.close()
        if envelope["code"] != 200:
            raise CallError(envelope["code"], envelope["message"] or "")
        return envelope["data"]
