"""Descriptors over a Unix socket: what arrives, who owns what afterwards, and what happens when a side vanishes."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import uvloop

from lanying.bus.handoff import sender as sending
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import Login, Visitor, decode_login, decode_visitor, encode
from lanying.bus.handoff.sender import Sender
from lanying.bus.handoff.wire import ACCEPTED, LOST, HandoffRefused, Result

LOGIN = Login(
    kind=1,
    app="lanying",
    uid=7_000_001,
    epoch=3,
    guid="guid",
    os_type=6,
    info="Web",
    address="192.0.2.1",
    leftover=b"left over",
)


class World:
    """A loop, the sockets and processes of one test."""

    def __init__(self, directory: Path) -> None:
        self.loop = uvloop.new_event_loop()
        self.path = str(directory / "handoff.sock")
        self.results: list[Result] = []
        self.taken: list[tuple[int, bytes]] = []
        self.senders: list[Sender] = []
        self.receivers: list[Receiver] = []

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Run the loop until ``condition`` holds."""

        async def poll() -> None:
            end = time.monotonic() + timeout_s
            while not condition():
                assert time.monotonic() < end, (
                    f"waited for {what}; results {self.results[-3:]}, taken {len(self.taken)}"
                )
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(poll())

    def take(self, fd: int, record: bytes) -> wire.Verdict:
        self.taken.append((fd, record))
        return ACCEPTED

    def receiver(self, accept: Callable[[int, bytes], wire.Verdict] | None = None) -> Receiver:
        receiver = Receiver(self.path, accept or self.take, self.loop)
        receiver.start()
        self.receivers.append(receiver)
        return receiver

    def sender(self, wait_s: float = 3.0) -> Sender:
        sender = Sender(self.path, self.loop, wait_s=wait_s)
        sender.start()
        self.senders.append(sender)
        return sender

    def send_copy(self, sender: Sender, fd: int, record: bytes) -> None:
        """Hand over a copy of ``fd``, which stays the test's."""
        copy = os.dup(fd)

        def done(result: Result) -> None:
            self.results.append(result)
            if isinstance(result, HandoffRefused):
                os.close(copy)

        sender.send(copy, record, done)

    def close(self) -> None:
        for sender in self.senders:
            sender.close()
        for receiver in self.receivers:
            receiver.close()
        for fd, _ in self.taken:
            os.close(fd)
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def client() -> tuple[socket.socket, int]:
    """The client's end, and a non-blocking descriptor of the server's."""
    far, near = socket.socketpair()
    near.setblocking(False)
    return far, near.detach()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_socket_record_and_leftover_arrive(world: World) -> None:
    world.receiver()
    sender = world.sender()
    far, fd = client()
    sender.send(fd, encode(LOGIN), world.results.append)
    assert world.results == []  # never from inside send
    world.until(lambda: world.results, "the answer")
    assert world.results == [ACCEPTED]

    [(copy, record)] = world.taken
    assert decode_login(record) == LOGIN
    assert not os.get_blocking(copy)
    assert not os.get_inheritable(copy)
    os.write(copy, b"from the shard")
    assert far.recv(100) == b"from the shard"
    far.close()
    assert os.read(copy, 100) == b""
    assert sender.pending == 0


def test_largest_leftover_and_visitor_fit_into_one_packet(world: World) -> None:
    world.receiver()
    sender = world.sender()
    full = msgspec.structs.replace(
        LOGIN, app="a" * 64, uid=10**15 - 1, guid="g" * 256, info="i" * 4096, leftover=os.urandom(64 * 1024)
    )
    visitor = Visitor("192.0.2.1", os.urandom(64 * 1024))
    far, fd = client()
    world.send_copy(sender, fd, encode(full))
    world.send_copy(sender, fd, encode(visitor))
    world.until(lambda: len(world.results) == 2, "both answers")
    assert world.results == [ACCEPTED, ACCEPTED]
    assert decode_login(world.taken[0][1]) == full
    assert decode_visitor(world.taken[1][1]) == visitor
    os.close(fd)
    far.close()


def test_record_larger_than_a_packet_is_refused_not_sent(world: World) -> None:
    world.receiver()
    sender = world.sender()
    far, fd = client()
    sender.send(fd, bytes(wire.RECORD_BYTES + 1), world.results.append)
    world.until(lambda: world.results, "the refusal")
    assert world.results == [wire.BUSY]
    os.write(fd, b"still mine")
    assert far.recv(100) == b"still mine"
    os.close(fd)
    far.close()


def test_refused_socket_stays_with_the_sender(world: World) -> None:
    receiver = world.receiver(lambda fd, record: HandoffRefused(11, "banné"))
    sender = world.sender()
    far, fd = client()
    sender.send(fd, encode(LOGIN), world.results.append)
    world.until(lambda: world.results, "the answer")
    assert world.results == [HandoffRefused(11, "banné")]
    assert receiver.refused == 1
    os.write(fd, b"refused")  # its own copy, still connected
    assert far.recv(100) == b"refused"
    os.close(fd)
    assert far.recv(100) == b""  # and the only one
    far.close()


def test_an_error_in_accept_refuses_and_spares_the_rest(world: World) -> None:
    errors: list[dict[str, object]] = []
    world.loop.set_exception_handler(lambda loop, context: errors.append(context))

    def accept(fd: int, record: bytes) -> wire.Verdict:
        if record == b"\x00":
            raise KeyError("a bug")
        return world.take(fd, record)

    world.receiver(accept)
    sender = world.sender()
    far, fd = client()
    for record in (b"\x01", b"\x00", b"\x02"):
        world.send_copy(sender, fd, record)
    world.until(lambda: len(world.results) == 3, "three answers")
    assert world.results == [ACCEPTED, HandoffRefused(2, "server error"), ACCEPTED]
    assert len(errors) == 1
    os.close(fd)
    far.close()


