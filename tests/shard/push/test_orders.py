"""Pushes a back end orders: kept, counted, done step by step, and gone on with after a start."""

from __future__ import annotations

from typing import Any

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.bus.messages import BindPush, CountPushTask, GetPushTask, OrderPushes, PushTargets, PushTask, PutPushTask
from lanying.shard.push.orders import PushOrders
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation

DAY_MS = 86_400_000


class Pushes:
    on, much = True, False

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def begin(self) -> None:
        self.on = True

    def order(self, uid: int, task: int) -> None:
        self.told.append((uid, task))


class Desk:
    def __init__(self, users: int = 0) -> None:
        self.sim = Simulation(1)
        self.work = self.sim.shards[0].work
        self.pushes: Any = Pushes()
        self.uids = sorted(self._user(number) for number in range(users))
        self.orders = PushOrders(self.work, self.pushes)

    def _user(self, number: int) -> int:
        user = self.sim.user(f"user{number}")
        device = user.device()
        self.sim.call(0, BindPush(user.uid, device.sn, "ours", f"token-{number}"))
        return user.uid

    def task(self, number: int, created_ms: int = 0, order: str = "{}") -> PushTask:
        return PushTask(number, "lanying", order, created_ms or self.work.now_ms)

    def kept(self) -> list[int]:
        return [number for number in range(1, 40) if self.orders.task(GetPushTask(number)) is not None]


def test_a_task_is_found_by_its_app_and_counts_on() -> None:
    desk = Desk()
    desk.orders.put_task(PutPushTask(desk.task(7)))
    for number in (1, 2):
        assert desk.orders.count(CountPushTask(7, {"apns": number}, {"apns": 1, "fcm": number}))
    found = desk.orders.task(GetPushTask(7, "lanying"))
    assert found is not None and (found.targets, found.sent) == ({"apns": 3}, {"apns": 2, "fcm": 3})
    assert desk.orders.task(GetPushTask(7, "other")) is None and desk.orders.task(GetPushTask(8)) is None
    assert desk.orders.count(CountPushTask(8, {"apns": 1}, {})), "one that is gone is no error"


def test_an_order_that_is_too_long_is_refused_and_old_tasks_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_ORDER_CHARS", 10)
    monkeypatch.setattr(limits, "PUSH_TASKS_KEPT", 3)
    desk = Desk()
    with pytest.raises(CallError, match="message has at most 10 characters"):
        desk.orders.put_task(PutPushTask(desk.task(1, order="x" * 11)))
    now = desk.work.now_ms
    desk.orders.put_task(PutPushTask(desk.task(1, now - limits.PUSH_TASK_LIFETIME_MS - 1, "x" * 10)))
    desk.orders.put_task(PutPushTask(desk.task(2, now - limits.PUSH_TASK_LIFETIME_MS)))
    assert desk.kept() == [2], "the first is too old"
    for number in (3, 4, 5):
        desk.orders.put_task(PutPushTask(desk.task(number, now + number)))
    assert desk.kept() == [3, 4, 5], "the oldest goes"


def order(task: int) -> OrderPushes:
    return OrderPushes(task, PushTargets("lanying"))


@pytest.mark.parametrize("step", [1, 2, 5, 9])
def test_everybody_is_told_once_in_bounded_steps(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_TASK_STEP", step)
    desk = Desk(5)
    desk.orders.order(order(7))
    desk.orders.order(order(8))
    for _ in range(40):
        before = len(desk.pushes.told)
        desk.orders.step()
        assert len(desk.pushes.told) - before <= step
    assert desk.pushes.told == [(uid, task) for task in (7, 8) for uid in desk.uids]
    assert not [*desk.work.store.scan(schema.PUSH_ORDERS, b"", b"\xff" * 9)]


@pytest.mark.parametrize("why", ["on", "much"])
def test_nothing_is_done_while_nobody_takes_pushes_or_too_many_wait(why: str) -> None:
    desk = Desk(1)
    desk.orders.order(order(7))
    setattr(desk.pushes, why, why == "much")
    desk.orders.step()
    assert desk.pushes.told == []
    setattr(desk.pushes, why, why == "on")
    desk.orders.step()
    assert len(desk.pushes.told) == 1


def test_a_start_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_TASK_STEP", 2)
    desk = Desk(5)
    desk.orders.order(order(7))
    desk.orders.step()
    again = PushOrders(desk.work, desk.pushes)
    for _ in range(5):
        again.step()
    assert desk.pushes.told == [(uid, 7) for uid in desk.uids]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_step_that_fails_is_done_again(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_TASK_STEP", 2)
    desk = Desk(5)
    desk.orders.order(order(7))
    for _ in range(steps):
        desk.orders.step()
    told, mark = list(desk.pushes.told), desk.work.tick.mark()
    desk.orders.step()
    desk.work.take_back(mark)
    desk.pushes.told = told
    for _ in range(5):
        desk.orders.step()
    assert desk.pushes.told == [(uid, 7) for uid in desk.uids]
