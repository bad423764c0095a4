import asyncio
import errno
import logging
import socket
from collections.abc import Iterator

import pytest

from lanying.base.acceptor import ACCEPTS_PER_TURN, Acceptor


class Story:
    """An acceptor on a real socket; what it took."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4 * ACCEPTS_PER_TURN)
        self.taken: list[tuple[socket.socket, str]] = []
        self.acceptor = Acceptor(self.listener, self.loop, lambda *one: self.taken.append(one))
        self.clients: list[socket.socket] = []

    def connect(self, number: int = 1) -> None:
        self.clients += [socket.create_connection(self.listener.getsockname()) for _ in range(number)]

    def turn(self) -> int:
        """One turn of the loop. How many are taken now."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        return len(self.taken)


@pytest.fixture
def story() -> Iterator[Story]:
    story = Story()
    yield story
    story.acceptor.close()
    for one in [*story.clients, *(connection for connection, _ in story.taken), story.listener]:
        one.close()
    story.loop.close()


def test_connections_come_with_their_address_and_do_not_block(story: Story) -> None:
    story.acceptor.start()
    story.connect()
    assert story.turn() == 1
    [(connection, address)] = story.taken
    assert address == "127.0.0.1" and not connection.getblocking()


def test_a_storm_is_taken_in_parts(story: Story) -> None:
    story.acceptor.start()
    story.connect(ACCEPTS_PER_TURN + 1)
    assert story.turn() == ACCEPTS_PER_TURN
    assert story.turn() == ACCEPTS_PER_TURN + 1


def test_nobody_is_taken_before_it_opens_and_after_it_closes(story: Story) -> None:
    story.connect()
    assert story.turn() == 0
    story.acceptor.start()
    story.acceptor.close()
    story.acceptor.resume()
    assert story.turn() == 0
    story.acceptor.start()
    assert story.turn() == 1


class Short(socket.socket):
    """The listening socket of a process that may open no more files, or whose client has gone."""

    error: int | None = errno.EMFILE

    def accept(self) -> tuple[socket.socket, object]:
        if self.error is not None:
            raise OSError(self.error, "refused")
        return super().accept()


def test_without_descriptors_it_waits_and_says_so_once(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    short = Short(fileno=story.listener.detach())
    story.listener = short
    story.acceptor = Acceptor(short, story.loop, lambda *one: story.taken.append(one))
    story.acceptor.start()
    story.connect()
    with caplog.at_level(logging.ERROR):
        assert story.turn() == 0
        story.acceptor.resume()
        assert story.turn() == 0
    assert len([record for record in caplog.records if "accept_paused" in record.message]) == 1
    short.error = None
    assert story.turn() == 0, "paused until somebody says that a descriptor is free"
    story.acceptor.resume()
    assert story.turn() == 1


def test_a_client_that_is_gone_costs_the_others_nothing(story: Story) -> None:
    short = Short(fileno=story.listener.detach())
    short.error = errno.ECONNABORTED
    story.listener = short
    story.acceptor = Acceptor(short, story.loop, lambda *one: story.taken.append(one))
    story.acceptor.start()
    story.connect()
    assert story.turn() == 0
    short.error = None
    assert story.turn() == 1
