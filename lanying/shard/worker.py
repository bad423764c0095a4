"""A thread for what has to wait for a slow disk. The commit thread has its own: an acknowledgement never waits for this one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lanying.shard.upkeep.aging import Done


class Worker:
    """Runs jobs one after the other (a :data:`~lanying.shard.upkeep.aging.Background`); no thread before the first.

    :param event: runs a function on the loop as an event of a tick
    """

    def __init__(self, event: Callable[[Callable[[], None]], None]) -> None:
        self._event = event
        self._threads = ThreadPoolExecutor(1, "cold")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Results go to this loop."""
        self._loop = loop

    def __call__(self, job: Callable[[], Any], done: Done) -> None:
        def finished(future: Future[Any]) -> None:
            if self._loop is not None and not self._loop.is_closed() and not future.cancelled():
                self._loop.call_soon_threadsafe(self._event, lambda: _hand_over(future, done))

        self._threads.submit(job).add_done_callback(finished)

    def close(self) -> None:
        """Finish the job under way, forget the others."""
        self._threads.shutdown(cancel_futures=True)


def _hand_over(future: Future[Any], done: Done) -> None:
    error = future.exception()
    if error is None:
        done(future.result(), None)
    elif isinstance(error, Exception):
        done(None, error)
    else:
        raise error
