"""The bus between real ZeroMQ sockets, and its framing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.context import request_id, serving
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.call import Calls
from lanying.bus.messages import Call, Envelope, LinkAck, PeerQuery, Reply, decode_request, encode
from lanying.bus.transport import Bus, split
from lanying.cluster.runtime import RunDirectory
from lanying.testing.poll import PATIENCE_S, eventually


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path)
    directory.create()
    return directory


@given(st.lists(st.binary(max_size=300)))
def test_pieces_come_out_as_they_went_in(pieces: list[bytes]) -> None:
    assert list(split(b"".join(len(p).to_bytes(4, "big") + p for p in pieces))) == pieces


@given(st.binary(max_size=100))
def test_any_bytes_are_pieces_or_an_error(blob: bytes) -> None:
    try:
        assert sum(4 + len(piece) for piece in split(blob)) == len(blob)
    except ValueError:
        pass


def test_envelopes_arrive_in_order_and_a_late_peer_gets_what_waited(run: RunDirectory) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        got: list[Envelope] = []
        a, b = Bus("a", run, got.append), Bus("b", run, got.append)
        a.start(loop)
        for number in range(100):
            a.send("b", LinkAck(0, number))
        await eventually("the blob waits for its peer", lambda: a._retry)
        b.start(loop)
        for number in range(100, 200):
            a.send("b", LinkAck(0, number))
        await eventually("all envelopes arrived", lambda: len(got) == 200)
        assert [m.number for m in got if isinstance(m, LinkAck)] == list(range(200))
        a.close()
        b.close()

    asyncio.run(scenario())


def test_a_paused_bus_receives_later(run: RunDirectory) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        got: list[Envelope] = []
        turns: list[int] = []
        watched = SimpleNamespace(begin_turn=lambda: None, end_turn=lambda: turns.append(len(got)))
        a, b = Bus("a", run, got.append), Bus("b", run, got.append, turns=watched)
        a.start(loop)
        b.start(loop)
        b.pause()
        a.send("b", LinkAck(0, 1))
        await eventually("the envelope left", lambda: not a._unflushed)
        assert got == []
        b.resume()
        await eventually("the envelope arrived", lambda: got)
        assert turns[-1] == 1
        a.close()
        b.close()

    asyncio.run(scenario())


def test_calls_are_answered_refused_or_time_out(run: RunDirectory) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def serve(message: Envelope) -> None:
            assert isinstance(message, Call)
            request = decode_request(message.body)
            assert isinstance(request, PeerQuery)
            if request.uid == 1:
                server.send(message.caller, Reply(message.id, None, "", b"\xc3"))
            elif request.uid == 2:
                server.send(message.caller, Reply(message.id, Refusal.NO_SUCH_USER, "no such user"))

        server = Bus("server", run, serve)
        client = Bus("client", run, lambda message: calls.answered(message) if isinstance(message, Reply) else None)
        calls = Calls(client)
        server.start(loop)
        client.start(loop)
        assert await calls.call("server", PeerQuery(1, 0, "")) == b"\xc3"
        with pytest.raises(CallError) as refused:
            await calls.ask("server", PeerQuery(2, 0, ""))
        assert refused.value.code == 10000
        with pytest.raises(CallError) as late:
            await calls.ask("server", PeerQuery(3, 0, ""), timeout_s=0.05)
        assert late.value.code == 503
        with pytest.raises(CallError) as dead:
            await calls.ask("nobody", PeerQuery(1, 0, ""), timeout_s=0.05)
        assert dead.value.code == 503
        client.close()
        server.close()

    asyncio.run(scenario())


def test_a_call_made_for_a_call_carries_its_request_and_waits_no_longer(run: RunDirectory) -> None:
    seen: list[tuple[str, str, float]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def middle(message: Envelope) -> None:
            if isinstance(message, Reply):
                asked.answered(message)
                return
            assert isinstance(message, Call)
            seen.append(("middle", request_id.get(), message.left_ms))
            asked.begin("last", PeerQuery(1, 0, ""), lambda reply: answered(message, reply), timeout_s=60)

        def answered(message: Call, reply: Reply) -> None:
            seen.append(("answered", request_id.get(), 0))
            first_hop.send(message.caller, Reply(message.id, reply.refusal, reply.message, reply.body))

        def last(message: Envelope) -> None:
            assert isinstance(message, Call)
            seen.append(("last", request_id.get(), message.left_ms))
            second_hop.send(message.caller, Reply(message.id, None, "", b"\xc3"))

        first_hop, second_hop = Bus("middle", run, middle), Bus("last", run, last)
        client = Bus("client", run, lambda message: calls.answered(message) if isinstance(message, Reply) else None)
        asked, calls = Calls(first_hop), Calls(client)
        for bus in (first_hop, second_hop, client):
            bus.start(loop)
        with serving("rest-7"):
            await calls.call("middle", PeerQuery(1, 0, ""), timeout_s=PATIENCE_S)
        assert request_id.get() == ""
        for bus in (first_hop, second_hop, client):
            bus.close()

    asyncio.run(scenario())
    assert [(where, name) for where, name, _ in seen] == [
        ("middle", "rest-7"),
        ("last", "rest-7"),
        ("answered", "rest-7"),
    ]
    assert 0 < seen[1][2] <= seen[0][2] <= PATIENCE_S * 1000


def test_a_process_that_is_behind_leaves_out_calls_that_may_have_no_time_left(run: RunDirectory) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        got: list[int] = []
        a = Bus("a", run, lambda message: None)
        b = Bus("b", run, lambda message: got.append(message.id) if isinstance(message, Call) else None)
        a.start(loop)
        b.start(loop)
        a.send("b", Call(1, "a", 5000, b""))
        await eventually("a call arrives", lambda: got == [1])
        b.pause()
        a.send("b", Call(2, "a", 10, b""))
        a.send("b", Call(3, "a", 60_000, b""))
        await asyncio.sleep(0.02)  # the time call 2 has
        b.resume()
        await eventually("what has time left arrives", lambda: got == [1, 3])
        a.send("b", Call(4, "a", 10, b""))
        await eventually("a process that has caught up answers everything", lambda: got == [1, 3, 4])
        a.close()
        b.close()

    asyncio.run(scenario())


@given(st.binary(max_size=60))
def test_broken_blobs_are_dropped(blob: bytes) -> None:
    import msgspec

    from lanying.bus.messages import decode_envelope

    try:
        for piece in split(blob):
            decode_envelope(piece)
    except (ValueError, msgspec.DecodeError):
        pass
    assert encode(LinkAck(1, 2))
