"""What one user may cause, in bytes too, over sockets and REST together."""

from __future__ import annotations

import contextlib

import pytest

from lanying.base.budgets import TOGETHER, Budgets, Shared, Spent, charge
from lanying.base.errors import CallError, Refused
from lanying.base.rate import Rate
from lanying.base.refusals import Refusal
from lanying.bus.messages import Post, PostMany, PostResult, decode_result
from lanying.config.schema import Config, PolicySettings
from lanying.protocol.schema.xsync_pb2 import MessageBody, Status
from lanying.testing.simulation import Simulation

MB = 1 << 20


def payload(size: int, **fields: int) -> bytes:
    return MessageBody(type=MessageBody.CHAT, content="x" * size, **fields).SerializeToString()  # type: ignore[arg-type]


def test_short_messages_count_as_messages_and_long_ones_as_bytes() -> None:
    budgets = Budgets(PolicySettings(user_messages_per_s=1000, user_bytes_per_s=MB))
    for size, allowed in ((10, 1000), (1000, 1000), (10_240, 102), (262_144, 4)):
        spent, taken = Spent(), 0
        with pytest.raises(Refused):
            while taken <= 2000:
                budgets.send(spent, 5.0, size)
                taken += 1
        assert taken == pytest.approx(allowed, abs=3), size


def test_a_day_has_an_end_and_the_next_one_begins() -> None:
    budgets, spent = Budgets(PolicySettings(user_bytes_per_day=MB)), Spent()
    for second in range(4):
        budgets.send(spent, float(second), 262_144)
    with pytest.raises(Refused, match="in a day"):
        budgets.send(spent, 5.0, 262_144)
    budgets.send(spent, 90_000.0, 262_144)


def test_users_without_a_session_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanying.base.limits.USERS_COUNTED", 3)
    budgets = Budgets(PolicySettings())
    first = budgets.of(1)
    assert budgets.of(1) is first
    for uid in range(2, 10):
        budgets.of(uid)
    assert budgets.of(9) is budgets.of(9)
    assert budgets.of(1) is not first


def test_rest_and_sockets_share_a_budget_and_live_messages_count() -> None:
    sim = Simulation(1, Config(policy=PolicySettings(user_messages_per_s=5)))
    alice, bob = sim.user("alice"), sim.user("bob")
    phone = alice.device()
    for n in range(3):
        phone.send(bob, str(n), qos=MessageBody.AT_MOST_ONCE)
    for _ in range(2):
        sim.call(0, Post(alice.uid, alice.app, bob.uid, payload(3)))
    with pytest.raises(CallError) as refused:
        sim.call(0, Post(alice.uid, alice.app, bob.uid, payload(3)))
    assert refused.value.refusal is Refusal.TOO_MANY_MESSAGES
    assert phone.refused[phone.send(bob, "more")][0] == Status.RATE_LIMIT_EXCEEDED
    carol = sim.user("carol")  # has no session
    request = PostMany(carol.uid, carol.app, [bob.uid] * 8, payload(3), [0] * 8)
    rows: list[PostResult] = decode_result(request, sim.call(0, request))
    assert [row.refusal for row in rows] == [None] * 5 + [Refusal.TOO_MANY_MESSAGES] * 3


def test_a_group_message_counts_once_for_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanying.base.limits.GROUP_BYTES_PER_S", 100_000)
    sim = Simulation(1)
    alice, *others = (sim.user(f"user{n}") for n in range(10))
    gid = sim.group(alice, *others)
    phone = alice.device()
    sent = [phone.send(gid, "x" * 2000, type=MessageBody.GROUPCHAT) for _ in range(10)]
    taken = sum(mid in phone.acknowledged for mid in sent)
    assert taken == 4
    sim.advance(1)
    assert phone.send(gid, "x" * 2000, type=MessageBody.GROUPCHAT) in phone.acknowledged


def test_many_accounts_together_have_an_end_and_shut_nobody_out() -> None:
    budget = Shared(Rate(10, 86_400.0), 100_000)
    uid, taken = 0, 0
    while taken < 10 * TOGETHER["app"]:
        uid += 1
        for _ in range(10):
            charge(budget, uid, 0.0, "groups", app="school")
            taken += 1
    charge(budget, uid + 1, 0.0, "groups", app="school")  # a tenth of ten
    with pytest.raises(CallError) as refused:
        charge(budget, uid + 1, 0.0, "groups", app="school")
    assert refused.value.retry_s > 60
    for _ in range(10):
        charge(budget, uid + 1 + (1 << 20), 0.0, "groups", app="another")
    with pytest.raises(CallError):
        charge(budget, uid + 1 + (1 << 20), 0.0, "groups", app="another")


def test_what_one_user_is_refused_takes_nothing_of_what_is_shared() -> None:
    budget = Shared(Rate(10, 86_400.0), 100_000)
    for _ in range(5000):
        with contextlib.suppress(CallError):
            charge(budget, 1, 0.0, "groups", app="school")
    for uid in range(2, 50):
        for _ in range(10):
            charge(budget, uid, 0.0, "groups", app="school")
    with pytest.raises(CallError):
        charge(budget, 1, 0.0, "groups", app="school")
