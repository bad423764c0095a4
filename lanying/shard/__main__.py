"""The shard process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from lanying.base import logs
from lanying.base.clock import monotonic
from lanying.base.errors import Refused, StoreError
from lanying.base.failpoints import failpoint
from lanying.base.figures import Figure
from lanying.bus.handoff import wire
from lanying.bus.handoff.receiver import Receiver
from lanying.bus.handoff.records import decode_login
from lanying.bus.process import Process, run, settle_memory
from lanying.cluster.directory import Directory
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import cold_path
from lanying.protocol.connection import Connection
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.shard.runner import Runner
from lanying.shard.store.cold import open_cold, with_cold
from lanying.shard.store.rocks import RocksStore

log = logging.getLogger("lanying.shard")

_MIB = 1 << 20
SWITCH_INTERVAL_S = 0.0005
"""The commit thread gets the GIL back this soon after its flush."""


class ShardProcess(Process):
    """Wires hand-off, runner and heartbeats to one loop."""

    def __init__(self, launch: Launch, directory: Directory, loop: asyncio.AbstractEventLoop) -> None:
        storage = launch.config.storage
        hot = RocksStore(
            Path(launch.data) / launch.name,
            cache_bytes=storage.block_cache_mb * _MIB,
            buffer_bytes=storage.write_buffer_mb * _MIB,
        )
        place = cold_path(Path(launch.data), storage.cold_path)
        self.store = with_cold(hot, place, launch.index)
        find = partial(open_cold, place, launch.index, hot) if place else None
        unsent_bytes = launch.allotted.unsent_bytes
        self.runner = Runner(launch.index, directory, launch.config, self.store, self.stop, find, unsent_bytes)
        super().__init__(launch, directory, loop, self.runner.bus)
        self.lag = None  # the runner measures it in its turn, for the slow log too
        if launch.push:
            self.runner.shard.pushes.begin()
        self.receiver = Receiver(directory.handoff(launch.name), self.accept, loop)

    async def start(self) -> None:
        """Serve."""
        self._loop.set_exception_handler(self.failed)
        failpoint("shard.opened")
        self.runner.start(self._loop)
        self.receiver.start()
        settle_memory()

    def accept(self, fd: int, record: bytes) -> wire.Verdict:
        """A logged-in client's socket from the router: kept, or refused with the status the client gets."""
        runner = self.runner
        runner.turn()
        began = monotonic()
        try:
            login = decode_login(record)
            moved = runner.ownership.login(login.uid)
            if moved is not None:
                return moved
            session = runner.shard.admit(fd, Connection(login.kind), login)
        except Refused as refused:
            logs.about(
                log,
                logging.DEBUG,
                login.uid,
                "event=login_refused uid=%d code=%d reason=%r",
                refused.status,
                refused.reason,
            )
            return wire.HandoffRefused(refused.status, refused.reason)
        except StoreError:
            raise
        except Exception:
            log.exception("event=handoff_failed")
            return wire.HandoffRefused(Status.FAIL, "the server failed on this login, its log says why")
        runner.sockets.adopt(session, login.leftover)
        runner.lap("login", f"user {login.uid}", began)
        failpoint("shard.admitted")
        runner.end_turn()
        return wire.ACCEPTED

    def figures(self) -> list[Figure]:
        """Those of the runner."""
        return self.runner.figures()

    def drain(self, reason: str) -> None:
        """Take no more sockets, commit what was decided and end."""
        self.receiver.close()
        self.runner.drain()

    def failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something raised what it should not: memory may be half changed, so start again from what is committed."""
        log.critical("event=failed what=%r", context.get("message"), exc_info=context.get("exception"))
        self.stop(1)

    def stop(self, code: int) -> None:
        """End the loop. With a code at once: what this turn of the loop would still do must not reach the disk, and the
        commit thread may hang in a failing one."""
        if code:
            os._exit(code)
        self._loop.stop()

    def close(self) -> None:
        """Release everything."""
        self.runner.close()
        self.store.close()


def main() -> int:
    """Run one shard until it is asked to drain. Exit code 1: memory and disk may disagree, start again. 79: it has another owner."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return run(ShardProcess)


if __name__ == "__main__":
    sys.exit(main())
