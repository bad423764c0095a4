"""The edge: real sockets on the loopback, and a router in the same loop that takes what it is handed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from lanying.base import limits
from lanying.base.peers import Proxies
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import decode_tunnelled
from lanying.bus.handoff.sender import Sender
from lanying.tls.terminator import Terminator
from lanying.tls.tunnel import Tunnel
from tests.tls.ends import ClientEnd, shown

PROXY = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 5, 10, 0, 0, 1, 0, 80, 1, 187])


class World:
    """A terminator and a router.

    :ivar taken: address and socket of what the router was handed, and ``secure``: whether it is one end of a pair
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self.loop = uvloop.new_event_loop()
        self.now = 1000.0
        self.taken: list[tuple[str, socket.socket]] = []
        self.secure: list[bool] = []
        self.verdict: wire.Verdict = wire.ACCEPTED
        path = str(directory / "handoff-router.sock")
        self.receiver = Receiver(path, self._take, self.loop)
        self.receiver.start()
        self.sender = Sender(path, self.loop, wait_s=0.05)
        self.sender.start()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        given = {"connections": 100, "proxies": Proxies(), "clock": lambda: self.now}
        given |= {"port": self.socket.getsockname()[1]} | options
        self.terminator = Terminator([self.socket], lambda data: shown(), self.sender, self.loop, **given)
        self.terminator.start()

    def _take(self, fd: int, record: bytes) -> wire.Verdict:
        if self.verdict is wire.ACCEPTED:
            sock = socket.socket(fileno=fd)
            found = decode_tunnelled(record)
            self.taken.append((found.address, sock))
            self.secure.append(found.secure)
        return self.verdict

    def close(self) -> None:
        self.terminator.close()
        self.sender.close()
        self.receiver.close()
        self.socket.close()
        for _, sock in self.taken:
            sock.close()
        self.loop.close()

    def run(self, condition: Callable[[], object], named: str) -> None:
        """Turn the loop until it is so."""
        stop = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < stop, f"not within 20 s: {named}; {self.terminator.counts}"
            self.loop.call_later(0.002, self.loop.stop)
            self.loop.run_forever()

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.socket.getsockname())
        client.setblocking(False)
        return client

    def count(self, name: str) -> int:
        return self.terminator.counts[name]


class Visitor:
    """A TLS client on a socket."""

    def __init__(self, world: World, first: bytes = b"") -> None:
        self.world = world
        self.socket = world.connect()
        self.end = ClientEnd()
        before = len(world.taken)
        self.socket.send(first + self.end.step())
        while not world.count("opened") > before:
            self.socket.send(self.end.step(self.received()))
            world.run(lambda: self.arrived() or world.count("opened") > before, "the handshake goes on")
        world.run(lambda: len(world.taken) > before, "the router has it")
        self.inner = world.taken[before][1]

    def arrived(self) -> bool:
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK)) or True
        except BlockingIOError:
            return False

    def received(self) -> bytes:
        self.world.run(self.arrived, "bytes for the client")
        return self.socket.recv(1 << 20)

    def read(self, size: int) -> bytes:
        plain = b""
        while len(plain) < size:
            plain += self.end.read(self.received())
        return plain


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def made(**options: Any) -> World:
        directory = tmp_path / str(len(worlds))
        directory.mkdir()
        worlds.append(World(directory, **options))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


