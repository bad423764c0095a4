"""``status``: how the server is."""

from __future__ import annotations

import asyncio

import msgspec

from lanying.admin.context import CommandContext
from lanying.supervisor import report
from lanying.supervisor.requests import StatusRequest


async def status(context: CommandContext) -> object:
    """Every process with its state, CPU, memory and figures."""
    found = await context.server.control(StatusRequest())
    return msgspec.to_builtins(await asyncio.to_thread(report.measured, found))
