"""Who handles what: one table per kind of message that arrives from the bus, filled by the shard and used by everything that runs one.

=============  =================================================  =================================================
table          handler gets                                       if it fails
=============  =================================================  =================================================
``envelopes``  what one process sends another                     it is taken back, counted and logged
``links``      a link message for this shard                      that message alone is taken back, the link goes on
``calls``      a request; returns its answer, or a ``Deferred``   the caller gets a CallError, nothing is left behind
=============  =================================================  =================================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    Call,
    Deliver,
    GroupDeliver,
    GroupPost,
    LinkMessage,
    Message,
    Reply,
    decode_request,
    encode,
)
from lanying.shard.core.deferred import Deferred
from lanying.shard.core.forwarding import Forwarding
from lanying.shard.core.work import Work

log = logging.getLogger(__name__)

W = TypeVar("W")
Handler = Callable[[Any], object]
Handlers = Mapping[type[Message], Handler]


def bound(owner: W, handlers: Mapping[type[Message], Callable[[W, Any], object]]) -> Handlers:
    """Handlers of ``(owner, message)`` as handlers of a message."""
    return {kind: partial(handler, owner) for kind, handler in handlers.items()}


def named(body: bytes) -> str:
    """What an encoded request is, for people."""
    try:
        return type(decode_request(body)).__name__
    except msgspec.DecodeError:
        return "unknown request"


class Dispatcher:
    """The tables of one shard, and the ways in."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.calls: dict[type[Message], Handler] = {}
        self.links = work.handlers
        self.envelopes: dict[type[Message], Handler] = {
            Call: self.call,
            Deliver: self._live,
            GroupDeliver: self._live,
            GroupPost: self._live,
        }

    def add(self, table: dict[type[Message], Handler], handlers: Handlers) -> None:
        """Fill a table: each kind of message has one handler."""
        twice = table.keys() & handlers.keys()
        assert not twice, f"two handlers for {twice}"
        table.update(handlers)

    def arrive(self, message: Message) -> None:
        """An envelope from the bus."""
        handler = self.envelopes.get(type(message))
        if handler is not None:
            handler(message)

    def forward(self) -> None:
        """Slots have left this shard: look from now on whom each link message is for. Until then nothing pays for that."""
        self._work.apply = Forwarding(self._work, self._work.apply_here).apply

    def call(self, message: Call) -> None:
        """A request; its reply leaves after this tick's commit."""
        work = self._work
        mark = work.tick.mark()
        result: bytes | CallError
        try:
            answer = self.answer(message.body)
            work.apply_local()
            if isinstance(answer, Deferred):
                answer.then(partial(self._settled, message))
                return
            result = encode(answer)
        except CallError as error:
            work.take_back(mark)
            result = error
        except Exception as error:  # noqa: BLE001 - whatever it was, only this request ends
            work.take_back(mark)
            log.error("event=call_failed caller=%s error=%r", message.caller, str(error))
            work.failed(error, "call")
            result = CallError(Refusal.SERVER_FAILED, "the server failed on this request, its log says why")
        self._reply(message, result)

    def costly(self, message: Call, seconds: float) -> None:
        """A call has taken long: it counts for the user who asked."""
        try:
            uid = getattr(decode_request(message.body), "uid", 0)
        except msgspec.DecodeError:
            return
        if uid:
            self._work.costs.took(uid, self._work.tick.now, seconds)

    def answer(self, body: bytes) -> object:
        """The answer to an encoded request, or a ``Deferred``. :raises CallError: refused"""
        try:
            request = decode_request(body)
        except msgspec.DecodeError as error:
            raise CallError(Refusal.NOT_OFFERED, f"this shard does not understand the request: {error}") from error
        costs = self._work.costs
        if costs.over:
            costs.check(getattr(request, "uid", 0), self._work.tick.now)
        handler = self.calls.get(type(request))
        if handler is None:
            raise CallError(Refusal.NOT_OFFERED, f"this shard does not answer {type(request).__name__}")
        return handler(request)

    def _live(self, message: LinkMessage) -> None:
        """For connected devices: it came without a link."""
        self._work.event(self._work.apply, message)

    def _settled(self, message: Call, answer: object) -> None:
        self._reply(message, answer if isinstance(answer, CallError) else encode(answer))

    def _reply(self, message: Call, result: bytes | CallError) -> None:
        if isinstance(result, CallError):
            reply = Reply(message.id, result.refusal, result.message, retry_s=result.retry_s)
        else:
            reply = Reply(message.id, None, "", result)
        self._work.tick.envelopes.append((message.caller, reply))
