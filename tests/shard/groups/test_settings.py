"""What the owner and admins set, and who may not."""

from __future__ import annotations

import json

import pytest

from lanying.base import limits
from lanying.bus import messages as m
from lanying.shard.groups import records
from lanying.shard.store import schema
from tests.shard.groups.world import ALL, MINUTE, N, World, line, why


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
