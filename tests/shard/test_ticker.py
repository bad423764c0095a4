"""What a ticker promises whatever its log does: acknowledged means durable, nothing is let out before, and a log that fails or refuses
ends the process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.errors import StoreError
from lanying.bus.messages import Deliver, LinkAck, LinkBatch, LinkMessage, Message, NoticeFor, encode
from lanying.cluster.runtime import EXIT_FENCED
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.protocol.connection import XSYNC, Connection
from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.core import outbox
from lanying.shard.core.links import bundles
from lanying.shard.core.tick import Tick
from lanying.shard.shard import Shard
from lanying.shard.store import records, schema
from lanying.shard.store.base import Batch, Store
from lanying.shard.store.memory import MemoryStore
from lanying.shard.ticker import Done, Fenced, Ticker
from lanying.testing import simulation
from lanying.testing.simulation import Simulation
from tests.shard.chat.test_chat import pair

EVERYTHING = b"\xff" * 40


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
    """The local store's own: keeps what it is given until the test decides about it."""

    writes_first = True

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.waiting: list[tuple[Tick, Done]] = []
        self.flushing: list[Done] = []
        self.order: list[Tick] = []
        self.position = 0

    def append(self, tick: Tick, done: Done) -> None:
        assert not self.waiting, "one tick at a time"
        self.waiting.append((tick, done))
        self.order.append(tick)

    def decide(self, error: Exception | None = None, *, has_it: bool | None = None) -> None:
        """``has_it``: whether the log has the tick, if not by ``error``."""
        [(tick, done)] = self.waiting
        self.waiting.clear()
        if has_it is True or (has_it is None and error is None):
            self.keep(tick)
        done(error)

    def keep(self, tick: Tick) -> None:
        self.store.flush()

    def left(self) -> MemoryStore:
        """What somebody finds who starts again after a power failure."""
        return self.store.crash()

    def flush(self, done: Done) -> None:
        self.flushing.append(done)

    def close(self) -> None:
        assert not self.waiting


class LogElsewhere(Log):
    """On other machines: keeps records, and says where."""

    writes_first = False

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        store.flush()
        self._start = store.crash()
        self.messages: list[bytes] = []

    def append(self, tick: Tick, done: Done) -> None:
        super().append(tick, done)
        record = records.Record(0, 1, len(self.order), tick.now_ms, tick.batch.operations)
        self._parts = [*records.parts(record, piece_bytes=64)]

    def keep(self, tick: Tick) -> None:
        self.messages += self._parts
        self.position = len(self.messages)

    def left(self) -> MemoryStore:
        found = MemoryStore()
        for family in schema.FAMILIES:
            batch = found.batch()
            for key, value in self._start.scan(family, b"", EVERYTHING):
                batch.put(family, key, value)
            found.write(batch)
        reader = records.RecordReader(0)
        for position, message in enumerate(self.messages, 1):
            record = reader.take(message)
            if record is not None:
                records.apply(found, record, position)
        return found


class Outside:
    """Clients and processes, as the ticker knows them."""

    def __init__(self) -> None:
        self.released: list[Tick] = []
        self.paused = 0

    def write(self, tick: Tick) -> None:
        self.released.append(tick)

    def end(self, tick: Tick) -> None:
        assert tick is self.released[-1], "closed behind its last bytes"

    def send_all(self, envelopes: Iterable[tuple[str, Message]]) -> None:
        assert [*envelopes] == self.released[-1].envelopes, "clients first, then processes"

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1


class Bench:
    """A shard with one session, a ticker, and what it lets out."""

    def __init__(self, log: type[Log]) -> None:
        sim = Simulation(1)
        self.alice, self.bob = sim.user("alice"), sim.user("bob")
        sim.run()
        self.store = sim.stores[0]
        self.shard = Shard(0, ShardMap.even(1), self.store, Config(), lambda *_: None)
        self.stopped: list[int] = []
        self.ticker = Ticker(self.shard, self.stopped.append)
        self.log, self.loop, self.outside = log(self.store), Loop(), Outside()
        self.released = self.outside.released
        self.ticker.start(self.loop, self.log, self.outside, self.outside)
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
        return sent_in(self.log.left())


def sent_in(store: Store) -> int:
    return sum(1 for _ in store.scan(schema.SENT, b"", EVERYTHING))


def rows_of(store: Store) -> dict[str, list[tuple[bytes, bytes]]]:
    return {family: [*store.scan(family, b"", EVERYTHING)] for family in schema.FAMILIES}


@pytest.fixture(params=[Log, LogElsewhere])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_nothing_is_let_out_before_the_log_has_it(bench: Bench) -> None:
    bench.say()
    assert (bench.sent(), bench.kept()) == (0, 0)
    bench.log.decide()
    assert (bench.sent(), bench.kept()) == (1, 1)
    assert bench.ticker.commits == 2 and not bench.stopped


