"""What the work in hand belongs to: the request that caused it, and how long anybody waits for it.

Set where work enters a process (a REST request, a console command, a call from the bus) and read where it leaves it
(the next call) or is written down (a log line).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""Names the request that caused this work; empty: none did."""
until: Final[ContextVar[float]] = ContextVar("until", default=float("inf"))
"""Monotonic seconds of this process after which nobody waits for this work."""

_WANTED: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@contextmanager
def serving(request: str, end: float = float("inf")) -> Iterator[None]:
    """What runs inside belongs to ``request`` and is wanted until ``end`` (monotonic seconds)."""
    before, wanted = request_id.set(request), until.set(end)
    try:
        yield
    finally:
        until.reset(wanted)
        request_id.reset(before)


def taken(given: str, own: str) -> str:
    """The id a client gave its request if it can go into a log line, else ``own``."""
    return given if _WANTED.fullmatch(given) else own
