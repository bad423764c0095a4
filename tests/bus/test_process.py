"""What every process does: heartbeats, signals, the order to drain, exit codes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any

import pytest

from lanying.base.errors import ConfigError, LanyingError, StoreError, StoreFull
from lanying.base.figures import Figure
from lanying.bus import process
from lanying.bus.messages import Compact, Drain, Heartbeat
from lanying.bus.process import Process
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import EXIT_CONFIG, SUPERVISOR
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config


class FakeBus:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.closed = False

    def send(self, process: str, message: Any) -> None:
        self.sent.append((process, message))

    def close(self) -> None:
        self.closed = True


class Clerk(Process):
    """Drains at once, and may refuse to start."""

    trouble: LanyingError | None = None

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(launch, directory, loop, FakeBus())  # type: ignore[arg-type]
        self.reasons: list[str] = []

    async def start(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def drain(self, reason: str) -> None:
        self.reasons.append(reason)
        self._loop.stop()

    def figures(self) -> list[Figure]:
        return [Figure("files", 3.0)]


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Launch:
    found = Launch("clerk", Config(), "/nowhere", ShardMap.even(1), ())
    monkeypatch.setattr(Launch, "read", classmethod(lambda cls: found))
    monkeypatch.setattr(process, "setup", lambda *_: None)
    return found


@pytest.fixture
def clerk(launch: Launch) -> Any:
    loop = asyncio.new_event_loop()
    yield Clerk(launch, Directory.of(launch), loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
    loop.close()


def test_it_reports_to_the_supervisor_what_it_counts_and_how_late_its_loop_is(clerk: Any) -> None:
    clerk.begin()
    [(to, heartbeat)] = clerk.bus.sent
    assert to == SUPERVISOR and isinstance(heartbeat, Heartbeat)
    assert (heartbeat.process, heartbeat.pid, heartbeat.ready) == ("clerk", os.getpid(), True)
    assert heartbeat.figures[0] == Figure("files", 3.0)
    assert {one.name for one in heartbeat.figures} == {"files", "lag_seconds"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(clerk: Any, number: signal.Signals) -> None:
    clerk.begin()
    os.kill(os.getpid(), number)
    clerk._loop.run_forever()
    assert clerk.reasons == [number.name]


def test_an_order_drains_and_what_nobody_expects_is_logged(clerk: Any, caplog: pytest.LogCaptureFixture) -> None:
    clerk._envelope(Drain("update"))
    assert clerk.reasons == ["update"]
    clerk._envelope(Compact())
    assert "event=unexpected_envelope type=Compact" in caplog.text


def test_a_run_begins_and_ends(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Clerk] = []

    def begin(clerk: Clerk) -> None:
        made.append(clerk)
        clerk._loop.call_soon(clerk.drain, "enough")

    monkeypatch.setattr(Clerk, "begin", begin)
    assert process.run(Clerk) == 0
    [clerk] = made
    assert clerk.reasons == ["enough"]
    assert clerk.bus.closed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (ConfigError("give another admin.listen"), EXIT_CONFIG),
        (StoreError("written by a newer release"), EXIT_CONFIG),
        (StoreFull("no room"), 1),
    ],
)
def test_a_start_that_cannot_be_says_why_and_whether_another_one_may(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: LanyingError, code: int
) -> None:
    monkeypatch.setattr(Clerk, "trouble", trouble)
    with caplog.at_level(logging.CRITICAL):
        assert process.run(Clerk) == code
    assert f"event=cannot_start error='{trouble}'" in caplog.text
