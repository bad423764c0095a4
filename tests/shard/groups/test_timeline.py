"""Group timelines: members on both shards, one write, everybody gets it once (xsync 5.8, 5.9, 6.1, 6.4)."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.ids import slot_of
from lanying.bus.messages import GroupInfo, Seat, Unseat
from lanying.protocol.schema.xsync_pb2 import GroupNotice, MessageBody, MessageOperation, Meta, Status
from lanying.shard.accounts import accounts
from lanying.shard.groups import records
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation, User

GROUPCHAT = MessageBody.GROUPCHAT


class Club:
    """A group whose founder is the first member, with members on both shards."""

    def __init__(self, names: int = 6, *, history_visible: bool = False) -> None:
        self.sim = Simulation(2)
        self.people = [self.sim.user(f"member{n}") for n in range(names)]
        founder = self.people[0]
        self.shard = founder.shard
        work = self.work = founder.shard.work
        self.gid = accounts.next_id(work, slot_of(founder.uid))
        info = GroupInfo(
            gid=self.gid,
            app="lanying",
            owner=founder.uid,
            type=0,
            capacity=2000,
            created_ms=0,
            updated_ms=0,
            history_visible=history_visible,
        )
        records.save(work, records.Group(info))
        for user in self.people:
            self.join(user)

    def join(self, user: User) -> None:
        records.save_member(self.work, self.gid, user.uid, records.Member(self.sim.now_ms))
        self.work.link(user.uid, Seat(user.uid, self.gid))
        payload = GroupNotice(type=GroupNotice.JOINED)
        payload.gid.uid = self.gid
        getattr(payload, "from").uid = user.uid
        self.work.group_notice(self.gid, user.uid, payload.SerializeToString())
        self.work.apply_local()
        self.sim.run()

    def leave(self, user: User) -> None:
        self.work.delete(schema.MEMBERS, schema.pack_pair(self.gid, user.uid))
        self.work.link(user.uid, Unseat(user.uid, self.gid))
        self.work.apply_local()
        self.sim.run()


def say(device: Device, club: Club, text: str, **fields: object) -> int:
    return device.send(club.gid, text, type=GROUPCHAT, **fields)


def test_members_live_on_both_shards() -> None:
    assert {user.shard.work.index for user in Club().people} == {0, 1}


def test_a_message_is_written_once_and_reaches_everybody_once() -> None:
    club = Club()
    devices = [user.device() for user in club.people]
    second = club.people[0].device("second")
    for number, device in enumerate(devices):
        assert device.acknowledged[say(device, club, f"{number}")]
    for number, device in enumerate(devices):
        assert device.texts == [str(n) for n in range(len(devices)) if n != number]
    assert second.texts == [str(n) for n in range(len(devices))]
    stored = [sum(1 for _ in s.scan(schema.HISTORY, b"", b"\xff" * 30)) for s in club.sim.stores]
    assert sorted(stored) == [0, len(devices)], "the timeline is on one shard"


def test_many_messages_in_one_go_keep_one_order_for_all() -> None:
    club = Club()
    devices = [user.device() for user in club.people]
    for number in range(300):
        devices[number % 6].send(club.gid, f"{number}", type=GROUPCHAT, run=number % 11 == 0)
    club.sim.run()
    orders = {tuple(text for text in d.history_texts(club.gid)) for d in devices}
    assert len(orders) == 1
    for number, device in enumerate(devices):
        ids = [meta.id for meta in device.metas if meta.ns == Meta.MESSAGE]
        assert ids == sorted(ids)
        assert len(device.texts) == len(set(device.texts)) == 250, number


def test_an_absent_member_finds_what_he_missed() -> None:
    club = Club()
    talker = club.people[0].device()
    for user in club.people[1:]:
        user.device().leave()
    for number in range(130):
        say(talker, club, f"{number}")
    for user in club.people[1:]:
        device = user.device(automatic=False)
        assert device.unread[club.gid] == 130
        device.automatic = True
        device.pull(club.gid)
        assert device.texts == [str(n) for n in range(130)]
        device.leave()
        assert user.device(automatic=False).unread[club.gid] == 0


def test_a_new_member_gets_what_comes_and_sees_the_past_only_where_it_is_visible() -> None:
    for visible in (False, True):
        club = Club(5, history_visible=visible)
        talker = club.people[0].device()
        say(talker, club, "before")
        club.sim.advance(1)
        late = [club.sim.user(f"late{n}") for n in range(2)]
        for user in late:
            device = user.device()
            club.join(user)
            say(talker, club, "after")
            assert device.texts[-1] == "after"
            assert "before" not in device.texts
            assert ("before" in device.history_texts(club.gid)) == visible


def test_joins_are_told_to_everybody_including_the_new_one() -> None:
    club = Club(4)
    device = club.people[1].device()
    new = club.sim.user("new")
    fresh = new.device()
    club.join(new)
    for receiver in (device, fresh):
        notice = GroupNotice.FromString([meta for meta in receiver.metas if meta.ns == Meta.GROUP_NOTICE][-1].payload)
        assert (notice.type, getattr(notice, "from").uid) == (GroupNotice.JOINED, new.uid)


def test_who_has_left_gets_nothing_and_may_not_write() -> None:
    club = Club()
    talker = club.people[0].device()
    for user in club.people[1:3]:
        device = user.device()
        club.leave(user)
        say(talker, club, f"not for {user.name}")
        assert f"not for {user.name}" not in device.texts
        assert device.refused[say(device, club, "let me in")][0] == Status.FAIL
        assert device.history(club.gid).metas == []


@pytest.mark.parametrize("author", range(6))
def test_operations_reach_everybody_and_change_the_one_copy(author: int) -> None:
    club = Club()
    devices = [user.device() for user in club.people]
    device, other = devices[author], devices[(author + 1) % 6]
    mid = device.acknowledged[say(device, club, "first")]
    device.operate(club.gid, MessageOperation.REPLACE, mid, content="second")
    assert all((MessageOperation.REPLACE, mid) in d.operations for d in devices)
    assert all(d.history_texts(club.gid) == ["second"] for d in devices)
    refused = other.operate(club.gid, MessageOperation.REPLACE, mid, content="forged")
    assert other.refused[refused][0] == Status.FAIL
    device.operate(club.gid, MessageOperation.RECALL, mid, club.gid)
    assert all((MessageOperation.RECALL, mid) in d.operations for d in devices if d is not device)
    assert all(d.history_texts(club.gid) == [] for d in devices)


def test_a_repeated_send_is_one_message() -> None:
    club = Club()
    for user in club.people[:2]:
        device = user.device()
        say(device, club, "once", client_mid=5)
        first = device.acknowledged.pop(5)
        say(device, club, "once", client_mid=5)
        assert device.acknowledged[5] == first
    assert club.people[2].device().history_texts(club.gid) == ["once", "once"]


def test_typing_is_shown_and_not_kept() -> None:
    club = Club()
    devices = [user.device() for user in club.people]
    say(devices[0], club, "", qos=MessageBody.AT_MOST_ONCE)
    assert [sum(meta.ns == Meta.MESSAGE for meta in d.metas) for d in devices] == [0, 1, 1, 1, 1, 1]
    assert devices[1].history(club.gid).metas == []


@pytest.mark.parametrize("crashed", [0, 1])
def test_a_power_failure_of_either_shard_keeps_the_timeline(crashed: int) -> None:
    club = Club()
    talker = club.people[0].device()
    for number in range(5):
        say(talker, club, f"{number}")
    club.sim.crash(crashed)
    club.sim.run()
    club.sim.advance(2)
    talker = club.people[0].device()
    club.shard = club.people[0].shard
    say(talker, club, "5")
    for user in club.people[1:]:
        assert user.device().texts == [str(n) for n in range(6)]


def test_entries_fetched_for_one_device_are_its_own() -> None:
    """Two devices of a member on another shard ask in the same tick, from different places."""
    club = Club()
    member = next(user for user in club.people if user.shard is not club.shard)
    talker = club.people[0].device()
    slow, quick = (member.device(guid, automatic=False) for guid in ("slow", "quick"))
    for device in (slow, quick):
        device.leave()
    total = 2 * limits.BATCH_METAS + 10
    for number in range(total):
        say(talker, club, f"{number}")
    slow, quick = (member.device(guid, automatic=False) for guid in ("slow", "quick"))
    quick.pull(club.gid)
    [first] = [sync.next_key for _, sync in quick.frames if getattr(sync, "next_key", 0)]
    slow.pull(club.gid, run=False)
    quick.pull(club.gid, first, run=False)
    club.sim.commit(member.shard)  # both are asked for
    slow.automatic = quick.automatic = True
    club.sim.run()
    assert slow.texts == [str(n) for n in range(total)]
    assert quick.texts == [str(n) for n in range(total)]
