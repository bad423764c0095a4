"""Posts to groups of other shards: whatever is lost or starts again on the way, the message is there once and its author hears of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from lanying.base import limits
from lanying.base.refusals import Refusal
from lanying.bus.messages import Call, GroupPosted, Post, Reply, encode
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta, Status
from lanying.shard.groups import records
from lanying.shard.shard import Shard
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation, User

GROUPCHAT = MessageBody.GROUPCHAT
STRANGER, NO_GROUP, BANNED = "stranger", "no group", "banned"


class Away:
    """A group on one shard and a member on another.

    :ivar home: of the group
    :ivar shard: of the member
    """

    def __init__(self) -> None:
        self.sim = Simulation(2)
        self.owner = self.sim.user("owner")
        self.member = next(u for u in self._users("member") if u.shard is not self.owner.shard)
        self.gid = self.sim.group(self.owner, self.member)
        self.index = self.member.shard.work.index
        self.home_index = self.owner.shard.work.index

    @property
    def shard(self) -> Shard:
        return self.sim.shards[self.index]

    @property
    def home(self) -> Shard:
        return self.sim.shards[self.home_index]

    def _users(self, name: str) -> Iterator[User]:
        return (self.sim.user(f"{name}{n}") for n in itertools.count())

    def stranger(self) -> User:
        return next(u for u in self._users("stranger") if u.shard is self.shard)

    def texts(self) -> list[str]:
        """The timeline, oldest first."""
        return self.owner.device("reader").history_texts(self.gid)

    def post(self, client_mid: int, content: str = "rest") -> list[Reply]:
        """Over REST; the reply is in the list when there is one."""
        payload = MessageBody(content=content, type=GROUPCHAT).SerializeToString()
        request = Post(self.member.uid, self.member.app, self.gid, payload, client_mid=client_mid)
        replies: list[Reply] = []
        self.sim._calls[client_mid] = replies.append
        self.shard.dispatch.call(Call(client_mid, "gateway", 5000, encode(request)))
        return replies


@pytest.fixture
def away() -> Away:
    return Away()


def say(device: Device, away: Away, text: str, **fields: object) -> int:
    return device.send(away.gid, text, type=GROUPCHAT, **fields)


def step(away: Away, shard: Shard) -> None:
    """One tick of one shard, and what it sent arrives."""
    away.sim.commit(shard)
    away.sim.carry()


def test_a_post_is_acknowledged_when_the_answer_is_committed_here(away: Away) -> None:
    phone = away.member.device()
    client_mid = say(phone, away, "hello", run=False)
    step(away, away.shard)
    away.sim.commit(away.home)
    assert client_mid not in phone.acknowledged, "the group's shard has it"
    away.sim.carry()
    assert client_mid not in phone.acknowledged, "its answer has arrived"
    away.sim.commit(away.shard)
    assert phone.acknowledged[client_mid] and not away.shard.awaited
    assert away.texts() == ["hello"]


def test_nothing_of_a_post_leaves_before_it_is_durable(away: Away) -> None:
    """A restart of the member's shard must not give the number under which it was sent to another message."""
    say(away.member.device(), away, "hello", run=False)
    assert away.shard.seal().durable


@pytest.mark.parametrize("committed", [False, True])
def test_the_groups_shard_starts_again_before_it_has_answered(away: Away, committed: bool) -> None:
    phone = away.member.device()
    client_mid = say(phone, away, "hello", run=False)
    step(away, away.shard)
    if committed:
        away.sim.commit(away.home)
        assert away.sim.drop(f"shard-{away.index}"), "the answer is on its way"
    away.sim.crash(away.home_index)
    away.sim.run()
    away.sim.advance(limits.LINK_RESEND_S + 1)
    assert phone.acknowledged[client_mid]
    assert away.texts() == ["hello"]


@pytest.mark.parametrize("arrived", [False, True])
def test_the_members_shard_starts_again_and_the_client_repeats(away: Away, arrived: bool) -> None:
    client_mid = say(away.member.device(), away, "hello", run=False)
    away.sim.commit(away.shard)
    if arrived:
        away.sim.carry()
        away.sim.commit(away.home)
    away.sim.crash(away.index)
    phone = away.member.device()
    say(phone, away, "hello", client_mid=client_mid)
    assert phone.acknowledged[client_mid]
    assert away.texts() == ["hello"]
    assert not away.shard.awaited


