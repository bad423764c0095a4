"""``status``: how the server is."""

from __future__ import annotations

import asyncio

from lanying.admin.visit import Visit
from lanying.supervisor import report
from lanying.supervisor.requests import StatusRequest


async def status(visit: Visit) -> object:
    """Every process with its state, CPU, memory and figures."""
    found = await visit.server.control(StatusRequest())
    await asyncio.to_thread(report.measure, found["processes"])
    return found
