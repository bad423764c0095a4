"""Hands client sockets over, in the router; the channel is described in :mod:`lanying.bus.handoff.wire`."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.bus.handoff.wire import (
    ACCEPTED,
    ANSWER_HEAD,
    BUSY,
    DESCRIPTOR,
    ELSEWHERE,
    FORMAT,
    LOST,
    OK,
    RECORD_BYTES,
    RECORD_HEAD,
    RESTARTING,
    RETRY_LAST_S,
    Accepted,
    HandoffRefused,
    Lost,
    Result,
    seqpacket,
)
from lanying.cluster.directory import Moved

log = logging.getLogger(__name__)

WINDOW: Final = 256
"""Records sent and not answered, per channel. Bounds the descriptors in flight, which the kernel counts per user."""
WAITING: Final = limits.PENDING_CONNECTIONS
"""Records waiting for the channel."""
WAIT_S: Final = 3.0
"""How long a record waits for a receiver that is down or busy: a restart takes a second or two."""
RETRY_FIRST_S: Final = 0.05


class _Moving:
    """A descriptor on its way."""

    __slots__ = ("fd", "on_result", "record", "since")

    def __init__(self, fd: int, record: bytes, on_result: Callable[[Result], None], since: float) -> None:
        self.fd = fd
        self.record = record
        self.on_result = on_result
        self.since = since

    def settle(self, result: Result) -> None:
        """The end of it. Closed after the caller has heard: until then the number of the descriptor is taken."""
        try:
            self.on_result(result)
        finally:
            if type(result) is Accepted or type(result) is Lost:
                os.close(self.fd)


def _result(code: int, reason: bytes) -> Result:
    if code == OK:
        return ACCEPTED
    return msgspec.msgpack.decode(reason, type=Moved) if code == ELSEWHERE else HandoffRefused(code, reason.decode())


class Sender:
    """Hands client sockets over to one process, in the router.

    ``on_result`` is called exactly once per record, always by a later loop turn. Records wait up to ``wait_s`` for a
    receiver that is down or behind, then they are refused with ``sent`` False; :meth:`close` refuses them at once.

    :param path: the receiver's socket
    :param wait_s: patience for a receiver that is down, in seconds
    :param clock: monotonic seconds
    """

    __slots__ = (
        "_backoff_s",
        "_blocked",
        "_channel",
        "_clock",
        "_closed",
        "_expiry",
        "_loop",
        "_next_id",
        "_outstanding",
        "_retry",
        "_wait_s",
        "_waiting",
        "path",
    )

    def __init__(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.path = path
        self._loop = loop
        self._wait_s = wait_s
        self._clock = clock
        self._channel: socket.socket | None = None
        self._blocked = False
        self._closed = False
        self._next_id = 0
        self._outstanding: dict[int, _Moving] = {}
        self._waiting: deque[_Moving] = deque()
        self._backoff_s = RETRY_FIRST_S
        self._retry: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """There is a receiver."""
        return self._channel is not None

    @property
    def pending(self) -> int:
        """Records without a result."""
        return len(self._outstanding) + len(self._waiting)

    def start(self) -> None:
        """Connect, now or as soon as the receiver listens."""
        self._connect()

    def close(self) -> None:
        """Disconnect: unanswered records are lost, waiting ones refused."""
        self._closed = True
        self._disconnect()
        for timer in (self._retry, self._expiry):
            if timer is not None:
                timer.cancel()
        self._retry = self._expiry = None
        for moving in self._waiting:
            self._settle(moving, RESTARTING)
        self._waiting.clear()

    def send(self, fd: int, record: bytes, on_result: Callable[[Result], None]) -> None:
        """Hand ``fd`` over with ``record``; it is the sender's from now on, and the caller's again if refused."""
        if self._closed or len(self._waiting) >= WAITING or len(record) > RECORD_BYTES:
            self._loop.call_soon(on_result, BUSY)
            return
        self._waiting.append(_Moving(fd, record, on_result, self._clock()))
        if self._channel is not None and not self._blocked:
            self._pump()
        if self._waiting and self._expiry is None:
            self._expiry = self._loop.call_later(self._wait_s / 4, self._expire)

    # --- the channel -------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._retry = None
        channel = seqpacket()
        # A packet has to fit as a whole, and the default of some systems is close to one full record.
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * RECORD_BYTES)
        try:
            channel.connect(self.path)
        except OSError as error:  # not there, nobody listens, backlog full: all of it passes
            channel.close()
            if error.errno not in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN):
                log.warning("event=handoff_connect path=%s error=%s", self.path, error)
            self._reconnect_later()
            return
        self._channel = channel
        self._blocked = False
        self._backoff_s = RETRY_FIRST_S
        self._loop.add_reader(channel.fileno(), self._on_answers)
        self._pump()

    def _reconnect_later(self) -> None:
        self._retry = self._loop.call_later(self._backoff_s, self._connect)
        self._backoff_s = min(2 * self._backoff_s, RETRY_LAST_S)

    def _disconnect(self) -> None:
        if self._channel is None:
            return
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._channel = None
        self._blocked = False
        for moving in self._outstanding.values():
            self._settle(moving, LOST)
        self._outstanding.clear()

    def _broken(self) -> None:
        log.info("event=handoff_lost path=%s outstanding=%d", self.path, len(self._outstanding))
        self._disconnect()
        if not self._closed:
            self._reconnect_later()

    def _pump(self) -> None:
        """Send what waits, as far as window and socket buffer go."""
        channel = self._channel
        assert channel is not None
        waiting, outstanding = self._waiting, self._outstanding
        while waiting and len(outstanding) < WINDOW:
            moving = waiting[0]
            number = self._next_id
            try:
                channel.sendmsg(
                    (RECORD_HEAD.pack(FORMAT, number), moving.record),
                    ((socket.SOL_SOCKET, socket.SCM_RIGHTS, DESCRIPTOR.pack(moving.fd)),),
                )
            except BlockingIOError:
                self._blocked = True
                self._loop.add_writer(channel.fileno(), self._on_writable)
                return
            except ConnectionError:
                self._broken()
                return
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    raise
                # Too many descriptors of this user in flight: they become fewer as receivers read.
                self._blocked = True
                self._loop.call_later(RETRY_FIRST_S, self._on_writable)
                return
            waiting.popleft()
            outstanding[number] = moving
            self._next_id = (number + 1) & 0xFFFFFFFF

    def _on_writable(self) -> None:
        if self._channel is None or not self._blocked:
            return
        self._loop.remove_writer(self._channel.fileno())
        self._blocked = False
        self._pump()

    def _on_answers(self) -> None:
        """Read one packet of answers; an empty one is the end of the channel."""
        assert self._channel is not None
        try:
            packet = self._channel.recv(RECORD_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            packet = b""
        if not packet:
            self._broken()
            return
        position = 0
        while position < len(packet):
            number, code, length = ANSWER_HEAD.unpack_from(packet, position)
            position += ANSWER_HEAD.size
            reason = packet[position : position + length]
            position += length
            moving = self._outstanding.pop(number, None)
            if moving is not None:
                self._settle(moving, _result(code, reason))
        if self._waiting and self._channel is not None and not self._blocked:
            self._pump()

    def _settle(self, moving: _Moving, result: Result) -> None:
        # Not called from here: an error of one must not cost the others of a packet their answer.
        self._loop.call_soon(moving.settle, result)

    def _expire(self) -> None:
        """Refuse what waited too long."""
        self._expiry = None
        before = self._clock() - self._wait_s
        result = RESTARTING if self._channel is None else BUSY
        while self._waiting and self._waiting[0].since <= before:
            self._settle(self._waiting.popleft(), result)
        if self._waiting:
            self._expiry = self._loop.call_later(self._wait_s / 4, self._expire)
