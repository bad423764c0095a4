"""Does a process grow? Its resident memory, looked at while a run goes on, has to be flat once everything is warm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

LOOKS = 64
"""Kept at most; with more every second one goes, and the next ones are twice as far apart."""
FEWEST = 16
"""Before that nothing is said: a process warms up."""
SHARE, ALLOWED_MB = 0.08, 6.0
"""How much more the last quarter may have than the second one: the heap's spread, as measured over runs of ten minutes."""


def memory_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


class Growth:
    """Looks at intervals.

    :param every_s: between two, at first
    :ivar looks: MB, one after the other, equally far apart
    """

    def __init__(self, every_s: float, measure: Callable[[], float] = memory_mb) -> None:
        self.looks: list[float] = []
        self._every_s = every_s
        self._next = 0.0
        self._measure = measure

    def look(self, now: float) -> bool:
        """Look if it is time to. ``now``: monotonic seconds, from 0 on"""
        if now < self._next:
            return False
        self.looks.append(self._measure())
        if len(self.looks) > LOOKS:
            self.looks = self.looks[::2]
            self._every_s *= 2
        self._next = now + self._every_s
        return True

    @property
    def grown(self) -> str:
        """From what to what, if it does grow; empty: it does not, or it cannot be said yet."""
        looks = self.looks
        if len(looks) < FEWEST:
            return ""
        quarter = len(looks) // 4
        early, late = median(looks[quarter : 2 * quarter]), median(looks[-quarter:])
        return f"from {early:.0f} MB to {late:.0f} MB" if late > early * (1 + SHARE) + ALLOWED_MB else ""

    def __str__(self) -> str:
        """Eight of the looks."""
        step = max(1, -(-len(self.looks) // 8))
        return " ".join(f"{mb:.0f}" for mb in self.looks[::step]) + " MB"
