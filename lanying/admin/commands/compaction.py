"""``compact``: databases rewritten without what was deleted."""

from __future__ import annotations

import time

from lanying.admin.context import CommandContext
from lanying.admin.jobs import Job
from lanying.base.limits import HEARTBEAT_INTERVAL_S
from lanying.bus.messages import Compact
from lanying.cluster.runtime import shard_name
from lanying.supervisor.requests import StatusRequest


async def compact(context: CommandContext) -> object:
    """Rewrite the databases of all shards, one after the other; the server goes on."""
    server, shards = context.server, context.server.map.shards
    context.will(f"rewrite the databases of {shards} shards: reads and writes go on, the disk is busy meanwhile")
    before = await _disk_bytes(context)

    def work(job: Job) -> None:
        for done, shard in enumerate(server.map.peers):
            name = shard_name(shard)
            server.send(name, Compact())
            # Its heartbeat says when it has begun and when it is done.
            time.sleep(2 * HEARTBEAT_INTERVAL_S)
            while server.ask_supervisor(StatusRequest()).process(name).figures.get("compacting"):
                job.tell(done, shards, f"compacting {name}")
                time.sleep(HEARTBEAT_INTERVAL_S / 2)
            job.tell(done + 1, shards, f"compacted {name}")

    job = server.jobs.start(context.who, "compact", work)
    if context.flag("background"):
        return job.row()
    await server.jobs.follow(job, context.progress)
    return {"before_bytes": before, "after_bytes": await _disk_bytes(context)}


async def _disk_bytes(context: CommandContext) -> int:
    return int((await context.server.control(StatusRequest())).total("disk_bytes"))
