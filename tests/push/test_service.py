"""From what a shard owes to the vendor and back: shards in memory, vendors that answer as told."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lanying.base import limits
from lanying.base.clock import wall_ms
from lanying.base.errors import CallError
from lanying.base.figures import Figure, totals
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    BindPush,
    ExplainMessage,
    GetExtras,
    GetPushTask,
    MessageTraces,
    OrderPushes,
    PushTargets,
    PushTask,
    PutPushTask,
    Request,
    SetRelation,
    UpdateAccount,
)
from lanying.config.apps import App
from lanying.config.notifiers import PROVIDERS, Notifiers, Secret
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.push.decision import Push
from lanying.push.service import Service
from lanying.push.vendors import PushOutcome, PushState, PushTarget
from lanying.testing.poll import eventually
from lanying.testing.simulation import Device, Simulation, User

SENT = PushOutcome(PushState.SENT)


class Vendors:
    """Remembers what it was given.

    :ivar answers: by token, in turn, the last one for ever; others are SENT
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, Push, str]] = []
        self.answers: dict[str, list[PushOutcome]] = {}
        self.slow: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.stuck: set[str] = set()

    async def send(self, target: PushTarget, push: Push, collapse_id: str) -> PushOutcome:
        self.sent.append((target.token, push, collapse_id))
        if target.token in self.stuck:
            await self.slow[target.token].wait()
        answers = self.answers.get(target.token, [SENT])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def tokens(self) -> list[str]:
        return [token for token, _, _ in self.sent]