def test_what_is_decided_meanwhile_is_one_tick_behind(bench: Bench) -> None:
    for number in range(5):
        bench.say(f"{number}")
    assert len(bench.log.order) == 2 and bench.sent() == 0
    bench.log.decide()
    bench.loop.go()
    assert (bench.sent(), bench.kept()) == (1, 1)
    bench.log.decide()
    assert (bench.sent(), bench.kept()) == (5, 5)
    assert bench.released == bench.log.order[1:], "in the order they were decided"


def test_a_slow_log_stops_reading_when_a_tick_has_enough(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TICK_BYTES", 300)
    bench.say()
    assert not bench.outside.paused
    for _ in range(4):
        bench.say("x" * 100)
    assert bench.outside.paused == 2, "clients and processes"
    bench.log.decide()
    assert not bench.outside.paused


@pytest.mark.parametrize(
    ("error", "code", "event"),
    [(StoreError("no disk"), 1, "flush_failed"), (Fenced("another owner"), EXIT_FENCED, "fenced")],
)
def test_a_log_that_fails_or_refuses_ends_the_process_and_lets_nothing_out(
    bench: Bench, error: Exception, code: int, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.say()
    bench.say()
    with caplog.at_level(logging.CRITICAL):
        bench.log.decide(error)
    assert bench.stopped == [code]
    assert (bench.sent(), bench.kept()) == (0, 0)
    [said] = [record.getMessage() for record in caplog.records]
    assert said.split()[0] == f"event={event}"
    assert ("remedy=" in said) == (code == EXIT_FENCED)


def test_a_write_that_fails_ends_the_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:

    def write(batch: object) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(bench.store, "write", write)
    bench.say()
    if bench.log.waiting:
        bench.log.decide()
    assert bench.stopped == [1] and bench.sent() == 0 and not bench.log.waiting


def test_what_needs_no_log_is_let_out_at_once(bench: Bench) -> None:
    bench.ticker.begin_turn()
    bench.shard.received(bench.session, frame.unread_request())
    bench.ticker.end_turn()
    bench.loop.go()
    assert bench.sent() == 1 and not bench.log.waiting


def test_a_repeated_send_is_acknowledged_when_the_first_is_durable(bench: Bench) -> None:
    """The first copy may still be on its way to the disk when the second one comes."""
    bench.say()
    bench.mid -= 1
    bench.say()
    assert bench.sent() == 0
    bench.log.decide()
    bench.loop.go()
    if bench.log.writes_first:  # the store's log may have the first copy's rows, a flush says whether
        assert (bench.sent(), bench.kept()) == (1, 1)
        bench.log.decide()
    assert (bench.sent(), bench.kept()) == (2, 1)


# --- behind a failure ------------------------------------------------------------------------------------------------

FAILURES: dict[str, tuple[Callable[[Bench], None], int]] = {
    "the log fails": (lambda bench: bench.log.decide(StoreError("no disk")), 1),
    "the log refuses": (lambda bench: bench.log.decide(Fenced("another owner")), EXIT_FENCED),
    "the log has it, its answer is lost": (lambda bench: bench.log.decide(StoreError("lost"), has_it=True), 1),
}


def retained(bench: Bench) -> list[bool]:
    """Put a row that the next commit has to make durable, and end the process' work; filled when it is finished."""
    finished: list[bool] = []
    bench.ticker.begin_turn()
    bench.shard.work.put(schema.META, b"retained_ms", schema.pack_u64(7))
    bench.ticker.finish(lambda: finished.append(True))
    return finished


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("more", [False, True], ids=["alone", "with more behind it"])
def test_behind_a_failure_nothing_is_let_out(bench: Bench, failure: str, more: bool) -> None:
    """The process lives on for a moment: sockets are read, timers go off, an operator drains it."""
    fail, code = FAILURES[failure]
    bench.say()
    if more:
        bench.say()
    fail(bench)
    kept = bench.kept()
    bench.say("too late")
    finished = retained(bench)
    for _ in range(3):
        bench.loop.go()
    assert bench.stopped == [code]
    assert (bench.sent(), finished, bench.log.waiting) == (0, [], [])
    assert bench.kept() == kept <= 1, "a tick behind one whose outcome is not known is not tried"


@pytest.mark.parametrize("failure", FAILURES)
def test_a_last_tick_that_the_log_does_not_confirm_finishes_nothing(bench: Bench, failure: str) -> None:
    fail, code = FAILURES[failure]
    finished = retained(bench)
    fail(bench)
    bench.loop.go()
    assert bench.stopped == [code] and not finished and not bench.released


@pytest.mark.parametrize("last", [False, True], ids=["a tick", "the last tick"])
def test_a_store_that_fails_once_is_not_written_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    """What is left of a tick that failed half-way nobody knows: it starts again from what is committed."""
    write, failures = bench.store.write, [StoreError("no room")]

    def fails_once(batch: Batch) -> None:
        if failures:
            raise failures.pop()
        write(batch)

    monkeypatch.setattr(bench.store, "write", fails_once)
    finished: list[bool] = []
    if last:
        finished = retained(bench)
    else:
        bench.say()
    if bench.log.waiting:
        bench.log.decide()
    for _ in range(3):
        bench.say("too late")
    assert bench.stopped == [1] and bench.sent() == 0 and not finished
    assert sent_in(bench.store) == 0 and not bench.log.waiting


# --- a log elsewhere -------------------------------------------------------------------------------------------------


@pytest.fixture
def far() -> Bench:
    return Bench(LogElsewhere)


@pytest.mark.parametrize("error", [None, Fenced("another owner"), StoreError("no quorum"), StoreError("unknown")])
def test_the_store_gets_a_tick_when_the_log_has_it_and_not_before(far: Bench, error: Exception | None) -> None:
    before = rows_of(far.store)
    far.say()
    far.say()
    assert rows_of(far.store) == before
    assert sent_in(far.shard.work.store) == 2, "reads see what is on its way, and what is decided meanwhile"
    far.log.decide(error)
    if error is not None:
        code = EXIT_FENCED if isinstance(error, Fenced) else 1
        assert rows_of(far.store) == before and far.stopped == [code] and far.sent() == 0
        return
    assert rows_of(far.store) == rows_of(far.log.left())
    assert records.position(far.store) == far.log.position


def test_a_log_that_raises_ends_the_process(far: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows_of(far.store)

    def append(tick: Tick, done: Done) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(far.log, "append", append)
    far.say()
    assert far.stopped == [1] and far.sent() == 0 and rows_of(far.store) == before


def test_an_outcome_that_stays_unknown_is_learned_from_the_log(far: Bench) -> None:
    """The log has it and the answer is lost: the next owner has the message, and its sender sends it again."""
    far.say()
    far.log.decide(StoreError("no answer"), has_it=True)
    assert far.stopped == [1] and far.sent() == 0 and sent_in(far.store) == 0
    assert sent_in(far.log.left()) == 1


def test_a_row_that_no_answer_waits_for_goes_to_the_log_too(far: Bench) -> None:
    """A copy of the shard has the rows that the shard has."""
    far.ticker.begin_turn()
    far.shard.work.put_lazy(schema.META, b"retained_ms", schema.pack_u64(7))
    far.ticker.end_turn()
    far.loop.go()
    far.log.decide()
    assert rows_of(far.store) == rows_of(far.log.left())


def test_what_waits_for_the_store_waits_until_it_has_everything(far: Bench) -> None:
    seen: list[bytes | None] = []
    far.ticker.begin_turn()
    far.shard.work.put(schema.META, b"retained_ms", b"1")
    far.shard.work.between_ticks(lambda: seen.append(far.store.get(schema.META, b"retained_ms")))
    far.ticker.end_turn()
    far.loop.go()
    far.say()  # memory is ahead of the store again when the first tick is there
    far.log.decide()
    assert not seen
    far.loop.go()
    far.shard.work.between_ticks(lambda: seen.append(b"second"))
    assert not seen, "one is on its way"
    far.log.decide()
    assert seen == [b"1", b"second"]


def test_the_last_tick_is_let_out_when_the_log_has_it(bench: Bench) -> None:
    finished: list[bool] = []
    bench.say()
    bench.ticker.finish(lambda: finished.append(True))
    bench.say()
    assert not finished
    bench.log.decide()
    bench.loop.go()
    while bench.log.waiting:
        assert not finished
        bench.log.decide()
        bench.loop.go()
    assert finished == [True] and bench.sent() == bench.kept() == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["say", "say", "say", "log", "log"]), max_size=14), st.booleans(), st.booleans())
