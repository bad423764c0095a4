"""Members go, are put out, kept out and silenced, and see each other."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.bus import messages as m
from lanying.shard.groups import records
from tests.shard.groups.world import ALL, MINUTE, N, World, line, why


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


def test_who_is_named_twice_goes_once(world: World) -> None:
    assert world.results(m.KickMembers, world.alice, [world.max, world.max]) == [200, 200]
    assert world.members() == {"alice", "adam", "mary"}
    assert world.view(world.alice).info.count == 3


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
