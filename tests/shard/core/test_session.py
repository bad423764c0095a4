"""Who is logged in: found by user and device, counted once, with bounded pull loops."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lanying.base import limits
from lanying.protocol.connection import XSYNC, Connection
from lanying.shard.core.session import LOOPS_KEPT, Registry, Session


def session(uid: int = 1, sn: int = 1) -> Session:
    return Session(7, Connection(XSYNC), "app", uid, sn, "address", 5.0)


def loops(count: int, *, busy: set[int] | range = frozenset()) -> dict[int, Any]:  # type: ignore[assignment]
    return {peer: SimpleNamespace(idle=peer not in busy) for peer in range(count)}


def test_sessions_are_found_by_user_and_device_and_counted() -> None:
    registry, first, second, other = Registry(), session(1, 1), session(1, 2), session(2, 1)
    for one in (first, second, other):
        registry.add(one)
    assert [*registry.sessions(1)] == [first, second] and [*registry.sessions(3)] == []
    assert registry.find(1, 2) is second and registry.find(1, 3) is None and registry.find(3, 1) is None
    assert registry.count == 3 and {*registry} == {first, second, other}
    assert registry.absent({1, 2, 3}) == {3}


def test_a_device_that_is_gone_is_gone_once() -> None:
    registry, first, second = Registry(), session(1, 1), session(1, 2)
    registry.add(first)
    registry.add(second)
    for _ in range(2):
        registry.remove(first)
    assert registry.count == 1 and [*registry.sessions(1)] == [second]
    registry.remove(second)
    registry.remove(session(9))
    assert registry.count == 0 and registry.absent({1}) == {1} and [*registry] == []


def test_all_devices_of_a_user_have_one_budget() -> None:
    registry, first, second, other = Registry(), session(1, 1), session(1, 2), session(2, 1)
    for one in (first, second, other):
        registry.add(one)
    assert first.sends is second.sends is not other.sends


def test_sessions_may_leave_while_they_are_looked_at() -> None:
    registry = Registry()
    for uid in (1, 2):
        for sn in (1, 2):
            registry.add(session(uid, sn))
    for one in registry:
        registry.remove(one)
    assert registry.count == 0


def test_idle_loops_are_kept_up_to_a_number() -> None:
    one = session()
    one.loops = loops(LOOPS_KEPT)
    one.forget_idle_loops()
    assert len(one.loops) == LOOPS_KEPT
    one.loops = loops(LOOPS_KEPT + 1, busy={3, 5})
    one.forget_idle_loops()
    assert [*one.loops] == [3, 5]


def test_too_many_busy_loops_lose_their_older_half() -> None:
    one, most = session(), limits.LOOPS_PER_SESSION
    one.loops = loops(most, busy=range(most))
    one.forget_some_loops()
    assert [*one.loops] == [*range(most)][-(most // 2) :]
    one.loops = loops(most, busy={most - 1})
    one.forget_some_loops()
    assert [*one.loops] == [most - 1]