@pytest.mark.parametrize("lost", ["post", "answer"])
def test_what_the_link_loses_is_sent_again(away: Away, lost: str) -> None:
    phone = away.member.device()
    client_mid = say(phone, away, "hello", run=False)
    away.sim.commit(away.shard)
    if lost == "post":
        assert away.sim.drop(f"shard-{away.home_index}")
    else:
        away.sim.carry()
        away.sim.commit(away.home)
        assert away.sim.drop(f"shard-{away.index}")
    away.sim.run()
    assert client_mid not in phone.acknowledged
    for _ in range(3):
        away.sim.advance(limits.LINK_RESEND_S + 1)
    assert phone.acknowledged[client_mid]
    assert away.texts() == ["hello"]


def test_a_repetition_that_overtakes_the_answer_is_the_same_message(away: Away) -> None:
    phone = away.member.device()
    first = say(phone, away, "hello", run=False)
    say(phone, away, "hello", client_mid=first, run=False)
    assert len(away.shard.awaited) == 2
    away.sim.run()
    mids = [sync.server_mid for _, sync in phone.frames if getattr(sync, "client_mid", 0) == first]
    assert len(mids) == 2 and len(set(mids)) == 1
    assert away.texts() == ["hello"]


@pytest.mark.parametrize("why", [STRANGER, NO_GROUP, BANNED])
def test_a_refused_post_leaves_nothing_and_says_why(away: Away, why: str) -> None:
    user = away.stranger() if why == STRANGER else away.member
    phone = user.device()
    gid = away.gid
    if why == NO_GROUP:
        gid += 2 * len(away.sim.map.slots)
    elif why == BANNED:
        records.save_member(away.home.work, gid, user.uid, records.Member(0, banned_until_ms=-1))
        away.sim.run()
    before = dict(away.home.work.kinds)
    rows = sum(1 for _ in away.home.work.store.scan(schema.QUEUE, b"", b"\xff" * 30))
    client_mid = phone.send(gid, "hello", type=GROUPCHAT)
    assert phone.refused[client_mid][0] == Status.FAIL and phone.refused[client_mid][1]
    assert client_mid not in phone.acknowledged and not away.shard.awaited
    assert away.home.work.kinds == before
    assert sum(1 for _ in away.home.work.store.scan(schema.QUEUE, b"", b"\xff" * 30)) == rows


