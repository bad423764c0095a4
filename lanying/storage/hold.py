"""Running shards stand still towards each other while pictures of their stores are taken.

Every shard is asked to apply nothing that comes over links, then the pictures are taken, then the shards are asked to go
on. Whatever a shard had committed from another when it began to hold, that one had committed before, and its picture is
taken later: so no picture has an effect without its cause, and nothing has left an outbox that the other picture does
not have. Clients notice a pause of some milliseconds between shards, nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import uvloop

from lanying.base.errors import BackupError, CallError
from lanying.bus.call import Calls
from lanying.bus.messages import Envelope, HoldLinks, Reply
from lanying.bus.transport import Bus
from lanying.cluster.runtime import RunDirectory, shard_name

HOLD_S = 20.0
"""A hold ends by itself: a backup that died does not stop the server."""
PROCESS = "backup"

T = TypeVar("T")


def held(run: RunDirectory, shards: Iterable[int], take: Callable[[], T]) -> tuple[T, float]:
    """What ``take`` returns, called while all shards hold their links, and how many seconds they did.

    :raises BackupError: a shard does not answer, or went on too early
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_held(run, shards, take))


async def _held(run: RunDirectory, shards: Iterable[int], take: Callable[[], T]) -> tuple[T, float]:
    def received(message: Envelope) -> None:
        if isinstance(message, Reply):
            calls.answered(message)

    bus = Bus(PROCESS, run, received)
    calls = Calls(bus)
    bus.start(asyncio.get_running_loop())

    async def all_shards(seconds: float) -> list[bool]:
        return await asyncio.gather(*(calls.ask(shard_name(n), HoldLinks(seconds)) for n in shards))

    try:
        await all_shards(0)  # the first contact may take a moment; nobody should stand still for it
        begun = time.monotonic()
        await all_shards(HOLD_S)
        try:
            taken = take()
        finally:
            still = await all_shards(0)
        seconds = time.monotonic() - begun
    except CallError as error:
        raise BackupError(f"{error.message}; `lanying-cluster status` says what is wrong, then try again") from error
    finally:
        bus.close()
    if not all(still):
        raise BackupError(f"shard {still.index(False)} was restarted or the disk is too slow; try again")
    return taken, seconds
