"""Flushes of the write-ahead log: on the loop while the disk is quick, in a thread while it is not.

``flush_wal`` releases the GIL, so with a thread the loop gathers the next tick meanwhile. But handing a flush over and
its end back costs four context switches, up to a fifth of a message's CPU time at 1,000 messages per second
(docs/performance.md), and behind a disk that answers within a millisecond or so there is nothing to gather that could
not wait.
"""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue

from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.base.failpoints import failpoint
from lanying.shard.core.tick import Tick
from lanying.shard.store.base import Store
from lanying.shard.ticker import Done


class LocalLog:
    """The write-ahead log of the local store, a :class:`~lanying.shard.ticker.CommitLog`: a sealed tick is in it already, durable is what a
    flush that begins afterwards has covered. One flush at a time."""

    writes_first = True
    position = 0

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._expected_s = 1.0  # slow until seen otherwise
        self._wanted: SimpleQueue[Done | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    def append(self, tick: Tick, done: Done) -> None:
        """See :class:`~lanying.shard.ticker.CommitLog`."""
        self.flush(done)

    def flush(self, done: Done) -> None:
        """Flush everything written so far. ``done`` is called on the loop, with the error that stopped it or None; before this returns if
        the flush was done here."""
        if self._expected_s < limits.FLUSH_INLINE_S:
            done(self._flush())
        else:
            self._wanted.put(done)

    def close(self) -> None:
        """Finish the flush under way and end the thread."""
        self._wanted.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (done := self._wanted.get()) is not None:
            self._loop.call_soon_threadsafe(done, self._flush())

    def _flush(self) -> Exception | None:
        began = monotonic()
        try:
            failpoint("shard.before_flush")
            self._store.flush()
        except Exception as error:  # noqa: BLE001 - reported to the loop, which ends the process
            return error
        took = monotonic() - began
        # One slow flush counts at once and takes some twenty quick ones to be forgotten.
        self._expected_s = max(took, 0.9 * self._expected_s + 0.1 * took)
        return None
