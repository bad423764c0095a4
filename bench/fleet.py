"""All workers of a generator, from the outside."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any, Final

from bench.client import Member, Setting
from bench.orders import CountOrder, CountResult, Progress, QuitOrder, RescueOrder, now_us
from bench.tally import Tally
from bench.worker import run_worker

IDLE_S: Final = 10.0
"""A drain gives up after so long without progress."""
RESCUE_S: Final = 5.0
SETTLE_S: Final = 0.5
"""Complete: wait so long for what should not come."""


class Fleet:
    """All workers, from the outside.

    :param groups: members by worker; both ends of a pair in the same one
    """

    def __init__(self, setting: Setting, groups: Sequence[Sequence[Member]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.setting = setting
        self.sizes = [len(members) for members in groups]
        self._pipes: list[Pipe] = []
        self._processes: list[Any] = []
        self._latest = [Progress(dict.fromkeys(Tally.COUNTERS, 0), 0) for _ in groups]
        for number, members in enumerate(groups):
            ours, theirs = context.Pipe()
            process = context.Process(target=run_worker, args=(number, setting, members, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *exception: object) -> None:
        for pipe in self._pipes:
            try:
                pipe.send(QuitOrder())
            except OSError:
                pass
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    @property
    def workers(self) -> int:
        """How many."""
        return len(self._pipes)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes]

    def order(
        self,
        orders: object | Sequence[object],
        progress: Callable[[dict[str, int], int], None] | None = None,
        timers: Sequence[tuple[int, Callable[[], None]]] = (),
    ) -> list[Any]:
        """Give every worker an order (the same, or one each; None: nothing) and wait for all results.

        :param progress: called with the summed counters and the number of ready devices, about four times a second
        :param timers: ``(microseconds, action)`` of the parent while it waits
        """
        each = list(orders) if isinstance(orders, (list, tuple)) else [orders] * self.workers
        pending: dict[int, Pipe] = {}
        for number, (pipe, one) in enumerate(zip(self._pipes, each, strict=True)):
            if one is not None:
                pipe.send(one)
                pending[number] = pipe
        results: list[Any] = [None] * self.workers
        agenda = deque(sorted(timers, key=lambda timer: timer[0]))
        while pending or agenda:
            wait = 0.25 if not agenda else max(0.0, min(0.25, (agenda[0][0] - now_us()) / 1e6))
            ready: list[Any] = []
            if pending:
                ready = multiprocessing.connection.wait(list(pending.values()), wait)
            else:
                time.sleep(wait)
            while agenda and agenda[0][0] <= now_us():
                agenda.popleft()[1]()
            for number, pipe in list(pending.items()):
                if pipe in ready:
                    message = pipe.recv()
                    if isinstance(message, Progress):
                        self._latest[number] = message
                        continue
                    results[number] = message
                    del pending[number]
            if progress is not None:
                progress(*self.total())
        return results

    def total(self) -> tuple[dict[str, int], int]:
        """Latest summed counters and ready devices."""
        counters = {name: sum(latest.counters[name] for latest in self._latest) for name in Tally.COUNTERS}
        return counters, sum(latest.ready for latest in self._latest)

    def drain(self, progress: Callable[[dict[str, int], int], None] | None = None) -> tuple[list[CountResult], int]:
        """Wait until every message is acknowledged and every copy received, or nothing has moved for :data:`IDLE_S`;
        then devices ask once more. What all have counted, and how many copies came only after asking."""
        rescued = 0
        if not self._settled(IDLE_S, progress):
            before = self.total()[0]["received"]
            self.order(RescueOrder())
            self._settled(RESCUE_S, progress)
            rescued = self.total()[0]["received"] - before
        return self.order(CountOrder()), rescued

    def _settled(self, idle_s: float, progress: Callable[[dict[str, int], int], None] | None) -> bool:
        """Whether nothing is outstanding; waits for it as long as something moves."""
        for number in range(self.workers):
            self._listen(number, 2.0)
        moved = time.monotonic()
        last: tuple[int, ...] = ()
        complete = 0.0
        while True:
            for number in range(self.workers):
                self._listen(number, 0.1)
            counters = self.total()[0]
            if progress is not None:
                progress(*self.total())
            now = time.monotonic()
            state = tuple(counters[name] for name in ("acknowledged", "refused", "received", "ends"))
            if state != last:
                last, moved = state, now
            answered = counters["acknowledged"] + counters["refused"]
            if counters["received"] >= counters["owed"] and answered >= counters["sent"]:
                complete = complete or now
                if now - complete >= SETTLE_S:
                    return True
            elif now - moved > idle_s:
                return False

    def _listen(self, number: int, timeout_s: float) -> None:
        """Take what an idle worker says about itself."""
        pipe = self._pipes[number]
        if pipe.poll(timeout_s):
            message = pipe.recv()
            assert isinstance(message, Progress), message
            self._latest[number] = message
            while pipe.poll():
                self._latest[number] = pipe.recv()
