"""What a ticker promises whatever its log does: acknowledged means durable, nothing is let out before, and a log that fails or refuses
ends the process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from lanying.base import limits
from lanying.base.errors import StoreError
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.protocol.connection import XSYNC, Connection
from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.core.tick import Tick
from lanying.shard.shard import Shard
from lanying.shard.store.memory import MemoryStore
from lanying.shard.ticker import Done, Fenced, Ticker
from lanying.testing import simulation
from lanying.testing.simulation import Simulation


class Loop:
    """Timers that go off when the test says so."""

    def __init__(self) -> None:
        self.timers: list[Callable[..., Any]] = []

    def call_later(self, delay: float, callback: Callable[..., Any], /) -> object:
        self.timers.append(callback)
        return None

    def go(self) -> None:
        timers, self.timers = self.timers, []
        for callback in timers:
            callback()


class Log:
    """Keeps what it is given until the test decides about it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.waiting: list[tuple[Tick, Done]] = []
        self.order: list[Tick] = []

    def append(self, tick: Tick, done: Done) -> None:
        assert not self.waiting, "one tick at a time"
        self.waiting.append((tick, done))
        self.order.append(tick)

    def decide(self, error: Exception | None = None) -> None:
        [(_, done)] = self.waiting
        self.waiting.clear()
        if error is None:
            self._store.flush()
        done(error)

    def close(self) -> None:
        assert not self.waiting


class Bench:
    """A shard with one session, a ticker, and what it lets out."""

    def __init__(self) -> None:
        sim = Simulation(1)
        self.alice, self.bob = sim.user("alice"), sim.user("bob")
        sim.run()
        self.store = sim.stores[0]
        self.shard = Shard(0, ShardMap.even(1), self.store, Config(), lambda *_: None)
        self.released: list[Tick] = []
        self.stopped: list[int] = []
        self.reading = True
        self.ticker = Ticker(
            self.shard,
            self.released.append,
            lambda: setattr(self, "reading", False),
            lambda: setattr(self, "reading", True),
            self.stopped.append,
        )
        self.log, self.loop = Log(self.store), Loop()
        self.ticker.start(self.loop, self.log)
        self.mid = 0
        self.ticker.begin_turn()
        self.session = self.shard.admit(9, Connection(XSYNC), simulation.login(self.alice, "phone"))
        self.ticker.end_turn()
        self.log.decide()
        self.released.clear()

    def say(self, text: str = "hello") -> None:
        self.mid += 1
        payload = MessageBody(type=MessageBody.CHAT, content=text).SerializeToString()
        self.ticker.begin_turn()
        data = frame.send_meta(self.mid, self.alice.uid, self.session.sn, self.bob.uid, 0, 1, payload)
        self.shard.tick.gathered_bytes += len(data)
        self.shard.received(self.session, data)
        self.ticker.end_turn()
        self.loop.go()

    def sent(self) -> int:
        return sum(len(tick.outs) for tick in self.released)

    def kept(self) -> int:
        """Messages that a power failure would leave."""
        return sum(1 for _ in self.store.crash().scan("sent", b"", b"\xff" * 30))


def test_nothing_is_let_out_before_the_log_has_it() -> None:
    bench = Bench()
    bench.say()
    assert (bench.sent(), bench.kept()) == (0, 0)
    bench.log.decide()
    assert (bench.sent(), bench.kept()) == (1, 1)
    assert bench.ticker.commits == 2 and not bench.stopped


def test_what_is_decided_meanwhile_is_one_tick_behind() -> None:
    bench = Bench()
    for number in range(5):
        bench.say(f"{number}")
    assert len(bench.log.order) == 2 and bench.sent() == 0
    bench.log.decide()
    bench.loop.go()
    assert (bench.sent(), bench.kept()) == (1, 1)
    bench.log.decide()
    assert (bench.sent(), bench.kept()) == (5, 5)
    assert bench.released == bench.log.order[1:], "in the order they were decided"


def test_a_slow_log_stops_reading_when_a_tick_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TICK_BYTES", 300)
    bench = Bench()
    bench.say()
    assert bench.reading
    for _ in range(4):
        bench.say("x" * 100)
    assert not bench.reading
    bench.log.decide()
    assert bench.reading


@pytest.mark.parametrize(
    ("error", "event"), [(StoreError("no disk"), "flush_failed"), (Fenced("another owner"), "fenced")]
)
def test_a_log_that_fails_or_refuses_ends_the_process_and_lets_nothing_out(
    error: Exception, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    bench.say()
    bench.say()
    with caplog.at_level(logging.CRITICAL):
        bench.log.decide(error)
    assert bench.stopped == [1]
    assert (bench.sent(), bench.kept()) == (0, 0)
    assert [record.getMessage().split()[0] for record in caplog.records] == [f"event={event}"]


def test_a_write_that_fails_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def write(batch: object) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(bench.store, "write", write)
    bench.say()
    assert bench.stopped == [1] and bench.sent() == 0 and not bench.log.waiting


def test_what_needs_no_log_is_let_out_at_once() -> None:
    bench = Bench()
    bench.ticker.begin_turn()
    bench.shard.received(bench.session, frame.unread_request())
    bench.ticker.end_turn()
    bench.loop.go()
    assert bench.sent() == 1 and not bench.log.waiting


def test_a_repeated_send_is_acknowledged_when_the_first_is_durable() -> None:
    """The first copy may still be on its way to the disk when the second one comes."""
    bench = Bench()
    bench.say()
    bench.mid -= 1
    bench.say()
    assert bench.sent() == 0
    bench.log.decide()
    bench.loop.go()
    assert (bench.sent(), bench.kept()) == (1, 1)
    bench.log.decide()
    assert (bench.sent(), bench.kept()) == (2, 1)
