"""What the kernel does not say by itself; with kernel TLS: ``tests/tls/test_terminator.py``."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
import uvloop

from lanying.base import goodbye
from lanying.base.goodbye import Partings, say_end


def test_a_socket_without_kernel_tls_is_left_alone():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    for end, other in ((server, client), socket.socketpair()):
        say_end(end.fileno())
        end.send(b"still open")
        assert other.recv(100) == b"still open"
        end.close()
        other.close()
    listener.close()


def test_who_has_gone_already_is_no_error():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.close()
    say_end(server.fileno())
    assert server.fileno() >= 0, "the caller's to close"
    server.close()
    listener.close()


@pytest.fixture
def full(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[asyncio.AbstractEventLoop, list[tuple[socket.socket, socket.socket]]]]:
    """A loop, and three connections whose client takes nothing, as if they were the kernel's."""
    monkeypatch.setattr(goodbye, "_by_kernel", lambda sock: True)
    loop, pairs = uvloop.new_event_loop(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(3):
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
            server.setblocking(False)
            client.settimeout(10)
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.send(bytes(1 << 20))
            pairs.append((server, client))
    yield loop, pairs
    loop.close()
    for server, client in pairs:
        server.close()
        client.close()


def part(partings: Partings, loop: asyncio.AbstractEventLoop, server: socket.socket) -> None:
    partings.part(server.fileno(), loop)
    server.close()


async def gone(partings: Partings) -> None:
    while len(partings):  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0.005)


def test_a_full_socket_is_kept_until_its_client_has_taken_what_was_there(full):
    loop, [(server, client), *_] = full
    partings = Partings()
    part(partings, loop, server)
    assert len(partings) == 1

    async def taken() -> None:
        ended = asyncio.create_task(gone(partings))
        await asyncio.to_thread(lambda: [None for _ in iter(lambda: client.recv(1 << 20), b"")])
        await ended

    loop.run_until_complete(taken())


def test_a_client_that_takes_nothing_has_an_end_of_its_own(full):
    loop, [(server, _), *_] = full
    partings = Partings(wait_s=0.02)
    part(partings, loop, server)
    assert len(partings) == 1
    loop.run_until_complete(asyncio.wait_for(gone(partings), 60))


def test_with_too_many_the_first_goes(full):
    loop, pairs = full
    partings = Partings(most=2, wait_s=0.05)
    for server, _ in pairs:
        part(partings, loop, server)
    assert len(partings) == 2
    loop.run_until_complete(gone(partings))


def test_one_with_room_is_not_kept(full):
    loop, [(server, client), *_] = full
    while goodbye._is_full(server.fileno()):
        assert client.recv(1 << 20)
    partings = Partings()
    part(partings, loop, server)
    assert len(partings) == 0
