"""A group with an owner, an admin, members and a stranger, asked as a gateway asks; and who was told what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from lanying.base.errors import CallError, Refused
from lanying.bus import messages as m
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.groups import records
from lanying.testing.shards import NotingSimulation

N = pb.GroupNotice

MINUTE = 60_000

DAY = 86_400_000


def codes(rows: list[list[Any]]) -> list[int]:
    """REST codes of the rows of a batch."""
    return [msgspec.convert(row, m.Outcome).code for row in rows]


def why(refused: Refused | None) -> str:
    assert refused is not None and refused.status == pb.Status.FAIL
    return refused.reason


class World(NotingSimulation):
    """Alice owns a group, adam is an admin, mary and max are members, nora is not."""

    def __init__(self, shards: int) -> None:
        super().__init__(shards)
        self.names: dict[int, str] = {}
        for name in ("alice", "adam", "mary", "max", "nora"):
            setattr(self, name, self.register(name))
        self.alice: int
        self.adam: int
        self.mary: int
        self.max: int
        self.nora: int
        self.gid = self.create(self.alice, self.adam, self.mary, self.max).info.gid
        self.ask_in(m.SetAdmins, self.alice, [self.adam], True)
        self.forget()

    def register(self, name: str, app: str = "app") -> int:
        answer = self.call(self.map.shard_of_name(app, name), m.ClaimAccount(app, name, "hash"))
        uid = msgspec.msgpack.decode(answer, type=int)
        self.names[uid] = name
        return uid

    def create(self, founder: int, *members: int, confirm: Iterable[int] = (), **more: Any) -> m.GroupView:
        invitees = [m.Invitee(uid, uid in confirm) for uid in (*members, *confirm)]
        values: dict[str, Any] = {
            "uid": founder, "app": "app", "kind": 0, "name": "club", "description": "", "avatar": "",
            "invitees": invitees, "capacity": 100,
        }  # fmt: skip
        answer = self.ask(founder, m.CreateGroup(**(values | more)))
        return msgspec.convert(answer, m.GroupView)

    def ask_in(self, request: Any, uid: int, *values: Any, gid: int = 0, rights: int = 0, app: str = "app") -> Any:
        gid = gid or self.gid
        return self.ask(gid, request(gid, uid, app, rights, *values))

    def code(self, request: Any, uid: int, *values: Any, **more: Any) -> int:
        with pytest.raises(CallError) as refused:
            self.ask_in(request, uid, *values, **more)
        assert not self.group_notices
        return refused.value.code

    def results(self, request: Any, uid: int, *values: Any) -> list[int]:
        return codes(self.ask_in(request, uid, *values))

    def view(self, uid: int, gid: int = 0) -> m.GroupView:
        gid = gid or self.gid
        return msgspec.convert(self.ask(gid, m.GetGroups(uid, "app", [gid])), list[m.GroupView])[0]

    def invitations(self, uid: int) -> list[m.Invited]:
        return msgspec.convert(self.ask(uid, m.ListInvitations(uid)), list[m.Invited])

    @property
    def store(self) -> Any:
        return self.home(self.gid).work.store

    def members(self) -> set[str]:
        uids = records.member_uids(self.store, self.gid)
        assert self.seats(self.gid) == set(uids)
        assert self.view(0).info.count == len(uids)
        return {self.names[uid] for uid in uids}

    def forget(self) -> None:
        self.group_notices.clear()

    def told(self) -> dict[int, dict[str, list[str]]]:
        """By notice type, who got it how often, and from whom to whom."""
        found: dict[int, dict[str, list[str]]] = {}
        for it in self.take_group_notices():
            line = found.setdefault(it.type, {"who": [], "from": [], "to": [], "content": []})
            line["who"].append(self.names[it.uid])
            line["from"].append(self.names[it.source])
            line["to"].append(",".join(self.names[uid] for uid in it.to))
            line["content"].append(it.content)
        return {
            kind: {"who": sorted(line["who"]), **{k: sorted(set(line[k])) for k in ("from", "to", "content")}}
            for kind, line in found.items()
        }

    def may_post(self, uid: int) -> bool:
        return records.may_post(self.store, self.gid, uid, "app", self.now_ms) is None


def line(who: str, source: str, to: str = "", content: str = "") -> dict[str, list[str]]:
    return {"who": sorted(who.split()), "from": [source], "to": [to], "content": [content]}


ALL = "alice adam mary max"
