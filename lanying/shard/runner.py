"""A shard's process but for its sockets and commits: the bus, time, and what an operator asks for."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final

from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.base.failpoints import failpoint
from lanying.base.figures import Figure, labelled
from lanying.base.histogram import Histogram
from lanying.bus.call import Calls
from lanying.bus.messages import (
    Call,
    Compact,
    Drain,
    Envelope,
    LinkBatch,
    Reconfigure,
    Reply,
    Request,
)
from lanying.bus.ownership import Ownership, ask_owner
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import shard_name
from lanying.config.schema import Config
from lanying.protocol.frame import STATUS_NAMES
from lanying.shard.chat import message_kinds
from lanying.shard.core.dispatch import named
from lanying.shard.shard import Shard
from lanying.shard.sockets import Sockets
from lanying.shard.store.base import Store
from lanying.shard.ticker import LocalLog, Ticker
from lanying.shard.worker import Worker

log = logging.getLogger(__name__)

AWAY_REMEDY: Final = "messages to their users are refused until they answer: see lanying-cluster status and their logs"


class Runner:
    """A shard's sockets, bus and commits.

    :param stop: called once with an exit code when the process has to end
    """

    def __init__(
        self,
        index: int,
        directory: Directory,
        config: Config,
        store: Store,
        stop: Callable[[int], None],
        find_cold: Callable[[], Store] | None = None,
        unsent_bytes: int = limits.OUT_ALL_BYTES,
    ) -> None:
        self._store = store
        self._stop = stop
        self._fsync = config.storage.durability == "fsync"
        self._interval = config.storage.interval_ms / 1000 if config.storage.durability == "interval" else 0.0
        self._directory = directory
        self.ownership = Ownership(directory, index)
        self._worker = Worker(self._event)
        self.shard = Shard(index, directory.map, store, config, self._ask, self._worker, find_cold)
        self.shard.pulls.clock = monotonic
        directory.watch(self.shard.remap)
        self.ticker = Ticker(self.shard, stop, flushes=self._fsync)
        self.turn, self.end_turn = self.ticker.begin_turn, self.ticker.end_turn
        envelopes, gate = self.shard.dispatch.envelopes, self.ownership.call
        self.bus = Bus(
            directory.process(index),
            directory,
            _not_ours,
            handlers=envelopes,
            turns=self.ticker,
            slow=self._slow,
            gate=gate,
        )
        self._calls = Calls(self.bus)
        self.shard.links.greeted = lambda peer: self._calls.again(directory.process(peer))
        envelopes.update(
            {
                Reply: self._calls.answered,
                Drain: lambda message: self.drain(),
                Compact: lambda message: self._compact(),
                Reconfigure: lambda message: self.shard.work.settings.change(message.key, message.value),
            }
        )
        self.sockets = Sockets(self.shard, self.ticker, unsent_bytes)
        self._draining = False
        self._compacting = False
        self.lag_seconds = Histogram()
        self._second_due = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Join the bus and begin serving."""
        self._loop = loop
        self._log = LocalLog(self._store, loop)
        self.ticker.start(loop, self._log, self.sockets, self.bus)
        self._worker.start(loop)
        self.sockets.start(loop)
        self.bus.start(loop)
        self.turn()
        self.shard.links.greet(self.shard.tick)
        self.end_turn()
        if self.shard.work.replaying:
            self.sockets.pause()
            self._read_clients(monotonic() + limits.REPLAY_S)
        self._every_second()
        if self._interval:
            loop.call_later(self._interval, self._flush_interval)

    def _read_clients(self, deadline: float) -> None:
        """When links have brought again what a power failure may have taken: until then messages would be refused."""
        replaying = self.shard.work.replaying
        if replaying and monotonic() < deadline:
            self._loop.call_later(0.005, self._read_clients, deadline)
            return
        if replaying:
            away = " ".join(map(shard_name, replaying))
            log.warning("event=shards_away shards='%s' remedy='%s'", away, AWAY_REMEDY)
        self.sockets.resume()

    # --- ticks ------------------------------------------------------------------------------------------------------

    def _flush_interval(self) -> None:
        self._log.flush(self._interval_flushed)
        self._loop.call_later(self._interval, self._flush_interval)

    def _interval_flushed(self, error: Exception | None) -> None:
        if error is not None:
            log.critical("event=flush_failed error=%r", str(error))
            self._stop(1)

    # --- bus --------------------------------------------------------------------------------------------------------

    def _compact(self) -> None:
        """In a thread: RocksDB releases the GIL meanwhile."""
        if not self._compacting:
            self._compacting = True

            def work() -> None:
                try:
                    self._store.compact()
                finally:
                    self._compacting = False

            threading.Thread(target=work, name="compact", daemon=True).start()

    def _ask(self, entity_id: int, request: Request[object], done: Callable[[Reply], None]) -> None:
        def answered(reply: Reply) -> None:
            self.turn()
            done(reply)
            self.end_turn()

        ask_owner(self._calls, self._directory, entity_id, request, answered, limits.FIRST_CONTACT_TIMEOUT_S)

    def _event(self, act: Callable[[], None]) -> None:
        self.turn()
        began = monotonic()
        self.shard.work.event(act)
        self.lap("worker", getattr(act, "__qualname__", ""), began)
        self.end_turn()

    def _slow(self, envelope: Envelope, seconds: float) -> None:
        if isinstance(envelope, Call):
            self.shard.dispatch.costly(envelope, seconds)
        if seconds <= limits.SLOW_S:
            return
        match envelope:
            case Call():
                what, detail = "call", f"{named(envelope.body)} of {envelope.caller}"
            case LinkBatch():
                what, detail = "link", f"{len(envelope.items)} bundles of {self._directory.process(envelope.source)}"
            case _:
                what, detail = "envelope", type(envelope).__name__
        self.took(what, detail, seconds)

    # --- what takes long ----------------------------------------------------------------------------------------------

    def lap(self, what: str, detail: str, began: float) -> float:
        """It is now; what has begun at ``began`` is over, and noted if it took long."""
        now = monotonic()
        if now - began > limits.SLOW_S:
            self.took(what, detail, now - began)
        return now

    def took(self, what: str, detail: str, seconds: float) -> None:
        """An event has kept everybody else waiting: it goes to the slow log and the log."""
        self.shard.inspection.took(what, seconds, detail)
        log.warning("event=slow what=%s detail=%r took_ms=%.0f", what, detail, seconds * 1000)

    # --- time -------------------------------------------------------------------------------------------------------

    def _every_second(self) -> None:
        if self._draining:
            return
        self.turn()
        shard = self.shard
        now = shard.tick.now
        if self._second_due:
            lag = max(now - self._second_due, 0.0)
            self.lag_seconds.observe(lag)
            shard.inspection.took("lag", lag)
        self._second_due = now + 1.0
        began = monotonic()
        shard.links.clock(shard.tick)
        began = self.lap("timer", "Links.clock", began)
        shard.store_cursors()
        began = self.lap("timer", "Shard.store_cursors", began)
        for name in shard.chores():
            began = self.lap("timer", name, began)
        self._store.tend()
        began = self.lap("timer", "Store.tend", began)
        full = self._store.free_bytes() < self.shard.work.config.storage.min_free_bytes
        if full != shard.work.full:
            shard.work.full = full
            log.warning("event=%s free_bytes=%d", "disk_full" if full else "disk_has_room", self._store.free_bytes())
        self.sockets.end_idle(now)
        self.end_turn()
        self._loop.call_later(1.0, self._every_second)

    def drain(self) -> None:
        """Finish what was decided, say good-bye so that clients come back, and stop."""
        if self._draining:
            return
        self._draining = True
        self.turn()
        self.sockets.dismiss_all()
        self.shard.store_cursors()
        failpoint("shard.draining")
        self.ticker.finish(lambda: self._stop(0))

    def close(self) -> None:
        """Release everything; the loop is not running any more."""
        self._log.close()
        self._worker.close()
        self.bus.close()
        self.sockets.close()

    def figures(self) -> list[Figure]:
        """Counters and gauges for ``status``."""
        shard, work, ticker = self.shard, self.shard.work, self.ticker
        refusals = {STATUS_NAMES.get(code, str(code)): count for code, count in work.refusals.items()}
        plain = {
            "sessions": work.registry.count,
            "logins": work.logins,
            "messages": sum(work.kinds[kind] for kind in message_kinds.MESSAGES),
            "deliveries": work.deliveries,
            "refused": work.refused,
            "failed_events": work.failed_events,
            "slow_reads": self.sockets.slow_reads,
            "newest_id_s": work.ids.last_time_s,
            "commits": ticker.commits,
            "turns": ticker.turns,
            "compacting": self._compacting,
            "min_free_bytes": work.config.storage.min_free_bytes,
        } | ({"moved": shard.aging.moved} if shard.aging else {})
        return [
            *(Figure(name, float(value)) for name, value in plain.items()),
            *labelled("messages", "kind", work.kinds),
            *labelled("refused", "status", refusals),
            *labelled("slow_events", "what", shard.inspection.slow),
            *ticker.commit_seconds.figures("commit_seconds"),
            *ticker.tick_seconds.figures("tick_seconds"),
            *self.lag_seconds.figures("lag_seconds"),
            *shard.links.figures(),
            *shard.pushes.figures(),
            *self._store.figures(),
        ]


def _not_ours(message: Envelope) -> None:
    log.warning("event=unexpected_envelope type=%s", type(message).__name__)
