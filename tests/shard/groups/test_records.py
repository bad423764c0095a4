"""What a group is to whoever looks at it, and who may write into it."""

from __future__ import annotations

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.bus import messages as m
from lanying.shard.groups import records
from tests.shard.groups.world import World, why


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
