"""The rate limiter, with explicit time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.rate import Bucket, Rate, RateLimiter

STEPS = st.lists(st.floats(0, 3, allow_subnormal=False), min_size=1, max_size=300)


@given(burst=st.integers(1, 50), window_s=st.sampled_from((0.5, 1.0, 10.0, 60.0)), steps=STEPS, start=st.floats(0, 1e7))
def test_no_span_of_time_has_more_than_burst_and_refill(
    burst: int, window_s: float, steps: list[float], start: float
) -> None:
    rate, bucket, now, taken = Rate(burst, window_s), Bucket(), start, []
    for step in steps:
        now += step * window_s / burst
        if rate.take(bucket, now):
            taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + math.ceil((taken[last] - begin) * burst / window_s + 0.02)


@pytest.mark.parametrize(("burst", "window_s"), [(1, 60.0), (2, 60.0), (200, 1.0), (2000, 1.0), (10_000, 10.0)])
@pytest.mark.parametrize("start", [0.0, 1.0, 12_345.678, 9_999_999.9])
def test_a_burst_is_exact_and_comes_back_within_a_window(burst: int, window_s: float, start: float) -> None:
    rate, bucket = Rate(burst, window_s), Bucket()
    for now in (start, start + window_s, start + 5 * window_s):
        assert sum(rate.take(bucket, now) for _ in range(burst + 5)) == burst


@given(burst=st.integers(1, 50), used=st.integers(0, 60), now=st.floats(0, 1e6))
def test_it_says_when_there_is_a_token(burst: int, used: int, now: float) -> None:
    rate, bucket = Rate(burst, 10.0), Bucket()
    for _ in range(used):
        rate.take(bucket, now)
    wait_s = rate.wait_s(bucket, now)
    assert (wait_s > 1e-6) == (used >= burst)
    assert wait_s < rate.interval_s * 0.5 or not rate.take(bucket, now + wait_s - rate.interval_s * 0.5)
    assert rate.take(bucket, now + wait_s)


def test_what_matters_more_has_tokens_of_its_own() -> None:
    rate, bucket = Rate(6), Bucket()
    assert [rate.take(bucket, 9.0, keep=3) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [rate.take(bucket, 9.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert not rate.take(bucket, 9.0 + 3 / 6, keep=3)
    assert rate.take(bucket, 9.0 + 4 / 6, keep=3)


def test_keys_have_buckets_of_their_own() -> None:
    limiter = RateLimiter(Rate(2, 60.0), keys=10)
    assert [limiter.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert limiter.take("b", 0.0)
    assert limiter.wait_s("a", 0.0) == 30.0 and limiter.wait_s("b", 0.0) == limiter.wait_s("c", 0.0) == 0.0
    assert not limiter.take("a", 29.0)
    assert limiter.take("a", 30.0)
    assert not limiter.take("a", 30.0)


def test_a_token_given_back_can_be_taken_again() -> None:
    limiter = RateLimiter(Rate(2, 60.0), keys=10)
    assert [limiter.take("a", 0.0) for _ in range(3)] == [True, True, False]
    limiter.give_back("a")
    assert [limiter.take("a", 0.0) for _ in range(2)] == [True, False]
    for _ in range(9):
        limiter.give_back("a")
        limiter.give_back("unknown")
    assert [limiter.take("a", 0.0) for _ in range(3)] == [True, True, False], "never more than a full bucket"


def test_only_so_many_keys_are_remembered() -> None:
    limiter = RateLimiter(Rate(1, 60.0), keys=3)
    assert all(limiter.take(key, 0.0) for key in range(10))
    assert len(limiter) == 3
    assert not limiter.take(9, 0.0)
    assert limiter.take(0, 0.0)


def test_a_full_bucket_takes_no_memory() -> None:
    limiter = RateLimiter(Rate(2, 60.0), keys=1000)
    for key in range(100):
        limiter.take(key, key / 10)
    assert len(limiter) == 100
    limiter.take("late", 100.0)
    assert len(limiter) == 1
