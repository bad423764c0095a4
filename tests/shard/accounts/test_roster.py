from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.rate import Rate, RateLimiter
from lanying.base.refusals import Refusal
from lanying.bus import messages as m
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import roster
from lanying.testing.shards import NotingSimulation

R = pb.RosterNotice


class World(NotingSimulation):
    """Alice and bob, on different shards when there are two."""

    def __init__(self, shards: int) -> None:
        super().__init__(shards)
        self.alice = self.register("alice")
        self.bob = self.register("bob" if shards == 1 else self._name_elsewhere(self.alice))

    def register(self, name: str, app: str = "app") -> int:
        answer = self.call(self.map.shard_of_name(app, name), m.ClaimAccount(app, name, "hash"))
        return msgspec.msgpack.decode(answer, type=int)

    def apply(self, applicant: int, uid: int, **more: Any) -> bool:
        return self.ask(uid, m.ApplyFriend(uid, applicant, "app", **more)) is True

    def befriend(self) -> None:
        self.apply(self.alice, self.bob)
        self.ask(self.bob, m.AnswerApplication(self.bob, self.alice, True))
        self.notices.clear()

    def friends(self, uid: int) -> object:
        return self.ask(uid, m.ListFriends(uid))

    def may_send(self, uid: int, peer: int) -> m.PeerState | None:
        return roster.may_send(self.home(uid).work.store, uid, peer)

    def told(self) -> list[tuple[int, int, int, int, str]]:
        """(whose queue, type, from, to, content) since the last time."""
        return sorted((n.uid, n.type, n.source, n.target, n.content) for n in self.take_notices())

    def refusal(self, uid: int, request: m.Request[object]) -> int:
        with pytest.raises(CallError) as refused:
            self.ask(uid, request)
        assert not self.notices
        return refused.value.code

    def _name_elsewhere(self, uid: int) -> str:
        here = self.map.shard_of(uid)
        return next(n for n in map("bob{}".format, range(99)) if self.map.shard_of_name("app", n) != here)


@pytest.fixture(params=[1, 2], ids=["one shard", "two shards"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def test_apply_and_accept(world: World) -> None:
    alice, bob = world.alice, world.bob
    assert not world.apply(alice, bob, reason="hi", alias="Bobby")
    assert world.told() == [(bob, R.APPLIED, alice, bob, "hi")]
    expires = world.now_ms + limits.APPLICATION_LIFETIME_MS
    assert world.ask(bob, m.ListApplications(bob)) == [[alice, 0, "hi", expires, world.now_ms]]
    assert world.friends(bob) == world.friends(alice) == []
    world.ask(bob, m.AnswerApplication(bob, alice, True))
    assert world.told() == sorted((who, R.ACCEPTED, bob, alice, "") for who in (alice, bob))
    assert world.friends(alice) == [bob]
    assert world.friends(bob) == [alice]
    assert world.ask(alice, m.GetRelations(alice, [bob, 77])) == [
        [0, "Bobby", "", False, False],
        [2, "", "", False, False],
    ]
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "app")) == 10005
    world.ask(bob, m.AnswerApplication(bob, alice, True))
    assert not world.notices


