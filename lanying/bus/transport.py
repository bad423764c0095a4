"""Carries envelopes between the processes of one machine: ZeroMQ PUSH/PULL over ipc, joined to one blob per peer and
flush.

Every process binds one PULL socket under its name and connects a PUSH socket to each process it talks to. A blob is
a run of ``u32 length + MessagePack``. Nothing here is reliable: a blob for a peer that is down is kept up to
``PENDING_BYTES`` and then dropped; links resend from the outbox, calls time out.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec
import zmq

from lanying.base import limits, logs, watched
from lanying.base.clock import monotonic
from lanying.base.context import serving
from lanying.bus.messages import Call, Envelope, LogControl, LogLine, Message, Reply, decode_envelope, encode

log = logging.getLogger(__name__)

PENDING_BYTES = 1 << 20
RETRY_S = 0.05
RECEIVES_PER_TURN = 64
_pack_length = struct.Struct(">I").pack
_unpack_length = struct.Struct(">I").unpack_from


def split(blob: bytes) -> Iterator[bytes]:
    """The pieces of a blob.

    :raises ValueError: a piece is cut short
    """
    position, end = 0, len(blob)
    while position < end:
        (length,) = _unpack_length(blob, position) if position + 4 <= end else (end,)
        position += 4
        if position + length > end:
            raise ValueError("bus blob cut short")
        yield blob[position : position + length]
        position += length


class _Peer:
    """Outgoing side to one process: pieces of this flush, and blobs its socket would not take yet."""

    __slots__ = ("blobs", "blobs_bytes", "pieces", "socket")

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        self.pieces: list[bytes] = []
        self.blobs: list[bytes] = []
        self.blobs_bytes = 0


class Addresses(Protocol):
    """Where processes are reached: :class:`lanying.cluster.directory.Directory`, or the run directory itself."""

    def bus(self, process: str) -> str:
        """ZeroMQ endpoint of a process's PULL socket."""


class Turns(Protocol):
    """What happens in one turn of the loop belongs together."""

    def begin_turn(self) -> None:
        """What follows happens now."""

    def end_turn(self) -> None:
        """That was all for now."""


