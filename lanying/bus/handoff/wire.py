"""Moves accepted client sockets from the router to the process that will serve them: descriptors over a Unix socket.

One of the two modules that assume a peer on the same host (the other is ``transport``). The shard or gateway has a
:class:`Receiver` on ``run/handoff-<process>.sock``; the router has one :class:`Sender` per process. The channel is
``SOCK_SEQPACKET``: packets keep their borders, order is kept, and the death of either side is seen by the other.
Format 1, integers big-endian:

=========  =====================================================================================================
record     router to receiver: ``u8 format | u32 id | MessagePack of`` :class:`Login` ``or`` :class:`Visitor`,
           with exactly one ``SCM_RIGHTS`` descriptor. Ids grow by one per channel and wrap.
answers    receiver to router, a run of ``u32 id | u8 code | u8 length | reason (UTF-8)``. Code 1
           (``Status.OK``): accepted, every other ``Status.ErrorCode``: refused.
=========  =====================================================================================================

Who owns the socket: the sender's caller keeps its copy until ``on_result`` is called, and closes it then if the record
was accepted *or lost*. Lost means that the receiver vanished between record and answer: nobody knows whether it had
begun to speak, so the client has to connect again. Refused: the receiver has closed its copy without writing a byte,
and the caller answers the client itself. The descriptor has to be out of the caller's epoll before it is sent: both
copies share one open file description. It is non-blocking and stays so.

Over 400 lines: both ends of one channel, whose answers only make sense side by side.
"""

from __future__ import annotations

import array
import asyncio
import errno
import logging
import os
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.bus.handoff.records import Login, Visitor, decode_login, decode_visitor, encode
from lanying.protocol.schema.xsync_pb2 import Status

__all__ = [
    "ACCEPTED",
    "BUSY",
    "LOST",
    "RESTARTING",
    "Accepted",
    "Login",
    "Lost",
    "Receiver",
    "Refused",
    "Result",
    "Sender",
    "Verdict",
    "Visitor",
    "decode_login",
    "decode_visitor",
    "encode",
]

log = logging.getLogger(__name__)

FORMAT: Final = 1
RECORD_BYTES: Final = limits.LOGIN_BYTES + 16 * 1024
"""Largest record: everything a client may send before its login, and the fields around it."""
WINDOW: Final = 256
"""Records sent and not answered, per channel. Bounds the descriptors in flight, which the kernel counts per user."""
WAITING: Final = limits.PENDING_CONNECTIONS
"""Records waiting for the channel."""
WAIT_S: Final = 3.0
"""How long a record waits for a receiver that is down or busy: a restart takes a second or two."""
RECORDS_PER_TURN: Final = 64
"""Sockets taken over in one loop turn before the receiver's own sessions get their turn."""
RETRY_FIRST_S: Final = 0.05
RETRY_LAST_S: Final = 1.0

_OK: Final = int(Status.OK)
_FAIL: Final = int(Status.FAIL)
_RECORD_HEAD = struct.Struct(">BI")
_ANSWER_HEAD = struct.Struct(">IBB")
_DESCRIPTOR = struct.Struct("i")
_CREDENTIALS = struct.Struct("3i")
_ANCILLARY_BYTES = socket.CMSG_LEN(_DESCRIPTOR.size)  # CMSG_SPACE would have room for a second descriptor


class Accepted(msgspec.Struct, frozen=True):
    """The receiver owns the socket."""


class Refused(msgspec.Struct, frozen=True):
    """The receiver does not want the socket; the client is told ``code`` (``Status.ErrorCode``) and ``reason``.

    :ivar sent: False: no receiver has seen the record, it is down or overrun
    """

    code: int
    reason: str
    sent: bool = True


class Lost(msgspec.Struct, frozen=True):
    """The receiver vanished before it answered."""


Verdict = Accepted | Refused
Result = Accepted | Refused | Lost
ACCEPTED: Final = Accepted()
LOST: Final = Lost()
RESTARTING: Final = Refused(_FAIL, "shard restarting", sent=False)
BUSY: Final = Refused(_FAIL, "server busy", sent=False)


def _seqpacket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


# --- taking over -----------------------------------------------------------------------------------------------


