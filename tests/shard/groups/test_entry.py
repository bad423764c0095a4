"""The ways into a group: brought in, invited, applying, by a QR text."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.rate import Rate, RateLimiter
from lanying.bus import messages as m
from tests.shard.groups.world import ALL, N, World, codes, line


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


def test_qr_codes(world: World) -> None:
    world.ask_in(m.JoinByCode, world.nora, world.mary)
    assert world.told() == {N.JOINED: line(ALL + " nora", "nora", "mary")}
    nina = world.register("nina")
    world.ask_in(m.KickMembers, world.alice, [world.mary])
    world.forget()
    assert world.code(m.JoinByCode, nina, world.mary) == 20024
