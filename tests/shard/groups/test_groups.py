from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError, Refused
from lanying.base.ids import slot_of
from lanying.base.rate import Rate, RateLimiter
from lanying.bus import messages as m
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.groups import records
from lanying.shard.store import schema
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


@pytest.fixture(params=[1, 3], ids=["one shard", "three shards"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def test_create(world: World) -> None:
    view = world.create(world.alice, world.mary, confirm=[world.max])
    info = view.info
    assert slot_of(info.gid) == slot_of(world.alice)
    assert (view.role, info.owner, info.count, info.member_invite, info.apply_approval) == (3, world.alice, 2, True, 1)
    assert not (info.read_ack or info.history_visible or info.member_modify)
    assert world.told() == {
        N.CREATED: line("alice", "alice", "alice,mary"),
        N.JOINED: line("alice mary", "mary", "alice"),
        N.INVITED: line("alice max", "alice", "max"),
    }
    assert world.seats(info.gid) == {world.alice, world.mary}
    assert world.create(world.alice, world.alice).info.count == 1


@pytest.mark.parametrize(
    "wrong", [{"kind": 4}, {"name": "x" * 257}, {"description": "x" * 5000}, {"capacity": 0}, {"capacity": 10_001}]
)
def test_create_refuses(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(CallError) as refused:
        world.create(world.alice, **wrong)
    assert refused.value.code == 10002


def test_create_with_more_than_fit(world: World) -> None:
    with pytest.raises(CallError) as refused:
        world.create(world.alice, world.mary, world.max, capacity=2)
    assert refused.value.code == 20010
    with pytest.raises(CallError) as refused:
        world.create(world.alice, app="other")
    assert refused.value.code == 10000


def test_invite_at_once_and_with_consent(world: World) -> None:
    nina = world.register("nina")
    invitees = [m.Invitee(world.nora, False), m.Invitee(nina, True), m.Invitee(world.max, False)]
    assert world.results(m.InviteMembers, world.mary, invitees, "come") == [200, 200, 20017]
    assert world.told() == {
        N.JOINED: line(ALL + " nora", "nora", "mary"),
        N.INVITED: line("mary nina", "mary", "nina", "come"),
    }
    assert "nora" in world.members()
    [copy] = world.invitations(nina)
    assert (copy.gid, copy.inviter, copy.status, copy.reason) == (world.gid, world.mary, 0, "come")
    world.ask_in(m.AnswerInvitation, nina, True)
    assert world.told() == {
        N.INVITE_ACCEPTED: line("mary nina", "nina", "mary"),
        N.JOINED: line(ALL + " nora nina", "nina", "mary"),
    }
    assert world.invitations(nina)[0].status == 1
    assert world.code(m.AnswerInvitation, nina, True) == 20015


def test_decline_an_invitation(world: World) -> None:
    world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.nora, True)])
    world.forget()
    world.ask_in(m.AnswerInvitation, world.nora, False)
    assert world.told() == {N.INVITE_DECLINED: line("mary nora", "nora", "mary")}
    assert world.invitations(world.nora)[0].status == 2
    assert world.code(m.AnswerInvitation, world.nora, True) == 20015


def test_an_invitation_expires_and_comes_again(world: World) -> None:
    for _ in range(2):
        world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.nora, True)])
        world.forget()
        world.now_ms += limits.INVITATION_LIFETIME_MS
        assert world.code(m.AnswerInvitation, world.nora, True) == 20015
    world.ask_in(m.InviteMembers, world.alice, [m.Invitee(world.nora, True)])
    world.ask_in(m.AnswerInvitation, world.nora, True)
    assert len(world.invitations(world.nora)) == 1