def test_decline(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.apply(alice, bob)
    world.take_notices()
    world.ask(bob, m.AnswerApplication(bob, alice, False, "no"))
    assert world.told() == sorted((who, R.DECLINED, bob, alice, "no") for who in (alice, bob))
    assert world.refusal(bob, m.AnswerApplication(bob, alice, True)) == 10007
    assert world.ask(bob, m.ListApplications(bob))[0][1] == 2  # type: ignore[index]
    world.apply(alice, bob)
    assert len(world.told()) == 1


def test_an_application_expires(world: World) -> None:
    world.apply(world.alice, world.bob)
    world.notices.clear()
    world.now_ms += limits.APPLICATION_LIFETIME_MS
    assert world.refusal(world.bob, m.AnswerApplication(world.bob, world.alice, True)) == 10007


def test_the_same_application_twice_is_told_once(world: World) -> None:
    for reason in ("a", "a", "b"):
        world.apply(world.alice, world.bob, reason=reason)
    assert [told[4] for told in world.told()] == ["a"]
    assert world.ask(world.bob, m.ListApplications(world.bob))[0][2] == "b"  # type: ignore[index]
    world.now_ms += limits.REQUEST_NOTICE_MS
    world.apply(world.alice, world.bob, reason="c")
    assert [told[4] for told in world.told()] == ["c"]


def test_friend_requests_have_a_budget_and_an_administrator_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [world.bob, *(world.register(f"target{n}") for n in range(5))]
    for shard in world.shards:
        monkeypatch.setattr(shard.work.budgets, "requests", RateLimiter(Rate(2, 86_400.0), 100))
    refused = 0
    for target in targets:
        try:
            world.apply(world.alice, target)
        except CallError as error:
            refused += error.refusal is Refusal.TOO_MANY_REQUESTS
    assert refused == len(targets) - sum(
        min(2, sum(world.map.shard_of(uid) == index for uid in targets)) for index in range(len(world.shards))
    )
    for target in targets:
        world.apply(world.alice, target, by_admin=True)
    world.take_notices()
    assert world.refusal(world.bob, m.ApplyFriend(world.bob, targets[1], "app", "x" * 257)) == 10002


def test_a_long_text_is_not_copied_to_every_friend(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.apply(alice, bob)
    world.ask(bob, m.AnswerApplication(bob, alice, True))
    world.take_notices()
    world.ask(alice, m.UpdateAccount(alice, {"nick_name": "A", "public_info": "x" * 4000}))
    [told] = world.told()
    assert (told[0], "public_info" in told[4], '"A"' in told[4]) == (bob, False, True)
    world.ask(alice, m.UpdateAccount(alice, {"public_info": "y" * 4000}))
    [told] = world.told()
    assert told[4] == "{}"


def test_profiles_are_not_changed_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.home(world.alice).work.budgets, "profiles", RateLimiter(Rate(3, 3600.0), 100))
    for n in range(3):
        world.ask(world.alice, m.UpdateAccount(world.alice, {"nick_name": str(n)}))
    assert world.refusal(world.alice, m.UpdateAccount(world.alice, {"nick_name": "x"})) == 429


def test_open_users_are_friends_at_once(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.ask(bob, m.UpdateAccount(bob, {"auth_mode": 0}))
    assert world.apply(alice, bob, alias="B")
    assert world.told() == sorted([(alice, R.ADDED, bob, alice, ""), (bob, R.ADDED, alice, bob, "")])
    assert world.friends(alice) == [bob]
    assert world.friends(bob) == [alice]


def test_question_and_answer(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.ask(bob, m.UpdateAccount(bob, {"auth_mode": 2}))
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "app", answer="")) == 10012
    world.ask(bob, m.UpdateAccount(bob, {"auth_question": "?", "auth_answer": "42"}))
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "app", answer="41")) == 10012
    assert world.apply(alice, bob, answer=" 42 ")


def test_refusals(world: World) -> None:
    alice, bob = world.alice, world.bob
    assert world.refusal(bob, m.ApplyFriend(bob, bob, "app")) == 10002
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "other")) == 10000
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "app", reason="x" * 5000)) == 10002
    assert world.refusal(bob, m.AnswerApplication(bob, alice, False)) == 10007
    assert world.refusal(bob, m.Block(bob, bob, True)) == 10002
    world.ask(bob, m.UpdateAccount(bob, {"auth_mode": 3}))
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "app")) == 10012
    world.ask(bob, m.Block(bob, alice, True))
    world.notices.clear()
    assert world.refusal(bob, m.ApplyFriend(bob, alice, "app")) == 10006


