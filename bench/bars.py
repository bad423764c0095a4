"""Bars: what a figure may be, and whether it is. The tables of ``lanying-bench tls`` and ``lanying-bench budgets``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.tables import number


@dataclass(frozen=True)
class Bar:
    """One row of a table of budgets.

    :ivar name: of the measured figure
    :ivar budget: the most it may be; None: it is shown and not judged
    :ivar stretch: what it should come to one day
    :ivar before: what it was when the budget was written, as text
    """

    name: str
    what: str
    budget: float | None = None
    stretch: float | None = None
    before: str = ""

    def says(self, value: float | None) -> str:
        """``pass``, ``miss`` and how far, or why nothing is said."""
        if value is None:
            return "not measured"
        if self.budget is None:
            return ""
        if self.stretch is not None and value <= self.stretch:
            return "pass (stretch)"
        return "pass" if value <= self.budget else f"miss: {value / self.budget:.2f} ×"


HEAD = ("What", "Before", "Budget", "Stretch", "Measured", "")


def rows(bars: Sequence[Bar], found: Mapping[str, float], why: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Cells of :data:`HEAD`.

    :param why: by name, of figures that could not be measured
    """
    cells: list[tuple[str, ...]] = []
    for bar in bars:
        value = found.get(bar.name)
        cells.append(
            (
                bar.what,
                bar.before,
                "" if bar.budget is None else f"{bar.budget:,g}",
                "" if bar.stretch is None else f"{bar.stretch:,g}",
                "" if value is None else number("", value),
                why.get(bar.name, "not measured") if value is None else bar.says(value),
            )
        )
    return cells


def missed(bars: Sequence[Bar], found: Mapping[str, float]) -> list[str]:
    """Names of figures above their budget."""
    return [bar.name for bar in bars if bar.name in found and bar.says(found[bar.name]).startswith("miss")]


def show(head: Sequence[str], cells: Sequence[Sequence[str]], console: Console, *, title: str = "") -> None:
    """For people; the last column has the verdict."""
    table = Table(*head, title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in table.columns[1:-1]:
        column.justify = "right"
    for row in cells:
        table.add_row(*row, style="yellow" if row[-1].startswith("miss") else None)
    console.print(table, highlight=False)


def markdown(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """For docs/benchmarks.md."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 2) + "---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in cells)])


def where(machine: Mapping[str, Any]) -> str:
    """The machine and how busy it was, in one line."""
    return (
        f"{machine.get('cpu')}, {machine.get('cores')} cores, Linux {machine.get('kernel')}, Python {machine.get('python')}, "
        f"{machine.get('file_system')}; load before {machine.get('load_before')}, other processes {machine.get('others', 0.0):.2f} cores "
        "at the worst"
    )