def test_too_many_invitations(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUP_INVITATIONS", 1)
    monkeypatch.setattr(limits, "INVITATIONS_PER_USER", 1)
    nina = world.register("nina")
    world.ask_in(m.InviteMembers, world.alice, [m.Invitee(world.nora, True)])
    world.forget()
    assert world.code(m.InviteMembers, world.alice, [m.Invitee(nina, True)]) == 10010
    world.now_ms += limits.INVITATION_LIFETIME_MS
    world.ask_in(m.InviteMembers, world.alice, [m.Invitee(nina, True)])
    other = world.create(world.alice, confirm=[nina]).info.gid
    assert [it.gid for it in world.invitations(nina)] == [other]


def test_who_invites_most_makes_room_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INVITATIONS_PER_USER", 3)
    nina = world.register("nina")
    honest = world.create(world.mary, confirm=[nina]).info.gid
    for _ in range(5):
        world.now_ms += 1000
        latest = world.create(world.alice, confirm=[nina]).info.gid
    kept = [it.gid for it in world.invitations(nina)]
    assert (len(kept), honest in kept, latest in kept) == (3, True, True)


def test_groups_others_put_a_user_in_are_counted_apart(world: World) -> None:
    def places() -> object:
        return world.ask(world.nora, m.CountGroups(world.nora))

    world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.nora, False)])
    assert places() == [0, 1]
    world.ask_in(m.LeaveGroup, world.nora)
    assert places() == [0, 0]
    world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.nora, True)])
    world.ask_in(m.AnswerInvitation, world.nora, True)
    assert places() == [1, 0]
    world.create(world.nora)
    assert places() == [2, 0]
    world.create(world.mary, world.nora)
    assert places() == [2, 1]
    world.create(world.mary, world.nora, by_admin=True)
    assert places() == [3, 1], "who administers the app decides for its users"


def test_members_at_the_foundation_count_as_invited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for shard in world.shards:
        shard.work.budgets.invited = RateLimiter(Rate(2, 3600.0), 10)
    with pytest.raises(CallError) as refused:
        world.create(world.alice, world.mary, confirm=[world.max, world.nora])
    assert (refused.value.code, "at most 2 at once" in refused.value.message) == (429, True)
    world.create(world.alice, world.mary, world.max)
    with pytest.raises(CallError, match=r"try again in 3[01] minutes"):
        world.create(world.alice, world.mary)


def test_only_admins_invite_when_members_may_not(world: World) -> None:
    nora = [m.Invitee(world.nora, False)]
    world.ask_in(m.EditGroup, world.adam, "member_invite", False)
    world.forget()
    assert world.code(m.InviteMembers, world.mary, nora) == 20012
    assert world.code(m.MayInvite, world.mary) == 20012
    assert world.code(m.InviteMembers, world.nora, nora) == 20011
    assert world.results(m.InviteMembers, world.adam, nora) == [200]


def test_a_full_group(world: World) -> None:
    gid = world.create(world.alice, world.mary, capacity=3).info.gid
    invitees = [m.Invitee(world.max, False), m.Invitee(world.nora, False)]
    rows = world.ask_in(m.InviteMembers, world.alice, invitees, gid=gid)
    assert codes(rows) == [200, 20010]
    world.ask_in(m.EditGroup, world.alice, "apply_approval", 0, gid=gid)
    world.forget()
    assert world.code(m.ApplyMember, world.nora, gid=gid) == 20010
    assert world.code(m.JoinByCode, world.nora, world.alice, gid=gid) == 20010


def test_apply_and_accept(world: World) -> None:
    assert world.ask_in(m.ApplyMember, world.nora, "please") is False
    assert world.told() == {N.APPLYED: line("alice adam", "nora", "", "please")}
    world.ask_in(m.ApplyMember, world.nora, "please")
    assert world.told() == {}
    request = m.ListApplicants(world.adam, "app", [77, world.gid])
    expires = world.now_ms + limits.INVITATION_LIFETIME_MS
    assert world.ask(world.gid, request) == [[world.gid, world.nora, 0, "please", world.now_ms, expires]]
    assert world.ask(world.gid, m.ListApplicants(world.mary, "app", [world.gid])) == []
    assert world.ask(world.gid, m.ListApplicants(0, "app", [world.gid], rights=2, rights_in=world.gid)) != []
    assert world.ask(world.gid, m.ListApplicants(world.adam, "other", [world.gid])) == []
    assert world.code(m.AnswerApplicant, world.mary, world.nora, True) == 20012
    world.ask_in(m.AnswerApplicant, world.adam, world.nora, True)
    assert world.told() == {
        N.APPLY_ACCEPTED: line("adam nora", "adam", "nora"),
        N.JOINED: line(ALL + " nora", "nora"),
    }
    assert world.ask(world.gid, request)[0][2] == 1  # type: ignore[index]
    assert world.code(m.AnswerApplicant, world.adam, world.nora, True) == 20014
    assert world.code(m.ApplyMember, world.nora) == 20017


