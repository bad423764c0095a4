"""The supervisor's control socket: both ends.

ZeroMQ ROUTER at ``RunDirectory.control``, one JSON object each way (:mod:`lanying.supervisor.requests`). The socket is a file in a
directory only its owner may enter; whoever can connect is trusted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import msgspec
import zmq

from lanying import __version__
from lanying.base import limits
from lanying.base.errors import LanyingError
from lanying.cluster.runtime import RunDirectory
from lanying.supervisor.answers import ControlAnswer, ControlRefused
from lanying.supervisor.requests import A, Asked, ControlRequest, answer_type, decode_request

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 32 * 1024
"""A move names the shard of every slot."""


class NotRunning(LanyingError):
    """No supervisor serves this data directory."""


class NoAnswer(LanyingError):
    """A supervisor is there but did not answer in time, or refused."""


class ControlEndpoint:
    """The supervisor's end.

    :param answer: called on the loop with each request; what it returns is sent back
    """

    def __init__(self, run: RunDirectory, answer: Callable[[ControlRequest], ControlAnswer]) -> None:
        self._answer = answer
        self._context = zmq.Context(1)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._socket.bind(run.control)
        self._fd: int = self._socket.getsockopt(zmq.FD)  # type: ignore[assignment]
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer from now on."""
        self._loop = loop
        loop.add_reader(self._fd, self._receive)
        loop.call_soon(self._receive)  # the descriptor is edge-triggered

    def close(self) -> None:
        """Stop answering; answers on their way still leave."""
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop = None
        self._context.destroy(linger=200)

    def _receive(self) -> None:
        while self._loop is not None:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._socket.send_multipart([*frames[:-1], msgspec.json.encode(self._reply(frames[-1]))], zmq.NOBLOCK)
            except zmq.ZMQError:
                log.warning("event=control_answer_dropped request=%r", frames[-1][:100])

    def _reply(self, data: bytes) -> ControlAnswer:
        try:
            request = decode_request(data)
        except msgspec.DecodeError as error:
            remedy = "ask with the programs of the same release"
            return ControlRefused(error=f"not a request of release {__version__}: {error}; {remedy}")
        return self._answer(request)


def is_listening(run: RunDirectory) -> bool:
    """Whether a supervisor has its control socket open (a socket file left by a dead one refuses the connection)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(limits.CONTROL_TIMEOUT_S)
        try:
            probe.connect(run.control.removeprefix("ipc://"))
        except OSError:
            return False
    return True


def ask(run: RunDirectory, request: Asked[A], timeout_s: float = limits.CONTROL_TIMEOUT_S) -> A:
    """Send one request and wait for its answer.

    :raises NotRunning: nobody listens there
    :raises NoAnswer: no answer in time, or a refusal; the text says which
    """
    if not is_listening(run):
        raise NotRunning(
            f"not running: nothing listens at {run.control}; start the server, or name its data directory with --data, "
            "as the user it runs as"
        )
    context = zmq.Context(1)
    try:
        peer = context.socket(zmq.REQ)
        peer.setsockopt(zmq.LINGER, 0)
        peer.setsockopt(zmq.RCVTIMEO, int(timeout_s * 1000))
        peer.setsockopt(zmq.SNDTIMEO, int(timeout_s * 1000))
        peer.connect(run.control)
        peer.send(msgspec.json.encode(request))
        received = peer.recv()
    except zmq.Again:
        raise NoAnswer(
            f"the supervisor did not answer within {timeout_s:g} s; look at its log, "
            "or end it with kill -9 (its children go with it)"
        ) from None
    finally:
        context.destroy(linger=0)
    if not msgspec.json.decode(received, type=ControlAnswer).ok:
        raise NoAnswer(msgspec.json.decode(received, type=ControlRefused).error)
    return msgspec.json.decode(received, type=answer_type(request))
