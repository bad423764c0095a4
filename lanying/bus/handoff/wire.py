"""The channel on which accepted client sockets go from the router to the process that will serve them.

It passes descriptors over a Unix socket, so both ends are on one host. The shard or gateway has a
:class:`~lanying.bus.handoff.receiver.Receiver` on ``run/handoff-<process>.sock``; the router has one
:class:`~lanying.bus.handoff.sender.Sender` per process. The channel is ``SOCK_SEQPACKET``: packets keep their borders,
order is kept, and the death of either side is seen by the other. Format 1, integers big-endian:

=========  =====================================================================================================
record     router to receiver: ``u8 format | u32 id | MessagePack of`` :class:`Login` ``or`` :class:`Visitor`
           (:mod:`~lanying.bus.handoff.records`), with exactly one ``SCM_RIGHTS`` descriptor. Ids grow by one per
           channel and wrap.
answers    receiver to router, a run of ``u32 id | u8 code | u8 length | reason (UTF-8)``. Code 1
           (``Status.OK``): accepted; 255: the user is another shard's, the reason is the MessagePack of
           :class:`~lanying.cluster.directory.Moved`; every other ``Status.ErrorCode``: refused.
=========  =====================================================================================================

A socket has one owner. :meth:`Sender.send` takes the descriptor over, and closes it when the record was accepted *or
lost*; a refusal gives it back to the caller, which answers the client itself or asks another receiver. Lost: the receiver vanished
between record and answer: nobody knows whether it had begun to speak, so the client has to connect again. A receiver
that refuses has closed its copy without writing a byte. The descriptor has to be out of the caller's epoll before it is
sent: both copies share one open file description. It is non-blocking and stays so.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

import msgspec

from lanying.base import limits
from lanying.cluster.directory import Moved
from lanying.protocol.schema.xsync_pb2 import Status

FORMAT: Final = 1
ELSEWHERE: Final = 255
"""Answer code: another shard's user."""
RECORD_BYTES: Final = limits.MAX_HTTP_HEAD_BYTES + limits.LOGIN_BYTES + limits.READ_BYTES + 40 * 1024
"""Largest record: everything a client may send before its login, and the fields of the login itself."""
RETRY_LAST_S: Final = 1.0

OK: Final = int(Status.OK)
FAIL: Final = int(Status.FAIL)
RECORD_HEAD = struct.Struct(">BI")
ANSWER_HEAD = struct.Struct(">IBB")
DESCRIPTOR = struct.Struct("i")


class Accepted(msgspec.Struct, frozen=True):
    """The receiver owns the socket."""


class HandoffRefused(msgspec.Struct, frozen=True):
    """The receiver does not want the socket; the client gets ``code`` (``Status.ErrorCode``) and ``reason``.

    :ivar sent: False: no receiver has seen the record, it is down or overrun
    """

    code: int
    reason: str
    sent: bool = True


class Lost(msgspec.Struct, frozen=True):
    """The receiver vanished before it answered."""


Verdict = Accepted | HandoffRefused | Moved
Result = Accepted | HandoffRefused | Moved | Lost
ACCEPTED: Final = Accepted()
LOST: Final = Lost()
RESTARTING: Final = HandoffRefused(FAIL, "shard restarting", sent=False)
BUSY: Final = HandoffRefused(FAIL, "server busy", sent=False)


def seqpacket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
