"""When a shard's ticks are committed and let out.

A tick is sealed, made durable by the :class:`CommitLog`, and only then released. One that holds nothing that has to wait for that (rows
that may be lost, and what other shards send again: :mod:`lanying.shard.core.links`) is released when it is written, and the next flush
makes it durable: that of a tick that needs one, or one for its own sake after ``LINK_ACK_S``. A log elsewhere is given every tick.

A tick's rows are in the local store before, if the log is that store's own, or get there after a log elsewhere has them: what that
refuses was never on this disk. At most one tick is on its way to the log; what is decided meanwhile gathers in the next. A log that fails
or refuses ends the process: memory and log may disagree, what is acknowledged is safe, and the process starts again from it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Protocol

from lanying.base import limits
from lanying.base.clock import monotonic, wall_ms
from lanying.base.errors import StoreError
from lanying.base.failpoints import failpoint
from lanying.base.histogram import Histogram
from lanying.bus.messages import Message
from lanying.cluster.runtime import EXIT_FENCED
from lanying.shard.core.tick import Tick
from lanying.shard.shard import Shard
from lanying.shard.store.base import Store

log = logging.getLogger(__name__)

Done = Callable[[Exception | None], None]


FENCED_REMEDY: Final = "another server runs this shard: stop this one, or the other if it is not meant to have it"


class Fenced(StoreError):
    """The log has another owner of this shard: nothing that is decided here counts any more, and the process ends with
    :data:`~lanying.cluster.runtime.EXIT_FENCED`."""


class CommitLog(Protocol):
    """Makes sealed ticks durable, in their order, one at a time."""

    @property
    def writes_first(self) -> bool:
        """A tick is written to the local store and then appended; otherwise the store gets it when the log has it."""

    @property
    def position(self) -> int:
        """Where the log has the last tick that it was done with (of a log that does not write first)."""

    def append(self, tick: Tick, done: Done) -> None:
        """Make everything up to this tick durable. ``done`` is called once on the loop, before this returns or later, with what
        stopped it or None: :class:`Fenced` if somebody else owns the shard now. An outcome that stays unknown is an error: the next start
        learns from the log whether the tick counts."""

    def flush(self, done: Done) -> None:
        """Make durable what was written and let out without :meth:`append`; ``done`` as there. A log that does not write first is given
        every tick, so it has nothing to do."""

    def close(self) -> None:
        """Finish what is under way."""


class LocalLog:
    """The write-ahead log of the local store: a sealed tick is in it already, durable is what a flush that begins afterwards has covered.

    One flush at a time, on the loop while the disk is quick, in a thread while it is not. A flush releases the GIL, so with a thread
    the loop gathers the next tick meanwhile. But handing a flush over and its end back costs four context switches, up to a fifth of a
    message's CPU time at 1,000 messages per second (docs/performance.md), and behind a disk that answers within a millisecond or
    so there is nothing to gather that could not wait.
    """

    writes_first = True
    position = 0

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._expected_s = 1.0  # slow until seen otherwise
        self._wanted: SimpleQueue[Done | None] = SimpleQueue()
        self._flusher = threading.Thread(target=self._run, name="commit", daemon=True)
        self._flusher.start()

    def append(self, tick: Tick, done: Done) -> None:
        """See :class:`CommitLog`."""
        self.flush(done)

    def flush(self, done: Done) -> None:
        """Flush everything written so far. ``done`` is called on the loop, with the error that stopped it or None; before this returns if
        the flush was done here."""
        if self._expected_s < limits.FLUSH_INLINE_S:
            done(self._flush())
        else:
            self._wanted.put(done)

    def close(self) -> None:
        """Finish the flush under way and end the thread."""
        self._wanted.put(None)
        self._flusher.join()

    def _run(self) -> None:
        while (done := self._wanted.get()) is not None:
            self._loop.call_soon_threadsafe(done, self._flush())

    def _flush(self) -> Exception | None:
        began = monotonic()
        try:
            failpoint("shard.before_flush")
            self._store.flush()
        except Exception as error:  # noqa: BLE001 - reported to the loop, which ends the process
            return error
        took = monotonic() - began
        # One slow flush counts at once and takes some twenty quick ones to be forgotten.
        self._expected_s = max(took, 0.9 * self._expected_s + 0.1 * took)
        return None


class Clients(Protocol):
    """As much of the sockets as a ticker needs (:class:`~lanying.shard.sockets.Sockets`)."""

    def write(self, tick: Tick) -> None:
        """Let out what a tick owes sessions."""

    def end(self, tick: Tick) -> None:
        """Close what it closes."""

    def pause(self) -> None:
        """Read nothing."""

    def resume(self) -> None:
        """Read again."""


class Processes(Protocol):
    """As much of the bus (:class:`~lanying.bus.transport.Bus`)."""

    def send_all(self, envelopes: Iterable[tuple[str, Message]]) -> None:
        """Send envelopes to processes."""

    def pause(self) -> None:
        """Receive nothing."""

    def resume(self) -> None:
        """Receive again."""


class Timer(Protocol):
    """As much of an event loop as a ticker needs."""

    def call_later(self, delay: float, callback: Callable[..., Any], /) -> object:
        """Call back on the loop after so many seconds."""


class Ticker:
    """Commits the ticks of one shard, and lets them out to clients and processes.

    :param stop: called with an exit code when the process has to end
    :param flushes: a tick waits for the log (durability ``fsync``)
    """

    def __init__(
        self,
        shard: Shard,
        stop: Callable[[int], None],
        *,
        flushes: bool = True,
    ) -> None:
        self._shard = shard
        self._stop = stop
        self._flushes = flushes
        self._in_flight: Tick | None = None
        self._commit_due = False
        self._acknowledge_due = False
        self._committed_at = 0.0
        self._reading = True
        self.commits = 0
        self.turns = 0
        self.commit_seconds = Histogram()
        self.tick_seconds = Histogram()

    def start(self, loop: Timer, log: CommitLog, clients: Clients, processes: Processes) -> None:
        """Begin."""
        self._loop = loop
        self._log = log
        self._clients = clients
        self._processes = processes

    @property
    def busy(self) -> bool:
        """A tick is on its way to the log."""
        return self._in_flight is not None

    def begin_turn(self) -> None:
        """What follows happens now."""
        tick = self._shard.tick
        tick.now, tick.now_ms = monotonic(), wall_ms()

    def end_turn(self) -> None:
        """What the turn decided is on its way, at once or soon."""
        self.turns += 1
        tick = self._shard.tick
        if tick.empty and not self._shard.links.lagging:
            return
        if self._in_flight is not None:
            if self._reading and tick.gathered_bytes > limits.TICK_BYTES:
                self._reading = False
                self._clients.pause()
                self._processes.pause()
            return
        if self._commit_due:
            return
        wait = self._committed_at + limits.COMMIT_INTERVAL_MS / 1000 - tick.now
        if wait > 0:
            self._commit_due = True
            self._loop.call_later(wait, self._commit)
        else:
            self._commit()

    def finish(self, finished: Callable[[], None]) -> None:
        """Commit what is left, whether an answer waits for it or not, and call back when it is let out."""
        if self._in_flight is not None:
            self._loop.call_later(0.005, partial(self.finish, finished))
            return
        self._shard.links.end(self._shard.tick)
        tick = self._seal()
        if tick is None:
            return

        def let_out() -> None:
            self._release(tick)
            finished()

        if tick.durable or self._log.writes_first:
            self._append(tick, lambda error: let_out() if self._learned(tick, error) else None)
        else:
            let_out()

    def fail(self, what: str) -> None:
        """Memory and store may disagree: what is committed is safe, so the process starts again from it."""
        log.critical(what, exc_info=True)
        self._stop(1)

    def _commit(self) -> None:
        self._commit_due = False
        if self._in_flight is not None:
            return
        self.begin_turn()
        tick = self._seal()
        if tick is None:
            return
        self._committed_at = tick.now
        took = monotonic() - tick.now
        self.tick_seconds.observe(took)
        if took >= limits.SLOW_S:
            self._shard.inspection.took("tick", took)
        if self._shard.links.untold:
            self._arm()
        if tick.durable and (self._flushes or not self._log.writes_first):
            self._append(tick, self._durable)
        else:
            self._release(tick)
            self._go_on()

    def _seal(self) -> Tick | None:
        """The open tick, sealed; None: the process ends."""
        try:
            failpoint("shard.before_write")
            tick = self._shard.seal(hold=not self._log.writes_first)
            failpoint("shard.written")
        except Exception:  # noqa: BLE001 - whatever it was, the process starts again from what is committed
            self._in_flight = self._shard.tick  # for good: sealed again, it would number its link messages twice
            self.fail("event=commit_failed")
            return None
        return tick

    def _append(self, tick: Tick, done: Done) -> None:
        assert self._in_flight is None and tick is not self._shard.tick, "one sealed tick at a time"
        self._in_flight = tick
        try:
            self._log.append(tick, done)
        except Exception:  # noqa: BLE001 - whether the log has it nobody knows: nothing is let out
            self.fail("event=append_failed")

    def _learned(self, tick: Tick, error: Exception | None) -> bool:
        """What became of the tick in flight. False: the process ends, and nothing of the tick is let out."""
        assert tick is self._in_flight, "the log is done with what it was given, once"
        if error is not None:
            if isinstance(error, Fenced):
                log.critical("event=fenced error=%r remedy=%r", str(error), FENCED_REMEDY)
                self._stop(EXIT_FENCED)
            else:
                log.critical("event=flush_failed error=%r", str(error))
                self._stop(1)
            return False
        if not self._log.writes_first:
            try:
                self._shard.committed(self._log.position)
            except Exception:  # noqa: BLE001 - the log has the tick, the store gets it from there
                self.fail("event=commit_failed")
                return False
        self._in_flight = None
        self.commits += 1
        return True

    def _durable(self, error: Exception | None) -> None:
        tick = self._in_flight
        assert tick is not None, "the log is done with what it was given, once"
        if not self._learned(tick, error):
            return
        took = monotonic() - tick.now
        self.commit_seconds.observe(took)
        if took >= limits.SLOW_S:
            self._shard.inspection.took("commit", took, f"{tick.gathered_bytes} bytes")
        self._release(tick)
        if not self._reading:
            self._reading = True
            self._clients.resume()
            self._processes.resume()
        self._go_on()

    def _release(self, tick: Tick) -> None:
        """Nobody has heard of anything in it before: it is durable, or nothing in it waits for that."""
        failpoint("shard.flushed")
        if tick.settles:
            failpoint("shard.link_committed")
            self._shard.links.settled(tick.settles)
        self._clients.write(tick)
        failpoint("shard.half_released")
        if tick.envelopes:
            self._processes.send_all(tick.envelopes)
        failpoint("shard.released")
        if tick.acknowledge and not tick.durable:
            failpoint("shard.link_released")
        if tick.closing:
            self._clients.end(tick)

    def _go_on(self) -> None:
        """Answers that were left for later, and what was decided meanwhile."""
        shard = self._shard
        if not shard.tick.empty or shard.links.lagging:
            self.begin_turn()
            self.end_turn()

    def _arm(self) -> None:
        """What was applied of links is acknowledged, soon."""
        if not self._acknowledge_due:
            self._acknowledge_due = True
            self._loop.call_later(limits.LINK_ACK_S, self._acknowledge_links)

    def _acknowledge_links(self) -> None:
        """What other shards sent is written for a while: made durable if nothing else has done it, then they hear of it."""
        numbers = self._shard.links.take_written()
        if numbers and self._flushes:
            self.commits += 1
            self._log.flush(partial(self._settled, numbers))
        else:
            self._settled(numbers, None)

    def _settled(self, numbers: dict[int, int], error: Exception | None) -> None:
        if error is not None:
            self._in_flight = self._in_flight or self._shard.tick  # for good: nothing is let out any more
            log.critical("event=flush_failed error=%r", str(error))
            self._stop(1)
            return
        links = self._shard.links
        links.settled(numbers)
        self._acknowledge_due = False
        self.begin_turn()
        links.acknowledge(self._shard.tick)
        if links.untold:  # with a tick that is on its way to the log
            self._arm()
        self.end_turn()
