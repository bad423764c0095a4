"""Pushes back ends order: the tasks, kept on the shards of their ids, and this shard's part of their audiences (pure).

An order to many is a row that says how far it has come, as with :mod:`lanying.shard.chat.broadcasts`: a step's pushes and the new position
are one batch, so a crash repeats or loses nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import CountPushTask, GetPushTask, Message, OrderPushes, PushTargets, PushTask, PutPushTask
from lanying.bus.messages.base import answers
from lanying.shard.core.work import Work
from lanying.shard.push import targets
from lanying.shard.push.owed import Pushes
from lanying.shard.store import schema

_BEHIND_ALL: Final = b"\xff" * 9
_encode: Final = msgspec.msgpack.Encoder().encode
_decode_order: Final = msgspec.msgpack.Decoder(OrderPushes).decode
_decode_task: Final = msgspec.msgpack.Decoder(PushTask).decode


class PushOrders:
    """Tasks and orders of one shard."""

    def __init__(self, work: Work, pushes: Pushes) -> None:
        self._work = work
        self._pushes = pushes
        self._open = [_decode_order(row) for _, row in work.store.scan(schema.PUSH_ORDERS, b"", _BEHIND_ALL)]
        self.handlers: dict[type[Message], Callable[[Any], object]] = dict(
            [
                answers(PutPushTask)(self.put_task),
                answers(OrderPushes)(self.order),
                answers(GetPushTask)(self.task),
                answers(CountPushTask)(self.count),
                answers(PushTargets)(lambda request: targets.count(work.store, request)),
            ]
        )

    def put_task(self, request: PutPushTask) -> bool:
        """Keep a task; old ones make room. :raises CallError: 10002 it is too long"""
        work, task = self._work, request.task
        if len(task.order) > limits.PUSH_ORDER_CHARS:
            raise CallError(Refusal.INVALID_PARAMETER, f"message has at most {limits.PUSH_ORDER_CHARS} characters")
        rows = [_decode_task(row) for _, row in work.store.scan(schema.PUSH_TASKS, b"", _BEHIND_ALL)]
        rows.sort(key=lambda row: row.created_ms)
        room = limits.PUSH_TASKS_KEPT - 1
        for at, row in enumerate(rows):
            if row.created_ms < work.now_ms - limits.PUSH_TASK_LIFETIME_MS or at < len(rows) - room:
                work.delete(schema.PUSH_TASKS, schema.pack_u64(row.task_id))
        self._keep_task(task)
        return True

    def task(self, request: GetPushTask) -> PushTask | None:
        """A task by its id."""
        row = self._work.store.get(schema.PUSH_TASKS, schema.pack_u64(request.task_id))
        task = None if row is None else _decode_task(row)
        return task if task is not None and request.app in ("", task.app) else None

    def count(self, request: CountPushTask) -> bool:
        """Add to a task's counts."""
        task = self.task(GetPushTask(request.task_id))
        if task is not None:
            for counts, more in ((task.targets, request.targets), (task.sent, request.sent)):
                for channel, number in more.items():
                    counts[channel] = counts.get(channel, 0) + number
            self._keep_task(task)
        return True

    def order(self, request: OrderPushes) -> bool:
        """A back end has ordered a push to some of our users."""
        self._pushes.begin()
        self._open.append(request)
        self._work.undo((self._open.remove, request))
        self._keep_order(request)
        return True

    def step(self) -> None:
        """Once a second: the next few users of the oldest order."""
        work = self._work
        if not self._open or not self._pushes.on or self._pushes.much:
            return
        order = self._open[0]
        work.undo((setattr, order.targets, "after", order.targets.after))
        found, order.targets.after = targets.find(work.store, order.targets, limits.PUSH_TASK_STEP)
        for uid in found:
            self._pushes.order(uid, order.task_id)
        if order.targets.after:
            self._keep_order(order)
        else:
            del self._open[0]
            work.undo((self._open.insert, 0, order))
            work.delete(schema.PUSH_ORDERS, schema.pack_u64(order.task_id))

    def _keep_order(self, order: OrderPushes) -> None:
        self._work.put(schema.PUSH_ORDERS, schema.pack_u64(order.task_id), _encode(order))

    def _keep_task(self, task: PushTask) -> None:
        self._work.put(schema.PUSH_TASKS, schema.pack_u64(task.task_id), _encode(task))
