"""How far long work is: a line per step, whole at its end, and nothing when nobody looks."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lanying.storage.progress import BYTES, Bars, Silent, no_point


def bars() -> tuple[Bars, io.StringIO]:
    out = io.StringIO()
    return Bars(Console(file=out, width=100, force_terminal=True, legacy_windows=False)), out


def test_each_step_is_whole_when_the_next_begins() -> None:
    shown, out = bars()
    with shown:
        advance = shown.step("copy", 3 << 20, BYTES)
        advance(1 << 20)
        assert shown._bar is not None and shown._bar.tasks[0].completed == 1 << 20
        first = shown._bar
        shown.step("verify", 10)(10)
        assert first.tasks[0].completed == 3 << 20 and first.finished
        second = shown._bar
    assert shown._bar is None and second is not None and second.finished
    text = out.getvalue()
    assert "copy" in text and "3.0/3.0 MiB" in text and "verify" in text and "10/10" in text


def test_work_that_fails_is_not_shown_as_done() -> None:
    shown, _ = bars()
    with pytest.raises(ZeroDivisionError), shown:
        shown.step("copy", 10)(4)
        bar = shown._bar
        raise ZeroDivisionError
    assert bar is not None and bar.tasks[0].completed == 4 and not bar.live.is_started


def test_nobody_has_to_look() -> None:
    Silent().step("copy", 10)(4)
    no_point("begun")
    shown, out = bars()
    with shown:
        pass
    assert out.getvalue() == ""
