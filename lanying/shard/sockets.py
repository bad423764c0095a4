"""Client sockets of a shard: bare descriptors in one epoll, which itself is one reader of the uvloop loop. A socket costs no
transport object, and a turn of the loop sees all that are ready (docs/performance.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
from collections import deque
from time import monotonic
from typing import Final

from lanying.base import limits, logs
from lanying.base.errors import ProtocolError
from lanying.base.failpoints import failpoint
from lanying.base.goodbye import say_end
from lanying.protocol.websocket import close_frame
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.shard import Shard
from lanying.shard.ticker import Ticker

log = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
_OUT: Final = select.EPOLLOUT


def about(session: Session, text: str, *values: object) -> None:
    """A line about a session's user."""
    logs.about(log, logging.INFO, session.uid, text, *values)


def _fullness(session: Session) -> int:
    return len(session.unsent)


class Sockets:
    """Reads what is ready into the shard, and writes what its ticks release.

    A turn is shared: one read of each socket that is ready, and so many frames of each user (``SHARE_FRAMES``, ``SHARE_S``), not of each
    session, for one may have twenty. What is more waits, in order, and a session whose frames wait is not read. Sessions that wait get
    their user's share in turns, the one that has waited longest first, behind those that were read; not before the next tick when the
    open one has many questions to answer (``TICK_ASKS``), which cost little to take and much to answer.

    :param unsent_bytes: what all sessions together have not read; with more the fullest is closed
    :ivar slow_reads: shares that took the shard over ``SLOW_S``
    """

    def __init__(self, shard: Shard, ticker: Ticker, unsent_bytes: int = limits.OUT_ALL_BYTES) -> None:
        self._shard = shard
        self._ticker = ticker
        self._sessions: dict[int, Session] = {}
        self._epoll = select.epoll()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Session, deque[bytes]] = {}
        self._shared: set[int] = set()
        self._unserved: dict[int, int] = {}
        self._reading = self._again_due = False
        self._unsent, self._most_unsent = 0, unsent_bytes
        self._leaving: dict[Session, float] = {}
        self.slow_reads = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        self._loop = loop
        self.resume()

    def pause(self) -> None:
        """Read nothing: the open tick has enough."""
        assert self._loop is not None
        self._reading = False
        self._loop.remove_reader(self._epoll.fileno())

    def resume(self) -> None:
        """Read again."""
        assert self._loop is not None
        self._reading = True
        self._loop.add_reader(self._epoll.fileno(), self.readable)
        if self._waiting:
            self._come_again()

    def adopt(self, session: Session, leftover: bytes) -> None:
        """Serve an admitted session's socket; ``leftover`` was read before it came here. Part of the current turn."""
        self._sessions[session.fd] = session
        about(session, "event=opened uid=%d sn=%d address=%s app=%s", session.sn, session.address, session.app)
        self._epoll.register(session.fd, select.EPOLLIN)
        if leftover:
            self._feed(session, leftover)

    def readable(self) -> None:
        """A turn: every socket that is ready, then what waits."""
        self._ticker.begin_turn()
        began = now = monotonic()
        sessions, waiting = self._sessions, self._waiting
        waited = tuple(waiting)
        if waited or self._shared:
            self._shared = {session.uid for session in waited}  # their share is for what waits
        events = self._epoll.poll(0)
        if self._unserved:  # they come first, in their order
            events = list((self._unserved | dict(events)).items())
            self._unserved = {}
        for place, (fd, event) in enumerate(events):
            session = sessions.get(fd)
            if session is None:
                continue
            if event & _OUT and session.unsent:
                self._writable(session)
            if event & ~_OUT and session not in waiting:
                before = now
                self._read(session)
                now = monotonic()
                if now - before > limits.COSTLY_S:
                    self._costly(session, now, now - before)
                if now - began > limits.TURN_S:
                    self._unserved = dict(events[place + 1 :])
                    break
        if waited and not self._asked_enough():
            self._serve(waited, now, began + limits.TURN_S)
        failpoint("shard.decided")
        self._ticker.end_turn()
        if self._waiting and not self._asked_enough():  # else write() sees to it
            self._come_again()

    def _read(self, session: Session) -> None:
        try:
            data = os.read(session.fd, limits.READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # reset, timed out, unreachable
            self.close_session(session, "connection_lost")
            return
        if data:
            tick = self._shard.tick
            session.last_read = tick.now
            tick.gathered_bytes += len(data)
            self._feed(session, data)
        else:
            self.close_session(session, "disconnected")

    def _serve(self, waited: tuple[Session, ...], now: float, end: float) -> None:
        """A share for each session whose frames have waited, until the turn has had its time; those then wait longest."""
        served: set[int] = set()
        for session in waited:
            if (
                session.uid in served or session not in self._waiting
            ):  # another had the share, or it was closed in this turn
                continue
            served.add(session.uid)
            self._share(session, self._waiting.pop(session))
            if session not in self._waiting:
                self._watch(session)
                self._behind_frames(session)
            before, now = now, monotonic()
            if now - before > limits.COSTLY_S:
                self._costly(session, now, now - before)
            if now > end or self._asked_enough():
                break

    def _asked_enough(self) -> bool:
        """The open tick has so many questions to answer that those that wait are for the next."""
        tick = self._shard.tick
        return len(tick.histories) + len(tick.pulls) + len(tick.unreads) > limits.TICK_ASKS

    def _come_again(self) -> None:
        """A turn for what waits, whether a socket is ready or not."""
        if not self._again_due and self._loop is not None:
            self._again_due = True
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        self._again_due = False
        if self._reading and self._waiting:  # else resume() sees to it
            self.readable()

    def _costly(self, session: Session, now: float, took: float) -> None:
        """A share that was costly counts for its user, and one that has kept everybody else waiting is noted."""
        wait_s = self._shard.work.costs.took(session.uid, now, took)
        if wait_s:  # their budget of messages is used up until then
            session.sends.full_at = now + 1.0 + wait_s
        if took > limits.SLOW_S:
            self.slow_reads += 1
            detail = f"user {session.uid}, device {session.sn}"
            self._shard.inspection.took("frames", took, detail)
            about(session, "event=slow_frames uid=%d sn=%d took_ms=%.0f", session.sn, took * 1000)

    def write(self, tick: Tick) -> None:
        """Let out what a tick owes: one joined write per socket."""
        for session, out in tick.wires().items():
            self._write(session, out[0] if len(out) == 1 else b"".join(out))
        if self._waiting:
            self._come_again()

    def end(self, tick: Tick) -> None:
        """Close what a tick closes, behind its last bytes."""
        for session in tick.closing:
            if not session.unsent:
                self.close_session(session, session.left)
            elif session not in self._leaving:
                self._leaving[session] = tick.now
                self._watch(session)
        while len(self._leaving) > limits.LEAVING:
            self._give_up(next(iter(self._leaving)))

    def end_idle(self, now: float) -> None:
        """Close what has said nothing for long, and what has left and does not take its last bytes."""
        for session in [s for s, since in self._leaving.items() if now - since > limits.LEAVING_S]:
            self._give_up(session)
        for session in [s for s in self._sessions.values() if now - s.last_read > limits.SESSION_IDLE_S]:
            self.close_session(session, "idle")

    def dismiss_all(self) -> None:
        """Say good-bye to everybody so that clients come back."""
        tick = self._shard.tick
        for session in list(self._sessions.values()):
            tick.send_raw(session, close_frame(GOING_AWAY, "the server restarts"))
            tick.add(tick.closing, session)
            self._shard.left(session, "shutdown")

    def close_session(self, session: Session, why: str) -> None:
        """A connection is gone, or goes at once."""
        fd = session.fd
        self._shard.left(session, why)
        if fd < 0:
            return
        about(session, "event=closed uid=%d sn=%d reason=%s", session.sn, session.left)
        session.fd = -1
        self._unsent -= len(session.unsent)
        session.unsent = b""
        del self._sessions[fd]
        self._waiting.pop(session, None)
        self._leaving.pop(session, None)
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        say_end(fd)
        os.close(fd)

    def close(self) -> None:
        """Release the epoll; the loop is not running any more."""
        self._epoll.close()

    def _feed(self, session: Session, data: bytes) -> None:
        connection = session.connection
        shard = self._shard
        try:
            frames = connection.receive(data)
        except ProtocolError as error:
            about(session, "event=protocol_error uid=%d code=%d reason=%r", error.close_code, error.reason)
            shard.tick.send_raw(session, close_frame(error.close_code, error.reason))
            shard.left(session, "protocol_error")
            shard.tick.add(shard.tick.closing, session)
            return
        if len(frames) == 1:
            shard.received(session, frames[0])
        elif frames:
            if session.uid in self._shared:
                self._wait(session, deque(frames))
            else:
                self._shared.add(session.uid)
                self._share(session, deque(frames))
            if session in self._waiting:
                self._watch(session)
                return
        if connection.replies or connection.left:
            self._behind_frames(session)

    def _share(self, session: Session, frames: deque[bytes]) -> None:
        """So much of a turn is a user's; what is more waits."""
        received = self._shard.received
        end = monotonic() + limits.SHARE_S
        for _ in range(min(len(frames), limits.SHARE_FRAMES)):
            received(session, frames.popleft())
            if monotonic() > end:
                break
        if frames:
            self._wait(session, frames)

    def _wait(self, session: Session, frames: deque[bytes]) -> None:
        if not session.left:
            self._waiting[session] = frames
            self._come_again()

    def _behind_frames(self, session: Session) -> None:
        """What the connection itself answers, and its end, come behind all frames."""
        connection, shard = session.connection, self._shard
        if connection.replies:
            shard.tick.send_raw(session, connection.take_replies())
        if connection.left:
            shard.left(session, "client_left")
            shard.tick.add(shard.tick.closing, session)

    def _watch(self, session: Session) -> None:
        """The epoll says when a socket takes what is owed, and when it has more to read: not while it is owed much, frames wait, or it
        has left: who goes on sending would keep the place of somebody who has none."""
        owed = len(session.unsent)
        events = select.EPOLLOUT if owed else 0
        if owed <= limits.OUT_SOFT_BYTES and not session.left and session not in self._waiting:
            events |= select.EPOLLIN
        self._epoll.modify(session.fd, events)

    def _write(self, session: Session, data: bytes) -> None:
        fd = session.fd
        if fd < 0:
            return
        if session.unsent:
            session.unsent += data
            self._unsent += len(data)
        else:
            try:
                sent = os.write(fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close_session(session, "connection_lost")
                return
            if sent == len(data):
                return
            session.unsent = data[sent:]
            self._unsent += len(session.unsent)
            self._watch(session)
        size = len(session.unsent)
        if size > limits.OUT_SOFT_BYTES:
            self._watch(session)  # what it asks meanwhile waits in its socket
            self._make_room(session, size)

    def _make_room(self, session: Session, size: int) -> None:
        """A session does not read. One alone, a user's together or all together may only be owed so much."""
        if size > limits.OUT_HARD_BYTES:
            self._give_up(session)
            return
        own = self._shard.work.registry.sessions(session.uid)
        if sum(len(one.unsent) for one in own) > limits.OUT_USER_BYTES:
            self._give_up(max(own, key=_fullness))
        while self._unsent > self._most_unsent:
            self._give_up(max(self._sessions.values(), key=_fullness))

    def _give_up(self, session: Session) -> None:
        about(session, "event=slow_reader uid=%d sn=%d unsent=%d", session.sn, len(session.unsent))
        self.close_session(session, "slow_reader")

    def _writable(self, session: Session) -> None:
        try:
            sent = os.write(session.fd, session.unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close_session(session, "connection_lost")
            return
        before = len(session.unsent)
        session.unsent = session.unsent[sent:]
        self._unsent -= sent
        if before > limits.OUT_SOFT_BYTES >= before - sent:
            self._watch(session)
        if not session.unsent:
            if session.left:
                self.close_session(session, session.left)
            else:
                self._watch(session)
                self._shard.pulls.drained(session)