class Bus:
    """One process's place on the bus.

    :param name: process name
    :param on_message: called with every envelope that is not in ``handlers``, on the loop
    :param handlers: who takes which envelope
    :param turns: begins and ends with a run of envelopes (the shard gathers a tick in between)
    :param slow: called with an envelope that took longer than ``COSTLY_S``, and how long
    :param gate: answers a call that is not for this process to serve; None: it is
    """

    def __init__(
        self,
        name: str,
        addresses: Addresses,
        on_message: Callable[[Envelope], None],
        *,
        handlers: Mapping[type[Message], Callable[[Any], object]] | None = None,
        turns: Turns | None = None,
        slow: Callable[[Envelope, float], None] | None = None,
        gate: Callable[[Call], Reply | None] | None = None,
    ) -> None:
        self.name = name
        self._addresses = addresses
        self._gate = gate
        self._on_message = on_message
        self._handlers = handlers or {}
        self._turns = turns
        self._slow = slow
        self._context = zmq.Context(1)
        self._pull = self._context.socket(zmq.PULL)
        self._pull.setsockopt(zmq.RCVHWM, limits.BUS_QUEUE)
        self._pull.setsockopt(zmq.LINGER, 0)
        self._peers: dict[str, _Peer] = {}
        self._unflushed: list[_Peer] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._flush_due = False
        self._paused = False
        self._fd = -1
        self._behind_since = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind and receive."""
        self._loop = loop
        self._pull.bind(self._addresses.bus(self.name))
        self._fd = self._pull.getsockopt(zmq.FD)  # type: ignore[assignment]
        loop.add_reader(self._fd, self._receive)
        loop.call_soon(self._receive)  # the descriptor is edge-triggered

    def send(self, process: str, message: Message) -> None:
        """Queue an envelope; it leaves with the next :meth:`flush`, at the latest at the end of this loop turn."""
        peer = self._peers.get(process)
        if peer is None:
            peer = self._connect(process)
        if not peer.pieces:
            self._unflushed.append(peer)
            if not self._flush_due and self._loop is not None:
                self._flush_due = True
                self._loop.call_soon(self.flush)
        piece = encode(message)
        peer.pieces.append(_pack_length(len(piece)))
        peer.pieces.append(piece)

    def send_all(self, envelopes: Iterable[tuple[str, Message]]) -> None:
        """Envelopes and the processes they are for, at once: one blob per peer."""
        self._flush_due = True  # no need to wait for the loop
        for process, envelope in envelopes:
            self.send(process, envelope)
        self.flush()

    def flush(self) -> None:
        """Hand one joined blob per peer to ZeroMQ."""
        self._flush_due = False
        for peer in self._unflushed:
            blob = b"".join(peer.pieces)
            peer.pieces.clear()
            if peer.blobs or not _try_send(peer.socket, blob):
                self._keep(peer, blob)
        self._unflushed.clear()

    def pause(self) -> None:
        """Stop receiving (backpressure)."""
        if not self._paused and self._loop is not None:
            self._paused = True
            self._fall_behind(self._loop)
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Receive again."""
        if self._paused and self._loop is not None:
            self._paused = False
            self._loop.add_reader(self._fd, self._receive)
            self._loop.call_soon(self._receive)

    def close(self) -> None:
        """Leave the bus; what is queued is dropped."""
        if self._loop is not None and self._fd >= 0 and not self._paused:
            self._loop.remove_reader(self._fd)
        if self._retry is not None:
            self._retry.cancel()
        self._loop = None
        self._context.destroy(linger=200)

    def _connect(self, process: str) -> _Peer:
        socket = self._context.socket(zmq.PUSH)
        socket.setsockopt(zmq.SNDHWM, limits.BUS_QUEUE)
        socket.setsockopt(zmq.LINGER, 200)
        # Without IMMEDIATE a blob for a dead peer would sit in memory and arrive out of date.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        socket.connect(self._addresses.bus(process))
        peer = self._peers[process] = _Peer(socket)
        return peer

    def _keep(self, peer: _Peer, blob: bytes) -> None:
        if peer.blobs_bytes + len(blob) > PENDING_BYTES:
            return
        peer.blobs.append(blob)
        peer.blobs_bytes += len(blob)
        if self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(RETRY_S, self._send_kept)

    def _send_kept(self) -> None:
        self._retry = None
        waiting = False
        for peer in self._peers.values():
            while peer.blobs and _try_send(peer.socket, peer.blobs[0]):
                peer.blobs_bytes -= len(peer.blobs.pop(0))
            waiting = waiting or bool(peer.blobs)
        if waiting and self._loop is not None:
            self._retry = self._loop.call_later(RETRY_S, self._send_kept)

    def _receive(self) -> None:
        if self._loop is None or self._paused:
            return
        turns = self._turns
        if turns is not None:
            turns.begin_turn()
        for _ in range(RECEIVES_PER_TURN):
            try:
                blob = self._pull.recv(zmq.NOBLOCK)
            except zmq.Again:
                self._behind_since = 0.0
                break
            self._dispatch(blob)
        else:
            self._fall_behind(self._loop)
            self._loop.call_soon(self._receive)
        if turns is not None:
            turns.end_turn()

    def _dispatch(self, blob: bytes) -> None:
        try:
            envelopes = [decode_envelope(piece) for piece in split(blob)]
        except (msgspec.DecodeError, ValueError):
            log.exception("event=bad_bus_blob bytes=%d", len(blob))
            return
        handlers, began = self._handlers, monotonic()
        for envelope in envelopes:  # what goes wrong there is not the blob's fault
            if type(envelope) is LogControl:
                self._control_log(envelope)
            elif type(envelope) is Call:
                self._serve(envelope)
            else:
                handlers.get(type(envelope), self._on_message)(envelope)
            now = monotonic()
            if now - began > limits.COSTLY_S and self._slow is not None:
                self._slow(envelope, now - began)
            began = now

    def _serve(self, call: Call) -> None:
        """Hand on a call with the time it has left here, unless nobody waits any more.

        Its own age is unknown. In a process that is behind it may be as old as the queue, and is taken to be: with too
        much to do, what may be wanted no longer is what to leave out.
        """
        if self._loop is not None:
            end = (self._behind_since or self._loop.time()) + call.left_ms / 1000
            if self._gate is not None and (reply := self._gate(call)) is not None:
                self.send(call.caller, reply)
            elif end > self._loop.time():
                with serving(call.request, end):
                    log.debug("event=call caller=%s number=%d", call.caller, call.id)
                    self._handlers.get(Call, self._on_message)(call)

    def _fall_behind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The queue will not be empty soon; since when, is known until it is."""
        self._behind_since = self._behind_since or loop.time()

    def _control_log(self, message: LogControl) -> None:
        """Every process on the bus can be told how much to log and to whom."""
        if message.uid:
            watched.watch(message.uid, message.level, message.watch_s, monotonic())
        elif message.level:
            logs.set_level(message.module, message.level)
        if message.to:

            def send(time_ms: int, level: str, module: str, text: str) -> None:
                if self._loop is not None:
                    line = LogLine(self.name, time_ms, level, module, text[: limits.LOG_LINE_CHARS])
                    self._loop.call_soon_threadsafe(self.send, message.to, line)

            logs.follow(send, min(message.tail_s, limits.TRACE_S))


def _try_send(socket: zmq.Socket[bytes], blob: bytes) -> bool:
    try:
        socket.send(blob, zmq.NOBLOCK, copy=True)
    except zmq.Again:
        return False
    return True