def readable(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


def test_what_is_inside_goes_to_the_router_and_answers_go_back(make):
    world = make()
    visitor = Visitor(world)
    assert world.taken[0][0] == "127.0.0.1"
    visitor.socket.send(visitor.end.write(b"question"))
    world.run(lambda: readable(visitor.inner), "the question")
    assert visitor.inner.recv(100) == b"question"
    visitor.inner.send(b"answer")
    assert visitor.read(6) == b"answer"


def test_a_client_that_does_not_read_is_not_read_for(make):
    """What is kept for it has a bound: the process behind is stopped by its own full socket."""
    world = make()
    visitor = Visitor(world)
    visitor.inner.setblocking(False)
    sent = 0
    for _ in range(200):
        try:
            sent += visitor.inner.send(b"x" * 65_536)
        except BlockingIOError:
            if world.loop.run_until_complete(_pause()) or not writable(visitor.inner):
                break
    assert world.terminator._relays.owed < 200_000
    assert visitor.read(sent) == b"x" * sent


async def _pause() -> bool:
    import asyncio

    for _ in range(20):
        await asyncio.sleep(0.005)
    return False


def writable(sock: socket.socket) -> bool:
    import select

    return bool(select.select([], [sock], [], 0)[1])


def test_a_server_that_does_not_read_stops_the_client(make):
    world = make()
    visitor = Visitor(world)
    data = b"".join(visitor.end.write(b"y" * 16_000) for _ in range(600))
    sent = 0
    while sent < len(data):
        try:
            sent += visitor.socket.send(data[sent : sent + 65_536])
        except BlockingIOError:
            world.loop.run_until_complete(_pause())
            if not writable(visitor.socket):
                break
    assert sent < len(data), "the client was not stopped"
    assert world.terminator._relays.owed < 200_000
    got = 0

    def all_there() -> bool:
        nonlocal got, sent
        try:
            got += len(visitor.inner.recv(1 << 20))
        except BlockingIOError:
            pass
        try:
            sent += visitor.socket.send(data[sent : sent + 65_536]) if sent < len(data) else 0
        except BlockingIOError:
            pass
        return got == 600 * 16_000

    visitor.inner.setblocking(False)
    world.run(all_there, "everything, in the end")


def test_the_router_closes_and_the_client_hears_a_proper_end(make):
    world = make()
    visitor = Visitor(world)
    visitor.inner.send(b"good-bye")
    visitor.inner.close()
    assert visitor.read(8) == b"good-bye"
    world.run(lambda: world.count("closed_ended") == 1, "closed")
    world.run(visitor.arrived, "the end of the connection")
    assert visitor.socket.recv(100) == b""


def test_a_client_that_says_nothing_more_is_still_answered(make):
    world = make()
    visitor = Visitor(world)
    visitor.socket.send(visitor.end.write(b"GET") + visitor.end.end())
    visitor.inner.setblocking(True)
    world.run(lambda: readable_to_end(visitor.inner), "question and end")
    visitor.inner.send(b"answer")
    visitor.inner.close()
    assert visitor.read(6) == b"answer"


def readable_to_end(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        data = sock.recv(100, socket.MSG_PEEK)
        if data == b"GET":
            sock.recv(3)
            return False
        return data == b""
    except BlockingIOError:
        return False


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\x00\x04\x09\x00\x00\x00"])
def test_what_is_no_tls_costs_one_answer_and_the_connection(make, first):
    world = make()
    client = world.connect()
    client.send(first)
    world.run(lambda: readable(client), "an answer or the end")
    answer = client.recv(1000)
    assert not answer or b"speaks TLS" in answer or answer[0] == 0x15
    world.run(
        lambda: sum(n for name, n in world.terminator.counts.items() if name.startswith("closed_")) == 1, "closed"
    )
    assert not world.taken


@pytest.mark.parametrize(
    ("own_port", "port", "location"),
    [
        (True, 0, "https://im.lan:80/a?b=1"),
        (False, 8443, "https://im.lan:8443/a?b=1"),
        (False, 443, "https://im.lan/a?b=1"),
    ],
    ids=["where there is TLS", "another port", "the port that nobody writes"],
)
def test_who_comes_without_tls_is_redirected_to_the_port_that_has_it(make, own_port, port, location):
    world = make(**({} if own_port else {"port": port}))
    client = world.connect()
    client.send(b"GET /a?b=1 HTTP/1.1\r\nHost: im.lan:80\r\n\r\n")
    world.run(lambda: readable(client), "the redirect")
    answer = client.recv(1000).decode()
    assert answer.startswith("HTTP/1.1 308 ") and f"Location: {location}\r\n" in answer and not world.taken


@pytest.mark.parametrize("path", ["/trust", "/trust/lanying.crt", "/.well-known/acme-challenge/abc"])
def test_what_has_to_be_there_without_tls_goes_to_the_gateway(make, path):
    world = make()
    client = world.connect()
    client.send(f"GET {path} HTTP/1.1\r\nHost: im.lan\r\n\r\n".encode())
    world.run(lambda: world.taken, "the router has it")
    assert world.secure == [False] and world.taken[0][1].recv(5) == b"GET /"


def test_who_does_not_finish_the_handshake_is_closed_after_a_while(make):
    world = make()
    client = world.connect()
    client.send(ClientEnd().step()[:40])
    world.run(lambda: world.count("accepted") == 1, "accepted")
    world.now += limits.LOGIN_TIMEOUT_S + 2
    world.run(lambda: world.count("closed_deadline") == 1, "closed")


def test_no_more_connections_than_allowed(make):
    world = make(connections=3)
    kept = [Visitor(world) for _ in range(3)]
    client = world.connect()
    world.run(lambda: readable(client), "the end")
    assert client.recv(10) == b"" and world.count("turned_away") == 1 and len(kept) == 3


def test_a_router_that_is_away_is_the_end_of_the_connection(make):
    world = make()
    world.verdict = wire.BUSY
    client, end = world.connect(), ClientEnd()
    client.send(end.step())
    world.run(lambda: readable(client), "the server's flight")
    client.send(end.step(client.recv(1 << 20)))
    world.run(lambda: world.count("closed_router_away") == 1, "closed")


def test_a_trusted_proxy_says_for_whom_it_speaks_and_a_stranger_does_not(make):
    world = make(proxies=Proxies(["127.0.0.0/8"]))
    Visitor(world, PROXY)
    assert world.taken[0][0] == "203.0.113.5"
    other = make()
    client = other.connect()
    client.send(PROXY)
    other.run(lambda: other.count("closed_not_tls") == 1, "refused")


def test_what_is_open_is_relayed_first_whoever_comes_in(make):
    """Of the bytes that are ready in one turn, those of open connections go before every handshake."""
    world = make()
    visitor = Visitor(world)
    newcomers = [world.connect() for _ in range(20)]
    world.run(lambda: world.count("accepted") == 21, "accepted")
    for client in newcomers:
        client.send(ClientEnd().step())
    visitor.socket.send(visitor.end.write(b"message"))
    seen: list[str] = []
    shake, relay = world.terminator._shake_hands, world.terminator._from_client
    world.terminator._shake_hands = lambda one: (seen.append("handshake"), shake(one))
    world.terminator._from_client = lambda one: (seen.append("message"), relay(one))
    world.terminator.turn()
    assert seen[0] == "message" and "handshake" in seen


def test_a_drain_waits_for_the_last_connection(make):
    world = make()
    visitor = Visitor(world)
    ended: list[bool] = []
    world.terminator.drain(lambda: ended.append(True))
    world.loop.run_until_complete(_pause())
    assert not ended
    visitor.inner.close()
    world.run(lambda: ended, "drained")


@pytest.mark.parametrize("first", [b"GET /trust HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /trust/lanying.crt HTTP/1.1\r\n"])
def test_what_leads_to_trust_is_served_without_tls(make, first):
    """The router gets the client's own socket, with nothing read from it."""
    world = make()
    client = world.connect()
    client.send(first)
    world.run(lambda: world.taken, "the router has it")
    assert world.secure == [False]
    assert world.taken[0][1].recv(1000) == first
    world.taken[0][1].send(b"page")
    client.setblocking(True)
    assert client.recv(100) == b"page"


@pytest.mark.parametrize(
    ("request_line", "options", "location"),
    [
        (b"GET / HTTP/1.1", {"leads_to_trust": True}, b"/trust"),
        (b"GET / HTTP/1.1", {}, b"https://pi.local:8443/"),
        (b"HEAD /admin?x=1 HTTP/1.1", {"leads_to_trust": True}, b"https://pi.local:8443/admin?x=1"),
        (b"POST /token/user HTTP/1.1", {}, None),
        (b"GET /a\x00b HTTP/1.1", {}, None),
    ],
)
def test_other_requests_without_tls_are_led_to_it(make, request_line, options, location):
    world = make(**options)
    client = world.connect()
    client.send(request_line + b"\r\nAccept: */*\r\nHost: pi.local:8443\r\n\r\n")
    world.run(lambda: readable(client), "an answer")
    answer = client.recv(1000)
    assert (
        (b"\r\nLocation: " + location + b"\r\n" in answer)
        if location
        else (b"speaks TLS" in answer and b"Location" not in answer)
    )


def test_what_waits_for_a_client_that_does_not_read_costs_nothing(make):
    """The server has said everything and closed: until the client reads, or goes, there is nothing to look at."""
    world = make()
    visitor = Visitor(world)
    visitor.inner.setblocking(False)
    sent = 0
    while True:
        try:
            sent += visitor.inner.send(b"x" * 65_536)
        except BlockingIOError:
            world.loop.run_until_complete(_pause())
            if not writable(visitor.inner):
                break
    visitor.inner.close()
    world.run(lambda: not world.terminator._relays.ready(), "nothing to look at")
    assert not any(world.terminator._relays.ready() for _ in range(10))
    assert visitor.read(sent) == b"x" * sent
    world.run(lambda: world.count("closed_ended") == 1, "closed")


def unread(world: World) -> Visitor:
    """A visitor who has not taken everything yet, whose process behind has closed."""
    visitor = Visitor(world)
    visitor.inner.setblocking(False)
    while True:
        try:
            visitor.inner.send(b"x" * 65_536)
        except BlockingIOError:
            world.loop.run_until_complete(_pause())
            if not writable(visitor.inner):
                break
    visitor.inner.close()
    return visitor


def test_who_does_not_take_the_rest_is_closed_after_a_while(make):
    world = make()
    visitor = unread(world)
    world.run(lambda: world.terminator._wheel, "a deadline")
    world.now += limits.LAST_BYTES_S + 2
    world.run(lambda: world.count("closed_deadline") == 1, "closed")
    assert not world.terminator._relays
    visitor.socket.close()


def test_who_does_not_take_the_rest_has_a_place_like_a_newcomer(make):
    world = make(places=2, places_per_peer=2)
    visitors = [unread(world), unread(world)]
    world.run(lambda: len(world.terminator._places) == len(visitors), "all have places")
    world.now += 2
    visitors.append(Visitor(world))
    assert world.count("closed_displaced") == 1 and world.count("opened") == 3


def test_a_client_that_asks_for_keys_and_takes_none_is_closed(make, monkeypatch):
    """A request for new keys is 27 bytes, and so is its answer."""
    world = make()
    visitor = Visitor(world)
    monkeypatch.setattr(Tunnel, "receive", lambda self, data: b"")
    monkeypatch.setattr(Tunnel, "pending", lambda self: b"k" * 65_536)

    def asked() -> bool:
        try:
            visitor.socket.send(b"k" * 27)
        except OSError:
            pass
        return world.count("closed_greedy") == 1

    world.run(asked, "closed")
