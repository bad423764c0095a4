"""Results for people: tables and key-value lists by ``rich``; times and sizes in words, by the ending of their name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from lanying.admin.commands import top
from lanying.admin.context import Command
from lanying.supervisor import report
from lanying.supervisor.answers import MeasuredStatus


def show(console: Console, command: Command, value: Any) -> None:
    """One result: a table for a list of maps, a list for a map, a line for a text."""
    if command.name == "status":
        report.show(msgspec.convert(value, MeasuredStatus), console)
    elif command.name == "top":
        console.print(top.screen(value))
    elif command.streams and isinstance(value, dict):
        console.print("  ".join(_cell(name, cell) for name, cell in value.items()), soft_wrap=True, markup=False)
    elif isinstance(value, list) and all(isinstance(row, dict) for row in value):
        rows(console, value, command.columns)
    elif isinstance(value, dict):
        one(console, value)
    elif value is not None:
        console.print(str(value), markup=False)


def rows(console: Console, found: list[dict[str, Any]], columns: tuple[str, ...] = ()) -> None:
    """A table; without ``columns`` those of the first row."""
    if not found:
        console.print("nothing", style="dim")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    names = columns or tuple(found[0])
    for name in names:
        numbers = all(isinstance(row.get(name), int | float) for row in found)
        right = numbers and not name.endswith("_ms")
        table.add_column(_heading(name), justify="right" if right else "left", overflow="fold", no_wrap=_is_short(name))
    for row in found:
        table.add_row(*(_cell(name, row.get(name)) for name in names))
    console.print(table)


def one(console: Console, found: dict[str, Any]) -> None:
    """A map: a name and a value per line, inner tables below."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    inner: list[tuple[str, list[dict[str, Any]]]] = []
    for name, value in found.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            inner.append((name, value))
        else:
            table.add_row(f"[bold]{_heading(name)}[/]", _cell(name, value))
    console.print(table)
    for name, value in inner:
        console.print(f"\n[bold]{_heading(name)}[/]")
        rows(console, value)


def _is_short(name: str) -> bool:
    """Times, sizes, ids: what is taken up again stays whole, texts fold instead."""
    return name.endswith(("_ms", "_bytes")) or name in ("job", "uid", "gid", "username", "device_sn", "who", "command")


def _heading(name: str) -> str:
    for ending in ("_ms", "_bytes"):
        name = name.removesuffix(ending)
    return name.replace("_", " ")


def _cell(name: str, value: Any) -> str:
    if value is None or value == "" or (value == 0 and name.endswith("_ms")):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_ms") and isinstance(value, int | float) and value > 1e12:
        return datetime.fromtimestamp(value / 1000).strftime("%Y-%m-%d %H:%M:%S")
    if name.endswith("_bytes") and isinstance(value, int | float):
        return size(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return " ".join(f"{key}={_cell(key, inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_cell("", inner) for inner in value)
    return str(value).replace("[", "\\[")


def size(number: float) -> str:
    """1.5 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError
