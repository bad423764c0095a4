"""``status``: how the server is."""

from __future__ import annotations

import asyncio

from lanying import report
from lanying.admin.visit import Visit


async def status(visit: Visit) -> object:
    """Every process with its state, CPU, memory and figures."""
    found = await visit.server.control({"do": "status"})
    await asyncio.to_thread(report.measure, found["processes"])
    return found
