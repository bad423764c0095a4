"""The commit thread: flushes the write-ahead log while the loop gathers the next tick."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

from lanying.failpoints import failpoint
from lanying.shard.store.base import Store


class Committer:
    """One worker thread that flushes a store. ``flush_wal`` releases the GIL, so the loop runs on meanwhile.

    :param done: called on the loop after each flush, with the error that stopped it or None
    """

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop, done: Callable[[Exception | None], None]) -> None:
        self._store = store
        self._loop = loop
        self._done = done
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Flush everything written so far."""
        self._wanted.put(True)

    def close(self) -> None:
        """Finish the flush under way and end the thread."""
        self._wanted.put(False)
        self._thread.join()

    def _run(self) -> None:
        while self._wanted.get():
            error: Exception | None = None
            try:
                failpoint("shard.before_flush")
                self._store.flush()
            except Exception as failure:  # noqa: BLE001 - reported to the loop, which ends the process
                error = failure
            self._loop.call_soon_threadsafe(self._done, error)
