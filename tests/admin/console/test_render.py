"""What an operator sees: times and sizes in words, nothing that looks like markup changes what is shown."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from lanying.admin.commands.table import TABLE
from lanying.admin.console import render

COMMANDS = {command.name: command for command in TABLE}


def shown(value: Any, name: str = "users list") -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    render.show(console, COMMANDS[name], value)
    return console.export_text()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("x", None, "-"),
        ("x", "", "-"),
        ("x", 0, "0"),
        ("seen_ms", 0, "-"),
        ("x", True, "yes"),
        ("x", False, "no"),
        ("took_ms", 250, "250"),
        ("seen_ms", 1_700_000_000_000, "2023-11-1"),
        ("size_bytes", 1536, "1.5 KB"),
        ("x", 0.25, "0.25"),
        ("x", 2.0, "2"),
        ("x", {"a_ms": 0, "b": True}, "a_ms=- b=yes"),
        ("x", [1, "b", None], "1, b, -"),
        ("x", "[red]x[/]", "\\[red]x\\[/]"),
    ],
)
def test_a_cell_says_it_in_words(name: str, value: Any, text: str) -> None:
    assert render._cell(name, value).startswith(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (1 << 20, "1.0 MB"),
        ((1 << 20) - 103, "1023.9 KB"),
        (5 << 30, "5.0 GB"),
        (5000 << 30, "5000.0 GB"),
    ],
)
def test_a_size_has_the_unit_it_needs(number: float, text: str) -> None:
    assert render.size(number) == text


def test_a_table_has_the_commands_columns_in_their_order() -> None:
    rows = [
        {"uid": 7, "username": "ann", "nick_name": "[bold]A", "state": "normal", "created_ms": 0, "extra": 1},
        {"uid": 88, "username": "bea", "nick_name": None, "state": "normal", "created_ms": 0},
    ]
    lines = shown(rows).splitlines()
    assert lines[0].split() == ["uid", "username", "nick", "name", "state", "created"]
    assert lines[1].split() == ["7", "ann", "[bold]A", "normal", "-"]
    assert lines[2].split() == ["88", "bea", "-", "normal", "-"]
    assert lines[1].index("7") == lines[2].index("88") + 1, "numbers stand below each other"


def test_a_map_is_a_line_each_and_its_tables_below() -> None:
    text = shown({"uid": 7, "nick_name": "A", "devices": [{"sn": 1}, {"sn": 2}], "tags": []}, "users show")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    assert lines == [["uid", "7"], ["nick", "name", "A"], ["tags"], ["devices"], ["sn"], ["1"], ["2"]]


def test_nothing_is_said_and_a_text_is_a_line() -> None:
    assert shown([]).strip() == "nothing"
    assert shown("[x] done").strip() == "[x] done"
    assert shown(None) == ""


def test_a_line_of_a_stream_is_one_line() -> None:
    row = {"time_ms": 0, "what": "SYNC", "detail": "[x]" + "y" * 200}
    assert shown(row, "trace").rstrip("\n").count("\n") == 0
