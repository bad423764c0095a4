"""Invitations end, are bounded, and nobody crowds out others."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.bus import messages as m
from tests.shard.groups.world import World


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
