"""Group timelines: members on both shards, one write, everybody gets it once (xsync 5.8, 5.9, 6.1, 6.4)."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.base.ids import slot_of
from lanying.bus.messages import FetchEntries, GroupInfo, Seat, Unseat
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


# --- what a member is answered ----------------------------------------------------------------------------------------


def member(club: Club, *, here: bool) -> User:
    """Not the owner."""
    return next(user for user in club.people[1:] if (user.shard is club.shard) == here)


def answers(device: Device, client_mid: int) -> list[tuple[int, int]]:
    """Message id and time of each acknowledgement of an upload."""
    return [(s.server_mid, s.server_time) for _, s in device.frames if getattr(s, "client_mid", 0) == client_mid]


@pytest.mark.parametrize("here", [True, False], ids=["the group's shard", "another shard"])
@pytest.mark.parametrize("fields", [{}, {"priority": 3}, {"qos": MessageBody.AT_MOST_ONCE}], ids=str)
def test_what_is_dropped_is_acknowledged_like_what_is_kept(here: bool, fields: dict[str, int]) -> None:
    club = Club()
    device = member(club, here=here).device()
    kept = say(device, club, "kept", **fields)
    while club.shard.policy.count_group(club.gid, club.shard.tick.now, 1, 0):
        pass  # the half that may be dropped is used up
    if not fields:
        with pytest.raises(Refused):
            while True:
                club.shard.policy.count_group(club.gid, club.shard.tick.now, 0, 0)
    dropped = say(device, club, "dropped", **fields)
    [(mid, time_ms)] = answers(device, kept)
    assert mid and time_ms == club.sim.now_ms
    if not fields:
        assert device.refused[dropped][0] == Status.RATE_LIMIT_EXCEEDED
        assert "in this group" in device.refused[dropped][1]
    else:
        [(other, time_ms)] = answers(device, dropped)
        assert other not in (0, mid) and time_ms == club.sim.now_ms
    assert "dropped" not in club.people[3].device("late").texts


@pytest.mark.parametrize("here", [True, False], ids=["the group's shard", "another shard"])
def test_a_refusal_says_why_wherever_the_group_is(here: bool) -> None:
    club = Club()
    user = member(club, here=here)
    device = user.device()
    say(device, club, "mine")
    records.save_member(club.work, club.gid, user.uid, records.Member(club.sim.now_ms, banned_until_ms=-1))
    club.sim.run()
    banned = device.refused[say(device, club, "banned")]
    records.save_member(club.work, club.gid, user.uid, records.Member(club.sim.now_ms))
    club.sim.run()
    missing = device.refused[device.operate(club.gid, MessageOperation.REPLACE, 99, content="x")]
    wrong = device.refused[device.operate(club.gid, 77, 99)]
    assert banned[0] == missing[0] == Status.FAIL, (banned, missing)
    assert "banned" in banned[1].lower() or "muted" in banned[1].lower(), banned
    assert missing[1] and wrong[1] and len({banned, missing, wrong}) == 3


@pytest.mark.parametrize("here", [True, False], ids=["the group's shard", "another shard"])
def test_an_edit_is_acknowledged_with_its_time_and_an_unknown_operation_refused_by_name(here: bool) -> None:
    club = Club()
    device = member(club, here=here).device()
    mid = device.acknowledged[say(device, club, "first")]
    club.sim.advance(5)
    sent = device.operate(club.gid, MessageOperation.REPLACE, mid, content="second")
    [answer] = [sync for _, sync in device.frames if getattr(sync, "client_mid", 0) == sent]
    assert (answer.server_time, answer.edit_timestamp) == (club.sim.now_ms, club.sim.now_ms)
    assert answer.server_mid > mid
    edit = device.metas[-1]
    assert edit.id == answer.server_mid and edit.timestamp == answer.edit_timestamp


# --- history -----------------------------------------------------------------------------------------------------------


def pages(device: Device, gid: int, amount: int) -> list[list[str]]:
    found, key = [], 0
    for _ in range(50):
        page = device.history(gid, key, amount)
        if not page.metas:
            assert page.next_key == key
            return found
        assert page.next_key == page.metas[-1].id, "the next page begins behind the oldest shown"
        key = page.next_key
        found.append([MessageBody.FromString(meta.payload).content for meta in page.metas])
    raise AssertionError("history has no end")


@pytest.mark.parametrize("here", [True, False], ids=["the group's shard", "another shard"])
@pytest.mark.parametrize("amount", [3, 7, 100])
def test_a_groups_history_comes_page_by_page_once(here: bool, amount: int) -> None:
    club = Club()
    talker = club.people[0].device()
    for number in range(14):
        say(talker, club, f"{number}")
    found = pages(member(club, here=here).device(), club.gid, amount)
    assert [text for page in found for text in page] == [str(n) for n in reversed(range(14))]
    assert {len(page) for page in found[:-1]} <= {amount}


@pytest.mark.parametrize("here", [True, False], ids=["the group's shard", "another shard"])
@pytest.mark.parametrize(("copies", "most"), [(4, 4), (1, 1), (0, 1)])
def test_a_page_of_history_has_a_largest_size(
    here: bool, copies: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    club = Club()
    talker = club.people[0].device()
    for number in range(10):
        say(talker, club, f"{number}")
    head = club.shard.work.mailboxes.head(club.gid, club.gid)
    size = len(club.shard.work.mailboxes.entries(head, head.last_seq, 1)[0] or b"")
    device = member(club, here=here).device()
    monkeypatch.setattr(limits, "BATCH_BYTES", max(1, copies * size))
    found = pages(device, club.gid, 100)
    assert [text for page in found for text in page] == [str(n) for n in reversed(range(10))]
    assert max(len(page) for page in found) == most


def test_recalled_messages_leave_no_hole_in_the_pages() -> None:
    club = Club()
    talker = club.people[0].device()
    mids = [talker.acknowledged[say(talker, club, f"{number}")] for number in range(8)]
    for mid in mids[2:6]:
        talker.operate(club.gid, MessageOperation.RECALL, mid, club.gid)
    device = member(club, here=False).device()
    assert [text for page in pages(device, club.gid, 2) for text in page] == ["7", "6", "1", "0"]


# --- who is sent it ----------------------------------------------------------------------------------------------------


def test_a_shard_gets_nothing_once_its_last_member_has_left() -> None:
    club = Club()
    there = [user for user in club.people if user.shard is not club.shard]
    talker = member(club, here=True).device()
    sender = club.shard.links.senders[there[0].shard.work.index]

    def sent() -> bool:
        before = sender.last
        say(talker, club, "x")
        return sender.last > before

    for user in there[:-1]:
        club.leave(user)
        assert sent(), "one is still there"
    club.leave(there[-1])
    assert not sent()
    club.join(there[0])
    assert sent()
    club.leave(there[0])
    assert not sent()


def test_audiences_are_bounded_and_made_again_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    club = Club()
    monkeypatch.setattr(limits, "GROUPS_CACHED", 10)
    talker = member(club, here=True).device()
    timelines = club.shard.timelines
    for gid in range(1, 30):
        timelines._audience(gid * 1024)
    assert len(timelines._audiences) <= 10
    say(talker, club, "still")
    assert all(user.device("late").history_texts(club.gid) == ["still"] for user in club.people)


def test_entries_are_fetched_within_bounds() -> None:
    club = Club()
    talker = club.people[0].device()
    last = club.shard.work.mailboxes.head(club.gid, club.gid).last_seq
    for number in range(5):
        say(talker, club, f"{number}")

    def fetch(first: int, count: int) -> int:
        return len(club.shard.timelines.fetch_entries(FetchEntries(club.gid, first, count)))

    assert [fetch(last + 1, 3), fetch(last + 1, 99), fetch(last + 5, 9), fetch(last + 6, 9)] == [3, 5, 1, 0]
    assert [fetch(last + 1, 0), fetch(last + 1, -4), fetch(1 << 40, 5)] == [0, 0, 0]


@pytest.mark.parametrize(("copies", "most"), [(3, 3), (1, 1), (0, 1), (99, 5)])
def test_what_is_fetched_has_a_largest_size(copies: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    club = Club()
    talker = club.people[0].device()
    head = club.shard.work.mailboxes.head(club.gid, club.gid)
    first = head.last_seq + 1
    for number in range(5):
        say(talker, club, f"{number}")
    size = len(club.shard.work.mailboxes.entries(head, first, 1)[0] or b"")
    monkeypatch.setattr(limits, "BATCH_BYTES", copies * size)
    assert len(club.shard.timelines.fetch_entries(FetchEntries(club.gid, first, 9))) == most
