"""Durations in buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.figures import Figure, labelled
from lanying.base.histogram import SECONDS, Histogram, quantile


def test_a_bound_belongs_to_its_bucket_and_counts_are_cumulative():
    histogram = Histogram((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 2.0, 3.0):
        histogram.observe(seconds)
    figures = histogram.figures("wait")
    assert figures == [Figure("wait", 8.0), *labelled("wait", "le", {"1.0": 2, "2.0": 4, "+Inf": 5})]


def test_a_quantile_is_interpolated_within_its_bucket():
    histogram = Histogram((1.0, 2.0))
    for seconds in (0.5, 0.6, 1.2, 1.4):
        histogram.observe(seconds)
    assert quantile(histogram.figures("wait"), "wait", 0.5) == 1.0
    assert quantile(histogram.figures("wait"), "wait", 0.75) == pytest.approx(1.5)


def test_nothing_observed_has_no_quantile_and_beyond_the_last_bound_it_is_that_bound():
    histogram = Histogram((1.0, 2.0))
    assert quantile(histogram.figures("wait"), "wait", 0.5) is None
    assert quantile([], "wait", 0.5) is None
    histogram.observe(100.0)
    assert quantile(histogram.figures("wait"), "wait", 0.5) == 2.0


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_is_in_the_bucket_of_the_value_it_stands_for(values, q):
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    found = quantile(histogram.figures("x"), "x", q)
    rank = next(number for number in range(1, len(values) + 1) if number >= q * len(values) - 1e-9)
    exact = sorted(values)[rank - 1]
    above = next((bound for bound in SECONDS if bound >= exact), SECONDS[-1])
    below = max((bound for bound in SECONDS if bound < above), default=0.0)
    assert below - 1e-9 <= found <= above + 1e-9
