"""Broadcasts: one message of the server to every user of an app, a few with every step (pure).

Each shard has a row per broadcast: what is sent, and the account up to which it has been. A step's messages and the new position
are one batch, so a crash repeats or loses nobody. The shard that was asked passes it on over the links, exactly once:
either all of them walk their accounts or none does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.bus.messages import (
    STATE_NORMAL,
    Broadcast,
    BroadcastInfo,
    CancelBroadcast,
    CountUsers,
    JobState,
    ListBroadcasts,
    Message,
    StartBroadcast,
    UserCount,
)
from lanying.bus.messages.base import answers
from lanying.shard.accounts import accounts
from lanying.shard.chat.posting import Posting
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

_BEHIND_ALL: Final = b"\xff" * 9
_encode: Final = msgspec.msgpack.Encoder().encode


class BroadcastJob(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``broadcasts``. ``position``: the highest account that has been looked at."""

    id: int
    app: str
    payload: bytes
    created_ms: int
    position: int = 0
    sent: int = 0
    state: JobState = JobState.RUNNING
    who: str = ""


_decode: Final = msgspec.msgpack.Decoder(BroadcastJob).decode


def unfinished(store: Store) -> bool:
    """Has this store a broadcast that goes on when its shard starts?"""
    return any(_decode(row).state is JobState.RUNNING for _, row in store.scan(schema.BROADCASTS, b"", _BEHIND_ALL))


class Broadcasts:
    """Broadcasts of one shard.

    :ivar running: ids of those that are not done
    """

    def __init__(self, work: Work, posting: Posting) -> None:
        self._work = work
        self._posting = posting
        self.running = {job.id for job in self._jobs() if job.state is JobState.RUNNING}
        self.handlers: dict[type[Message], Callable[[Any], object]] = dict(
            [
                answers(StartBroadcast)(self.start),
                answers(ListBroadcasts)(self.listed),
                answers(CancelBroadcast)(self.cancel),
                answers(CountUsers)(self.count),
            ]
        )

    def start(self, request: StartBroadcast) -> int:
        """Pass it on to all shards. The broadcast's id."""
        work = self._work
        number = work.next_mid()
        for index in work.peers:
            work.tell(index, Broadcast(number, request.app, request.payload, request.who))
        return number

    def begin(self, message: Broadcast) -> None:
        """A broadcast for our users."""
        self._put(BroadcastJob(message.id, message.app, message.payload, self._work.tick.now_ms, who=message.who))
        self.running.add(message.id)
        self._work.undo((self.running.discard, message.id))
        finished = [job for job in self._jobs() if job.state is not JobState.RUNNING]
        for job in finished[: max(0, len(finished) - limits.BROADCASTS_KEPT)]:
            self._work.delete(schema.BROADCASTS, schema.pack_u64(job.id))

    def listed(self, request: ListBroadcasts) -> list[BroadcastInfo]:
        """What this shard knows, latest first."""
        jobs = sorted(self._jobs(), key=lambda job: job.id, reverse=True)
        return [BroadcastInfo(job.id, job.app, job.created_ms, job.sent, job.state, job.who) for job in jobs]

    def cancel(self, request: CancelBroadcast) -> bool:
        """Stop; users who have the message keep it. False: there is none of this app that runs."""
        job = self._load(request.id)
        if job is None or job.state is not JobState.RUNNING or request.app not in ("", job.app):
            return False
        self._finish(job.id)
        self._put(msgspec.structs.replace(job, state=JobState.CANCELLED))
        return True

    def count(self, request: CountUsers) -> UserCount:
        """How many of the next accounts a broadcast would reach."""
        found, after = self._recipients(request.app, request.after, limits.BROADCAST_COUNTED)
        return UserCount(len(found), after)

    def step(self) -> None:
        """The next few users of the oldest broadcast that is not done."""
        work = self._work
        if not self.running or work.full:
            return
        job = self._load(min(self.running))
        if job is None:  # begun in this very tick
            return
        found, after = self._recipients(job.app, job.position, limits.BROADCAST_STEP)
        for uid in found:
            self._posting.tell(uid, job.payload)
        state = JobState.RUNNING if after else JobState.DONE
        if not after:
            self._finish(job.id)
        moved = msgspec.structs.replace(job, position=after, sent=job.sent + len(found), state=state)
        self._put(moved)

    def _recipients(self, app: str, after: int, limit: int) -> tuple[list[int], int]:
        """Users among the next ``limit`` accounts behind ``after``, and the last account looked at, 0 at the end."""
        start = schema.pack_u64(after + 1)
        rows = list(self._work.store.scan(schema.ACCOUNTS, start, _BEHIND_ALL, limit=limit))
        infos = [accounts.decode(row).info for _, row in rows]
        found = [info.uid for info in infos if info.app == app and info.state == STATE_NORMAL]
        return found, int(schema.unpack_u64(rows[-1][0])[0]) if len(rows) == limit else 0

    def _finish(self, number: int) -> None:
        self.running.discard(number)
        self._work.undo((self.running.add, number))

    def _jobs(self) -> list[BroadcastJob]:
        return [_decode(row) for _, row in self._work.store.scan(schema.BROADCASTS, b"", _BEHIND_ALL)]

    def _load(self, number: int) -> BroadcastJob | None:
        row = self._work.store.get(schema.BROADCASTS, schema.pack_u64(number))
        return None if row is None else _decode(row)

    def _put(self, job: BroadcastJob) -> None:
        self._work.put(schema.BROADCASTS, schema.pack_u64(job.id), _encode(job))
