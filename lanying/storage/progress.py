"""How long work reports how far it is: steps with a title, an amount of work and advances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

Advance = Callable[[int], None]
BYTES = "bytes"
ROWS = "rows"
Point = Callable[[str], None]
"""Called at every named point of long work; tests interrupt there."""


def no_point(name: str) -> None:
    """Nothing happens at a point."""


class ProgressReport(Protocol):
    """Where work reports."""

    def step(self, title: str, total: int, unit: str = ROWS) -> Advance:
        """A step of work begins (the one before is done). Call the result with every bit of ``total`` that is done."""


class Silent:
    """Nobody looks: tests, ``--json``."""

    def step(self, title: str, total: int, unit: str = ROWS) -> Advance:
        return lambda amount: None


class Bars(AbstractContextManager["Bars"]):
    """Progress bars on standard error, one line per step."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bar: Bar | None = None
        self._task: tuple[TaskID, int] | None = None

    def step(self, title: str, total: int, unit: str = ROWS) -> Advance:
        self._finish()
        amount = DownloadColumn(binary_units=True) if unit == BYTES else MofNCompleteColumn()
        bar = Bar(
            TextColumn("{task.description:<28}"), BarColumn(), amount, TimeRemainingColumn(), console=self._console
        )
        bar.start()
        task = bar.add_task(title, total=total)
        self._bar, self._task = bar, (task, total)
        return lambda done: bar.advance(task, done)

    def _finish(self) -> None:
        if self._bar is not None and self._task is not None:
            task, total = self._task
            self._bar.update(task, completed=total)
            self._bar.stop()
            self._bar = self._task = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        elif self._bar is not None:
            self._bar.stop()
