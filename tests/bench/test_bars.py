"""Figures against budgets."""

from __future__ import annotations

from bench.bars import HEAD, Bar, markdown, missed, rows

BARS = (Bar("a", "first", 10, 5), Bar("b", "second", 10), Bar("c", "third"), Bar("d", "fourth", 1))


def test_what_a_bar_says() -> None:
    assert [BARS[0].says(value) for value in (4.0, 7.0, 15.0, None)] == [
        "pass (stretch)",
        "pass",
        "miss: 1.50 ×",
        "not measured",
    ]
    assert BARS[1].says(4.0) == "pass" and BARS[2].says(4.0) == ""


def test_a_table_says_why_something_was_not_measured() -> None:
    found = rows(BARS, {"a": 20.0, "c": 3.0}, {"d": "prosody is not installed"})
    assert [cells[-1] for cells in found] == ["miss: 2.00 ×", "not measured", "", "prosody is not installed"]
    assert missed(BARS, {"a": 20.0, "b": 1.0}) == ["a"]
    assert markdown(HEAD, found).count("\n") == len(BARS) + 1
