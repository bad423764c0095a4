"""The edge: real sockets on the loopback, and a router in the same loop that takes what it is handed.

What holds for the relay and for kernel TLS takes ``make``, which is both; a kernel without it skips, unless
``LANYING_TEST_KERNEL_TLS=required`` (``tools/test_ktls.sh``).
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import shutil
import socket
import ssl
import subprocess
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from lanying.base import limits
from lanying.base.goodbye import Partings, say_end
from lanying.base.peers import Proxies
from lanying.base.throttle import Throttle
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import decode_tunnelled
from lanying.bus.handoff.sender import Sender
from lanying.testing.poll import PATIENCE_S, SLOWNESS
from lanying.tls.kernel import Established, Kernel
from lanying.tls.keys import CIPHERS
from lanying.tls.newcomers import Newcomers
from lanying.tls.relay import IDLE_BYTES
from lanying.tls.terminator import IDLE_COSTS, PIECE_BYTES, Terminator
from lanying.tls.tunnel import Tunnel
from tests.tls.ends import ALERT, CLOSE_NOTIFY, HANDSHAKE, KEY_UPDATE, ClientEnd, Sealer, shown, trusting

PROXY = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 5, 10, 0, 0, 1, 0, 80, 1, 187])

NARROW_BYTES = 32_768
"""Of the buffers between client and terminator: the kernel does not make them larger by and by, and less than a socket pair's."""


class World:
    """A terminator and a router.

    :ivar taken: address and socket of what the router was handed
    :ivar secure: of each, whether what it has is inside of TLS
    :ivar first: of each, what was read already
    :ivar by_kernel: it takes over what is open
    """

    def __init__(self, directory: Path, *, kernel: Kernel | None = None, **options: Any) -> None:
        self.loop = uvloop.new_event_loop()
        self.now = 1000.0
        self.taken: list[tuple[str, socket.socket]] = []
        self.secure: list[bool] = []
        self.first: list[bytes] = []
        self.by_kernel = kernel is not None
        self.verdict: wire.Verdict = wire.ACCEPTED
        path = str(directory / "handoff-router.sock")
        self.receiver = Receiver(path, self._take, self.loop)
        self.receiver.start()
        self.sender = Sender(path, self.loop, wait_s=0.05)
        self.sender.start()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW_BYTES)
        given = {"connections": 100, "proxies": Proxies(), "clock": lambda: self.now, "kernel": kernel}
        given |= {"port": self.socket.getsockname()[1]} | options
        self.terminator = Terminator([self.socket], lambda data: shown(), self.sender, self.loop, **given)
        self.terminator.start()

    def _take(self, fd: int, record: bytes) -> wire.Verdict:
        if self.verdict is wire.ACCEPTED:
            sock = socket.socket(fileno=fd)
            found = decode_tunnelled(record)
            self.taken.append((found.address, sock))
            self.secure.append(found.secure)
            self.first.append(found.first)
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
        stop = time.monotonic() + PATIENCE_S * SLOWNESS
        while not condition():
            assert time.monotonic() < stop, f"not in time: {named}; {self.terminator.counts}"
            self.loop.call_later(0.002, self.loop.stop)
            self.loop.run_forever()

    def connect(self) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
        client.connect(self.socket.getsockname())
        client.setblocking(False)
        return client

    def count(self, name: str) -> int:
        return self.terminator.counts[name]


class Visitor:
    """A TLS client on a socket."""

    def __init__(self, world: World, first: bytes = b"", context: ssl.SSLContext | None = None) -> None:
        self.world = world
        self.socket = world.connect()
        self.end = ClientEnd(context=context)
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


Make = Callable[..., World]


