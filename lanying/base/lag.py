"""How late an event loop is: a timer of one second, and how much later than that it was called."""

from __future__ import annotations

import asyncio
from typing import Final

from lanying.base.figures import Figure
from lanying.base.histogram import Histogram

SAMPLE_S: Final = 1.0


class Lag:
    """Samples a loop from :meth:`start` on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._seconds = Histogram()

    def start(self) -> None:
        """Begin."""
        self._next(self._loop.time() + SAMPLE_S)

    def figures(self) -> list[Figure]:
        """The histogram ``lag_seconds``."""
        return self._seconds.figures("lag_seconds")

    def _next(self, due: float) -> None:
        self._loop.call_at(due, self._sample, due)

    def _sample(self, due: float) -> None:
        now = self._loop.time()
        self._seconds.observe(max(now - due, 0.0))
        self._next(now + SAMPLE_S)
