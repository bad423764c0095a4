"""Shards without processes: the pure logic of accounts, devices and roster over memory stores, for tests."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from lanying.bus.messages import LinkMessage, Request, encode
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard import calls
from lanying.shard.store.base import Batch
from lanying.shard.store.memory import MemoryStore
from lanying.shardmap import ShardMap


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
class LocalShard:
    """A :class:`~lanying.shard.ports.Work` that commits after every request."""

    cluster: LocalCluster
    store: MemoryStore = field(default_factory=MemoryStore)
    sessions: dict[int, list[int]] = field(default_factory=dict)
    kicks: list[tuple[int, int, int, int]] = field(default_factory=list)
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
        assert ns == pb.Meta.ROSTER_NOTICE
        body = pb.RosterNotice.FromString(payload)
        source = getattr(body, "from").uid
        self.cluster.notices.append(Notice(uid, sender, body.type, source, body.to[0].uid, body.content))

    def group_notice(self, gid: int, sender: int, payload: bytes) -> None:
        raise AssertionError("accounts, devices and roster have nothing to tell groups")

    def link(self, entity_id: int, message: LinkMessage) -> None:
        self.cluster.links.append((self.cluster.map.shard_of(entity_id), message))

    def kick(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
        self.kicks.append((uid, device_sn, notice, except_sn))
        gone = [sn for sn in self.online(uid) if sn != except_sn and device_sn in (0, sn)]
        self.sessions[uid] = [sn for sn in self.online(uid) if sn not in gone]
        return len(gone)

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
        self.links: deque[tuple[int, LinkMessage]] = deque()
        self.shards = [LocalShard(self) for _ in range(shards)]

    def call(self, shard: int, request: Request, *, settle: bool = True) -> bytes:
        """Ask a shard. :raises CallError: refused, and then nothing changed"""
        work = self.shards[shard]
        try:
            answer = calls.handle(work, encode(request))
        finally:
            refused, work.batch = work.batch, work.store.batch()
        work.batch = refused
        work.commit()
        if settle:
            self.settle()
        return answer

    def ask(self, uid: int, request: Request) -> object:
        """Ask the shard of a user; the answer as builtins."""
        return msgspec.msgpack.decode(self.call(self.map.shard_of(uid), request))

    def settle(self) -> None:
        """Let all link messages arrive."""
        while self.links:
            shard, message = self.links.popleft()
            assert calls.apply_link(self.shards[shard], message)
            self.shards[shard].commit()

    def take_notices(self) -> list[Notice]:
        """Notices since the last time."""
        taken, self.notices = self.notices, []
        return taken
