from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from lanying.base import limits
from lanying.config.schema import FilesSettings
from lanying.gateway.server import HttpServer
from lanying.testing.poll import PATIENCE_S
from tests.gateway.conftest import Gateway

HEALTH = b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made: asyncio.AbstractEventLoop = request.param()
    yield made
    made.close()


def converse(
    loop: asyncio.AbstractEventLoop,
    app: Any,
    talk: Callable[[HttpServer, socket.socket, socket.socket], Coroutine[Any, Any, Any]],
) -> Any:
    async def run() -> Any:
        server = HttpServer(app, loop)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await talk(server, ours, theirs)
        finally:
            theirs.close()
            await server.drain(1.0)

    return loop.run_until_complete(run())


async def read(theirs: socket.socket, answers: int) -> bytes:
    """Until so many answers of /api/health came, or the end."""
    found = b""
    while found.count(b'"message":null}') < answers:
        piece = await asyncio.get_running_loop().sock_recv(theirs, 65536)
        if not piece:
            break
        found += piece
    return found


def test_first_bytes_pipelined_requests_and_the_rest(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> bytes:
        # Two and a half requests came with the socket, the second half waits in it, a last one comes later.
        theirs.send(HEALTH[20:])
        server.adopt(ours, HEALTH * 2 + HEALTH[:20])
        found = await read(theirs, 3)
        theirs.send(HEALTH)
        return found + await read(theirs, 1)

    found = converse(loop, gateway.app, talk)
    assert found.count(b"HTTP/1.1 200 OK") == 4
    assert found.count(b"date: ") == 4


def test_a_body_larger_than_the_first_bytes(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    body = b'{"username":"alice","password":"secret1","pad":"' + b"x" * 60_000 + b'"}'
    head = b"POST /user/register/v2 HTTP/1.1\r\nHost: a\r\napp_id: app\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> bytes:
        server.adopt(ours, head + body[:30_000])
        await asyncio.get_running_loop().sock_sendall(theirs, body[30_000:])
        return await read(theirs, 1)

    assert b'"code":200' in converse(loop, gateway.app, talk)


def test_a_head_without_end_is_refused(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> bytes:
        server.adopt(ours, b"GET / HTTP/1.1\r\n")
        await asyncio.get_running_loop().sock_sendall(theirs, b"x-a: " + b"y" * limits.MAX_HTTP_HEAD_BYTES)
        return await read(theirs, 1)

    assert converse(loop, gateway.app, talk).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("first", [b"", b"GET / HT"])
def test_a_head_that_does_not_come_closes(
    loop: asyncio.AbstractEventLoop, gateway: Gateway, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REST_HEAD_TIMEOUT_S", 0.02)

    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> bytes:
        server.adopt(ours, first)
        return await read(theirs, 1)

    assert converse(loop, gateway.app, talk) == b""


def test_what_is_not_http_is_answered_and_closed(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> bytes:
        server.adopt(ours, b"\x16\x03\x01 nonsense\r\n\r\n")
        return await read(theirs, 1)

    assert converse(loop, gateway.app, talk).startswith(b"HTTP/1.1 400")


def test_drain_closes_idle_connections(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> None:
    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> tuple[int, bytes]:
        server.adopt(ours, HEALTH)
        await read(theirs, 1)
        before = server.connections
        await server.drain(1.0)
        return before, await read(theirs, 1)

    assert converse(loop, gateway.app, talk) == (1, b"")


def test_who_sends_a_whole_file_first_reads_why_it_was_refused(
    loop: asyncio.AbstractEventLoop, make: Callable[..., Gateway]
) -> None:
    gateway = make(files=FilesSettings(max_mb=1))
    _, token = gateway.register("alice")
    ticket = gateway.data("GET", "/file/upload/chat?file_type=100&to_id=1024001&to_type=1", token)
    assert ticket["max_bytes"] == 1 << 20
    path, size = ticket["upload_url"].removeprefix("http://im.test:8480"), 3 << 20

    async def talk(server: HttpServer, ours: socket.socket, theirs: socket.socket) -> bytes:
        server.adopt(ours, b"")
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(theirs, head.encode() + bytes(size))
        return await asyncio.get_running_loop().sock_recv(theirs, 65536)

    answer = converse(loop, gateway.app, talk)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the file is larger than 1 MB" in answer
