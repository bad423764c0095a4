"""Calls: request and response with a deadline, for processes that ask shards (gateway, console, a shard's first contacts)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import NamedTuple

from lanying.base import limits
from lanying.base.context import request_id, until
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import Call, Question, Reply, decode_result, encode
from lanying.bus.messages.base import R
from lanying.bus.transport import Bus


class _Open(NamedTuple):
    """A call that waits for its reply; ``done`` runs in the context the call was made in."""

    done: Callable[[Reply], None]
    context: Context
    timer: asyncio.TimerHandle
    process: str
    request: Question[object]
    slots: Sequence[int]


class Calls:
    """Open calls of one process. A call carries the request it belongs to and never waits longer than that one does."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._last = 0
        self._open: dict[int, _Open] = {}

    def begin(
        self,
        process: str,
        request: Question[object],
        done: Callable[[Reply], None],
        timeout_s: float = limits.CALL_TIMEOUT_S,
        slots: Sequence[int] = (),
    ) -> None:
        """Send a request; ``done`` is called exactly once, with code 503 when no answer came in time."""
        self._last += 1
        number = self._last
        loop = asyncio.get_running_loop()
        timer = loop.call_at(min(loop.time() + timeout_s, until.get()), self._expire, number, process)
        self._open[number] = _Open(done, copy_context(), timer, process, request, slots)
        self._send(number)

    def again(self, process: str) -> None:
        """A process has started again and knows nothing of what it was asked: ask everything open once more, in order.

        For callers whose requests may be answered twice: the one before may have done its work and died with the reply.
        """
        for number, call in self._open.items():
            if call.process == process:
                self._send(number)

    async def ask(self, process: str, request: Question[R], timeout_s: float = limits.CALL_TIMEOUT_S) -> R:
        """The result of a call. :raises CallError: refused by the callee, or code 503 when it did not answer in time"""
        return decode_result(request, await self.call(process, request, timeout_s))

    async def call(
        self,
        process: str,
        request: Question[object],
        timeout_s: float = limits.CALL_TIMEOUT_S,
        slots: Sequence[int] = (),
    ) -> bytes:
        """The same, as the MessagePack of the result."""
        reply = await self.reply(process, request, timeout_s, slots)
        if reply.refusal is not None:
            raise CallError(reply.refusal, reply.message, retry_s=reply.retry_s)
        return reply.body

    async def reply(
        self,
        process: str,
        request: Question[object],
        timeout_s: float = limits.CALL_TIMEOUT_S,
        slots: Sequence[int] = (),
    ) -> Reply:
        """The reply to a request about ``slots``, whatever it is."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.begin(
            process, request, lambda reply: None if future.done() else future.set_result(reply), timeout_s, slots
        )
        return await future

    def answered(self, reply: Reply) -> None:
        """A reply came in; one that nobody waits for any more is dropped."""
        call = self._open.pop(reply.id, None)
        if call is not None:
            call.timer.cancel()
            call.context.run(call.done, reply)

    def _send(self, number: int) -> None:
        call = self._open[number]
        left_ms = int((call.timer.when() - asyncio.get_running_loop().time()) * 1000)
        name = call.context.get(request_id, "")
        self._bus.send(
            call.process, Call(number, self._bus.name, left_ms, encode(call.request), name, list(call.slots))
        )

    def _expire(self, number: int, process: str) -> None:
        self.answered(Reply(number, Refusal.UNAVAILABLE, f"{process} did not answer in time, try again"))