def test_both_applied_one_accept_settles_both(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.apply(alice, bob)
    world.apply(bob, alice)
    world.ask(bob, m.AnswerApplication(bob, alice, True))
    for uid in (alice, bob):
        assert world.ask(uid, m.ListApplications(uid))[0][1] == 1  # type: ignore[index]


def test_delete_is_for_both(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.befriend()
    assert world.ask(alice, m.DeleteFriend(alice, bob)) is True
    assert world.told() == sorted((who, R.REMOVED, alice, bob, "") for who in (alice, bob))
    assert world.friends(alice) == world.friends(bob) == []
    assert world.ask(alice, m.DeleteFriend(alice, bob)) is False
    assert not world.notices
    assert world.ask(bob, m.GetRelations(bob, [alice]))[0][0] == 1  # type: ignore[index]


def test_block_bars_the_other_side(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.ask(alice, m.Block(alice, bob, True))
    assert world.told() == [(alice, R.BLOCKED, alice, bob, "")]
    assert world.ask(alice, m.ListBlocked(alice)) == [bob]
    assert world.may_send(bob, alice) == m.PeerState(True, True, False, 1)
    world.ask(alice, m.Block(alice, bob, True))
    assert not world.notices
    world.ask(alice, m.Block(alice, bob, False))
    assert world.told() == [(alice, R.UNBLOCKED, alice, bob, "")]
    assert world.may_send(bob, alice) == m.PeerState(True, False, False, 2)


def test_first_contact_is_asked_once(world: World) -> None:
    alice, bob = world.alice, world.bob
    assert world.may_send(alice, bob) is None
    state = msgspec.convert(world.ask(bob, m.PeerQuery(bob, alice, "app")), m.PeerState)
    assert state == m.PeerState(True)
    work = world.home(alice).work
    roster.remember_peer(work, alice, bob, state)
    assert world.may_send(alice, bob) == m.PeerState(True)
    roster.remember_peer(work, alice, 5, m.PeerState(exists=False))
    assert world.may_send(alice, 5) is None
    missing = msgspec.convert(world.ask(bob, m.PeerQuery(bob, alice, "other")), m.PeerState)
    assert missing == m.PeerState(exists=False)


@pytest.mark.parametrize("bar", [True, False])
def test_an_answer_overtaken_by_a_block_does_not_undo_it(bar: bool) -> None:
    world = World(2)
    alice, bob = world.alice, world.bob
    if not bar:
        world.ask(bob, m.Block(bob, alice, True))
    stale = msgspec.convert(world.ask(bob, m.PeerQuery(bob, alice, "app")), m.PeerState)
    world.ask(bob, m.Block(bob, alice, bar))
    work = world.home(alice).work
    counts = roster.remember_peer(work, alice, bob, stale)
    assert counts == world.may_send(alice, bob)
    assert counts.barred is bar


def test_friends_know_each_other_without_asking(world: World) -> None:
    world.befriend()
    for uid, peer in ((world.alice, world.bob), (world.bob, world.alice)):
        assert world.may_send(uid, peer) == m.PeerState(True, False, True)


def test_notes_go_to_own_devices_only_when_they_change(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.ask(alice, m.SetRelation(alice, bob, "B", None, True))
    [(uid, kind, source, target, content)] = world.told()
    assert (uid, kind, source, target) == (alice, R.INFO_UPDATED, alice, bob)
    assert json.loads(content) == {"alias": "B", "mute_notification": True}
    world.ask(alice, m.SetRelation(alice, bob, "B", None, True))
    assert not world.notices
    assert world.refusal(alice, m.SetRelation(alice, bob, ext="x" * 5000)) == 10002


def test_friends_learn_what_they_may_see(world: World) -> None:
    alice, bob = world.alice, world.bob
    world.befriend()
    world.ask(alice, m.UpdateAccount(alice, {"nick_name": "Al", "private_info": "secret"}))
    [(uid, kind, source, target, content)] = world.told()
    assert (uid, kind, source, target) == (bob, R.INFO_UPDATED, alice, bob)
    assert json.loads(content) == {"nick_name": "Al"}
    world.ask(alice, m.UpdateAccount(alice, {"nick_name": "Al", "private_info": "other"}))
    assert not world.notices


def test_pages(world: World) -> None:
    alice = world.alice
    for n in range(5):
        world.ask(alice, m.UpdateAccount(alice, {"auth_mode": 1}))
        world.now_ms += 1
        world.apply(world.register(f"user{n}"), alice)
    first = msgspec.convert(world.ask(alice, m.ListApplications(alice, limit=3)), list[m.ApplicationInfo])
    last = first[-1]
    rest = world.ask(alice, m.ListApplications(alice, before=(last.created_ms, last.applicant)))
    rest_rows = msgspec.convert(rest, list[m.ApplicationInfo])
    times = [row.created_ms for row in first + rest_rows]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 5
    for row in first + rest_rows:
        world.ask(alice, m.AnswerApplication(alice, row.applicant, True))
    everyone = world.friends(alice)
    assert isinstance(everyone, list)
    assert world.ask(alice, m.ListFriends(alice, everyone[1], 2)) == everyone[2:4]


def test_too_many_applications(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "APPLICATIONS_PER_USER", 2)
    applicants = [world.register(f"user{n}") for n in range(4)]
    for applicant in applicants[:2]:
        world.apply(applicant, world.bob)
        world.now_ms += 1
    world.notices.clear()
    assert world.refusal(world.bob, m.ApplyFriend(world.bob, applicants[2], "app")) == 10012
    world.ask(world.bob, m.AnswerApplication(world.bob, applicants[0], False))
    world.apply(applicants[2], world.bob)
    waiting = world.ask(world.bob, m.ListApplications(world.bob))
    assert {row[0] for row in waiting} == set(applicants[1:3])  # type: ignore[attr-defined]
