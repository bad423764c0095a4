"""A call is answered exactly once: by its reply, by its deadline, by the deadline of the request it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from lanying.base.context import request_id, until
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.call import Calls
from lanying.bus.messages import Call, FindName, Reply, encode

ASKED = FindName("app", "ann")


class Bus:
    """Keeps what is sent."""

    name = "gateway"

    def __init__(self) -> None:
        self.sent: list[tuple[str, Call]] = []

    def send(self, process: str, call: Call) -> None:
        self.sent.append((process, call))


class Desk:
    def __init__(self) -> None:
        self.bus = Bus()
        self.calls = Calls(self.bus)  # type: ignore[arg-type]
        self.replies: list[Reply] = []

    def begin(self, process: str = "shard-0", timeout_s: float = 60.0, slots: tuple[int, ...] = ()) -> Call:
        self.calls.begin(process, ASKED, self.replies.append, timeout_s, slots)
        return self.bus.sent[-1][1]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_a_call_says_who_asks_what_for_which_request_and_how_long_it_waits() -> None:
    async def scenario() -> None:
        desk = Desk()
        request_id.set("r-7")
        call = desk.begin("shard-1", 2.0, (5, 6))
        assert desk.bus.sent == [("shard-1", call)]
        assert (call.caller, call.body, call.slots, call.request) == ("gateway", encode(ASKED), [5, 6], "r-7")
        assert 1900 <= call.left_ms <= 2000
        assert desk.begin().id == call.id + 1, "each has a number of its own"

    run(scenario())


def test_a_reply_is_taken_once_and_by_its_call() -> None:
    async def scenario() -> None:
        desk = Desk()
        first, second = desk.begin(), desk.begin()
        desk.calls.answered(Reply(second.id, None, "", b"2"))
        desk.calls.answered(Reply(second.id, None, "", b"again"))
        desk.calls.answered(Reply(99, None, "", b"nobody's"))
        assert [reply.body for reply in desk.replies] == [b"2"]
        desk.calls.answered(Reply(first.id, None, "", b"1"))
        assert [reply.body for reply in desk.replies] == [b"2", b"1"]

    run(scenario())


def test_no_answer_in_time_is_an_answer_and_a_late_one_is_none() -> None:
    async def scenario() -> None:
        desk = Desk()
        call = desk.begin("shard-3", timeout_s=0.0)
        await asyncio.sleep(0.002)
        [reply] = desk.replies
        assert reply.refusal is Refusal.UNAVAILABLE and reply.message == "shard-3 did not answer in time, try again"
        desk.calls.answered(Reply(call.id, None, "", b"late"))
        assert len(desk.replies) == 1

    run(scenario())


def test_no_call_outlives_the_request_it_belongs_to() -> None:
    async def scenario() -> None:
        desk = Desk()
        until.set(asyncio.get_running_loop().time())
        desk.begin(timeout_s=60.0)
        await asyncio.sleep(0.002)
        assert [reply.refusal for reply in desk.replies] == [Refusal.UNAVAILABLE]

    run(scenario())


def test_what_waits_for_a_process_is_asked_again_in_order_when_it_has_started_again() -> None:
    async def scenario() -> None:
        desk = Desk()
        calls = [desk.begin("shard-0"), desk.begin("shard-1"), desk.begin("shard-0"), desk.begin("shard-0")]
        desk.calls.answered(Reply(calls[2].id, None, "", b""))
        desk.bus.sent.clear()
        desk.calls.again("shard-0")
        assert [(process, call.id) for process, call in desk.bus.sent] == [
            ("shard-0", calls[0].id),
            ("shard-0", calls[3].id),
        ]

    run(scenario())


def test_an_answer_is_taken_in_the_context_of_the_question() -> None:
    async def scenario() -> None:
        desk, seen = Desk(), []
        request_id.set("mine")
        desk.calls.begin("shard-0", ASKED, lambda reply: seen.append(request_id.get("")))
        request_id.set("another")
        desk.calls.answered(Reply(desk.bus.sent[-1][1].id, None, "", b""))
        assert seen == ["mine"]

    run(scenario())


def test_who_asks_gets_the_result_or_the_refusal() -> None:
    async def scenario() -> None:
        desk = Desk()

        async def asked(reply: Reply) -> object:
            task = asyncio.create_task(desk.calls.ask("shard-0", ASKED))
            await asyncio.sleep(0)
            reply.id = desk.bus.sent[-1][1].id
            desk.calls.answered(reply)
            return await task

        assert await asked(Reply(0, None, "", encode(7))) == 7
        with pytest.raises(CallError, match="why") as error:
            await asked(Reply(0, Refusal.NAME_TAKEN, "why"))
        assert error.value.refusal is Refusal.NAME_TAKEN

    run(scenario())


def test_an_answer_for_somebody_who_has_gone_is_dropped() -> None:
    async def scenario() -> None:
        desk = Desk()
        task = asyncio.create_task(desk.calls.call("shard-0", ASKED))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        desk.calls.answered(Reply(desk.bus.sent[-1][1].id, None, "", b""))

    run(scenario())