def test_decline_an_application(world: World) -> None:
    world.ask_in(m.ApplyMember, world.nora)
    world.forget()
    world.ask_in(m.AnswerApplicant, world.alice, world.nora, False)
    assert world.told() == {N.APPLY_DECLINED: line("alice nora", "alice", "nora")}
    assert "nora" not in world.members()
    assert world.code(m.AnswerApplicant, world.alice, world.nora, True) == 20014
    world.ask_in(m.ApplyMember, world.nora)
    world.forget()
    world.now_ms += limits.INVITATION_LIFETIME_MS
    assert world.code(m.AnswerApplicant, world.alice, world.nora, True) == 20014


def test_open_and_closed_groups(world: World) -> None:
    world.ask_in(m.EditGroup, world.alice, "apply_approval", 2)
    world.forget()
    assert world.code(m.ApplyMember, world.nora) == 10010
    world.ask_in(m.EditGroup, world.alice, "apply_approval", 0)
    world.forget()
    assert world.ask_in(m.ApplyMember, world.nora) is True
    assert world.told() == {N.JOINED: line(ALL + " nora", "nora")}


def test_applications_make_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUP_APPLICATIONS", 1)
    nina = world.register("nina")
    world.ask_in(m.ApplyMember, world.nora)
    world.forget()
    assert world.code(m.ApplyMember, nina) == 10010
    world.ask_in(m.AnswerApplicant, world.alice, world.nora, False)
    world.ask_in(m.ApplyMember, nina)
    rows = world.ask(world.gid, m.ListApplicants(world.alice, "app", [world.gid]))
    assert [row[1] for row in rows] == [nina]  # type: ignore[attr-defined]


def test_qr_codes(world: World) -> None:
    world.ask_in(m.JoinByCode, world.nora, world.mary)
    assert world.told() == {N.JOINED: line(ALL + " nora", "nora", "mary")}
    nina = world.register("nina")
    world.ask_in(m.KickMembers, world.alice, [world.mary])
    world.forget()
    assert world.code(m.JoinByCode, nina, world.mary) == 20024


def test_kick(world: World) -> None:
    assert world.results(m.KickMembers, world.adam, [world.mary, world.alice, world.adam, world.nora], "spam") == [
        200, 20013, 10002, 20002,
    ]  # fmt: skip
    assert world.told() == {N.KICKED: line("alice adam max mary", "adam", "mary", "spam")}
    assert world.members() == {"alice", "adam", "max"}
    assert world.results(m.KickMembers, world.alice, [world.adam]) == [200]
    world.forget()
    assert world.code(m.KickMembers, world.max, [world.alice]) == 20012
    assert world.view(world.adam).role == 0


def test_kicked_too_often(world: World) -> None:
    world.ask_in(m.EditGroup, world.alice, "apply_approval", 0)
    for _ in range(limits.GROUP_KICKS - 1):
        world.ask_in(m.KickMembers, world.alice, [world.max])
        world.ask_in(m.ApplyMember, world.max)
    world.ask_in(m.KickMembers, world.alice, [world.max])
    world.forget()
    assert world.code(m.ApplyMember, world.max) == 20016
    assert world.code(m.JoinByCode, world.max, world.mary) == 20016
    assert world.results(m.InviteMembers, world.mary, [m.Invitee(world.max, False)]) == [20016]
    assert world.results(m.InviteMembers, world.adam, [m.Invitee(world.max, False)]) == [200]
    world.ask_in(m.KickMembers, world.alice, [world.max])
    world.forget()
    assert world.ask_in(m.ApplyMember, world.max) is True


