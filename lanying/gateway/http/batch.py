"""Work on many rows of one call: some at a time, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from lanying.base import limits
from lanying.base.errors import CallError

R = TypeVar("R")
T = TypeVar("T")


async def each(rows: Iterable[R], work: Callable[[R], Awaitable[T]]) -> list[T | CallError]:
    """What ``work`` made of each row, in their order; a row that is refused gives its error."""
    places = asyncio.Semaphore(limits.REST_AT_ONCE)

    async def one(row: R) -> T | CallError:
        async with places:
            try:
                return await work(row)
            except CallError as error:
                return error

    return await asyncio.gather(*(one(row) for row in rows))
