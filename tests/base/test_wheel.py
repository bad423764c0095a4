"""Deadlines, with explicit time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lanying.base.wheel import Wheel


def test_due_within_a_second_after_the_deadline_and_only_once() -> None:
    wheel: Wheel[str] = Wheel(1000.25)
    wheel.schedule("a", 1010.5)
    wheel.schedule("b", 1011.5)
    assert wheel.due(1010.9) == []
    assert wheel.due(1011.1) == ["a"]
    assert wheel.due(1011.9) == []
    assert wheel.due(1012.0) == ["b"]
    assert len(wheel) == 0


def test_moved_and_cancelled() -> None:
    wheel: Wheel[str] = Wheel(0.0)
    wheel.schedule("moved", 5.0)
    wheel.schedule("moved", 20.0)
    wheel.schedule("cancelled", 5.0)
    wheel.cancel("cancelled")
    wheel.cancel("never seen")
    assert wheel.due(15.0) == []
    assert wheel.due(21.0) == ["moved"]


def test_a_loop_that_was_stopped_for_long_finds_everything() -> None:
    wheel: Wheel[int] = Wheel(0.0)
    for second in range(60):
        wheel.schedule(second, second)
    assert sorted(wheel.due(100_000.0)) == list(range(60))


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 30)), max_size=40))
def test_never_early_within_its_reach_and_never_forgotten(steps: list[tuple[float, float]]) -> None:
    wheel: Wheel[int] = Wheel(0.0)
    now, deadlines = 0.0, {}
    for key, (ahead, pause) in enumerate(steps):
        deadlines[key] = now + ahead
        wheel.schedule(key, deadlines[key])
        now += pause
        for found in wheel.due(now):
            if deadlines[found] > now:
                assert ahead > 62 or deadlines[found] - now > 0
                wheel.schedule(found, deadlines[found])
            else:
                del deadlines[found]
        assert len(wheel) == len(deadlines)
        assert all(deadline > now - 1.0 for deadline in deadlines.values())