def test_kicks_are_forgotten(world: World) -> None:
    world.ask_in(m.EditGroup, world.alice, "apply_approval", 0)
    for _ in range(limits.GROUP_KICKS):
        world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.max, False)])
        world.ask_in(m.KickMembers, world.alice, [world.max])
    world.now_ms += limits.GROUP_KICK_WINDOW_MS
    assert world.ask_in(m.ApplyMember, world.max) is True


def test_leave(world: World) -> None:
    world.ask_in(m.LeaveGroup, world.adam)
    assert world.told() == {N.LEAVED: line(ALL, "adam")}
    assert world.members() == {"alice", "mary", "max"}
    assert world.code(m.LeaveGroup, world.alice) == 20004
    assert world.code(m.LeaveGroup, world.nora) == 20011
    world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.adam, False)])
    assert world.view(world.adam).role == 1


def test_transfer(world: World) -> None:
    assert world.code(m.TransferGroup, world.adam, world.mary) == 20013
    assert world.code(m.TransferGroup, world.alice, world.nora) == 20005
    world.ask_in(m.TransferGroup, world.alice, world.adam)
    content = json.dumps({"property": "owner_id", "owner_id": world.adam}, separators=(",", ":"))
    assert world.told() == {
        N.OWNER_ASSIGNED: line(ALL, "alice", "adam"),
        N.INFO_UPDATED: line(ALL, "alice", "", content),
    }
    assert world.view(world.adam).role == 3
    assert world.view(world.alice).role == 1
    world.ask_in(m.TransferGroup, world.adam, world.adam)
    assert not world.told()


def test_destroy(world: World) -> None:
    world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.nora, True)])
    world.ask_in(m.PublishAnnouncement, world.adam, "t", "c")
    world.forget()
    assert world.code(m.DestroyGroup, world.adam) == 20013
    world.ask_in(m.DestroyGroup, world.alice)
    assert world.told() == {N.DESTROYED: line(ALL, "alice")}
    assert world.seats(world.gid) == set()
    view = world.view(world.alice)
    assert (view.info.status, view.info.count, view.info.name) == (1, 0, "club")
    assert world.invitations(world.nora) == []
    assert list(world.store.scan(schema.GROUP_ITEMS, b"", b"\xff" * 20)) == []
    assert world.code(m.LeaveGroup, world.mary) == 20001
    assert why(records.may_post(world.store, world.gid, world.alice, "app", 0)) == "this group was destroyed"
    assert not records.may_recall(world.store, world.gid, world.alice)


def test_admins(world: World) -> None:
    assert world.code(m.SetAdmins, world.adam, [world.mary], True) == 20013
    asked = [world.mary, world.adam, world.nora, world.alice]
    assert world.results(m.SetAdmins, world.alice, asked, True) == [200, 200, 20002, 10002]
    assert world.told() == {N.ADMIN_GRANTED: line(ALL, "alice", "mary")}
    assert [row[0] for row in world.ask_in(m.ListAdmins, world.max)] == [world.adam, world.mary]
    assert world.results(m.SetAdmins, world.alice, [world.adam, world.max], False) == [200, 200]
    assert world.told() == {N.ADMIN_REVOKED: line(ALL, "alice", "adam")}
    assert world.view(world.adam).role == 1


def test_not_too_many_admins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUP_ADMINS", 2)
    assert world.results(m.SetAdmins, world.alice, [world.mary, world.max], True) == [200, 10010]


