"""The metrics page: figures of other processes are asked of the supervisor beside the loop, which never waits for them.

One question at a time, whatever the number of scrapes; an answer serves those of the next second. A supervisor that does not
answer in time costs a scrape :data:`DEADLINE_S` and the figures of the other processes, nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lanying.base.clock import monotonic
from lanying.base.errors import LanyingError
from lanying.supervisor.answers import ProcessStatus

log = logging.getLogger(__name__)

DEADLINE_S: Final = 1.0
"""Scrapers wait ten seconds by default; an answer takes a millisecond."""
FRESH_S: Final = 1.0
"""An answer is good for this long: processes report every two seconds."""


class ProcessRows:
    """Every process as the supervisor has it.

    :param ask: blocks until the supervisor answers or the question fails; called in a thread
    :ivar rows: of the last answer, empty when there was none in time
    """

    def __init__(self, ask: Callable[[], list[ProcessStatus]], now: Callable[[], float] = monotonic) -> None:
        self.rows: list[ProcessStatus] = []
        self._ask = ask
        self._now = now
        self._asking: asyncio.Task[list[ProcessStatus]] | None = None
        self._fresh_until = -1.0

    async def refresh(self) -> None:
        """Ask unless the last answer is fresh."""
        if self._now() < self._fresh_until:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._ask), name="process rows")
            self._asking.add_done_callback(self._answered)
        done, _ = await asyncio.wait([self._asking], timeout=DEADLINE_S)
        if not done:
            self.rows = []

    def _answered(self, asking: asyncio.Task[list[ProcessStatus]]) -> None:
        self._asking = None
        try:
            self.rows = asking.result()
            self._fresh_until = self._now() + FRESH_S
        except (LanyingError, asyncio.CancelledError) as error:
            log.info("event=no_process_figures why=%r", str(error))
            self.rows = []


class MetricsPage:
    """An ASGI application that has ``rows`` refreshed before ``page`` is made of them."""

    def __init__(self, page: ASGIApp, rows: ProcessRows) -> None:
        self._page = page
        self._rows = rows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._rows.refresh()
        await self._page(scope, receive, send)
