"""Performs the move of slots that the running server was asked for, while it is stopped in between; settles an interrupted one.

Up to the exchange of directories a move that ends in any other way than well leaves everything as it was: it is given up. From then
on it is finished, by the next start if need be.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from lanying.base.errors import LanyingError
from lanying.cluster.runtime import RunDirectory
from lanying.config.schema import Config
from lanying.storage.directory import need_map, sync_directory
from lanying.storage.journal import Journal
from lanying.storage.progress import Advance, Point, ProgressReport, no_point
from lanying.storage.reshard import Reshard
from lanying.supervisor import move
from lanying.supervisor.move import Move

log = logging.getLogger(__name__)

TELL_EVERY_S = 0.5


class Teller:
    """Progress, for the answers of the supervisor."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._due = 0.0

    def step(self, title: str, total: int, unit: str = "rows") -> Advance:
        """See :class:`~lanying.storage.progress.ProgressReport`."""
        log.info("event=move_step step=%r total=%d", title, total)
        done = 0
        move.Step(title, 0, total).tell(self._run)

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + TELL_EVERY_S
                move.Step(title, done, total).tell(self._run)

        return advance


def perform(
    data: Path, config: Config, now_ms: Callable[[], int], progress: ProgressReport, point: Point = no_point
) -> Move:
    """Do what ``move.json`` asks for; it says then how that went.

    :raises LanyingError: in the exchange of directories: only :func:`settle` leads on
    """
    asked = Move.load(data)
    assert asked is not None and asked.state == move.ASKED
    running = asked.become(move.RUNNING, began_ms=now_ms()).save(data)
    sync_directory(data)  # before there is a journal: what a power failure leaves is known to be of this move
    try:
        if Journal.load(data) is not None:  # somebody else's, given up long ago: a server has run since
            Reshard(data, None, config).cancel()
        done = Reshard(data, running.map, config, progress=progress, point=point).run(now_ms())
    except (LanyingError, OSError) as error:
        log.error("event=move_failed error=%r", str(error))
        _cancel(data, config)
        return running.become(move.FAILED, f"{error}; all data is where it was", ended_ms=now_ms()).save(data)
    rows = sum(done.rows.values())
    log.info("event=moved rows=%d delivered=%d", rows, done.delivered)
    return running.become(move.DONE, f"{rows:,} rows were copied", ended_ms=now_ms()).save(data)


def settle(data: Path, config: Config, now_ms: Callable[[], int]) -> None:
    """Lead an interrupted exchange of directories to its end, and give up a move of the running server that had not come so far.

    :raises LanyingError: it cannot be finished
    """
    found = Move.load(data)
    unfinished = found if found is not None and not found.ended else None
    if Journal.load(data) is not None:
        reshard = Reshard(data, None, config)
        if reshard.is_switching:
            reshard.run(now_ms())
            log.info("event=move_finished")
        elif unfinished is not None and unfinished.state == move.RUNNING:
            reshard.cancel()
    if unfinished is None:
        return
    there = need_map(data)
    if (there.shards, there.slots) == (unfinished.shards, unfinished.slots):
        ended = unfinished.become(move.DONE, "finished by the next start", ended_ms=now_ms())
    else:
        why = "ended before it was complete, the log says how; all data is where it was"
        ended = unfinished.become(move.INTERRUPTED, why, ended_ms=now_ms())
    log.info("event=move_settled state=%s", ended.state)
    ended.save(data)


def _cancel(data: Path, config: Config) -> None:
    if Journal.load(data) is not None:
        Reshard(data, None, config).cancel()