class Receiver:
    """Takes client sockets over, in the shard or gateway.

    :param path: where to listen; the socket file is made with mode 0600, a stale one is replaced
    :param accept: called on the loop with a non-blocking descriptor and the record's payload (:data:`decode_login`,
        :data:`decode_visitor`). When it answers :data:`ACCEPTED` the descriptor is the callee's; otherwise, also when
        it raises, the receiver closes it
    :ivar taken: sockets taken over
    :ivar refused: sockets refused
    """

    __slots__ = ("_accept", "_buffer", "_inode", "_listener", "_loop", "_peers", "path", "refused", "taken")

    def __init__(self, path: str, accept: Callable[[int, bytes], Verdict], loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self.taken = 0
        self.refused = 0
        self._accept = accept
        self._loop = loop
        self._buffer = bytearray(_RECORD_HEAD.size + RECORD_BYTES)
        self._listener: socket.socket | None = None
        self._inode = 0
        self._peers: set[_Router] = set()

    def start(self) -> None:
        """Listen.

        :raises FileExistsError: ``path`` is something else than a socket
        """
        assert self._listener is None
        path = Path(self.path)
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is not a socket")
        listener = _seqpacket()
        # Bound beside and renamed over: a router that reconnects finds the old socket or the new one, never none.
        fresh = f"{self.path}.{os.getpid()}"
        Path(fresh).unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # the file inherits it: at no time may somebody else connect
        listener.bind(fresh)
        listener.listen(16)
        self._inode = os.stat(fresh).st_ino
        os.replace(fresh, self.path)
        self._listener = listener
        self._listen()

    def close(self) -> None:
        """Stop. Records that were not read yet are lost: drain the router first."""
        for peer in tuple(self._peers):
            self._drop(peer)
        if self._listener is None:
            return
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        self._listener = None
        try:
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        except FileNotFoundError:
            pass

    def _listen(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener.fileno(), self._on_router)

    def _on_router(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor left: the backlog keeps the router until there is one
            log.warning("event=handoff_accept error=%s", error)
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(RETRY_LAST_S, self._listen)
            return
        connection.setblocking(False)
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(raw)
        if uid not in (os.getuid(), 0):
            log.warning("event=handoff_stranger uid=%d", uid)
            connection.close()
            return
        peer = _Router(connection)
        self._peers.add(peer)
        self._loop.add_reader(connection.fileno(), self._on_records, peer)

    def _drop(self, peer: _Router) -> None:
        self._peers.discard(peer)
        self._loop.remove_reader(peer.socket.fileno())
        self._loop.remove_writer(peer.socket.fileno())
        peer.socket.close()

    def _on_records(self, peer: _Router) -> None:
        """Take over what arrived, then answer all of it with one packet."""
        try:
            for _ in range(RECORDS_PER_TURN):
                if peer not in self._peers or not self._take_one(peer):
                    break
        except ConnectionError:
            self._drop(peer)
        finally:
            if peer.answers and peer in self._peers:
                self._answer(peer)

    def _take_one(self, peer: _Router) -> bool:
        """Whether there was a record.

        :raises ConnectionError: the router is gone or speaks another format
        """
        try:
            size, ancillary, flags, _ = peer.socket.recvmsg_into(
                [self._buffer], _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        fd = descriptors[0] if len(descriptors) == 1 else -1
        if size < _RECORD_HEAD.size or self._buffer[0] != FORMAT or flags & socket.MSG_TRUNC:
            for each in descriptors:
                os.close(each)
            if size:
                log.error("event=handoff_format bytes=%d format=%d", size, self._buffer[0])
            raise ConnectionResetError
        number = _RECORD_HEAD.unpack_from(self._buffer)[1]
        verdict: Verdict = Refused(_FAIL, "server error")
        if fd < 0:
            # The kernel delivers a record without its descriptor when this process may open no more files.
            peer.answer(number, Refused(_FAIL, "too many connections"))
            self.refused += 1
            return True
        try:
            verdict = self._accept(fd, bytes(memoryview(self._buffer)[_RECORD_HEAD.size : size]))
        finally:
            if type(verdict) is Accepted:
                self.taken += 1
            else:
                os.close(fd)
                self.refused += 1
            peer.answer(number, verdict)
        return True

    def _answer(self, peer: _Router) -> None:
        try:
            peer.socket.send(peer.answers)
        except BlockingIOError:
            # The router does not read its answers: take nothing more from it until it does.
            self._loop.remove_reader(peer.socket.fileno())
            self._loop.add_writer(peer.socket.fileno(), self._on_writable, peer)
        except ConnectionError:
            self._drop(peer)
        else:
            peer.answers.clear()

    def _on_writable(self, peer: _Router) -> None:
        self._loop.remove_writer(peer.socket.fileno())
        self._loop.add_reader(peer.socket.fileno(), self._on_records, peer)
        self._answer(peer)


class _Router:
    """A connected router and the answers owed to it."""

    __slots__ = ("answers", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.answers = bytearray()

    def answer(self, number: int, verdict: Verdict) -> None:
        if type(verdict) is Refused:
            reason = verdict.reason.encode()[:255].decode("utf-8", "ignore").encode()
            code = verdict.code if 0 <= verdict.code <= 255 and verdict.code != _OK else _FAIL
            self.answers += _ANSWER_HEAD.pack(number, code, len(reason)) + reason
        else:
            self.answers += _ANSWER_HEAD.pack(number, _OK, 0)


# --- handing over ----------------------------------------------------------------------------------------------


class _Parcel:
    """A descriptor on its way."""

    __slots__ = ("fd", "on_result", "record", "since")

    def __init__(self, fd: int, record: bytes, on_result: Callable[[Result], None], since: float) -> None:
        self.fd = fd
        self.record = record
        self.on_result = on_result
        self.since = since


class Sender:
    """Hands client sockets over to one process, in the router.

    ``on_result`` is called exactly once per record, always by a later loop turn. Records wait up to ``wait_s`` for a
    receiver that is down or behind, then they are refused with ``sent`` False; :meth:`close` refuses them at once.

    :param path: the receiver's socket
    :param wait_s: patience for a receiver that is down, in seconds
    :param clock: monotonic seconds
    :ivar connected: there is a receiver
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
        self._outstanding: dict[int, _Parcel] = {}
        self._waiting: deque[_Parcel] = deque()
        self._backoff_s = RETRY_FIRST_S
        self._retry: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
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
        for parcel in self._waiting:
            self._loop.call_soon(parcel.on_result, RESTARTING)
        self._waiting.clear()

    def send(self, fd: int, record: bytes, on_result: Callable[[Result], None]) -> None:
        """Hand ``fd`` over with ``record`` (:data:`encode`); the caller keeps its copy open until ``on_result``."""
        if self._closed or len(self._waiting) >= WAITING or len(record) > RECORD_BYTES:
            self._loop.call_soon(on_result, BUSY)
            return
        self._waiting.append(_Parcel(fd, record, on_result, self._clock()))
        if self._channel is not None and not self._blocked:
            self._pump()
        if self._waiting and self._expiry is None:
            self._expiry = self._loop.call_later(self._wait_s / 4, self._expire)

    # --- the channel -------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._retry = None
        channel = _seqpacket()
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
        for parcel in self._outstanding.values():
            self._loop.call_soon(parcel.on_result, LOST)
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
            parcel = waiting[0]
            number = self._next_id
            try:
                channel.sendmsg(
                    (_RECORD_HEAD.pack(FORMAT, number), parcel.record),
                    ((socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(parcel.fd)),),
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
            outstanding[number] = parcel
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
            number, code, length = _ANSWER_HEAD.unpack_from(packet, position)
            position += _ANSWER_HEAD.size
            reason = packet[position : position + length]
            position += length
            parcel = self._outstanding.pop(number, None)
            if parcel is not None:
                result = ACCEPTED if code == _OK else Refused(code, reason.decode())
                # Not called from here: an error of one must not cost the others of this packet their answer.
                self._loop.call_soon(parcel.on_result, result)
        if self._waiting and self._channel is not None and not self._blocked:
            self._pump()

    def _expire(self) -> None:
        """Refuse what waited too long."""
        self._expiry = None
        before = self._clock() - self._wait_s
        result = RESTARTING if self._channel is None else BUSY
        while self._waiting and self._waiting[0].since <= before:
            self._loop.call_soon(self._waiting.popleft().on_result, result)
        if self._waiting:
            self._expiry = self._loop.call_later(self._wait_s / 4, self._expire)