def test_block(world: World) -> None:
    world.ask_in(m.ApplyMember, world.nora)
    world.forget()
    assert world.code(m.BlockUsers, world.mary, [world.nora], True) == 20012
    assert world.results(m.BlockUsers, world.adam, [world.nora, world.mary, world.alice], True) == [200, 200, 20013]
    told = world.told()
    assert (told.keys(), told[N.BLOCKED]["who"]) == ({N.BLOCKED}, sorted(["alice", "adam", "max", "nora", "mary"]))
    assert set(told[N.BLOCKED]["to"]) == {"nora,mary", "nora", "mary"}, "who was removed hears of themselves alone"
    assert world.members() == {"alice", "adam", "max"}
    assert world.code(m.ApplyMember, world.nora) == 20018
    assert world.code(m.AnswerApplicant, world.alice, world.nora, True) == 20014
    assert world.results(m.InviteMembers, world.alice, [m.Invitee(world.nora, False)]) == [20018]
    assert world.results(m.BlockUsers, world.adam, [world.nora], True) == [200]
    assert not world.told()
    rows, total = world.ask_in(m.ListGroupBlocked, world.adam)
    assert [row[0] for row in rows] == sorted((world.nora, world.mary))
    assert total == 2
    assert world.code(m.ListGroupBlocked, world.max) == 20012
    assert world.results(m.BlockUsers, world.adam, [world.nora, world.max], False) == [200, 200]
    assert world.told() == {N.UNBLOCKED: line("alice adam", "adam", "nora")}
    assert world.ask_in(m.ApplyMember, world.nora) is False


def test_blocking_ends_an_invitation(world: World) -> None:
    world.ask_in(m.InviteMembers, world.mary, [m.Invitee(world.nora, True)])
    world.ask_in(m.BlockUsers, world.adam, [world.nora], True)
    world.forget()
    assert world.code(m.AnswerInvitation, world.nora, True) == 20015
    assert world.invitations(world.nora) == []


def test_a_full_block_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUP_BLOCKED", 1)
    assert world.results(m.BlockUsers, world.adam, [world.nora, world.mary], True) == [200, 10010]


def test_ban_members(world: World) -> None:
    asked = [world.mary, world.alice, world.nora, world.adam]
    assert world.results(m.BanMembers, world.adam, asked, 5) == [200, 20013, 20002, 10002]
    assert world.told() == {N.BANNED: line(ALL, "adam", "mary", "5")}
    status = records.may_post(world.store, world.gid, world.mary, "app", world.now_ms)
    assert why(status) == "you are banned from writing in this group for another 5 min"
    rows, total = world.ask_in(m.ListMembers, world.max, 0, 10, True)
    assert rows == [[world.mary, world.now_ms, "", world.now_ms + 5 * MINUTE]]
    assert total == 1
    world.now_ms += 5 * MINUTE
    assert world.may_post(world.mary)
    assert world.ask_in(m.ListMembers, world.max, 0, 10, True) == [[], 0]
    assert world.results(m.BanMembers, world.adam, [world.mary], 0) == [200]
    assert not world.told()
    world.ask_in(m.BanMembers, world.alice, [world.mary], -1)
    world.forget()
    assert not world.may_post(world.mary)
    assert world.results(m.BanMembers, world.adam, [world.mary, world.nora], 0) == [200, 20002]
    assert world.told() == {N.UNBANNED: line(ALL, "adam", "mary")}
    assert world.may_post(world.mary)
    assert world.code(m.BanMembers, world.adam, [world.mary], -2) == 10002
    assert world.code(m.BanMembers, world.mary, [world.max], 1) == 20012


