"""Takes client sockets over, in the shard or gateway; the channel is described in :mod:`lanying.bus.handoff.wire`."""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lanying.bus.handoff.records import encode
from lanying.bus.handoff.wire import (
    ANSWER_HEAD,
    DESCRIPTOR,
    ELSEWHERE,
    FAIL,
    FORMAT,
    OK,
    RECORD_BYTES,
    RECORD_HEAD,
    RETRY_LAST_S,
    Accepted,
    HandoffRefused,
    Verdict,
    seqpacket,
)
from lanying.cluster.directory import Moved

log = logging.getLogger(__name__)

RECORDS_PER_TURN: Final = 64
"""Sockets taken over in one loop turn before the receiver's own sessions get their turn."""
_CREDENTIALS = struct.Struct("3i")
_ANCILLARY_BYTES = socket.CMSG_LEN(DESCRIPTOR.size)  # CMSG_SPACE would have room for a second descriptor


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
        self._buffer = bytearray(RECORD_HEAD.size + RECORD_BYTES)
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
        listener = seqpacket()
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
        if size < RECORD_HEAD.size or self._buffer[0] != FORMAT or flags & socket.MSG_TRUNC:
            for each in descriptors:
                os.close(each)
            if size:
                log.error("event=handoff_format bytes=%d format=%d", size, self._buffer[0])
            raise ConnectionResetError
        number = RECORD_HEAD.unpack_from(self._buffer)[1]
        verdict: Verdict = HandoffRefused(FAIL, "server error")
        if fd < 0:
            # The kernel delivers a record without its descriptor when this process may open no more files.
            peer.answer(number, HandoffRefused(FAIL, "too many connections"))
            self.refused += 1
            return True
        try:
            verdict = self._accept(fd, bytes(memoryview(self._buffer)[RECORD_HEAD.size : size]))
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
        if type(verdict) is HandoffRefused:
            reason = verdict.reason.encode()[:255].decode("utf-8", "ignore").encode()
            code = verdict.code if 0 <= verdict.code < ELSEWHERE and verdict.code != OK else FAIL
            self.answers += ANSWER_HEAD.pack(number, code, len(reason)) + reason
        elif type(verdict) is Moved:
            where = encode(verdict)
            self.answers += ANSWER_HEAD.pack(number, ELSEWHERE, len(where)) + where
        else:
            self.answers += ANSWER_HEAD.pack(number, OK, 0)
