"""Applications to a group: open until they are answered or too old, and bounded."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.bus import messages as m
from tests.shard.groups.world import World


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