def test_ban_all(world: World) -> None:
    assert world.code(m.BanGroup, world.mary, -1) == 20012
    assert world.ask_in(m.BanGroup, world.adam, -1) == -1
    content = '{"property":"ban_expire_time","ban_expire_time":%d}'
    assert world.told() == {N.INFO_UPDATED: line(ALL, "adam", "", content % -1)}
    assert [world.may_post(uid) for uid in (world.alice, world.adam, world.mary)] == [True, True, False]
    until = world.ask_in(m.BanGroup, world.adam, 2)
    assert until == world.now_ms + 2 * MINUTE
    assert world.told() == {N.INFO_UPDATED: line(ALL, "adam", "", content % (until // 1000))}
    assert not world.may_post(world.mary)
    world.now_ms += 2 * MINUTE
    assert world.may_post(world.mary)
    assert world.ask_in(m.BanGroup, world.adam, 0) == 0
    assert world.told() == {N.INFO_UPDATED: line(ALL, "adam", "", content % 0)}


def test_what_the_timeline_asks(world: World) -> None:
    store, gid = world.store, world.gid
    assert why(records.may_post(store, gid, world.nora, "app", 0)) == "you are not a member of this group"
    assert why(records.may_post(store, gid, world.alice, "other", 0)) == "there is no such group"
    assert why(records.may_post(store, 77, world.alice, "app", 0)) == "there is no such group"
    assert [records.may_recall(store, gid, uid) for uid in (world.alice, world.adam, world.mary)] == [True, True, False]
    assert records.member_since(store, gid, world.mary) == (world.now_ms, False)
    world.ask_in(m.EditGroup, world.alice, "history_visible", True)
    assert records.member_since(store, gid, world.mary) == (world.now_ms, True)
    assert records.member_since(store, gid, world.nora) is None


def test_own_settings(world: World) -> None:
    world.ask_in(m.SetMember, world.mary, "Mary M.", None, None)
    content = '{"property":"display_name","display_name":"Mary M."}'
    assert world.told() == {N.INFO_UPDATED: line(ALL, "mary", "", content)}
    world.ask_in(m.SetMember, world.mary, None, 2, None)
    assert world.told() == {
        N.MUTED: line("mary", "mary"),
        N.INFO_UPDATED: line("mary", "mary", "", '{"property":"msg_mute_mode","msg_mute_mode":2}'),
    }
    assert world.view(world.mary).mute_mode == 2
    world.ask_in(m.SetMember, world.mary, None, 0, None)
    assert world.told().keys() == {N.UNMUTED, N.INFO_UPDATED}
    world.ask_in(m.SetMember, world.mary, None, None, 4)
    assert world.told() == {N.INFO_UPDATED: line("mary", "mary", "", '{"property":"msg_push_mode","msg_push_mode":4}')}
    view = world.view(world.mary)
    assert (view.mute_mode, view.push_mode) == (0, 4)
    assert world.code(m.SetMember, world.mary, None, 3, None) == 10002
    assert world.code(m.SetMember, world.mary, None, None, 5) == 20003
    assert world.code(m.SetMember, world.mary, "x" * 300, None, None) == 10002
    assert world.code(m.SetMember, world.nora, "x", None, None) == 20011
    [row] = world.ask_in(m.GetMembers, world.max, [world.mary])
    assert row[2] == "Mary M."


@pytest.mark.parametrize(("name", "value"), [("name", "n"), ("description", ""), ("avatar", "a"), ("ext", "{}")])
def test_members_edit_when_they_may(world: World, name: str, value: str) -> None:
    changed = value != ""
    assert world.ask_in(m.EditGroup, world.adam, name, value) is changed
    content = json.dumps({"property": name, name: value}, separators=(",", ":"))
    assert world.told() == ({N.INFO_UPDATED: line(ALL, "adam", "", content)} if changed else {})
    assert getattr(world.view(0).info, name) == value
    assert world.code(m.EditGroup, world.mary, name, "other") == 20012
    assert world.code(m.EditGroup, world.nora, name, "other") == 20011
    world.ask_in(m.EditGroup, world.adam, "member_modify", True)
    assert world.ask_in(m.EditGroup, world.mary, name, "other") is True
    world.forget()
    assert world.code(m.EditGroup, world.mary, "member_modify", False) == 20012


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", 1), ("name", "x" * 257), ("read_ack", 1), ("apply_approval", 3), ("apply_approval", True), ("owner", 1)],
)
def test_edit_refuses(world: World, name: str, value: object) -> None:
    assert world.code(m.EditGroup, world.alice, name, value) == 10002


def test_an_admin_token_acts_as_admin(world: World) -> None:
    assert world.ask_in(m.EditGroup, world.nora, "name", "new", rights=2) is True
    world.forget()
    assert world.code(m.DestroyGroup, world.nora, rights=2) == 20013
    assert world.code(m.EditGroup, world.nora, "name", "new", rights=2, app="other") == 20001
    assert world.code(m.EditGroup, world.nora, "name", "new", gid=77) == 20001


def test_members_by_page(world: World) -> None:
    everyone = sorted((world.alice, world.adam, world.mary, world.max))
    seen: list[int] = []
    for _ in range(2):
        rows, total = world.ask_in(m.ListMembers, world.max, seen[-1] if seen else 0, 2)
        assert total == 4
        seen += [row[0] for row in rows]
    assert seen == everyone
    assert world.code(m.ListMembers, world.nora) == 20011
    rows = world.ask_in(m.GetMembers, world.max, [world.alice, world.nora])
    assert [row[:2] for row in rows] == [[world.alice, world.now_ms], [world.nora, 0]]


def test_announcements(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.code(m.PublishAnnouncement, world.mary, "t", "c") == 20012
    assert world.ask_in(m.PublishAnnouncement, world.adam, "t", "one") == [1, world.adam, "t", "one", world.now_ms]
    assert world.told() == {N.ANNOUNCEMENT_UPDATED: line(ALL, "adam", "", "one")}
    world.ask_in(m.PublishAnnouncement, world.alice, "t", "two")
    assert [row[3] for row in world.ask_in(m.ListAnnouncements, world.mary)] == ["one", "two"]
    world.forget()
    assert world.code(m.ListAnnouncements, world.nora) == 20011
    assert world.code(m.DeleteAnnouncement, world.adam, 9) == 20020
    assert world.code(m.DeleteAnnouncement, world.mary, 1) == 20012
    world.ask_in(m.DeleteAnnouncement, world.adam, 1)
    assert world.told() == {N.ANNOUNCEMENT_UPDATED: line(ALL, "adam")}
    monkeypatch.setattr(limits, "GROUP_ANNOUNCEMENTS", 2)
    for text in ("three", "four"):
        world.ask_in(m.PublishAnnouncement, world.alice, "t", text)
    assert [row[::3] for row in world.ask_in(m.ListAnnouncements, world.mary)] == [[3, "three"], [4, "four"]]


def test_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.ask_in(m.ShareFile, world.mary, "a.txt", 12, "200", "http://x/?sign=1")
    assert file == [1, world.mary, "a.txt", 12, "200", "http://x/?sign=1", world.now_ms, world.now_ms]
    [content] = world.told()[N.FILE_UPLOADED]["content"]
    assert json.loads(content)["file_id"] == 1
    world.ask_in(m.ShareFile, world.max, "b.txt", 12, "", "u")
    world.forget()
    assert world.code(m.RenameFile, world.max, 1, "c.txt") == 20023
    assert world.code(m.RenameFile, world.max, 9, "c.txt") == 20022
    world.ask_in(m.RenameFile, world.mary, 1, "c.txt")
    assert world.told() == {N.FILE_UPDATED: line(ALL, "mary", "", '{"file_id":1,"name":"c.txt"}')}
    assert [row[2] for row in world.ask_in(m.ListFiles, world.adam)] == ["c.txt", "b.txt"]
    assert world.results(m.DeleteFiles, world.mary, [1, 2, 9]) == [200, 20023, 20022]
    assert world.told() == {N.FILE_DELETED: line(ALL, "mary", "", '{"file_list":[1]}')}
    assert world.results(m.DeleteFiles, world.adam, [2]) == [200]
    world.forget()
    monkeypatch.setattr(limits, "GROUP_FILES", 0)
    assert world.code(m.ShareFile, world.mary, "a.txt", 12, "", "u") == 20023
    assert world.code(m.ShareFile, world.nora, "a.txt", 12, "", "u") == 20011


def test_public_groups(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [world.create(world.alice, kind=1).info.gid for _ in range(3)]
    world.ask_in(m.DestroyGroup, world.alice, gid=wanted.pop())
    monkeypatch.setattr(limits, "GROUPS_SCANNED", 2)

    def public(app: str) -> list[int]:
        found: list[int] = []
        page = m.PublicPage([], 0)
        while True:
            page = msgspec.convert(world.ask(world.alice, m.ListPublic(app, page.next)), m.PublicPage)
            found += page.gids
            if not page.next:
                break
        return sorted(found)

    assert public("app") == sorted(wanted)
    assert public("other") == []
    wanted.append(world.create(world.alice, kind=1).info.gid)
    world.ask_in(m.DestroyGroup, world.alice, gid=wanted.pop(0))
    world.create(world.mary)
    assert public("app") == sorted(wanted)
    for shard in world.shards:
        shard.remap(world.map)
    assert public("app") == sorted(wanted), "found again"


def test_a_list_of_public_groups_looks_at_no_others_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gid = world.create(world.alice, kind=1).info.gid
    for _ in range(5):
        world.create(world.alice)
    monkeypatch.setattr(limits, "GROUPS_SCANNED", 2)
    home, rounds, after = world.home(gid), 0, 0
    while True:
        page = msgspec.convert(world.ask(gid, m.ListPublic("app", after)), m.PublicPage)
        rounds, after = rounds + 1, page.next
        if not after:
            break
    assert (page.gids, rounds > 1) == ([gid], True)
    monkeypatch.setattr(home.work.store, "scan", None)
    assert world.ask(gid, m.ListPublic("app", 0)) == [[gid], 0]


def test_a_group_that_was_taken_back_is_on_no_list(world: World) -> None:
    gid = world.create(world.alice, kind=1).info.gid
    work = world.home(gid).work
    while msgspec.convert(world.ask(gid, m.ListPublic("app", 0)), m.PublicPage).next:
        pass
    info = msgspec.structs.replace(world.view(0, gid).info, gid=gid + 1024)

    def fails() -> None:
        records.save(work, records.Group(info))
        raise ValueError

    assert not work.event(fails)
    world.run()
    assert world.ask(gid, m.ListPublic("app", 0)) == [[gid], 0]


def test_groups_of_another_app_are_not_there(world: World) -> None:
    assert world.ask(world.gid, m.GetGroups(world.alice, "other", [world.gid])) == []
    assert world.ask(world.gid, m.GetGroups(world.alice, "app", [77, -1, 1 << 60])) == []


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("minutes", [10, -1])
def test_a_ban_lasts_whoever_leaves_and_comes_back(world: World, leaves: bool, minutes: int) -> None:
    gid = world.gid
    world.ask_in(m.EditGroup, world.alice, "apply_approval", records.OPEN)
    world.ask_in(m.BanMembers, world.alice, [world.mary], minutes)
    if leaves:
        world.ask_in(m.LeaveGroup, world.mary)
    else:
        world.ask_in(m.KickMembers, world.alice, [world.mary], "")
    world.ask_in(m.ApplyMember, world.mary, "")
    assert world.mary in records.member_uids(world.store, gid)
    assert why(records.may_post(world.store, gid, world.mary, "app", world.now_ms + 9 * MINUTE))
    later = records.may_post(world.store, gid, world.mary, "app", world.now_ms + 11 * MINUTE)
    assert (later is None) == (minutes > 0)
    world.ask_in(m.BanMembers, world.alice, [world.mary], 0)
    world.ask_in(m.LeaveGroup, world.mary)
    world.ask_in(m.ApplyMember, world.mary, "")
    assert records.may_post(world.store, gid, world.mary, "app", world.now_ms) is None


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_strangers_see_the_name_of_a_private_group_and_no_more(world: World, kind: int) -> None:
    gid = world.create(world.alice, world.mary, kind=kind, name="club", description="secret", avatar="picture").info.gid
    stranger, member, server = (world.view(uid, gid).info for uid in (world.nora, world.mary, 0))
    assert member == server
    assert (member.description, member.owner, member.count) == ("secret", world.alice, 2)
    assert (stranger == member) == (kind in records.OPEN_TO_ALL)
    if kind not in records.OPEN_TO_ALL:
        told = {name for name in m.GroupInfo.__struct_fields__ if getattr(stranger, name) == getattr(member, name)}
        assert {"gid", "name", "avatar", "type"} <= told
        assert not told & {"owner", "count", "capacity", "description", "created_ms"}


def test_groups_and_members_have_names_that_can_be_read(world: World) -> None:
    assert world.code(m.EditGroup, world.alice, "name", "club\u202e") == 10002
    world.ask_in(m.EditGroup, world.alice, "name", " Cafe\u0301 ")
    assert world.view(world.mary).info.name == "Café"
    with pytest.raises(CallError):
        world.create(world.alice, name="a\nb")
