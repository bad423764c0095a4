"""Groups are founded."""

from __future__ import annotations

from typing import Any

import pytest

from lanying.base.errors import CallError
from lanying.base.ids import slot_of
from tests.shard.groups.world import N, World, line


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
