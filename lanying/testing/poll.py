"""Waiting in tests: for a named condition, never for time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL_S = 0.02


def until(
    what: str, condition: Callable[[], T | None], timeout_s: float = 20.0, saw: Callable[[], object] | None = None
) -> T:
    """The first value of ``condition`` that is true.

    :param what: the condition in words, for the failure
    :param saw: describes the state at the deadline; by default the last value of ``condition``
    :raises AssertionError: it did not come true in time
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; saw: {saw() if saw else value!r}")
        time.sleep(INTERVAL_S)


async def eventually(
    what: str, condition: Callable[[], T | None], timeout_s: float = 30.0, saw: Callable[[], object] | None = None
) -> T:
    """Like :func:`until`, while the loop runs on."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; saw: {saw() if saw else value!r}")
        await asyncio.sleep(INTERVAL_S)