class Stage:
    """A whole server in memory with its push process."""

    def __init__(self, directory: Path, now_ms: int) -> None:
        self.sim = Simulation(2, now_ms=now_ms)
        self.map = self.sim.map
        for shard in self.sim.shards:
            shard.pushes.begin()
        self.vendors = Vendors()
        self.notifiers = Notifiers(directory)
        for name in ("one", "two"):
            self.notifiers.put("lanying", name, PROVIDERS["fcm"], 1, "id", Secret())
        self.deaf: set[int] = set()
        self.service = Service(self, {"lanying": App("lanying", "School", "")}, self.notifiers, self.vendors)

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        """As :class:`~lanying.bus.shards.Shards`."""
        await asyncio.sleep(0)
        if shard in self.deaf:
            raise CallError(Refusal.UNAVAILABLE, "it starts")
        return self.sim.call(shard, request)

    def ask(self, uid: int, request: Request[object], result: Any = bool) -> Any:
        return msgspec.msgpack.decode(self.sim.call(self.map.shard_of(uid), request), type=result)

    def absent(self, name: str, *tokens: str, notifier: str = "one") -> User:
        """Somebody with a device for each token, who is gone."""
        user = self.sim.user(name)
        for token in tokens:
            device = user.device(f"device of {token}")
            self.ask(user.uid, BindPush(user.uid, device.sn, notifier, token))
            device.leave()
        self.sim.run()
        return user

    def told(self, mid: int) -> list[tuple[int, str, str]]:
        """What ``why`` hears: device, channel, words."""
        answers = [self.sim.call(index, ExplainMessage(mid)) for index in range(self.map.shards)]
        found = [msgspec.msgpack.decode(answer, type=MessageTraces) for answer in answers]
        return [(told.sn, told.channel, told.what) for answer in found for told in answer.pushes]

    def owed(self) -> int:
        return int(sum(totals(shard.pushes.figures())["pushes_owed"] for shard in self.sim.shards))

    async def done(self) -> None:
        """Everything owed has come to its end."""
        self.awaken()
        await eventually("nothing is owed", lambda: not self.owed(), saw=lambda: self.service.figures())

    def awaken(self) -> None:
        for index in range(self.map.shards):
            self.service.awaken(index)

    def write(self, device: Device, to: User | int, text: str = "hello", **fields: Any) -> int:
        mid = device.acknowledged[device.send(to, text, **fields)]
        self.awaken()
        return mid


Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a conversation with the server."""
    monkeypatch.setattr(limits, "PUSH_RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(limits, "PUSH_RETRY_MAX_S", 0.05)

    def run(conversation: Callable[[Stage], Awaitable[None]], late_ms: int = 0) -> None:
        async def whole() -> None:
            stage = Stage(tmp_path, wall_ms() - late_ms)
            stage.service.start()
            await conversation(stage)
            await stage.service.drain(0)

        asyncio.run(whole())

    return run


def test_a_message_to_an_absent_user_reaches_his_phone(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        mid = stage.write(alice, bob)
        await stage.done()
        [(token, push, collapse_id)] = stage.vendors.sent
        assert (token, collapse_id) == ("phone", str(mid))
        assert (push.title, push.body, push.badge) == ("alice", "hello", 1)
        assert push.ext == {"conversation": alice.user.uid, "group": False, "message": mid}
        assert stage.told(mid) == [(1, "fcm", "pushed")]
        assert stage.service.outcomes["sent", "fcm"] == 1
        assert Figure("pushes_sent", 1.0, {"channel": "fcm"}) in stage.service.figures()

    play(conversation)


def test_the_badge_counts_on_and_the_remark_names_the_sender(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.ask(bob.uid, SetRelation(bob.uid, alice.user.uid, alias="Al"))
        for text in ("one", "two", "three"):
            stage.write(alice, bob, text)
        await stage.done()
        stage.write(alice, bob, "four")
        await stage.done()
        found = {push.body: (push.badge, push.title) for _, push, _ in stage.vendors.sent}
        assert sorted(found.values()) == [(n, "Al") for n in (1, 2, 3, 4)]
        assert stage.ask(bob.uid, GetExtras(bob.uid), Any)[3] == 4

    play(conversation)


def test_settings_of_the_recipient_decide(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.ask(bob.uid, UpdateAccount(bob.uid, {"no_push": True}), Any)
        mid = stage.write(alice, bob)
        await stage.done()
        assert stage.vendors.sent == []
        assert stage.told(mid) == [(0, "", "not pushed: the settings of the recipient or the kind of message")]

    play(conversation)


def test_a_group_message_is_pushed_to_absent_members(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        alice, bob, carol = stage.sim.user("alice"), stage.absent("bob", "b"), stage.absent("carol", "c")
        gid = stage.sim.group(alice, bob, carol)
        phone = alice.device()
        mid = stage.write(phone, gid, "meeting", type=MessageBody.GROUPCHAT)
        await stage.done()
        assert sorted(stage.vendors.tokens()) == ["b", "c"]
        assert {push.title for _, push, _ in stage.vendors.sent} == {"alice"}
        assert len(stage.told(mid)) == 2

    play(conversation)


def test_a_dead_token_is_unbound_and_the_other_device_still_told(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "dead", "alive"), stage.sim.user("alice").device()
        stage.vendors.answers["dead"] = [PushOutcome(PushState.GONE, "UNREGISTERED")]
        first = stage.write(alice, bob)
        await stage.done()
        assert stage.vendors.tokens() == ["dead", "alive"]
        assert stage.told(first) == [
            (1, "fcm", "the vendor says the token is dead, it is unbound: UNREGISTERED"),
            (2, "fcm", "pushed"),
        ]
        stage.write(alice, bob)
        await stage.done()
        assert stage.vendors.tokens() == ["dead", "alive", "alive"]

    play(conversation)


def test_a_vendor_that_does_not_answer_is_asked_again(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.vendors.answers["phone"] = [
            PushOutcome(PushState.LATER, "HTTP 503"),
            PushOutcome(PushState.LATER, "HTTP 503"),
            SENT,
        ]
        mid = stage.write(alice, bob)
        await stage.done()
        assert stage.vendors.tokens() == ["phone"] * 3
        assert stage.told(mid) == [
            (1, "fcm", "waits, the vendor does not take it: HTTP 503"),
            (1, "fcm", "pushed"),
        ]

    play(conversation)


def test_a_vendor_that_is_away_holds_up_nobody_else(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        others = [stage.absent(f"other{n}", f"other{n}", notifier="two") for n in range(3)]
        bob, alice = stage.absent("bob", "stuck"), stage.sim.user("alice").device()
        stage.vendors.stuck.add("stuck")
        for n in range(3 * limits.PUSHES_AT_ONCE):
            stage.write(alice, bob, str(n))
        for user in others:
            stage.write(alice, user)
        await eventually("the others are told", lambda: {f"other{n}" for n in range(3)} <= {*stage.vendors.tokens()})
        assert stage.vendors.tokens().count("stuck") == limits.PUSHES_PER_VENDOR
        stage.vendors.slow["stuck"].set()
        await stage.done()
        assert stage.vendors.tokens().count("stuck") == 3 * limits.PUSHES_AT_ONCE

    play(conversation)


def test_while_a_vendor_refuses_to_answer_one_push_tries(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        later = PushOutcome(PushState.LATER, "HTTP 503")
        stage.vendors.answers["phone"] = [*[later] * (limits.PUSHES_PER_VENDOR + 2), SENT]
        stage.vendors.stuck.add("phone")
        for n in range(2 * limits.PUSHES_PER_VENDOR):
            stage.write(alice, bob, str(n))
        await eventually(
            "all that may be are with the vendor", lambda: len(stage.vendors.sent) == limits.PUSHES_PER_VENDOR
        )
        stage.vendors.slow["phone"].set()
        await stage.done()
        assert len(stage.vendors.sent) == 3 * limits.PUSHES_PER_VENDOR + 2, (
            "all at once, then one by one, then the rest"
        )

    play(conversation)


def test_a_device_that_has_had_too_many_waits_alone(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, carol = stage.absent("bob", "busy"), stage.absent("carol", "calm")
        alice = stage.sim.user("alice").device()
        often = PushOutcome(PushState.LATER, "TooManyRequests", 3600, device=True)
        stage.vendors.answers["busy"] = [often]
        mid = stage.write(alice, bob)
        await eventually("the busy device was tried", lambda: stage.told(mid))
        other = stage.write(alice, carol)
        await eventually("the other is told", lambda: stage.told(other) == [(1, "fcm", "pushed")])
        assert stage.vendors.tokens() == ["busy", "calm"]
        assert stage.told(mid) == [(1, "fcm", "waits, the vendor does not take it: TooManyRequests")]

    play(conversation)


def test_a_device_that_has_had_too_many_is_told_in_the_end(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "busy"), stage.sim.user("alice").device()
        stage.vendors.answers["busy"] = [
            *[PushOutcome(PushState.LATER, "TooManyRequests", 0.01, device=True)] * 3,
            SENT,
        ]
        mid = stage.write(alice, bob)
        await stage.done()
        assert stage.vendors.tokens() == ["busy"] * 4
        assert stage.told(mid)[-1] == (1, "fcm", "pushed")

    play(conversation)


def test_what_is_recalled_while_it_waits_is_not_pushed(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.vendors.answers["phone"] = [PushOutcome(PushState.LATER, "HTTP 503", 0.1)]
        mid = stage.write(alice, bob)
        await eventually("it was tried", lambda: len(stage.told(mid)) == 1 and stage.vendors.sent)
        alice.operate(bob, MessageOperation.RECALL, mid)
        await stage.done()
        assert stage.told(mid)[-1] == (0, "", "not pushed: the message was recalled or removed")

    play(conversation)


def test_what_was_ready_for_a_vendor_that_went_away_is_decided_anew(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.vendors.answers["phone"] = [
            *[PushOutcome(PushState.LATER, "HTTP 503")] * (limits.PUSHES_PER_VENDOR + 2),
            SENT,
        ]
        stage.vendors.stuck.add("phone")
        mids = [stage.write(alice, bob, str(n)) for n in range(limits.PUSHES_PER_VENDOR + 8)]
        waiting = "pushes_waiting"
        await eventually(
            "eight wait behind those with the vendor", lambda: totals(stage.service.figures())[waiting] == 8
        )
        alice.operate(bob, MessageOperation.RECALL, mids[-1])
        stage.vendors.slow["phone"].set()
        await stage.done()
        assert stage.told(mids[-1])[-1] == (0, "", "not pushed: the message was recalled or removed")

    play(conversation)


def test_who_reads_it_elsewhere_while_it_waits_is_not_pushed(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.vendors.answers["phone"] = [PushOutcome(PushState.LATER, "HTTP 503", 0.1)]
        mid = stage.write(alice, bob)
        await eventually("it was tried", lambda: len(stage.told(mid)) == 1 and stage.vendors.sent)
        bob.device("at the desk").leave()
        stage.sim.run()
        await stage.done()
        assert stage.told(mid)[-1] == (0, "", "not pushed: a device has received it meanwhile")

    play(conversation)


def test_a_push_that_is_a_day_old_is_given_up(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        mid = stage.write(alice, bob)
        await stage.done()
        assert stage.told(mid) == [(0, "", "not pushed: no vendor took it within a day")]

    play(conversation, limits.PUSH_AGE_MS)


def test_without_its_notifier_a_device_is_not_told_and_why_says_so(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone", notifier="gone"), stage.sim.user("alice").device()
        mid = stage.write(alice, bob)
        await stage.done()
        [(_, _, what)] = stage.told(mid)
        assert what.startswith("refused: app lanying has no notifier gone")

    play(conversation)


def test_a_shard_that_starts_again_gets_its_answers(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        index = stage.map.shard_of(bob.uid)
        stage.vendors.stuck.add("phone")
        stage.write(alice, bob)
        await eventually("it is with the vendor", lambda: stage.vendors.sent)
        stage.deaf.add(index)
        stage.vendors.slow["phone"].set()
        stage.sim.advance(1)
        stage.sim.crash(index)
        stage.sim.shards[index].pushes.begin()
        stage.deaf.clear()
        await stage.done()
        assert stage.vendors.tokens() == ["phone"], "what is held is not taken twice"

    play(conversation)


def test_an_ordered_push_counts_what_vendors_took(play: Play) -> None:
    async def conversation(stage: Stage) -> None:
        bob, carol = stage.absent("bob", "phone", "pad"), stage.absent("carol", "dead")
        stage.vendors.answers["dead"] = [PushOutcome(PushState.GONE, "UNREGISTERED")]
        task = PushTask(4711, "lanying", '{"title":"Sale","badge":"7","ext":{"page":1}}', stage.sim.now_ms)
        stage.ask(4711, PutPushTask(task))
        for user in (bob, carol):
            stage.ask(user.uid, OrderPushes(4711, PushTargets("lanying", uids=[user.uid])))
        for shard in stage.sim.shards:
            for _ in range(2):
                shard.maintain()
                stage.sim.run()
        await stage.done()
        assert sorted(stage.vendors.tokens()) == ["dead", "pad", "phone"]
        assert {(push.title, push.badge, push.ext["page"]) for _, push, _ in stage.vendors.sent} == {("Sale", 7, 1)}
        assert stage.ask(4711, GetPushTask(4711), PushTask).sent == {"fcm": 2}

    play(conversation)


@pytest.mark.parametrize("seed", range(4))
def test_every_message_is_pushed_at_least_once_whoever_dies(play: Play, seed: int) -> None:
    """Vendors fail as they like, shards lose what they have not flushed, the push process starts again now and then."""
    chance = random.Random(seed)

    async def conversation(stage: Stage) -> None:
        class Moody(Vendors):
            async def send(self, target: PushTarget, push: Push, collapse_id: str) -> PushOutcome:
                self.sent.append((target.token, push, collapse_id))
                await asyncio.sleep(chance.choice((0, 0, 0.002)))
                if chance.random() < 0.3:
                    return PushOutcome(PushState.LATER, chance.choice(("HTTP 503", "ConnectError")))
                taken.append((target.token, collapse_id))
                return SENT

        taken: list[tuple[str, str]] = []
        moody = Moody()
        await stage.service.drain(0)
        people = [stage.absent(f"user{n}", f"phone {n}", f"pad {n}") for n in range(6)]
        alice = stage.sim.user("alice").device()
        due: set[tuple[str, str]] = set()
        for _ in range(6):
            service = Service(stage, {}, stage.notifiers, moody)
            service.start()
            for _ in range(chance.randrange(1, 12)):
                number = chance.randrange(len(people))
                mid = stage.write(alice, people[number], "hello")
                due |= {(f"phone {number}", str(mid)), (f"pad {number}", str(mid))}
                await asyncio.sleep(chance.choice((0, 0, 0.005)))
            if chance.random() < 0.5:
                index = chance.randrange(stage.map.shards)
                if stage.map.shard_of(alice.user.uid) != index:
                    stage.sim.crash(index)
                    stage.sim.shards[index].pushes.begin()
                    stage.sim.run()
            await service.drain(0)
        stage.service = Service(stage, {}, stage.notifiers, moody)
        stage.service.start()
        await stage.done()
        assert due <= set(taken), due - set(taken)

    play(conversation)
