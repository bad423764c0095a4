"""Requests to the supervisor: what a line of JSON says is what arrives, everything else is refused with a remedy."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from lanying import __version__
from lanying.cluster.runtime import RunDirectory
from lanying.supervisor import control
from lanying.supervisor.answers import ControlAnswer, ControlRefused, Restarting
from lanying.supervisor.move import Move
from lanying.supervisor.requests import (
    ControlRequest,
    MoveRequest,
    PushRequest,
    RestartRequest,
    StatusRequest,
    StopRequest,
    decode_request,
)

MOVE = Move("drain shard 1", "night", "shards drain", 2, (0, 1, 0), 1, 1000, 5)
LINES: list[tuple[str, ControlRequest]] = [
    ('{"do": "status"}', StatusRequest()),
    ('{"do": "status", "of a newer console": 1}', StatusRequest()),
    ('{"do": "stop"}', StopRequest()),
    ('{"do": "restart", "process": null}', RestartRequest(None)),
    ('{"do": "restart", "process": "shard-0"}', RestartRequest("shard-0")),
    ('{"do": "push"}', PushRequest()),
    (f'{{"do": "move", "move": {msgspec.json.encode(MOVE).decode()}, "dry": true}}', MoveRequest(MOVE, dry=True)),
]
BAD = [
    b"",
    b"no JSON",
    b"[]",
    b"{}",
    b'{"do": "dance"}',
    b'{"do": "restart"}',
    b'{"do": "restart", "process": 7}',
    b'{"do": "move", "move": {}, "dry": false}',
    b'{"do": "move", "dry": true}',
]


@pytest.mark.parametrize(("line", "request_"), LINES)
def test_a_line_is_a_request_and_a_request_is_a_line(line: str, request_: ControlRequest) -> None:
    assert decode_request(line.encode()) == request_
    assert decode_request(msgspec.json.encode(request_)) == request_


@pytest.mark.parametrize("line", BAD)
def test_anything_else_is_none(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_request(line)


def test_both_ends_of_the_socket(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.create()
    asked: list[ControlRequest] = []

    def answer(request: ControlRequest) -> ControlAnswer:
        asked.append(request)
        return ControlRefused(error="not now") if request == StopRequest() else Restarting(restarts=7)

    async def story() -> None:
        with pytest.raises(control.NotRunning):
            control.ask(run, StatusRequest())
        endpoint = control.ControlEndpoint(run, answer)
        endpoint.start(asyncio.get_running_loop())
        try:
            assert (await asyncio.to_thread(control.ask, run, RestartRequest("router"))).restarts == 7
            with pytest.raises(control.NoAnswer, match="not now"):
                await asyncio.to_thread(control.ask, run, StopRequest())
            with pytest.raises(control.NoAnswer, match=f"not a request of release {__version__}.*same release"):
                await asyncio.to_thread(control.ask, run, {"do": "dance"})
        finally:
            endpoint.close()

    asyncio.run(story())
    assert asked == [RestartRequest("router"), StopRequest()], "what is no request never reaches the supervisor"