def test_what_a_refused_operation_has_put_is_taken_back(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server fails behind the change of the stored message: its author is refused, and the message is as it was."""
    phone = away.member.device()
    mid = phone.acknowledged[say(phone, away, "first")]
    operate = away.home.timelines._operate

    def failing(*arguments: object) -> object:
        operate(*arguments)  # type: ignore[arg-type]
        raise ZeroDivisionError

    monkeypatch.setattr(away.home.timelines, "_operate", failing)
    refused = phone.operate(away.gid, MessageOperation.REPLACE, mid, content="second")
    assert phone.refused[refused][0] == Refusal.SERVER_FAILED.status
    assert away.home.work.failed_events == 1
    assert away.texts() == ["first"] and not phone.operations


def test_a_failure_in_what_the_own_members_get_is_answered_too(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = away.member.device()
    monkeypatch.setattr(away.home.work.mailboxes, "append", lambda *_: 1 // 0)
    client_mid = say(phone, away, "hello")
    assert phone.refused[client_mid][0] == Refusal.SERVER_FAILED.status
    assert not away.shard.awaited


def test_an_answer_nobody_waits_for_is_ignored(away: Away) -> None:
    phone = away.member.device()
    frames = len(phone.frames)
    away.shard.awaited.answered(GroupPosted(12345, away.member.uid, 1, 1))
    away.sim.run()
    assert len(phone.frames) == frames and away.shard.work.failed_events == 0


def test_a_refusal_of_another_release_is_a_refusal(away: Away) -> None:
    phone = away.member.device()
    client_mid = say(phone, away, "hello", run=False)
    [ticket] = away.shard.awaited._posts
    away.shard.awaited.answered(GroupPosted(ticket, away.member.uid, refusal="of_the_future", reason="not today"))
    away.sim.commit(away.shard)
    assert phone.refused[client_mid] == (Status.FAIL, "not today")


def test_too_many_posts_without_an_answer_are_refused_and_the_others_are_kept(away: Away) -> None:
    phone, other = away.member.device(), away.member.device("other")
    away.sim.hold.add(f"shard-{away.home_index}")
    sent = [say(phone, away, f"{n}", run=False) for n in range(limits.PARKED_SENDS)]
    away.sim.commit(away.shard)
    over = say(phone, away, "over", run=False)
    mark = away.shard.tick.links[:]
    away.sim.commit(away.shard)
    assert phone.refused[over][0] == Status.RATE_LIMIT_EXCEEDED
    assert mark == [], "a refused one is not sent"
    say(other, away, "another session has room", run=False)
    away.sim.hold.clear()
    away.sim.run()
    assert all(phone.acknowledged.get(client_mid) for client_mid in sent)
    assert phone.acknowledged[say(phone, away, "after")]


def test_all_sessions_together_are_bounded(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AWAITED_POSTS", 3)
    phone, other = away.member.device(), away.member.device("other")
    for n in range(3):
        say(phone, away, f"{n}", run=False)
    over = say(other, away, "over", run=False)
    away.sim.commit(away.shard)
    assert other.refused[over][0] == Status.RATE_LIMIT_EXCEEDED


def test_a_session_that_leaves_frees_what_it_waited_for(away: Away) -> None:
    phone = away.member.device()
    say(phone, away, "hello", run=False)
    assert len(away.shard.awaited) == 1
    phone.leave()
    assert not away.shard.awaited and not away.shard.awaited._tickets
    away.sim.run()
    assert away.texts() == ["hello"]


def test_a_leaving_that_is_taken_back_keeps_what_is_awaited(away: Away) -> None:
    phone = away.member.device()
    client_mid = say(phone, away, "hello", run=False)
    mark = away.shard.tick.mark()
    away.shard.logins.left(phone.session)
    assert not away.shard.awaited
    away.shard.work.take_back(mark)
    away.sim.run()
    assert phone.acknowledged[client_mid]


def test_a_post_that_is_taken_back_is_not_awaited(away: Away) -> None:
    phone = away.member.device()
    mark = away.shard.tick.mark()
    say(phone, away, "hello", run=False)
    away.shard.work.take_back(mark)
    assert not away.shard.awaited and not away.shard.awaited._tickets and not away.shard.tick.links


def test_links_that_are_held_let_a_post_wait(away: Away) -> None:
    phone = away.member.device()
    away.home.links.hold(5)
    client_mid = say(phone, away, "hello")
    assert client_mid not in phone.acknowledged and client_mid not in phone.refused
    away.home.links.hold(0)
    away.sim.run()
    assert phone.acknowledged[client_mid]


def test_a_rest_post_is_answered_in_time_and_its_repetition_is_the_same_message(away: Away) -> None:
    away.sim.hold.add(f"shard-{away.home_index}")
    replies = away.post(77)
    away.sim.run()
    away.sim.advance(limits.REST_POST_S - 0.1)
    away.shard.maintain()
    away.sim.run()
    assert replies == []
    away.sim.advance(0.2)
    away.shard.maintain()
    away.sim.run()
    assert [reply.refusal for reply in replies] == [Refusal.UNAVAILABLE]
    assert not away.shard.awaited
    away.sim.hold.clear()
    away.sim.run()
    replies = away.post(77)
    away.sim.run()
    assert [reply.refusal for reply in replies] == [None]
    assert away.texts() == ["rest"]


def test_sessions_have_no_deadline(away: Away) -> None:
    phone = away.member.device()
    away.home.links.hold(1000)
    client_mid = say(phone, away, "hello")
    away.sim.advance(60)
    away.shard.maintain()
    away.sim.run()
    assert client_mid not in phone.refused
    away.home.links.hold(0)
    away.sim.run()
    assert phone.acknowledged[client_mid]


def test_typing_travels_without_a_link(away: Away) -> None:
    phone, reader = away.member.device(), away.owner.device()
    client_mid = say(phone, away, "", qos=MessageBody.AT_MOST_ONCE, run=False)
    assert not away.shard.tick.links and not away.shard.awaited
    away.sim.run()
    shown = [meta.id for meta in reader.metas if meta.ns == Meta.MESSAGE]
    assert shown == [phone.acknowledged[client_mid]]
    refused = away.stranger().device()
    assert refused.refused[say(refused, away, "", qos=MessageBody.AT_MOST_ONCE)][0] == Status.FAIL


def test_a_rest_deadline_fits_into_that_of_the_call() -> None:
    assert limits.REST_POST_S + 1 < limits.CALL_TIMEOUT_S
