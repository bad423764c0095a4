"""Performs a shard's ticks: reads every ready socket, lets the shard decide, commits once, then writes once per
socket.

Client sockets are bare descriptors in one epoll, which itself is one reader of the uvloop loop: a socket costs no
transport object and a turn of the loop sees all that are ready (docs/performance.md). At most one flush is under
way; what is decided meanwhile gathers in the next tick.

Over 400 lines: all of a shard's input and output in one order, which a split would hide.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
from collections.abc import Callable

from lanying.base import limits, logs
from lanying.base.clock import monotonic, wall_ms
from lanying.base.errors import ProtocolError
from lanying.base.failpoints import failpoint
from lanying.base.histogram import Histogram
from lanying.bus.call import Calls
from lanying.bus.messages import (
    Compact,
    Drain,
    Envelope,
    LinkAck,
    LinkBatch,
    Reconfigure,
    Reply,
    Request,
)
from lanying.bus.ownership import Ownership
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import shard_name
from lanying.config.schema import Config
from lanying.protocol.frame import STATUS_NAMES
from lanying.protocol.websocket import close_frame
from lanying.shard.chat import message_kinds
from lanying.shard.commit import Committer
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.shard import Shard
from lanying.shard.store.base import Store
from lanying.shard.worker import Worker

log = logging.getLogger(__name__)

GOING_AWAY = 1001
_IN_OUT = select.EPOLLIN | select.EPOLLOUT


def about(session: Session, text: str, *values: object) -> None:
    """A line about a session's user."""
    logs.about(log, logging.INFO, session.uid, text, *values)


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
    ) -> None:
        self._store = store
        self._stop = stop
        self._fsync = config.storage.durability == "fsync"
        self._interval = config.storage.interval_ms / 1000 if config.storage.durability == "interval" else 0.0
        self.ownership = Ownership(directory, index)
        self.bus = Bus(directory.process(index), directory, self._envelope, self._end_turn, self.ownership.call)
        self._calls = Calls(self.bus)
        self._worker = Worker(self._event)
        self.shard = Shard(index, directory.map, store, config, self._ask, self._worker, find_cold)
        self.shard.dispatch.envelopes.update(
            {
                LinkBatch: self._link_batch,
                LinkAck: self._link_ack,
                Reply: self._calls.answered,
                Drain: lambda message: self.drain(),
                Compact: lambda message: self._compact(),
                Reconfigure: lambda message: self.shard.work.settings.change(message.key, message.value),
            }
        )
        self._sessions: dict[int, Session] = {}
        self._epoll = select.epoll()
        self._flushing: Tick | None = None
        self._commit_due = False
        self._acknowledge_due = False
        self._committed_at = 0.0
        self._reading = True
        self._draining = False
        self._compacting = False
        self.commits = 0
        self.commit_seconds = Histogram()
        self.tick_seconds = Histogram()
        self.lag_seconds = Histogram()
        self._second_due = 0.0
        self.turns = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Join the bus and begin serving."""
        self._loop = loop
        self._committer = Committer(self._store, loop, self._flushed)
        self._worker.start(loop)
        loop.add_reader(self._epoll.fileno(), self._readable)
        self.bus.start(loop)
        self._begin_turn()
        self.shard.outbox.greet(self.shard.tick)
        self._end_turn()
        self._every_second()
        if self._interval:
            loop.call_later(self._interval, self._flush_interval)

    # --- sockets ----------------------------------------------------------------------------------------------------

    def adopt(self, session: Session, leftover: bytes) -> None:
        """Serve an admitted session's socket; ``leftover`` was read before it came here. Part of the current turn."""
        self._sessions[session.fd] = session
        about(session, "event=opened uid=%d sn=%d address=%s app=%s", session.sn, session.address, session.app)
        self._epoll.register(session.fd, select.EPOLLIN)
        if leftover:
            self._feed(session, leftover)

    def turn(self) -> None:
        """Begin a turn for events from outside (hand-off); end it with :meth:`end_turn`."""
        self._begin_turn()

    def end_turn(self) -> None:
        """What the turn decided is on its way."""
        self._end_turn()

    def _readable(self) -> None:
        self._begin_turn()
        tick = self.shard.tick
        sessions = self._sessions
        for fd, event in self._epoll.poll(0):
            session = sessions.get(fd)
            if session is None:
                continue
            if event & select.EPOLLOUT:
                self._writable(session)
            if event & ~select.EPOLLOUT:
                try:
                    data = os.read(fd, limits.READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:  # reset, timed out, unreachable
                    self._close(session, "connection_lost")
                    continue
                if data:
                    session.last_read = tick.now
                    tick.gathered_bytes += len(data)
                    self._feed(session, data)
                else:
                    self._close(session, "disconnected")
        failpoint("shard.decided")
        self._end_turn()

    def _feed(self, session: Session, data: bytes) -> None:
        connection = session.connection
        shard = self.shard
        try:
            for frame in connection.receive(data):
                shard.received(session, frame)
        except ProtocolError as error:
            about(session, "event=protocol_error uid=%d code=%d reason=%r", error.close_code, error.reason)
            shard.tick.send_raw(session, close_frame(error.close_code, error.reason))
            shard.left(session, "protocol_error")
            shard.tick.closing.append(session)
            return
        if connection.replies:
            shard.tick.send_raw(session, connection.take_replies())
        if connection.left:
            shard.left(session, "client_left")
            shard.tick.closing.append(session)

    def _write(self, session: Session, data: bytes) -> None:
        fd = session.fd
        if fd < 0:
            return
        if session.unsent:
            session.unsent += data
        else:
            try:
                sent = os.write(fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._close(session, "connection_lost")
                return
            if sent == len(data):
                return
            session.unsent = data[sent:]
            self._epoll.modify(fd, _IN_OUT)
        if len(session.unsent) > limits.OUT_HARD_BYTES:
            about(session, "event=slow_reader uid=%d sn=%d unsent=%d", session.sn, len(session.unsent))
            self._close(session, "slow_reader")

    def _writable(self, session: Session) -> None:
        try:
            sent = os.write(session.fd, session.unsent)
        except BlockingIOError:
            return
        except OSError:
            self._close(session, "connection_lost")
            return
        session.unsent = session.unsent[sent:]
        if not session.unsent:
            if session.left:
                self._close(session, session.left)
            else:
                self._epoll.modify(session.fd, select.EPOLLIN)
                self.shard.pulls.drained(session)

    def _close(self, session: Session, why: str) -> None:
        fd = session.fd
        self.shard.left(session, why)
        if fd < 0:
            return
        about(session, "event=closed uid=%d sn=%d reason=%s", session.sn, session.left)
        session.fd = -1
        session.unsent = b""
        del self._sessions[fd]
        try:
            self._epoll.unregister(fd)
        except OSError:
            pass
        os.close(fd)

    # --- ticks ------------------------------------------------------------------------------------------------------

    def _begin_turn(self) -> None:
        self.shard.turn(monotonic(), wall_ms())

    def _end_turn(self) -> None:
        self.turns += 1
        tick = self.shard.tick
        if tick.empty and not self.shard.outbox.lagging:
            return
        if self._flushing is not None:
            if self._reading and tick.gathered_bytes > limits.TICK_BYTES:
                self._pause()
            return
        if self._commit_due:
            return
        wait = self._committed_at + limits.COMMIT_INTERVAL_MS / 1000 - tick.now
        if wait > 0:
            self._commit_due = True
            self._loop.call_later(wait, self._commit)
        else:
            self._commit()

    def _commit(self) -> None:
        self._commit_due = False
        if self._flushing is not None:
            return
        self._begin_turn()
        try:
            failpoint("shard.before_write")
            tick = self.shard.seal()
            failpoint("shard.written")
        except Exception:  # noqa: BLE001 - whatever it was, the process starts again from what is committed
            self._fail("event=commit_failed")
            return
        self._committed_at = tick.now
        took = monotonic() - tick.now
        self.tick_seconds.observe(took)
        self.shard.inspection.took("tick", took)
        if self.shard.outbox.untold and not self._acknowledge_due:
            self._acknowledge_due = True
            self._loop.call_later(limits.LINK_ACK_S, self._acknowledge_links)
        if tick.durable and self._fsync:
            self._flushing = tick
            self._committer.begin()
        else:
            self._release(tick)
            if not self.shard.tick.empty:  # answers that were left for later
                self._end_turn()

    def _acknowledge_links(self) -> None:
        self._acknowledge_due = False
        self._begin_turn()
        self.shard.outbox.acknowledge(self.shard.tick)
        self._end_turn()

    def _flushed(self, error: Exception | None) -> None:
        if error is not None:
            log.critical("event=flush_failed error=%r", str(error))
            self._stop(1)
            return
        tick, self._flushing = self._flushing, None
        if tick is None:
            return
        self.commits += 1
        took = monotonic() - tick.now
        self.commit_seconds.observe(took)
        self.shard.inspection.took("commit", took, f"{tick.gathered_bytes} bytes")
        self._release(tick)
        if not self._reading:
            self._resume()
        self._begin_turn()
        self._end_turn()

    def _release(self, tick: Tick) -> None:
        failpoint("shard.flushed")
        if tick.acknowledge:
            failpoint("shard.link_committed")
        for session, out in tick.wires().items():
            self._write(session, out[0] if len(out) == 1 else b"".join(out))
        failpoint("shard.half_released")
        for process, envelope in tick.envelopes:
            self.bus.send(process, envelope)
        self.bus.flush()
        failpoint("shard.released")
        for session in tick.closing:
            if not session.unsent:
                self._close(session, session.left)

    def _flush_interval(self) -> None:
        self._committer.begin()
        self._loop.call_later(self._interval, self._flush_interval)

    def _pause(self) -> None:
        self._reading = False
        self._loop.remove_reader(self._epoll.fileno())
        self.bus.pause()

    def _resume(self) -> None:
        self._reading = True
        self._loop.add_reader(self._epoll.fileno(), self._readable)
        self.bus.resume()

    def _fail(self, what: str) -> None:
        # Memory and store may disagree now; what is committed is safe, so start again from it.
        log.critical(what, exc_info=True)
        self._stop(1)

    # --- bus --------------------------------------------------------------------------------------------------------

    def _envelope(self, message: Envelope) -> None:
        self._begin_turn()
        self.shard.dispatch.arrive(message)

    def _link_batch(self, message: LinkBatch) -> None:
        failpoint("shard.link_received")
        self.shard.dispatch.link_batch(message)
        failpoint("shard.link_applied")

    def _link_ack(self, message: LinkAck) -> None:
        self.shard.dispatch.link_ack(message)
        if message.rewind:  # the first thing a shard says after its start
            self._calls.again(shard_name(message.source))
        failpoint("shard.link_acknowledged")

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

    def _ask(self, shard: int, request: Request[object], done: Callable[[Reply], None]) -> None:
        def answered(reply: Reply) -> None:
            self._begin_turn()
            done(reply)
            self._end_turn()

        self._calls.begin(shard_name(shard), request, answered, limits.FIRST_CONTACT_TIMEOUT_S)

    def _event(self, work: Callable[[], None]) -> None:
        self._begin_turn()
        try:
            work()
        except Exception:  # noqa: BLE001 - as in a commit
            self._fail("event=worker_result_failed")
            return
        self._end_turn()

    # --- time -------------------------------------------------------------------------------------------------------

    def _every_second(self) -> None:
        if self._draining:
            return
        self._begin_turn()
        shard = self.shard
        now = shard.tick.now
        if self._second_due:
            lag = max(now - self._second_due, 0.0)
            self.lag_seconds.observe(lag)
            shard.inspection.took("lag", lag)
        self._second_due = now + 1.0
        shard.outbox.clock(shard.tick)
        shard.store_cursors()
        shard.maintain()
        full = self._store.free_bytes() < self.shard.work.config.storage.min_free_bytes
        if full != shard.work.full:
            shard.work.full = full
            log.warning("event=%s free_bytes=%d", "disk_full" if full else "disk_has_room", self._store.free_bytes())
        for session in [s for s in self._sessions.values() if now - s.last_read > limits.SESSION_IDLE_S]:
            self._close(session, "idle")
        self._end_turn()
        self._loop.call_later(1.0, self._every_second)

    def drain(self) -> None:
        """Finish what was decided, say good-bye so that clients come back, and stop."""
        if self._draining:
            return
        self._draining = True
        self._begin_turn()
        tick = self.shard.tick
        for session in list(self._sessions.values()):
            tick.send_raw(session, close_frame(GOING_AWAY, "the server restarts"))
            tick.closing.append(session)
            self.shard.left(session, "shutdown")
        self.shard.store_cursors()
        self._finish()

    def _finish(self) -> None:
        if self._flushing is not None:
            self._loop.call_later(0.005, self._finish)
            return
        failpoint("shard.draining")
        tick = self.shard.seal()
        self._store.flush()
        self._release(tick)
        self._stop(0)

    def close(self) -> None:
        """Release everything; the loop is not running any more."""
        self._committer.close()
        self._worker.close()
        self.bus.close()
        self._epoll.close()

    def figures(self) -> dict[str, float]:
        """Counters and gauges for ``status``."""
        shard, work = self.shard, self.shard.work
        return {
            "sessions": float(work.registry.count),
            "logins": float(work.logins),
            "messages": float(sum(work.kinds[kind] for kind in message_kinds.MESSAGES)),
            **{f"messages:kind={kind}": float(count) for kind, count in work.kinds.items()},
            "deliveries": float(work.deliveries),
            "refused": float(work.refused),
            **{f"refused:status={STATUS_NAMES.get(code, str(code))}": float(n) for code, n in work.refusals.items()},
            "failed_events": float(work.failed_events),
            "commits": float(self.commits),
            "turns": float(self.turns),
            "compacting": float(self._compacting),
            **self.commit_seconds.figures("commit_seconds"),
            **self.tick_seconds.figures("tick_seconds"),
            **self.lag_seconds.figures("lag_seconds"),
            **shard.outbox.depths(),
            **shard.pushes.figures(),
            "disk_free_bytes:place=data": float(self._store.free_bytes()),
            "min_free_bytes": float(self.shard.work.config.storage.min_free_bytes),
            **self._store.sizes(),
            **({"moved": float(shard.aging.moved)} if shard.aging else {}),
        }
