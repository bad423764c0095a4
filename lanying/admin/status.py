"""How the server is: ``status`` and ``top``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from lanying import report
from lanying.admin.visit import Visit

TOP_S = 2.0
"""Between two samples; figures come with heartbeats every two seconds."""


async def status(visit: Visit) -> object:
    """Every process with its state, CPU, memory and figures."""
    found = await visit.server.control({"do": "status"})
    await asyncio.to_thread(report.measure, found["processes"])
    return found


async def top(visit: Visit) -> AsyncIterator[dict[str, Any]]:
    """A sample every two seconds: per process CPU, memory, sessions, and what its counters grew by per second."""
    before: dict[str, dict[str, float]] = {}
    while True:
        found = await visit.server.control({"do": "status"})
        rows = found["processes"]
        await asyncio.to_thread(report.measure, rows)
        for row in rows:
            old = before.get(row["name"], {})
            row["per_s"] = {
                name: round((value - old[name]) / TOP_S, 1)
                for name, value in row["figures"].items()
                if name in ("messages", "commits", "refused", "requests") and name in old and value >= old[name]
            }
            before[row["name"]] = dict(row["figures"])
        yield found | {"time_ms": visit.server.now_ms()}
        await asyncio.sleep(TOP_S)
