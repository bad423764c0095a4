"""``status``: how the server is."""

from __future__ import annotations

import asyncio

from lanying.admin.context import CommandContext
from lanying.supervisor import report
from lanying.supervisor.requests import StatusRequest


async def status(context: CommandContext) -> object:
    """Every process with its state, CPU, memory and figures."""
    found = await context.server.control(StatusRequest())
    await asyncio.to_thread(report.measure, found["processes"])
    return found
