"""Who waits for what the processes report without being asked again: log lines, traced frames, events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from lanying.base import limits

M = TypeVar("M", bound=msgspec.Struct)


class Followers:
    """Bounded queues by class of message; one that is not read loses the newest."""

    def __init__(self) -> None:
        self._queues: dict[type[msgspec.Struct], list[asyncio.Queue[msgspec.Struct]]] = {}

    @contextmanager
    def queue(self, kind: type[M]) -> Iterator[asyncio.Queue[M]]:
        """Everything of this class that comes from now on."""
        mine: asyncio.Queue[M] = asyncio.Queue(limits.ADMIN_QUEUE)
        queues = self._queues.setdefault(kind, [])
        queues.append(mine)  # type: ignore[arg-type]
        try:
            yield mine
        finally:
            queues.remove(mine)  # type: ignore[arg-type]

    def count(self, kind: type[msgspec.Struct]) -> int:
        """How many follow."""
        return len(self._queues.get(kind, ()))

    def tell(self, message: msgspec.Struct) -> None:
        """A message has come."""
        for queue in self._queues.get(type(message), ()):
            if not queue.full():
                queue.put_nowait(message)
