"""Durations counted in buckets, for metrics: cheap to observe, flat to report."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from lanying.base.figures import Figure

SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Histogram:
    """Counts per bucket; ``le`` bounds are inclusive, the last bucket has none."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def figures(self, name: str) -> list[Figure]:
        """Cumulative counts with the label ``le``, the upper bound; without a label, all durations together."""
        found, count = [Figure(name, self._sum)], 0
        for bound, more in zip((*map(repr, self._bounds), "+Inf"), self._counts, strict=True):
            count += more
            found.append(Figure(name, float(count), {"le": bound}))
        return found


def quantile(figures: Iterable[Figure], name: str, q: float) -> float | None:
    """The q-quantile of a histogram's counts, interpolated within its bucket as Prometheus does; None: nothing was observed.

    Beyond the last bound it is that bound.
    """
    buckets = sorted((float(one.labels["le"]), one.value) for one in figures if one.name == name and one.labels)
    if not buckets or buckets[-1][1] <= 0:
        return None
    wanted = q * buckets[-1][1]
    low = below = 0.0
    for bound, count in buckets:
        if bound == float("inf"):
            break
        if count >= wanted:
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return low