@contextlib.contextmanager
def worlds(directory: Path, kernel: Kernel | None = None) -> Iterator[Make]:
    made: list[World] = []

    def make(**options: Any) -> World:
        own = directory / str(len(made))
        own.mkdir()
        made.append(World(own, kernel=kernel, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[Make]:
    with worlds(tmp_path) as make:
        yield make


@pytest.fixture
def by_kernel(tmp_path: Path) -> Iterator[Make]:
    kernel = Kernel.find()
    if kernel is None:
        assert os.environ.get("LANYING_TEST_KERNEL_TLS") != "required", "this kernel has no TLS"
        pytest.skip("this kernel has no TLS: tools/test_ktls.sh")
    with worlds(tmp_path, kernel) as make:
        yield make
    kernel.close()


@pytest.fixture(params=["relayed", "by_kernel"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.getfixturevalue(request.param)
    return found


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


def test_a_client_that_does_not_read_is_not_read_for(relayed):
    """What is kept for it has a bound: the process behind is stopped by its own full socket."""
    world = relayed()
    visitor = Visitor(world)
    sent = filled(visitor)
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


def test_a_server_that_does_not_read_stops_the_client(relayed):
    world = relayed()
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


def test_the_router_closes_and_the_client_hears_a_proper_end(relayed):
    world = relayed()
    visitor = Visitor(world)
    visitor.inner.send(b"good-bye")
    visitor.inner.close()
    assert visitor.read(8) == b"good-bye"
    world.run(lambda: world.count("closed_ended") == 1, "closed")
    world.run(visitor.arrived, "the end of the connection")
    assert visitor.socket.recv(100) == b""


def test_a_client_that_says_nothing_more_is_still_answered(relayed):
    world = relayed()
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
def test_what_is_no_tls_costs_one_answer_and_the_connection(relayed, first):
    world = relayed()
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
def test_who_comes_without_tls_is_redirected_to_the_port_that_has_it(relayed, own_port, port, location):
    world = relayed(**({} if own_port else {"port": port}))
    client = world.connect()
    client.send(b"GET /a?b=1 HTTP/1.1\r\nHost: im.lan:80\r\n\r\n")
    world.run(lambda: readable(client), "the redirect")
    answer = client.recv(1000).decode()
    assert answer.startswith("HTTP/1.1 308 ") and f"Location: {location}\r\n" in answer and not world.taken


@pytest.mark.parametrize("path", ["/trust", "/trust/lanying.crt", "/.well-known/acme-challenge/abc"])
def test_what_has_to_be_there_without_tls_goes_to_the_gateway(relayed, path):
    world = relayed()
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


def test_no_more_connections_than_allowed(relayed):
    world = relayed(connections=3)
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


def test_what_is_open_is_relayed_first_whoever_comes_in(relayed):
    """Of the bytes that are ready in one turn, those of open connections go before every handshake."""
    world = relayed()
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


def crowd(world: World, size: int) -> list[socket.socket]:
    """Clients that have sent their hello and nothing more."""
    clients = [world.connect() for _ in range(size)]
    for client in clients:
        client.send(ClientEnd().step())
    return clients


def test_few_shake_hands_at_a_time_and_the_others_wait_unread(relayed):
    world = relayed()
    world.terminator._newcomers = Newcomers(4, 4)
    clients = crowd(world, 20)
    world.run(lambda: world.terminator._newcomers.waiting == 16, "all but four wait")
    assert sum(readable(client) for client in clients) == 4, "only those have cost a handshake"
    assert not any(side.relay.tunnel is None for side in world.terminator._relays.ready())


def test_who_gives_up_while_they_wait_costs_no_handshake(relayed):
    world = relayed()
    world.terminator._newcomers = Newcomers(1, 1)
    clients = crowd(world, 5)
    world.run(lambda: world.terminator._newcomers.waiting == 4, "four wait")
    for client in clients:
        client.close()
    world.run(lambda: world.count("closed_left") == 5, "all have gone")
    assert not world.terminator._relays and not world.terminator._newcomers.waiting


def test_a_handshake_that_is_closed_leaves_nothing_for_the_collector(relayed):
    """A process with much in memory collects seldom, and each has 46 KB of OpenSSL's."""
    world = relayed()
    gc.collect()
    gc.disable()
    try:
        kept: list[weakref.ref[ssl.SSLObject]] = []
        for _ in range(3):
            before = world.count("closed_deadline")
            clients = crowd(world, 8)
            world.run(lambda: world.terminator._newcomers.shaking == 8, "all shake hands")
            kept += [weakref.ref(relay.tunnel._tls) for relay in world.terminator._relays if relay.tunnel]
            world.now += limits.LOGIN_TIMEOUT_S + 2
            world.run(lambda before=before: world.count("closed_deadline") == before + 8, "closed")
            for client in clients:
                client.close()
        assert len(kept) == 24 and not any(one() for one in kept)
    finally:
        gc.enable()


def test_a_drain_waits_for_the_last_connection(relayed):
    world = relayed()
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
    ("options", "location"), [({"leads_to_trust": True}, b"/trust"), ({}, b"https://pi.local:8443/")]
)
def test_other_requests_without_tls_are_led_to_it(relayed, options, location):
    world = relayed(**options)
    client = world.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: pi.local:8443\r\n\r\n")
    world.run(lambda: readable(client), "an answer")
    assert b"\r\nLocation: " + location + b"\r\n" in client.recv(1000)


def filled(visitor: Visitor) -> int:
    """Send to a client who reads nothing until nobody in between takes more, for 20 turns of the loop; bytes sent."""
    visitor.inner.setblocking(False)
    sent = idle = 0

    def full() -> bool:
        nonlocal sent, idle
        try:
            sent += visitor.inner.send(b"x" * 65_536)
            idle = 0
        except BlockingIOError:
            idle += 1
        return idle > 20 and visitor.world.terminator._relays.owed > 0

    visitor.world.run(full, "everything is full")
    return sent


def unread(world: World) -> Visitor:
    """A visitor who has not taken everything yet, whose process behind has closed."""
    visitor = Visitor(world)
    filled(visitor)
    visitor.inner.close()
    return visitor


def test_what_waits_for_a_client_that_does_not_read_costs_nothing(relayed):
    """The server has said everything and closed: until the client reads, or goes, there is nothing to look at."""
    world = relayed()
    visitor = Visitor(world)
    sent = filled(visitor)
    visitor.inner.close()
    world.run(lambda: not world.terminator._relays.ready(), "nothing to look at")
    assert not any(world.terminator._relays.ready() for _ in range(10))
    assert visitor.read(sent) == b"x" * sent
    world.run(lambda: world.count("closed_ended") == 1, "closed")


def test_who_does_not_take_the_rest_is_closed_after_a_while(relayed):
    world = relayed()
    visitor = unread(world)
    world.run(lambda: world.terminator._wheel, "a deadline")
    world.now += limits.LAST_BYTES_S + 2
    world.run(lambda: world.count("closed_deadline") == 1, "closed")
    assert not world.terminator._relays
    visitor.socket.close()


def test_who_does_not_take_the_rest_has_a_place_like_a_newcomer(relayed):
    world = relayed(places=2, places_per_peer=2)
    visitors = [unread(world), unread(world)]
    world.run(lambda: len(world.terminator._places) == len(visitors), "all have places")
    world.now += 2
    visitors.append(Visitor(world))
    assert world.count("closed_displaced") == 1 and world.count("opened") == 3


def test_a_client_that_asks_for_keys_and_takes_none_is_closed(relayed, monkeypatch):
    """A request for new keys is 27 bytes, and so is its answer."""
    world = relayed()
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


# --- both ways, once more --------------------------------------------------------------------------------------------------


def behind_the_handshake(world: World, plain: list[bytes], held: int) -> tuple[socket.socket, ClientEnd, bytes]:
    """A client whose last flight has data behind it, all of it sent but the last bytes; those, for the test to send."""
    client, end = world.connect(), ClientEnd()
    client.send(end.step())
    world.run(lambda: readable(client), "the server's flight")
    data = end.step(client.recv(1 << 20)) + b"".join(end.write(each) for each in plain)
    client.send(data[: len(data) - held])
    return client, end, data[len(data) - held :]


@pytest.mark.parametrize("held", [0, 1, 20, 24, 30])
def test_data_right_behind_the_handshake_comes_first_and_once(make, held):
    """Whatever part of it has come when the handshake ends: 20 bytes are less than a record, 24 cut its head."""
    world = make()
    client, end, rest = behind_the_handshake(world, [b"one", b"two"], held)
    if held:
        world.loop.run_until_complete(_pause())
        client.send(rest)
    world.run(lambda: world.taken, "the router has it")
    inner, got = world.taken[0][1], bytearray(world.first[0])
    client.send(end.write(b"three"))

    def all_there() -> bool:
        with contextlib.suppress(BlockingIOError):
            got.extend(inner.recv(100))
        return len(got) >= 11

    inner.setblocking(False)
    world.run(all_there, "all of it")
    assert bytes(got) == b"onetwothree"
    assert world.count("kernel") == world.by_kernel


def test_much_goes_both_ways_through_it(make):
    world = make()
    visitor = Visitor(world)
    visitor.inner.setblocking(False)
    there, back = os.urandom(400_000), os.urandom(400_000)
    outgoing = [b"".join(visitor.end.write(there[at : at + 16_000]) for at in range(0, len(there), 16_000)), back]
    ends = [visitor.socket, visitor.inner]
    got, answer = bytearray(), bytearray()

    def done() -> bool:
        for place, sock in enumerate(ends):
            with contextlib.suppress(BlockingIOError):
                outgoing[place] = outgoing[place][sock.send(outgoing[place]) if outgoing[place] else 0 :]
        with contextlib.suppress(BlockingIOError):
            got.extend(visitor.inner.recv(1 << 16))
        with contextlib.suppress(BlockingIOError):
            answer.extend(visitor.end.read(visitor.socket.recv(1 << 16)))
        return len(got) == len(there) and len(answer) == len(back)

    world.run(done, "all of it")
    assert bytes(got) == there and bytes(answer) == back


# --- the kernel alone ------------------------------------------------------------------------------------------------------


def test_nothing_of_what_the_kernel_has_is_left_here(by_kernel):
    world = by_kernel()
    visitors = [Visitor(world) for _ in range(3)]
    assert world.count("kernel") == 3 and not world.terminator._relays and not world.terminator._places
    assert visitors[0].inner.getpeername() == visitors[0].socket.getsockname()


def test_the_client_hears_a_proper_end_from_whoever_closes(by_kernel):
    world = by_kernel()
    visitor = Visitor(world)
    visitor.inner.send(b"good-bye")
    say_end(visitor.inner.fileno())
    visitor.inner.close()
    pieces: list[bytes] = []

    def ended() -> bool:
        with contextlib.suppress(BlockingIOError):
            pieces.append(visitor.socket.recv(1000))
        return b"" in pieces

    world.run(ended, "the end, which comes when the sender of the descriptor has closed its copy too")
    assert visitor.end.read(b"".join(pieces)) == b"good-bye"
    assert visitor.end.tls.read(10) == b"", "no close_notify, which would raise SSLWantReadError"


def test_a_slow_client_gets_the_last_bytes_though_whoever_wrote_them_has_closed(by_kernel):
    """The record that did not fit any more is beside the socket, where a close drops it."""
    world = by_kernel()
    visitor = Visitor(world)
    visitor.inner.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += visitor.inner.send(b"x" * 50_000)
    partings = Partings()
    partings.part(visitor.inner.fileno(), world.loop)
    visitor.inner.close()
    got, ended = 0, False

    def all_there() -> bool:
        nonlocal got, ended
        with contextlib.suppress(BlockingIOError):
            data = visitor.socket.recv(1 << 16)
            got += len(visitor.end.read(data))
            ended = not data
        return ended

    world.run(all_there, "the end")
    assert got == sent and not partings
    assert visitor.end.tls.read(10) == b"", "no close_notify, which would raise SSLWantReadError"


@pytest.mark.parametrize(("content", "kind"), [(CLOSE_NOTIFY, ALERT), (KEY_UPDATE, HANDSHAKE)])
def test_a_record_that_is_no_data_is_an_error_to_whoever_reads(by_kernel, monkeypatch, content, kind):
    """As of a lost connection: the shard and the gateway close it."""
    world = by_kernel()
    kept: list[Established] = []
    take = Kernel.take

    def watched(self: Kernel, sock: socket.socket, established: Established) -> bool:
        kept.append(established)
        return take(self, sock, established)

    monkeypatch.setattr(Kernel, "take", watched)
    visitor = Visitor(world)
    sealer = Sealer(kept[0].cipher, kept[0].received)
    visitor.socket.send(sealer.seal(b"data") + sealer.seal(content, kind))
    world.run(lambda: readable(visitor.inner), "the data")
    assert visitor.inner.recv(100) == b"data"
    with pytest.raises(OSError) as found:
        world.run(lambda: readable(visitor.inner), "the record")
    assert found.value.errno == errno.EIO


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_1_2_is_relayed(by_kernel):
    world = by_kernel()
    old = trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    visitor = Visitor(world, context=old)
    visitor.inner.send(b"answer")
    assert visitor.read(6) == b"answer" and world.count("kernel") == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="only its command line chooses a cipher of TLS 1.3")
@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_cipher_of_tls_1_3_is_the_kernels(by_kernel, cipher):
    world = by_kernel()
    port = world.socket.getsockname()[1]
    command = ["openssl", "s_client", "-quiet", "-tls1_3", "-ciphersuites", cipher, "-connect", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdin and client.stdout
        world.run(lambda: world.taken, "the router has it")
        assert world.count("kernel") == 1, "the kernel does not know this cipher: is a module missing?"
        inner = world.taken[0][1]
        client.stdin.write(b"question\n")
        client.stdin.flush()
        world.run(lambda: readable(inner), "the question")
        assert inner.recv(100) == b"question\n"
        inner.send(b"answer\n")
        assert client.stdout.readline() == b"answer\n"
        client.terminate()


def test_changes_of_keys_without_end_are_no_conversation(make, monkeypatch):
    """Each is 27 bytes with nothing in them, and takes as long as a message."""
    world = make()
    owed: list[float] = []
    monkeypatch.setattr(Throttle, "owe", lambda self, address, now, connections: owed.append(connections))
    visitor = Visitor(world)
    monkeypatch.setattr(Tunnel, "receive", lambda self, data: b"")

    def talked() -> bool:
        try:
            visitor.socket.send(b"k" * 27)
        except OSError:
            pass
        return world.count("closed_idle_talk") == 1

    world.run(talked, "closed")
    assert owed == [IDLE_COSTS]


def test_a_read_full_of_them_is_given_up_in_its_midst(make, monkeypatch):
    world = make()
    visitor = Visitor(world)
    looked_into: list[int] = []
    monkeypatch.setattr(Tunnel, "receive", lambda self, data: looked_into.append(len(data)) or b"")
    visitor.socket.setblocking(True)
    visitor.socket.sendall(b"k" * 65_536)
    world.run(lambda: world.count("closed_idle_talk") == 1, "closed")
    assert sum(looked_into) <= IDLE_BYTES + PIECE_BYTES


def test_messages_large_and_small_are_conversation(make):
    world = make()
    visitor = Visitor(world)
    visitor.inner.setblocking(False)
    for size in [1] * 100 + [16_384] * 10 + [100_000] * 3 + [20] * 100:
        carry(world, visitor, size)
    assert not world.count("closed_idle_talk")


def carry(world: World, visitor: Visitor, size: int) -> None:
    """A client says something of this size, in pieces, and the router has it."""
    data, arrived = visitor.end.write(b"m" * size), 0

    def taken() -> bool:
        nonlocal data, arrived
        data = data[visitor.socket.send(data[:5000]) :]
        if readable(visitor.inner):
            arrived += len(visitor.inner.recv(1 << 20))
        return arrived == size

    world.run(taken, "all of it has arrived")
