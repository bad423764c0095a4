"""Calls: request and response with a deadline, for processes that ask shards (gateway, console, a shard's first contacts)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar

from lanying.base import limits
from lanying.base.clock import wall_ms
from lanying.base.errors import CallError
from lanying.bus.messages import Call, Question, Reply, decode_result, encode
from lanying.bus.messages.base import R
from lanying.bus.transport import Bus

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Names what caused a call, for the logs of whoever answers: a REST request's id."""


class Calls:
    """Open calls of one process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._last = 0
        self._open: dict[int, tuple[Callable[[Reply], None], asyncio.TimerHandle, str, Call]] = {}

    def begin(
        self,
        process: str,
        request: Question[object],
        done: Callable[[Reply], None],
        timeout_s: float = limits.CALL_TIMEOUT_S,
    ) -> None:
        """Send a request; ``done`` is called exactly once, with code 503 when no answer came in time."""
        self._last += 1
        number = self._last
        timer = asyncio.get_running_loop().call_later(timeout_s, self._expire, number, process)
        call = Call(number, self._bus.name, wall_ms() + int(timeout_s * 1000), encode(request))
        self._open[number] = (done, timer, process, call)
        self._bus.send(process, call)

    def again(self, process: str) -> None:
        """A process has started again and knows nothing of what it was asked: ask everything open once more, in order.

        For callers whose requests may be answered twice: the one before may have done its work and died with the reply.
        """
        for _, _, asked, call in self._open.values():
            if asked == process:
                self._bus.send(process, call)

    async def ask(self, process: str, request: Question[R], timeout_s: float = limits.CALL_TIMEOUT_S) -> R:
        """The result of a call. :raises CallError: refused by the callee, or code 503 when it did not answer in time"""
        return decode_result(request, await self.call(process, request, timeout_s))

    async def call(self, process: str, request: Question[object], timeout_s: float = limits.CALL_TIMEOUT_S) -> bytes:
        """The same, as the MessagePack of the result."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.begin(process, request, lambda reply: None if future.done() else future.set_result(reply), timeout_s)
        reply = await future
        if reply.code != 200:
            raise CallError(reply.code, reply.message)
        return reply.body

    def answered(self, reply: Reply) -> None:
        """A reply came in; one that nobody waits for any more is dropped."""
        found = self._open.pop(reply.id, None)
        if found is not None:
            done, timer, _, _ = found
            timer.cancel()
            done(reply)

    def _expire(self, number: int, process: str) -> None:
        self.answered(Reply(number, 503, f"{process} did not answer in time, try again"))