def test_two_thousand_connections_leave_nothing_behind(world: World) -> None:
    """All of them in one process: every copy the receiver takes is closed there, so that the count is exact."""

    def accept(fd: int, record: bytes) -> wire.Verdict:
        os.write(fd, record)
        os.close(fd)
        return ACCEPTED

    receiver = world.receiver(accept)
    sender = world.sender()
    world.until(lambda: sender.connected, "the channel")
    gc.collect()
    before = open_descriptors()

    for start in range(0, 2000, 200):
        clients = [client() for _ in range(200)]

        for number, (_, fd) in enumerate(clients, start):
            sender.send(fd, b"number %d" % number, world.results.append)
        world.until(lambda expected=start + 200: len(world.results) == expected, "200 answers")
        for number, (far, _) in enumerate(clients, start):
            assert far.recv(100) == b"number %d" % number
            assert far.recv(100) == b""
            far.close()
    assert world.results == [ACCEPTED] * 2000
    assert receiver.taken == 2000
    assert open_descriptors() == before


def test_a_burst_larger_than_window_and_socket_buffer_keeps_its_order(world: World) -> None:
    sender = world.sender()
    far, fd = client()
    records = [b"%d" % number + bytes(20_000) for number in range(3 * sending.WINDOW)]
    for record in records:
        world.send_copy(sender, fd, record)
    world.receiver()
    world.until(lambda: len(world.results) == len(records), "all answers")
    assert [record for _, record in world.taken] == records
    os.close(fd)
    far.close()


def test_unanswered_records_of_a_vanished_receiver_are_lost(world: World) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(world.path)
    listener.listen()
    sender = world.sender()
    far, fd = client()
    sender.send(fd, b"record", world.results.append)
    channel, _ = listener.accept()
    _, descriptors, _, _ = socket.recv_fds(channel, 100, 1)
    listener.close()
    channel.close()  # it has read the record and dies without a word
    world.until(lambda: world.results, "the loss")
    assert world.results == [LOST]
    for copy in descriptors:
        os.close(copy)
    assert far.recv(10) == b""  # both copies closed: the client connects again
    far.close()

    world.receiver()  # restarted: the stale socket file is replaced
    world.until(lambda: sender.connected, "a new channel")
    far, fd = client()
    sender.send(fd, b"record", world.results.append)
    world.until(lambda: len(world.results) == 2, "the answer")
    assert world.results == [LOST, ACCEPTED]
    far.close()


def test_records_wait_for_a_restarting_receiver(world: World) -> None:
    sender = world.sender()
    far, fd = client()
    sender.send(fd, b"early", world.results.append)
    world.receiver()
    world.until(lambda: world.results, "the answer")
    assert world.results == [ACCEPTED]
    far.close()


def test_records_never_sent_are_refused(world: World) -> None:
    sender = world.sender(wait_s=0.02)
    far, fd = client()
    sender.send(fd, b"record", world.results.append)
    world.until(lambda: world.results, "the refusal")
    assert world.results == [wire.RESTARTING]
    assert world.results[0] == HandoffRefused(2, "shard restarting", sent=False)
    sender.send(fd, b"record", world.results.append)
    sender.close()
    sender.send(fd, b"record", world.results.append)
    world.until(lambda: len(world.results) == 3, "the refusals of a closed sender")
    assert all(isinstance(result, HandoffRefused) and not result.sent for result in world.results)
    os.write(fd, b"mine")
    assert far.recv(10) == b"mine"
    os.close(fd)
    far.close()


def test_a_killed_process_loses_what_it_had_not_answered(world: World) -> None:
    """A receiver in a process of its own, killed while it holds a socket."""
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1]); s.listen()\n"
        "print('up', flush=True)\n"
        "c, _ = s.accept(); _, fds, _, _ = socket.recv_fds(c, 100, 1)\n"
        "print('holds', len(fds), flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, world.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        sender = world.sender()
        far, fd = client()
        sender.send(fd, b"record", world.results.append)
        assert child.stdout.readline() == "holds 1\n"
        child.kill()
        world.until(lambda: world.results, "the loss")
        assert world.results == [LOST]
        assert far.recv(10) == b""
        far.close()


def test_the_socket_file_is_private_replaces_a_stale_one_and_goes_away(world: World) -> None:
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stale.bind(world.path)
    stale.close()
    receiver = world.receiver()
    assert stat.S_IMODE(os.stat(world.path).st_mode) == 0o600
    assert os.listdir(os.path.dirname(world.path)) == ["handoff.sock"]

    successor = world.receiver()
    receiver.close()  # must not take the successor's file away
    assert os.path.exists(world.path)
    successor.close()
    assert not os.path.exists(world.path)


def test_something_else_at_the_path_is_left_alone(world: World) -> None:
    Path(world.path).write_text("precious")
    with pytest.raises(FileExistsError):
        world.receiver()
    assert Path(world.path).read_text() == "precious"


def test_another_format_and_a_missing_descriptor(world: World) -> None:
    world.receiver()

    def speak(packet: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
            channel.connect(world.path)
            channel.sendall(packet)
            channel.setblocking(False)
            answer: list[bytes] = []

            def read() -> bool:
                try:
                    answer.append(channel.recv(100))
                except BlockingIOError:
                    return False
                except ConnectionResetError:
                    answer.append(b"")
                return True

            world.until(read, "an answer or the end")
            return answer[0]

    assert speak(b"\x02\x00\x00\x00\x01record") == b""
    assert speak(b"\x01") == b""
    assert speak(b"\x01\x00\x00\x00\x09record")[:5] == b"\x00\x00\x00\x09\x02"
    assert world.taken == []
