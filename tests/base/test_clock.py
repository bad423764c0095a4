"""Wall time is milliseconds since 1970; the other clock does not go back."""

from __future__ import annotations

import time

import pytest

from lanying.base import clock


def test_wall_time_is_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)
    assert clock.wall_ms() == 1_700_000_000_123


def test_deadlines_do_not_follow_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    first = clock.monotonic()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.monotonic() >= first
