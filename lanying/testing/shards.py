"""Shards without processes: the pure logic of accounts, devices, roster and group administration over memory stores, for
tests.

Instead of timelines there are seats: what is told to a group goes to whoever has a seat when it arrives.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from lanying.bus.messages import Joined, LinkMessage, Request, Seat, Silence, Unseat, encode
from lanying.cluster.shardmap import ShardMap
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import handlers
from lanying.shard.store.base import Batch
from lanying.shard.store.memory import MemoryStore


@dataclass
class Notice:
    """A notice as it arrived in a queue 0."""

    uid: int
    sender: int
    type: int
    source: int
    target: int
    content: str


@dataclass
class GroupNotice:
    """A group notice as somebody's devices see it, from his queue 0 or the timeline of a group he is in."""

    uid: int
    type: int
    gid: int
    source: int
    to: tuple[int, ...]
    content: str


@dataclass
class Told:
    """What is on its way to all members of a group."""

    gid: int
    payload: bytes


@dataclass
class LocalShard:
    """A :class:`~lanying.shard.core.ports.Work` that commits after every request."""

    cluster: LocalCluster
    store: MemoryStore = field(default_factory=MemoryStore)
    sessions: dict[int, list[int]] = field(default_factory=dict)
    kicks: list[tuple[int, int, int, int]] = field(default_factory=list)
    informed: list[tuple[int, int]] = field(default_factory=list)
    batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        self.batch = self.store.batch()

    @property
    def now_ms(self) -> int:
        return self.cluster.now_ms

    def put(self, family: str, key: bytes, value: bytes) -> None:
        self.batch.put(family, key, value)

    def delete(self, family: str, key: bytes) -> None:
        self.batch.delete(family, key)

    def notice(self, uid: int, sender: int, ns: int, payload: bytes) -> None:
        if ns == pb.Meta.GROUP_NOTICE:
            self.cluster.log(uid, payload)
            return
        assert ns == pb.Meta.ROSTER_NOTICE
        body = pb.RosterNotice.FromString(payload)
        source = getattr(body, "from").uid
        self.cluster.notices.append(Notice(uid, sender, body.type, source, body.to[0].uid, body.content))

    def group_notice(self, gid: int, sender: int, payload: bytes) -> None:
        assert self is self.cluster.shards[self.cluster.map.shard_of(gid)]
        self.cluster.links.append((-1, Told(gid, payload)))

    def link(self, entity_id: int, message: LinkMessage) -> None:
        self.cluster.links.append((self.cluster.map.shard_of(entity_id), message))

    def kick(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
        self.kicks.append((uid, device_sn, notice, except_sn))
        gone = [sn for sn in self.online(uid) if sn != except_sn and device_sn in (0, sn)]
        self.sessions[uid] = [sn for sn in self.online(uid) if sn not in gone]
        return len(gone)

    def inform(self, uid: int, notice: int) -> None:
        self.informed.append((uid, notice))

    def online(self, uid: int) -> list[int]:
        return self.sessions.get(uid, [])

    def hold_links(self, seconds: float) -> bool:
        raise NotImplementedError("links of these tests are a list")

    def commit(self) -> None:
        """What the end of a tick does."""
        self.store.write(self.batch)
        self.batch = self.store.batch()


class LocalCluster:
    """Some shards, and the links between them."""

    def __init__(self, shards: int = 2, now_ms: int = 1_800_000_000_000) -> None:
        self.map = ShardMap.even(shards)
        self.now_ms = now_ms
        self.notices: list[Notice] = []
        self.group_notices: list[GroupNotice] = []
        self.seats: dict[int, set[int]] = {}
        self.links: deque[tuple[int, LinkMessage | Told]] = deque()
        self.shards = [LocalShard(self) for _ in range(shards)]

    def call(self, shard: int, request: Request[object], *, settle: bool = True) -> bytes:
        """Ask a shard. :raises CallError: refused, and then nothing changed"""
        work = self.shards[shard]
        try:
            answer = handlers.handle(work, encode(request), {Joined: self._joined})
            assert isinstance(answer, bytes), "what is answered later needs whole shards"
        finally:
            refused, work.batch = work.batch, work.store.batch()
        work.batch = refused
        work.commit()
        if settle:
            self.settle()
        return answer

    def _joined(self, request: Joined) -> list[int]:
        return sorted(gid for gid, uids in self.seats.items() if request.uid in uids)

    def ask(self, uid: int, request: Request[object]) -> object:
        """Ask the shard of a user; the answer as builtins."""
        return msgspec.msgpack.decode(self.call(self.map.shard_of(uid), request))

    def settle(self) -> None:
        """Let all link messages arrive."""
        while self.links:
            shard, message = self.links.popleft()
            if isinstance(message, Told):
                for uid in sorted(self.seats.get(message.gid, ())):
                    self.log(uid, message.payload)
                continue
            if isinstance(message, Seat):
                self.seats.setdefault(message.gid, set()).add(message.uid)
                continue
            if isinstance(message, Unseat):
                self.seats[message.gid].remove(message.uid)
                continue
            if isinstance(message, Silence):
                continue
            assert handlers.apply_link(self.shards[shard], message)
            self.shards[shard].commit()

    def log(self, uid: int, payload: bytes) -> None:
        """A group notice reaches somebody."""
        body = pb.GroupNotice.FromString(payload)
        source, to = getattr(body, "from").uid, tuple(xid.uid for xid in body.to)
        assert source
        assert body.gid.uid
        self.group_notices.append(GroupNotice(uid, body.type, body.gid.uid, source, to, body.content))

    def take_group_notices(self) -> list[GroupNotice]:
        """Group notices since the last time."""
        taken, self.group_notices = self.group_notices, []
        return taken

    def take_notices(self) -> list[Notice]:
        """Notices since the last time."""
        taken, self.notices = self.notices, []
        return taken
