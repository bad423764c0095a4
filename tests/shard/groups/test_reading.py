"""What a member does with single group messages: read, unread, remove, silence; and what others learn of it (6.1, 6.4)."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.budgets import Budgets
from lanying.bus import messages as m
from lanying.bus.messages import STATE_DELETED
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config, PolicySettings
from lanying.protocol.schema.xsync_pb2 import GroupNotice, MessageBody, MessageOperation, Meta, Status
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation
from tests.shard.groups.test_life import Club

O = MessageOperation  # noqa: E741


def statuses(device: Device, gid: int) -> dict[str, int]:
    bodies = [MessageBody.FromString(meta.payload) for meta in device.history(gid).metas]
    return {body.content: body.status for body in bodies}


def club() -> Club:
    found = Club()
    found.ask(m.AnswerInvitation, found.dave, True)
    return found


def post(club: Club, name: str, text: str) -> int:
    device = club.devices[name]
    return device.acknowledged[device.send(club.gid, text, type=MessageBody.GROUPCHAT)]


@pytest.mark.parametrize("named", [False, True])
def test_what_is_read_is_marked_and_the_author_gets_the_acknowledgement(named: bool) -> None:
    it = club()
    first, _ = post(it, "alice", "first"), post(it, "alice", "second")
    watching = it.bob.device("watching")
    for name in ("bob", "carol"):
        it.devices[name].operate(it.alice, O.READ_ACK, first, it.gid if named else 0)
    assert it.devices["alice"].operations == it.second.operations == [(O.READ_ACK, first)] * 2
    assert watching.operations == [(O.READ_ACK, first)]
    assert it.devices["bob"].operations == it.devices["dave"].operations == []
    read = {"first": MessageBody.READ, "second": MessageBody.UNREAD}
    assert statuses(it.devices["alice"], it.gid) == statuses(it.devices["bob"], it.gid) == read
    assert statuses(it.devices["dave"], it.gid) == dict.fromkeys(read, MessageBody.UNREAD)
    fresh = it.bob.device("fresh")
    assert statuses(fresh, it.gid) == read
    assert fresh.unread == {it.gid: 0, 0: 0} or all(not n for n in fresh.unread.values())


def test_an_acknowledgement_of_nothing_asks_few_groups_and_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_GROUPS", 3)
    monkeypatch.setattr(limits, "READ_CONVERSATIONS_PER_TOKEN", 2)
    sim = Simulation(2, Config(policy=PolicySettings(user_messages_per_s=20)))
    alice, bob = sim.user("alice"), sim.user("bob")
    asked: list[m.GroupReading] = []
    tell = alice.shard.work.tell
    monkeypatch.setattr(alice.shard.work, "tell", lambda shard, message: (asked.append(message), tell(shard, message)))
    a = alice.device()
    gids = [sim.group(bob, alice) for _ in range(10)]
    sim.advance(1)
    b = bob.device()
    for gid in gids[:8]:
        b.send(gid, "hello", type=MessageBody.GROUPCHAT)
    a.operate(bob, O.READ_ACK, schema.FIRST_MID)
    groups = [gid for message in asked if isinstance(message, m.GroupReading) for gid in message.gids]
    assert sorted(groups) == sorted(gids[5:8])  # the latest ones
    asked.clear()
    a.operate(bob, O.READ_ACK, 1 << 62)  # newer than anything
    assert not [message for message in asked if isinstance(message, m.GroupReading)]
    for _ in range(5):
        a.operate(bob, O.READ_ACK, schema.FIRST_MID)
    assert Status.RATE_LIMIT_EXCEEDED in {code for code, _ in a.refused.values()}


def test_an_acknowledgement_of_somebody_elses_group_goes_nowhere() -> None:
    it = club()
    mid = post(it, "alice", "ours")
    eve = it.sim.user("eve").device()
    assert eve.operate(it.alice, O.READ_ACK, mid, it.gid) in eve.acknowledged
    it.devices["bob"].operate(it.carol, O.READ_ACK, mid)  # who did not write it
    assert it.devices["alice"].operations == it.devices["carol"].operations == []


def test_all_read_then_one_unread_then_all_read() -> None:
    it = club()
    mids = [post(it, "alice", text) for text in ("one", "two", "three")]
    bob, other = it.devices["bob"], it.bob.device("other")
    bob.operate(it.bob, O.READ_ALL, mids[1], it.gid)
    assert statuses(bob, it.gid) == {"one": 2, "two": 2, "three": 0}
    bob.operate(it.bob, O.READ_CANCEL, mids[0], it.gid)
    assert statuses(bob, it.gid) == {"one": 0, "two": 2, "three": 0}
    forwarded = MessageBody.FromString(other.metas[-1].payload).operation
    assert (forwarded.type, forwarded.mid, other.metas[-1].to.uid) == (O.READ_CANCEL, mids[0], it.gid)
    bob.operate(it.alice, O.READ_ACK, mids[0])
    assert statuses(bob, it.gid) == {"one": 2, "two": 2, "three": 0}
    bob.operate(it.bob, O.READ_CANCEL, mids[1], it.gid)
    bob.operate(it.bob, O.READ_ALL, 0, it.gid)
    assert statuses(other, it.gid) == {"one": 2, "two": 2, "three": 2}
    assert statuses(it.devices["carol"], it.gid) == {"one": 0, "two": 0, "three": 0}


def test_a_removed_message_is_gone_for_that_member_alone() -> None:
    it = club()
    away = it.bob.device("away")
    away.leave()
    mid = post(it, "alice", "oops")
    post(it, "alice", "better")
    it.devices["bob"].operate(it.bob, O.DELETE, mid, it.gid)
    away = it.bob.device("away")
    assert away.texts == ["better"]
    assert (O.DELETE, mid) in away.operations
    assert it.devices["bob"].history_texts(it.gid) == ["better"]
    assert it.devices["carol"].history_texts(it.gid) == ["oops", "better"]


def test_a_silent_member_gets_notices_and_no_messages() -> None:
    it = club()
    bob, phone = it.devices["bob"], it.bob.device("phone")
    phone.leave()
    it.ask(m.SetMember, it.bob, None, 2)
    post(it, "alice", "noise")
    it.devices["alice"].send(it.gid, "", type=MessageBody.GROUPCHAT, qos=MessageBody.AT_MOST_ONCE)
    it.ask(m.EditGroup, it.alice, "name", "quiet please")
    phone = it.bob.device("phone")
    for device in (bob, phone):
        assert device.texts == []
        kinds = [GroupNotice.FromString(meta.payload).type for meta in device.metas if meta.ns == Meta.GROUP_NOTICE]
        assert kinds[-1] == GroupNotice.INFO_UPDATED
    assert it.devices["carol"].texts == ["noise", ""]
    assert bob.history_texts(it.gid) == ["noise"]
    it.ask(m.SetMember, it.bob, None, 0)
    post(it, "alice", "music")
    assert bob.texts == phone.texts == ["music"]


def test_a_banned_member_may_take_back_and_not_rewrite() -> None:
    it = club()
    mid = post(it, "bob", "sorry")
    it.ask(m.BanMembers, it.alice, [it.bob.uid], 10)
    bob = it.devices["bob"]
    refused = bob.operate(it.gid, O.APPEND, mid, it.gid, content=" not")
    assert bob.refused[refused][0] == Status.FAIL
    bob.operate(it.gid, O.RECALL, mid, it.gid)
    assert it.devices["carol"].history_texts(it.gid) == []


def test_an_admin_recalls_messages_of_others_at_any_age() -> None:
    it = club()
    mid = post(it, "bob", "old")
    it.sim.advance(3600)
    bob = it.devices["bob"]
    bob.operate(it.gid, O.RECALL, mid, it.gid)
    assert bob.refused[0] == (Status.FAIL, "exceed recall time limit")
    it.devices["carol"].operate(it.gid, O.RECALL, mid, it.gid)
    assert it.devices["carol"].refused[0][0] == Status.FAIL
    it.devices["alice"].operate(it.gid, O.RECALL, mid, it.gid)
    assert bob.operations == [(O.RECALL, mid)]
    assert bob.history_texts(it.gid) == []


def test_a_group_has_a_rate_and_drops_what_may_be_dropped_first() -> None:
    it = Club()
    for shard in it.sim.shards:
        config = Config(policy=PolicySettings(group_messages_per_s=6))
        shard.work.settings, shard.work.budgets = RuntimeSettings(config), Budgets(config.policy)
        shard.timelines._policy = type(shard.policy)(shard.work)
    alice = it.devices["alice"]
    low = [alice.send(it.gid, f"low{n}", type=MessageBody.GROUPCHAT, priority=5) for n in range(5)]
    high = [alice.send(it.gid, f"high{n}", type=MessageBody.GROUPCHAT) for n in range(5)]
    assert all(mid in alice.acknowledged for mid in low)
    assert [mid in alice.acknowledged for mid in high] == [True] * 3 + [False] * 2
    assert alice.refused[high[-1]][0] == Status.RATE_LIMIT_EXCEEDED
    assert it.devices["bob"].texts == ["low0", "low1", "low2", "high0", "high1", "high2"]


def test_a_deleted_account_leaves_its_groups() -> None:
    it = club()
    it.all_told()
    it.call(it.alice.uid, m.SetState(it.alice.uid, STATE_DELETED), bool)
    told = [
        (notice.type, getattr(notice, "from").uid, [xid.uid for xid in notice.to])
        for meta in it.devices["bob"].metas
        if meta.ns == Meta.GROUP_NOTICE and (notice := GroupNotice.FromString(meta.payload))
    ]
    heir = min(it.bob.uid, it.carol.uid, it.dave.uid)
    assert told[0] == (GroupNotice.OWNER_ASSIGNED, it.alice.uid, [heir])
    assert told[-1] == (GroupNotice.LEAVED, it.alice.uid, [])
    view = it.ask(m.GetMembers, it.bob, [it.alice.uid])
    assert view[0][1] == 0, "no member any more"
    assert it.say("carol", "still here")
    for user in (it.bob, it.carol, it.dave):
        it.call(user.uid, m.SetState(user.uid, STATE_DELETED), bool)
    found = it.call(it.gid, m.GetGroups(it.bob.uid, "lanying", [it.gid]), list[m.GroupView])
    assert (found[0].info.status, found[0].info.count) == (1, 0)


def test_hidden_members_are_seen_by_admins() -> None:
    it = club()
    it.ask(m.EditGroup, it.alice, "hide_member_info", True)
    seen = it.ask(m.ListMembers, it.bob, 0, 100, False)
    assert {row[0] for row in seen[0]} == {it.alice.uid, it.bob.uid}
    assert len(it.ask(m.ListMembers, it.alice, 0, 100, False)[0]) == 4
    cards = it.ask(m.GetMembers, it.bob, [it.alice.uid, it.carol.uid])
    assert [row[1] > 0 for row in cards] == [True, False]
