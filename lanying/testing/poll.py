"""Waiting in tests: for a named condition, never for time."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

INTERVAL_S: Final = 0.02
SLOWNESS: Final = float(os.environ.get("LANYING_TEST_SLOWNESS", "1"))
"""Of the machine: every wait may take so many times as long. An emulated one needs it."""
PATIENCE_S: Final = 60.0
"""How long what has to come may take. A condition that comes true ends the wait, so only a failure takes this long: it is for
a machine that is busy with something else, and no measure of the server."""


def until(
    what: str,
    condition: Callable[[], T | None],
    timeout_s: float = PATIENCE_S,
    saw: Callable[[], object] | None = None,
) -> T:
    """The first value of ``condition`` that is true.

    :param what: the condition in words, for the failure
    :param saw: describes the state at the deadline; by default the last value of ``condition``
    :raises AssertionError: it did not come true in time
    """
    timeout_s *= SLOWNESS
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; saw: {saw() if saw else value!r}")
        time.sleep(INTERVAL_S)


async def eventually(
    what: str,
    condition: Callable[[], Awaitable[T | None] | T | None],
    timeout_s: float = PATIENCE_S,
    saw: Callable[[], object] | None = None,
) -> T:
    """Like :func:`until`, while the loop runs on; the condition may be asked for with ``await``."""
    timeout_s *= SLOWNESS
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; saw: {saw() if saw else value!r}")
        await asyncio.sleep(INTERVAL_S)
