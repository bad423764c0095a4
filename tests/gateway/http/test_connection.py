"""What a stranger's connection may cost, with real sockets and both loops' own transports."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any

import pytest
import uvloop
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from lanying.base import limits
from lanying.base.peers import Proxies
from lanying.gateway.http.connection import Hall
from lanying.gateway.server import HttpServer
from lanying.testing.poll import PATIENCE_S, eventually

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = 4 << 20


class World:
    """An application on adopted sockets.

    :ivar served: paths asked for
    :ivar server: the server
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, hall: Hall | None = None) -> None:
        self.loop = loop
        self.served: list[str] = []
        self.server = HttpServer(self._app, loop, hall)
        self.clients: list[socket.socket] = []

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.served.append(request.url.path)
        try:
            await (await self._answer(request))(scope, receive, send)
        except ClientDisconnect:
            self.served.append("gone")

    async def _answer(self, request: Request) -> Response:
        if request.url.path == "/echo":
            return PlainTextResponse(await request.body())
        if request.url.path == "/large":
            return Response(b"x" * LARGE)
        if request.url.path == "/slow":
            await asyncio.sleep(0.05)
        return PlainTextResponse(request.client.host if request.client else "")

    def connect(self, first: bytes = b"", address: str = "") -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.clients.append(theirs)
        self.server.adopt(ours, first, address)
        return theirs

    async def flood(self, client: socket.socket, data: bytes, upto: int) -> int:
        """Send ``data`` again and again; bytes taken before the connection was closed or nothing was taken for a while."""
        sent = 0
        try:
            for _ in repeat(None, upto // len(data)):
                async with asyncio.timeout(0.3):
                    await self.loop.sock_sendall(client, data)
                sent += len(data)
        except (OSError, TimeoutError):
            pass
        return sent

    async def end(self, client: socket.socket) -> bytes:
        """Everything up to the end of the connection."""
        found = b""
        while True:
            try:
                piece = await self.loop.sock_recv(client, 65536)
            except ConnectionResetError:
                return found
            if not piece:
                return found
            found += piece

    async def gone(self) -> None:
        """Somebody was served, and all connections are closed."""
        await eventually("all closed", lambda: self.served and not self.server.connections)


Run = Callable[..., Any]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def go(talk: Callable[[World], Awaitable[Any]], hall: Hall | None = None) -> Any:
        async def whole() -> Any:
            world = World(loop, hall)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await talk(world)
            finally:
                for client in world.clients:
                    client.close()
                await world.server.drain(1.0)

        loop = request.param()
        try:
            return loop.run_until_complete(whole())
        finally:
            loop.close()

    return go


FLOODS = {
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"a:b\r\n" * 2000),
    "chunk extension": (CHUNKED + b"1;", b"e=f;" * 2000),
    "tiny chunks": (CHUNKED, b"1\r\nx\r\n" * 2000),
    "head": (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 2000),
    "address": (b"GET /", b"a" * 8000),
    "empty lines": (GET, b"\r\n" * 4000),
    "pipelined": (GET, GET * 300),
    "pipelined behind a slow one": (b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", GET * 300),
    "pipelined bodies": (CHUNKED + b"0\r\n\r\n", (CHUNKED + b"1\r\nx\r\n0\r\n\r\n") * 100),
    "answers nobody reads": (b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_connection_has_a_budget_from_its_first_byte_to_its_last(run: Run, name: str) -> None:
    first, data = FLOODS[name]

    async def talk(world: World) -> tuple[int, int, int]:
        await world.end(world.connect(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
        gc.collect()
        tracemalloc.start()
        try:
            sent = await world.flood(world.connect(first), data, 4 << 20)
            return sent, tracemalloc.get_traced_memory()[1], len(world.served)
        finally:
            tracemalloc.stop()

    sent, peak, served = run(talk)
    assert peak < (4 * LARGE if name == "answers nobody reads" else 1 << 20)  # one answer, however many are asked for
    if name != "tiny chunks":  # a body like another, up to the size its endpoint takes
        assert sent <= 3 << 20
    assert served < 2000


def test_trailers_are_dropped_and_a_request_behind_them_is_served(run: Run) -> None:
    async def talk(world: World) -> bytes:
        client = world.connect(CHUNKED + b"2\r\nab\r\n0\r\nx-checksum: 7\r\n\r\n")
        await world.loop.sock_recv(client, 65536)
        client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return await world.end(client)

    assert run(talk).startswith(b"HTTP/1.1 200 ")


def test_requests_behind_one_another_are_served_in_order(run: Run) -> None:
    async def talk(world: World) -> tuple[int, list[str]]:
        client = world.connect(GET.replace(b"/ ", b"/slow ") * 3 + GET[:11])
        client.send(GET[11:].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return (await world.end(client)).count(b"HTTP/1.1 200 "), world.served

    assert run(talk) == (4, ["/slow", "/slow", "/slow", "/"])


@pytest.mark.parametrize("cut", range(1, len(GET)))
def test_a_head_cut_anywhere(run: Run, cut: int) -> None:
    async def talk(world: World) -> int:
        client = world.connect(GET[:cut])
        await asyncio.sleep(0)
        client.send(GET[cut:] + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return (await world.end(client)).count(b"HTTP/1.1 200 ")

    assert run(talk) == 2


@pytest.mark.parametrize("path", [b"/", b"/slow"])
def test_who_has_asked_and_closed_their_side_gets_the_answer(run: Run, path: bytes) -> None:
    async def talk(world: World) -> bytes:
        client = world.connect()
        client.send(GET.replace(b"/ ", path + b" "))
        client.shutdown(socket.SHUT_WR)
        return await world.end(client)

    assert run(talk).startswith(b"HTTP/1.1 200 ")


def test_half_a_request_and_the_end_closes(run: Run) -> None:
    async def talk(world: World) -> bytes:
        client = world.connect(CHUNKED + b"5\r\nab")
        client.shutdown(socket.SHUT_WR)
        return await world.end(client)

    assert run(talk) == b""


def test_an_answer_nobody_takes_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REST_STUCK_S", 0.5)

    async def talk(world: World) -> int:
        world.connect(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await world.gone()
        return len(world.served)

    assert run(talk) == 1


def test_an_answer_taken_slowly_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REST_STUCK_S", 0.5)
    monkeypatch.setattr("lanying.gateway.server.CHECK_S", 0.1)

    async def talk(world: World) -> int:
        client = world.connect(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found = 0
        while piece := await world.loop.sock_recv(client, 400_000):
            found += len(piece)
            await asyncio.sleep(0.05)
        return found

    assert run(talk) > LARGE


def test_a_body_has_a_least_rate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REST_BODY_GRACE_S", 0.5)

    async def talk(world: World) -> list[str]:
        world.connect(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc")
        await world.gone()
        return world.served

    assert run(talk) == ["/echo", "gone"]


def test_an_idle_connection_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(world: World) -> int:
        monkeypatch.setattr(limits, "REST_IDLE_S", 0.5)  # not uvicorn's, which has its own since its start
        # Answered before its body was there, which arms nobody's timer.
        world.connect(GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")).send(b"abc")
        await world.gone()
        return len(world.served)

    assert run(talk) == 1


def test_one_peer_has_its_share_of_connections_and_its_idlest_makes_room(run: Run) -> None:
    async def talk(world: World) -> tuple[int, bytes, bytes]:
        first = world.connect(GET, "2001:db8::1")
        answer = await world.loop.sock_recv(first, 65536)
        await asyncio.sleep(1.1)
        others = [world.connect(GET, f"2001:db8::{number}") for number in range(2, 5)]
        honest = world.connect(GET, "192.0.2.1")
        for client in (*others, honest):
            answer = await world.loop.sock_recv(client, 65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
        return world.server.connections, await world.end(first), answer

    connections, evicted, answer = run(talk, Hall(total=10, each=3))
    assert connections == 4
    assert evicted == b""
    assert answer.endswith(b"192.0.2.1")


def test_a_storm_of_one_peer_is_turned_away_and_a_proxy_speaks_for_many(run: Run) -> None:
    async def talk(world: World) -> tuple[int, int]:
        clients = [world.connect(GET, "192.0.2.1") for _ in range(5)]
        answers = [await world.loop.sock_recv(client, 65536) for client in clients]
        trusted = [world.connect(GET, "127.0.0.1") for _ in range(5)]
        more = [await world.loop.sock_recv(client, 65536) for client in trusted]
        return sum(b" 503 " in answer for answer in answers), sum(b" 503 " in answer for answer in more)

    assert run(talk, Hall(Proxies(["127.0.0.0/8"]), total=10, each=3)) == (2, 0)


def test_a_drain_does_not_wait_for_those_who_do_not_read(run: Run) -> None:
    async def talk(world: World) -> float:
        for _ in range(5):
            world.connect(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually("all served", lambda: len(world.served) == 5)
        begun = world.loop.time()
        await world.server.drain(0.2)
        return world.loop.time() - begun

    assert run(talk) < 1.0