def test_acknowledged_is_durable_whenever_it_ends(steps: list[str], has_it: bool, local: bool) -> None:
    bench = Bench(Log if local else LogElsewhere)
    for step in steps:
        if step == "say":
            bench.say(str(bench.mid))
        elif step == "log" and bench.log.waiting:
            bench.log.decide()
            bench.loop.go()
        assert bench.sent() <= bench.kept() <= bench.mid
        if not local:
            assert rows_of(bench.store) == rows_of(bench.log.left())
    sent = bench.sent()
    if bench.log.waiting:
        bench.log.decide(StoreError("lost"), has_it=has_it)
        bench.loop.go()
        assert bench.stopped == [1]
    assert sent == bench.sent() <= bench.kept()


# --- what other shards send ----------------------------------------------------------------------------------------------


class Linked:
    """A shard that another one sends bundles, with bob's session on it.

    :ivar there: the other shard
    """

    def __init__(self, log: type[Log] = Log) -> None:
        sim, alice, bob = pair(2)
        alice.device().send(bob, "known")
        self.alice, self.bob = alice.uid, bob.uid
        here, self.there = bob.shard.work.index, alice.shard.work.index
        self.number = bob.shard.links.receivers[self.there].seen
        self.last = bob.shard.links.senders[self.there].last
        self.store = sim.stores[here]
        self.stopped: list[int] = []
        self.shard = Shard(here, ShardMap.even(2), self.store, Config(), lambda *_: None)
        self.ticker = Ticker(self.shard, self.stopped.append)
        self.log, self.loop, self.outside = log(self.store), Loop(), Outside()
        self.ticker.start(self.loop, self.log, self.outside, self.outside)
        self.ticker.begin_turn()
        self.session = self.shard.admit(9, Connection(XSYNC), simulation.login(bob, "phone"))
        self.ticker.end_turn()
        self.log.decide()
        self.outside.released.clear()

    def hear(self, *messages: LinkMessage) -> None:
        self.number += 1
        items = bundles([*map(encode, messages)])
        self.ticker.begin_turn()
        self.shard.dispatch.arrive(LinkBatch(self.there, self.number, items, 1, 0))
        self.ticker.end_turn()
        self.settle()

    def settle(self) -> None:
        """Commits are a moment apart."""
        while self.ticker._commit_due:
            self.ticker._commit()

    def message(self) -> Deliver:
        meta = frame.meta(self.number + 1000, self.alice, 1, self.bob, 0, 1, b"")
        return Deliver(self.bob, self.alice, self.number + 1000, meta)

    @property
    def shown(self) -> int:
        return sum(len(tick.outs) for tick in self.outside.released)

    @property
    def told(self) -> list[int]:
        self.settle()
        envelopes = [one for tick in self.outside.released for _, one in tick.envelopes]
        return [one.number for one in envelopes if isinstance(one, LinkAck)]


