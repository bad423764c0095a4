"""A simulation that notes what users get: for tests of accounts, devices, roster and group administration, which ask shards as a
gateway does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from lanying.bus.messages import GroupDeliver, NoticeFor, Request
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.shard import Shard
from lanying.testing.simulation import Device, Simulation, User


@dataclass
class RosterNoticeSeen:
    """A roster notice as it arrived in a queue 0."""

    uid: int
    sender: int
    type: int
    source: int
    target: int
    content: str


@dataclass
class GroupNotice:
    """A group notice as somebody's devices see it, from their queue 0 or the timeline of a group they are in."""

    uid: int
    type: int
    gid: int
    source: int
    to: tuple[int, ...]
    content: str


class NotingSimulation(Simulation):
    """A server whose notices are looked at.

    :ivar notices: roster notices since the last :meth:`take_notices`
    :ivar group_notices: group notices since the last :meth:`take_group_notices`
    :ivar kicks: (uid, serial number, notice, except) of sessions that were to be closed
    :ivar informed: (uid, notice) that ended nothing
    """

    def __init__(self, shards: int = 2, now_ms: int = 1_800_000_000_000, **more: Any) -> None:
        self.notices: list[RosterNoticeSeen] = []
        self.group_notices: list[GroupNotice] = []
        self.kicks: list[tuple[int, int, int, int]] = []
        self.informed: list[tuple[int, int]] = []
        super().__init__(shards, now_ms=now_ms, **more)
        for shard in self.shards:
            self._watch(shard)

    def call(self, index: int, request: Request[object]) -> bytes:
        """As in a simulation, at the time that ``now_ms`` says."""
        for shard in self.shards:
            shard.turn(self.now, self.now_ms)
        return super().call(index, request)

    def ask(self, uid: int, request: Request[object]) -> object:
        """Ask the shard of a user or group; the answer as builtins. :raises CallError: refused"""
        return msgspec.msgpack.decode(self.call(self.map.shard_of(uid), request))

    def log_in(self, uid: int, guid: str, app: str = "app") -> Device:
        """A device of a user."""
        return User(self, uid, "", app).device(guid)

    def home(self, entity: int) -> Shard:
        """Where a user or group lives."""
        return self.shards[self.map.shard_of(entity)]

    def seats(self, gid: int) -> set[int]:
        """Members of a group, as their own shards know them."""
        return {uid for shard in self.shards for uid in shard.memberships.members(gid)}

    def take_group_notices(self) -> list[GroupNotice]:
        """Group notices since the last time."""
        taken, self.group_notices = self.group_notices, []
        return taken

    def take_notices(self) -> list[RosterNoticeSeen]:
        """Roster notices since the last time."""
        taken, self.notices = self.notices, []
        return taken

    def _watch(self, shard: Shard) -> None:
        links, work = shard.dispatch.links, shard.work
        links[NoticeFor] = _before(self._noticed, links[NoticeFor])
        links[GroupDeliver] = _before(lambda message: self._delivered(shard, message), links[GroupDeliver])
        kick, inform = work.kick, work.inform

        def noting_kick(uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
            self.kicks.append((uid, device_sn, notice, except_sn))
            return kick(uid, device_sn, notice, except_sn)

        def noting_inform(uid: int, notice: int) -> None:
            self.informed.append((uid, notice))
            inform(uid, notice)

        work.kick = noting_kick
        work.inform = noting_inform

    def _noticed(self, message: NoticeFor) -> None:
        if message.ns == pb.Meta.GROUP_NOTICE:
            self._group_notice(message.uid, message.payload)
            return
        body = pb.RosterNotice.FromString(message.payload)
        source = getattr(body, "from").uid
        self.notices.append(
            RosterNoticeSeen(message.uid, message.sender, body.type, source, body.to[0].uid, body.content)
        )

    def _delivered(self, shard: Shard, message: GroupDeliver) -> None:
        meta = pb.Meta.FromString(message.meta)
        if meta.ns == pb.Meta.GROUP_NOTICE:
            for uid in sorted(shard.memberships.members(message.gid)):
                self._group_notice(uid, meta.payload)

    def _group_notice(self, uid: int, payload: bytes) -> None:
        body = pb.GroupNotice.FromString(payload)
        source, to = getattr(body, "from").uid, tuple(xid.uid for xid in body.to)
        assert source
        assert body.gid.uid
        self.group_notices.append(GroupNotice(uid, body.type, body.gid.uid, source, to, body.content))


def _before(note: Callable[[Any], None], handle: Callable[[Any], object]) -> Callable[[Any], object]:
    def both(message: Any) -> object:
        note(message)
        return handle(message)

    return both
