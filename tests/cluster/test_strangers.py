"""Attacks of one address that has no account, on a real server: meanwhile others log in and are answered, and memory stays.

The short forms of what once took the gateway's memory or shut everybody out. Loopback has no share of its own, so what is seen here is
the worst case: one peer with all the places. Its rate of connections is kept by the attacker.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, wrap_client
from lanying.protocol.handshake import client_path, new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import Frame, Status
from lanying.testing.cluster import Cluster
from lanying.testing.poll import until
from lanying.testing.raw import RawClient, rest

ATTACKER = "127.0.3.1"
SECONDS = 4.0
ANSWERED_S = 2.0
SLOWER = 4
"""On a machine that is busy anyway: so many times what others waited before the attack."""
CHUNKED = b"POST /token/user HTTP/1.1\r\nHost: a\r\napp_id: lanying\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"POST /token/user HTTP/1.1\r\nHost: a\r\napp_id: lanying\r\nContent-Length: 1048575\r\n\r\n"
UPGRADE = upgrade_request("im.example", client_path(SOCKETIO), new_key())
REFUSED = wrap_client(SOCKETIO, frame.provision(7, "a." + urlsafe_b64encode(b"[" * 1400).decode() + ".c", "g", "Web"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("strangers"), shards=1) as cluster:
        yield cluster


class Flood:
    """Connections of one address, and what is sent over them again and again."""

    def __init__(
        self, cluster: Cluster, connections: int, first: bytes, again: bytes = b"", reads: bool = False
    ) -> None:
        address = urlsplit(cluster.url)
        self.where = address.hostname or "", address.port or 80
        self.connections, self.first, self.again, self.reads = connections, first, again, reads
        self.sent = 0
        self.standing = threading.Event()
        self.ending = threading.Event()
        self.sockets: dict[int, socket.socket] = {}

    def connect(self) -> None:
        try:
            client = socket.create_connection(self.where, timeout=2, source_address=(ATTACKER, 0))
            client.sendall(self.first)
        except OSError:
            return
        client.setblocking(False)
        self.sockets[client.fileno()] = client

    def run(self) -> None:
        """All connections; each is fed as it takes, and made anew when it is closed, at the rate one address has."""
        made, begun = 0, time.monotonic()
        while not self.ending.is_set():
            most = self.connections + int((time.monotonic() - begun) * limits.CONNECTIONS_PER_ADDRESS_PER_S)
            while len(self.sockets) < self.connections and made < most and not self.ending.is_set():
                self.connect()
                made += 1
            if made >= self.connections:
                self.standing.set()
            poll = select.poll()
            for fd in self.sockets:
                poll.register(fd, select.POLLIN | (select.POLLOUT if self.again else 0))
            for fd, what in poll.poll(50):
                self.turn(self.sockets[fd], what)
        for client in self.sockets.values():
            client.close()

    def turn(self, client: socket.socket, what: int) -> None:
        try:
            if what & select.POLLOUT:
                self.sent += client.send(self.again)
            if (
                what & ~select.POLLOUT
                and (self.reads or what & (select.POLLHUP | select.POLLERR))
                and not client.recv(65536)
            ):
                raise ConnectionResetError
        except BlockingIOError:
            pass
        except OSError:
            del self.sockets[client.fileno()]
            client.close()

    @contextmanager
    def going(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.ending.set()
            thread.join()


def memory_mb(cluster: Cluster) -> dict[str, float]:
    found = {}
    for name, pid in cluster.pids().items():
        status = Path(f"/proc/{pid}/status").read_text()
        found[name] = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return found


_names = count()


def honest(cluster: Cluster) -> float:
    """Seconds that a registration, a login over REST and one over a WebSocket take, the longest of the three."""
    name, took = f"honest{next(_names)}", []

    def timed(do: Callable[[], object]) -> object:
        begun = time.monotonic()
        found = do()
        took.append(time.monotonic() - begun)
        return found

    timed(lambda: rest(cluster.url, "/user/register/v2", {"username": name, "password": "correct-horse1"}))
    grant = timed(lambda: rest(cluster.url, "/token/user", {"name": name, "password": "correct-horse1"}))
    assert isinstance(grant, dict)

    def log_in() -> None:
        raw = RawClient(cluster.url)
        raw.put(frame.provision(grant["user_id"], grant["token"], "guid"))
        command, answer = raw.get()
        assert (command, answer.status.code) == (Frame.PROVISION, Status.OK)
        raw.socket.close()

    timed(log_in)
    return max(took)


def served(cluster: Cluster, within_s: float) -> bool:
    """Somebody else is."""
    try:
        return honest(cluster) < within_s
    except (AssertionError, OSError, EOFError):
        return False


ATTACKS: dict[str, tuple[int, bytes, bytes, bool]] = {
    "trailers": (1, CHUNKED + b"0\r\n", b"a:b\r\n" * 10_000, False),
    "pipelining, answers unread": (5, GET, GET * 2000, False),
    "refused logins held open": (4200, UPGRADE + REFUSED, b"", False),
    "silent connections": (4200, b"", b"", False),
    "heads without an end": (500, b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 100, False),
    "large bodies": (400, BODY, b"x" * 65536, True),
    "refused logins": (100, UPGRADE, REFUSED * 5, True),
    "idle kept connections": (4200, GET, b"", True),
}
"""Connections, what each begins with, what it goes on with, and whether answers are read."""


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served_and_memory_stays(server: Cluster, name: str) -> None:
    answered_s = max(ANSWERED_S, SLOWER * max(honest(server) for _ in range(3)))
    before = memory_mb(server)
    lines_before = server.log_file.read_text().count(ATTACKER)
    flood = Flood(server, *ATTACKS[name])
    worst = 0.0
    with flood.going():
        # Loopback builds them at once, another address at its rate: what counts is how it is when they are there.
        until("the attack stands", lambda: flood.standing.is_set())
        until("the storm of its beginning is over", lambda: served(server, answered_s / 2))
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            worst = max(worst, honest(server))
        after = memory_mb(server)
    grown = {process: after[process] - before[process] for process in after if after[process] - before[process] > 5}
    lines = server.log_file.read_text().count(ATTACKER) - lines_before
    print(
        f"{name}: {flood.sent / 1e6:.1f} MB sent, others at worst {worst:.2f} s, grown by MB {grown}, {lines} lines of log"
    )
    assert worst < answered_s
    assert after["gateway"] < 1.5 * before["gateway"] + 40 + 4200 * 0.012
    assert after["router"] < 1.5 * before["router"] + 4200 * 0.02
    assert lines < 10
    assert all(row["restarts"] == 0 for row in server.status()["processes"])
