"""``trace USER``: the user's frames as they come and go; ``slowlog``: what took long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from lanying.admin.context import CommandContext
from lanying.bus.messages import ListSlow, Traced, TraceUser
from lanying.cluster.runtime import ADMIN

RENEW_S = 30.0


async def trace(context: CommandContext) -> AsyncIterator[dict[str, Any]]:
    """Frames of a user's devices: kind, ids and size; never what people wrote."""
    server = context.server
    info = await server.user(server.app(context.text("app")), context.text("user"))
    with server.followers.queue(Traced) as frames:
        try:
            while True:
                await server.ask(info.uid, TraceUser(info.uid, 2 * RENEW_S, ADMIN))
                try:
                    async with asyncio.timeout(RENEW_S):
                        while True:
                            frame = await frames.get()
                            if frame.uid == info.uid:
                                yield {
                                    "time_ms": frame.time_ms,
                                    "device_sn": frame.sn,
                                    "direction": frame.direction,
                                    "what": frame.what,
                                    "bytes": frame.bytes,
                                }
                except TimeoutError:
                    continue
        finally:
            if server.followers.count(Traced) == 1:  # we are the last
                await asyncio.shield(server.ask(info.uid, TraceUser(info.uid, 0, ADMIN)))


async def slowlog(context: CommandContext) -> object:
    """Turns, flushes and wake-ups of shards that took longer than 0.1 s, the latest last."""
    found, silent = await context.server.ask_all(ListSlow())
    rows: list[dict[str, Any]] = [
        {
            "time_ms": slow.time_ms,
            "shard": shard,
            "what": slow.what,
            "milliseconds": slow.milliseconds,
            "detail": slow.detail,
        }
        for shard, entries in found.items()
        for slow in entries
    ]
    unknown = {"what": "does not answer", "milliseconds": None, "detail": "what it has is missing here"}
    rows += [{"time_ms": context.server.now_ms(), "shard": shard, **unknown} for shard in silent]
    return sorted(rows, key=lambda row: row["time_ms"])[-context.limit :]