def test_a_message_of_another_shard_is_shown_before_its_sync_and_acknowledged_behind_it() -> None:
    linked = Linked()
    linked.hear(linked.message())
    assert (linked.shown, linked.told, linked.log.waiting) == (1, [], [])
    linked.loop.go()
    [done] = linked.log.flushing
    assert linked.told == [], "the flush is under way"
    linked.store.flush()
    done(None)
    assert linked.told == [linked.number]


def test_it_is_acknowledged_when_a_tick_of_its_own_shard_was_synced() -> None:
    linked = Linked()
    linked.hear(linked.message())
    linked.hear(NoticeFor(linked.bob, linked.alice, 2, b""))
    assert linked.told == [] and len(linked.log.waiting) == 1
    linked.log.decide()
    linked.loop.go()
    assert linked.log.flushing == [] and linked.told == [linked.number]


@pytest.mark.parametrize("mixed", [False, True])
def test_what_more_than_one_link_feeds_waits_for_the_sync(mixed: bool) -> None:
    linked = Linked()
    notice = NoticeFor(linked.bob, linked.alice, 2, b"")
    linked.hear(*([linked.message(), notice] if mixed else [notice]))
    assert linked.shown == 0
    linked.log.decide()
    assert linked.shown > 0


def test_the_last_tick_says_that_nothing_can_be_lost() -> None:
    linked = Linked()
    assert linked.store.get(schema.META, schema.SERVING) is not None
    linked.hear(linked.message())
    ended: list[bool] = []
    linked.ticker.finish(lambda: ended.append(True))
    assert linked.log.left().get(schema.META, schema.SERVING) is not None and not ended
    linked.log.decide()
    left = linked.log.left()
    assert ended and left.get(schema.META, schema.SERVING) is None
    assert outbox.number(left, b"in", linked.there) == linked.number


def test_a_late_sync_that_fails_ends_the_process() -> None:
    linked = Linked()
    linked.hear(linked.message())
    linked.loop.go()
    linked.log.flushing.pop()(StoreError("broken"))
    assert linked.stopped == [1]
    linked.hear(linked.message())
    linked.loop.go()
    assert (linked.shown, linked.told) == (1, [])


def test_a_log_elsewhere_gets_what_another_shard_sent_before_it_is_shown() -> None:
    linked = Linked(LogElsewhere)
    linked.hear(linked.message())
    assert linked.shown == 0
    linked.log.decide()
    linked.loop.go()
    assert (linked.shown, linked.told, linked.log.flushing) == (1, [linked.number], [])
