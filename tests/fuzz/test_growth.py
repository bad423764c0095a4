from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tests.fuzz.growth import FEWEST, LOOKS, Growth


def looked(seconds: int, memory_at: Callable[[int], float]) -> Growth:
    """Memory by the second since the begin."""
    now = 0
    growth = Growth(1.0, lambda: memory_at(now))
    for second in range(seconds):
        now = second
        growth.look(second)
    return growth


def test_a_process_that_leaks_slowly_is_found() -> None:
    assert looked(60, lambda s: 70 + 0.5 * s).grown.startswith("from ")
    assert looked(2000, lambda s: 70 + 0.05 * s).grown


def test_one_that_warms_up_or_breathes_is_not() -> None:
    assert not looked(90, lambda s: min(30 + 10 * s, 70) + s % 3).grown
    assert not looked(2000, lambda s: 70 + s % 5).grown


def test_nothing_is_said_before_it_can_be_known() -> None:
    assert not looked(FEWEST - 1, lambda s: 10.0 * s).grown


def test_looks_are_few_and_equally_far_apart_however_long_it_takes() -> None:
    looks = looked(5000, float).looks
    assert FEWEST < len(looks) <= LOOKS
    assert len({later - earlier for earlier, later in pairwise(looks)}) == 1, looks


def test_a_few_looks_are_shown() -> None:
    shown = str(looked(50, float))
    assert shown.startswith("0 ")
    assert shown.endswith(" MB")
    assert len(shown.split()) <= 9
