"""The metrics page never holds the loop up, whatever the supervisor does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lanying.base.errors import LanyingError
from lanying.gateway.http import metrics_page
from lanying.gateway.http.metrics_page import MetricsPage, ProcessRows
from lanying.supervisor.answers import ProcessStatus
from lanying.testing.poll import PATIENCE_S

ROWS = [ProcessStatus("shard-0")]


class Supervisor:
    """Answers a question when ``free`` is set."""

    def __init__(self, answer: Callable[[], list[ProcessStatus]] = lambda: ROWS) -> None:
        self.asked = 0
        self.now = 10.0
        self.free = threading.Event()
        self.answer = answer
        self.rows = ProcessRows(self._ask, lambda: self.now)

    def _ask(self) -> list[ProcessStatus]:
        self.asked += 1
        assert self.free.wait(PATIENCE_S)
        return self.answer()


def test_the_loop_turns_while_the_supervisor_thinks() -> None:
    """The supervisor is let go by the loop itself: one that waited for it would wait for ever."""
    supervisor = Supervisor()

    async def run() -> None:
        scrape = asyncio.create_task(supervisor.rows.refresh())
        await asyncio.sleep(0)
        assert not scrape.done()
        supervisor.free.set()
        await scrape
        assert supervisor.rows.rows == ROWS

    asyncio.run(run())


def test_a_supervisor_that_does_not_answer_costs_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_page, "DEADLINE_S", 0.05)
    supervisor = Supervisor()

    async def run() -> None:
        await supervisor.rows.refresh()
        assert supervisor.rows.rows == []
        await supervisor.rows.refresh()
        assert supervisor.asked == 1, "one question at a time"
        supervisor.free.set()

    asyncio.run(run())


def test_many_scrapes_are_one_question() -> None:
    supervisor = Supervisor()
    supervisor.free.set()

    async def run() -> None:
        await asyncio.gather(*(supervisor.rows.refresh() for _ in range(20)))
        await supervisor.rows.refresh()
        assert supervisor.asked == 1
        supervisor.now += metrics_page.FRESH_S
        await supervisor.rows.refresh()
        assert supervisor.asked == 2

    asyncio.run(run())


def test_a_supervisor_that_is_gone_leaves_its_figures_out() -> None:
    def gone() -> list[ProcessStatus]:
        raise LanyingError("not running")

    supervisor = Supervisor()
    supervisor.free.set()

    async def run() -> None:
        await supervisor.rows.refresh()
        assert supervisor.rows.rows == ROWS
        supervisor.answer, supervisor.now = gone, supervisor.now + metrics_page.FRESH_S
        await supervisor.rows.refresh()
        assert supervisor.rows.rows == []

    asyncio.run(run())


def test_the_page_is_made_of_fresh_rows() -> None:
    supervisor = Supervisor()
    supervisor.free.set()
    seen: list[object] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        seen.append(list(supervisor.rows.rows))

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    asyncio.run(MetricsPage(page, supervisor.rows)({"type": "http"}, nothing, nothing))
    assert seen == [ROWS]
