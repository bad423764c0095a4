"""A tick that is cut back to a mark is what it was at the mark, and says so of memory too."""

from __future__ import annotations

from typing import Any

import pytest

from lanying.bus.messages import LinkAck
from lanying.protocol.connection import XSYNC, Connection
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore

SESSION = Session(7, Connection(XSYNC), "app", 1, 1, "address", 5.0)
LISTS: dict[str, Any] = {
    "outs": (SESSION, b"x"),
    "envelopes": ("push", LinkAck(0, 1)),
    "links": (1, b"x"),
    "touched": (None, None),
    "groups": None,
    "pulls": (SESSION, 1, 2, None),
    "histories": (SESSION, 1, 2, 3),
    "unreads": SESSION,
    "closing": SESSION,
}
NOTED = ("groups", "pulls", "histories", "unreads", "closing")
"""What few events append to: they note it in ``undo``, as :meth:`Tick.add` does, and a mark does not measure it."""


def state(tick: Tick) -> dict[str, Any]:
    lists = {name: list(getattr(tick, name)) for name in [*LISTS, "undo"]}
    return lists | {"rows": len(tick.batch.operations), "lazy": tick.lazy}


def fill(tick: Tick) -> None:
    for name, one in LISTS.items():
        if name in NOTED:
            tick.add(getattr(tick, name), one)
        else:
            getattr(tick, name).append(one)
    tick.batch.put(schema.META, b"key", b"value")
    tick.lazy += 1


def test_a_cut_takes_back_everything_since_the_mark_and_nothing_before() -> None:
    tick = Tick(MemoryStore().batch())
    fill(tick)
    before, mark = state(tick), tick.mark()
    fill(tick)
    fill(tick)
    tick.batch.cut(tick.cut(mark))
    assert state(tick) == before


def test_memory_is_put_back_latest_first() -> None:
    tick, done = Tick(MemoryStore().batch()), []
    tick.undo.append((done.append, "before the mark"))
    mark = tick.mark()
    for number in range(3):
        tick.undo.append((done.append, number))
    tick.cut(mark)
    assert done == [2, 1, 0] and len(tick.undo) == 1
    tick.cut(mark)
    assert done == [2, 1, 0]


@pytest.mark.parametrize("name", [*LISTS, "rows", "acknowledge"])
def test_a_tick_with_anything_to_do_is_not_empty(name: str) -> None:
    tick = Tick(MemoryStore().batch())
    assert tick.empty
    if name == "rows":
        tick.batch.put(schema.META, b"key", b"value")
    elif name == "acknowledge":
        tick.acknowledge[1] = False
    else:
        getattr(tick, name).append(LISTS[name])
    assert not tick.empty


def test_what_a_session_is_owed_comes_in_order() -> None:
    tick, other = Tick(MemoryStore().batch()), Session(8, Connection(XSYNC), "app", 2, 1, "address", 5.0)
    tick.send_raw(SESSION, b"1")
    tick.send_wrapped(other, b"2", b"frame")
    tick.send(SESSION, b"3")
    assert tick.wires() == {SESSION: [b"1", SESSION.wrap(b"3")], other: [b"2"]}
