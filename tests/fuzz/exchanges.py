"""HTTP exchanges: bytes of a connection through the gateway's own protocol and application to shards, and what comes back.

Every request that is understood has one answer; no answer says that the server has failed; nothing is kept of a connection that is gone.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any
from urllib.parse import quote, urlencode

from lanying.base import limits
from lanying.base.peers import Proxies
from lanying.gateway.contract.contract import CONTRACT
from lanying.gateway.http.connection import Hall, HttpConnection
from lanying.gateway.server import HttpServer
from tests.fuzz.source import NUMBERS, Source
from tests.fuzz.target import Found, Target
from tests.gateway.conftest import Gateway

ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")
FAILED = {b"500", b"502", b"504"}
ANSWERED_S = 20.0
DEEPEST = 50
MOST_PIECES = 4000
"""Each is a turn of the loop."""
CALLS = CONTRACT.calls
FRAMING = (
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"a: b\r\n" * 300,
)


TYPES = ("integer", "string", "array", "object", "boolean", "null")


class Wire(asyncio.Transport):
    """A transport that goes nowhere. ``sock``: one nobody uses, for what asks about it"""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"peername": ("192.0.2.1", 5), "sockname": ("192.0.2.2", 80), "socket": sock})
        self.out = bytearray()
        self.paused = self.closing = False

    def write(self, data: Any) -> None:
        self.out += data

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise AssertionError("no upgrade is offered")


class Exchanges(Target):
    """The first byte chooses: bytes as they are, or requests by the contract. The second cuts them."""

    unit = "exchanges"
    renewed_every = 2000
    words = (b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1", *FRAMING, b"GET /", b"%00", b"app_id: app\r\n", b"?a=1&")

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._ends = socket.socketpair()
        super().__init__()

    def renew(self) -> None:
        self.close()
        gateway = self._gateway = Gateway()
        people = [gateway.register(f"user{number}") for number in range(3)]
        self._ids = [uid for uid, _ in people]
        self._ids.append(
            int(
                gateway.data("POST", "/group/create", people[0][1], json={"name": "g", "user_list": self._ids[1:2]})[
                    "group_id"
                ]
            )
        )
        self._tokens = ["", *(token for _, token in people[:2]), people[0][1], gateway.admin(), "a.b.c", "x" * 3000]
        self._hall = Hall(Proxies())
        self._server = HttpServer(gateway.app, gateway._loop, self._hall)

    def close(self) -> None:
        if self._gateway is not None:
            self._gateway.close()

    def seeds(self) -> list[bytes]:
        raw = [
            b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
            b'POST /token/user HTTP/1.1\r\nHost: a\r\napp_id: app\r\nContent-Length: 33\r\n\r\n{"name":"user0","password":"bad1"}',
            b"POST /token/user HTTP/1.1\r\nHost: a\r\napp_id: app\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\na: b\r\n\r\n",
            b"HEAD /web/ HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,2-3\r\n\r\n",
            b"OPTIONS /user/info HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nAccess-Control-Request-Headers: x\r\n\r\n",
        ]
        made = [
            bytes((1, step, 0, at, *((at * 7 + step * n) % 256 for n in range(40))))
            for at in range(len(CALLS))
            for step in (0, 9)
        ]
        return [bytes((0, step)) + one for one in raw for step in (0, 1, 7)] + made

    def judge(self, data: bytes) -> None:
        source = Source(data)
        how, step = source.byte(), source.byte() or 1 << 16
        if how % 2:
            requests = [self._request(source) for _ in range(1 + how // 2 % 3)]
        else:
            requests = [source.bytes(1 << 16)]
        sent, gateway = b"".join(requests), self._gateway
        assert gateway is not None
        gateway.now += 30.0
        gateway.run(self._exchange(sent, max(step, len(sent) // MOST_PIECES), len(requests) if how % 2 else 0))

    async def _exchange(self, data: bytes, step: int, expected: int) -> None:
        wire = Wire(self._ends[0])
        connection = self._server.protocol()
        connection.connection_made(wire)
        for at in range(0, len(data), step):
            if wire.closing:
                break
            connection.data_received(data[at : at + step])
            if wire.paused or step < 10:
                await self._answered(connection)
            if len(connection._held) > limits.REST_WAITING_BYTES + step:
                raise Found(f"{len(connection._held)} bytes wait")
        await self._answered(connection)
        answers = ANSWER.findall(bytes(wire.out))
        self.units += max(len(answers), 1)
        connection.connection_lost(None)
        await self._ended()
        if FAILED & {*answers}:
            raise Found(f"failed: {bytes(wire.out)[:2000]!r}")
        if expected and not answers:
            raise Found(f"no answer to {data[:2000]!r}")
        if self._server.connections:
            raise Found("a connection is kept that is gone")

    async def _answered(self, connection: HttpConnection) -> None:
        """Requests that are here as a whole."""
        if not self._server._state.tasks:  # nothing is asked yet: most pieces of what is sent byte by byte
            return
        async with asyncio.timeout(ANSWERED_S):
            await asyncio.sleep(0)
            while connection._answering:
                await asyncio.wait({*self._server._state.tasks})

    async def _ended(self) -> None:
        """Requests of which the rest will never come."""
        async with asyncio.timeout(ANSWERED_S):
            while tasks := self._server._state.tasks:
                await asyncio.wait({*tasks})

    # --- requests by the contract ----------------------------------------------------------------------------------

    def _request(self, source: Source) -> bytes:
        call = CALLS[(source.byte() * 256 + source.byte()) % len(CALLS)]
        method = (
            source.pick(call.methods)
            if source.byte() < 240
            else source.pick(("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
        )
        query = {
            name: self._text(self._value(schema, source)) for name, schema in call.query.items() if source.byte() % 8
        }
        fields = {name: self._value(schema, source) for name, schema in call.body.items() if source.byte() % 8}
        body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") if fields else b""
        if source.byte() > 245:
            body = source.chunk()
        head = [
            f"{method} {call.path}{'?' + urlencode(query) if query else ''} HTTP/1.1",
            "Host: im.example",
            "app_id: app",
        ]
        token = source.pick(self._tokens)
        head += [f"access-token: {token}"] if token else []
        lines = "\r\n".join(head).encode() + b"\r\n"
        if source.byte() > 245:
            lines += source.pick(FRAMING)
        return lines + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def _text(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    def _value(self, schema: dict[str, Any], source: Source, depth: int = 0) -> Any:
        """What the contract says, or nearly, or something else."""
        kind = schema.get("type", "string") if source.byte() < 230 else source.pick(TYPES)
        match kind:
            case "integer" | "number":
                return (
                    source.pick((*self._ids, *self._ids, *NUMBERS, -1, 1.5)) if source.byte() < 200 else source.number()
                )
            case "array":
                inner = schema.get("items", {})
                return source.some(lambda: self._value(inner, source, depth + 1), 5 if depth < DEEPEST else 0)
            case "object":
                return {source.text()[:50]: source.pick((0, "x", [], {})) for _ in range(source.byte() % 4)}
            case "boolean":
                return source.pick((True, False, 1, "1"))
            case "null":
                return None
        if "enum" in schema and source.byte() < 200:
            return source.pick(schema["enum"])
        return source.text() if source.byte() < 160 else quote(source.text()[:200])
