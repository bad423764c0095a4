"""What changes often costs somebody who is away one row, and a notice to many is not as long as it has recipients."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lanying.base import limits
from lanying.bus import messages as m
from lanying.protocol.schema.xsync_pb2 import GroupNotice, Meta, RosterNotice
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation, User

INFO = RosterNotice.INFO_UPDATED


class Town:
    """Alice, and bob who is her friend and lives on another shard."""

    def __init__(self) -> None:
        self.sim = Simulation(2)
        self.alice = self.sim.user("alice")
        self.bob = next(u for n in range(50) if (u := self.sim.user(f"bob{n}")).shard is not self.alice.shard)
        self.ask(m.ApplyFriend(self.bob.uid, self.alice.uid, "lanying"), self.bob)
        self.ask(m.AnswerApplication(self.bob.uid, self.alice.uid, True), self.bob)
        self.bob.device().leave()

    def ask(self, request: m.Request[Any], user: User) -> Any:
        return msgspec.msgpack.decode(self.sim.call(self.sim.map.shard_of(user.uid), request))

    def change(self, **changes: Any) -> None:
        self.ask(m.UpdateAccount(self.alice.uid, changes), self.alice)

    def rows(self, user: User | None = None) -> int:
        user = user or self.bob
        prefix = schema.pack_pair(user.uid, 0)
        return sum(1 for _ in user.shard.work.store.scan(schema.QUEUE, prefix, schema.successor(prefix)))


def roster(metas: list[Meta]) -> list[tuple[int, str]]:
    found = [RosterNotice.FromString(meta.payload) for meta in metas if meta.ns == Meta.ROSTER_NOTICE]
    return [(notice.type, notice.content) for notice in found]


@pytest.fixture
def town() -> Town:
    return Town()


def test_changes_of_a_profile_are_one_row_for_a_friend_who_is_away(town: Town) -> None:
    before = town.rows()
    for n in range(20):
        town.change(nick_name=f"alice {n}")
    town.change(avatar="face")
    town.change(nick_name="alice")
    assert town.rows() == before + 1
    [told] = [json.loads(content) for kind, content in roster(town.bob.device().metas) if kind == INFO]
    assert told == {"nick_name": "alice", "avatar": "face"}


def test_what_a_device_may_have_seen_is_not_replaced(town: Town) -> None:
    first = town.bob.device()
    town.change(nick_name="one")
    first.leave()
    town.change(nick_name="two")
    town.change(nick_name="three")
    again = town.bob.device()
    assert [json.loads(content)["nick_name"] for kind, content in roster(again.metas) if kind == INFO] == ["three"]
    again.leave()
    before = town.rows()
    town.change(nick_name="four")
    assert town.rows() == before + 1, "the row before it was fetched"
    second = town.bob.device("second")  # begins behind what there is
    second.leave()
    town.change(nick_name="five")
    for guid in ("first", "second"):
        assert "five" in roster(town.bob.device(guid).metas)[-1][1]


def test_friends_are_one_topic_each(town: Town) -> None:
    carol = town.sim.user("carol")
    town.ask(m.ApplyFriend(town.bob.uid, carol.uid, "lanying"), town.bob)
    town.ask(m.AnswerApplication(town.bob.uid, carol.uid, True), town.bob)
    before = town.rows()
    for n in range(3):
        town.change(nick_name=f"alice {n}")
        town.ask(m.UpdateAccount(carol.uid, {"nick_name": f"carol {n}"}), carol)
    assert town.rows() == before + 2
    told = [json.loads(content)["nick_name"] for kind, content in roster(town.bob.device().metas) if kind == INFO]
    assert told == ["alice 2", "carol 2"]


def test_blocking_back_and_forth_is_one_row_and_the_last_word(town: Town) -> None:
    before = town.rows()
    for n in range(9):
        town.ask(m.Block(town.bob.uid, town.alice.uid, n % 2 == 0), town.bob)
    assert town.rows() == before + 1
    assert roster(town.bob.device().metas)[-1][0] == RosterNotice.BLOCKED


def test_what_is_new_counts_and_is_never_replaced(town: Town) -> None:
    before = town.rows()
    for _ in range(3):
        town.ask(m.DeleteFriend(town.bob.uid, town.alice.uid), town.bob)
        town.ask(m.ApplyFriend(town.bob.uid, town.alice.uid, "lanying", by_admin=True), town.bob)
        town.ask(m.AnswerApplication(town.bob.uid, town.alice.uid, True), town.bob)
    assert town.rows() >= before + 6


def test_a_shard_that_starts_again_adds_a_row(town: Town) -> None:
    town.change(nick_name="one")
    before = town.rows()
    town.sim.crash(town.sim.map.shard_of(town.bob.uid))
    town.change(nick_name="two")
    town.change(nick_name="three")
    assert town.rows() == before + 1


def test_of_more_users_than_are_remembered_the_latest_are(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NOTICES_REPLACED", 1)
    town.change(nick_name="one")
    notices = town.bob.shard.notices
    notices.take(m.NoticeFor(town.bob.uid + 1024, 1, Meta.ROSTER_NOTICE, RosterNotice(type=INFO).SerializeToString()))
    assert [*notices._unseen] == [town.bob.uid + 1024]
    before = town.rows()
    town.change(nick_name="two")
    assert town.rows() == before + 1


def test_a_notice_that_was_deleted_because_it_was_old_is_not_brought_back(town: Town) -> None:
    town.change(nick_name="one")
    head = town.bob.shard.work.mailboxes.head(town.bob.uid, 0)
    town.bob.shard.work.delete(schema.QUEUE, head.key + schema.pack_u64(head.last_seq))
    town.sim.run()
    last = head.last_seq
    town.change(nick_name="two")
    assert head.last_seq == last + 1


def test_invitations_of_many_are_as_long_as_they_are_many(town: Town) -> None:
    """Ten times the invitees are ten times the bytes, not a hundred times."""
    sizes = []
    for count in (10, 100):
        invitees = [m.Invitee(n * 1024 + 5, True) for n in range(count)]
        sent: list[m.NoticeFor] = []
        for shard in town.sim.shards:
            shard.dispatch.links[m.NoticeFor] = sent.append
        town.ask(m.CreateGroup(town.alice.uid, "lanying", 0, "g", "", "", invitees, 500), town.alice)
        invited = [it for it in sent if GroupNotice.FromString(it.payload).type == GroupNotice.INVITED]
        assert len(invited) == count + 1
        sizes.append(sum(len(it.payload) for it in invited))
    assert sizes[1] < 11 * sizes[0]


def test_who_is_invited_again_within_a_day_is_not_notified_again(town: Town) -> None:
    gid = msgspec.convert(
        town.ask(m.CreateGroup(town.alice.uid, "lanying", 0, "g", "", "", [], 9), town.alice), m.GroupView
    ).info.gid
    invite = m.InviteMembers(gid, town.alice.uid, "lanying", 0, [m.Invitee(town.bob.uid, True)], "come")
    device = town.bob.device()
    for _ in range(3):
        town.ask(invite, User(town.sim, gid, "", "lanying"))
    assert len([1 for meta in device.metas if meta.ns == Meta.GROUP_NOTICE]) == 1
    town.sim.advance(86_400)
    town.ask(invite, User(town.sim, gid, "", "lanying"))
    assert len([1 for meta in device.metas if meta.ns == Meta.GROUP_NOTICE]) == 2
