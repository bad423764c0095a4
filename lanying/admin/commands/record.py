"""The audit log: read it, verify it."""

from __future__ import annotations

import asyncio

from lanying.admin.context import CommandContext, ResultPage
from lanying.admin.errors import CommandError


async def list_all(context: CommandContext) -> object:
    """Entries from the first on, page by page."""
    start = int(context.cursor or 0)

    def page() -> list[dict[str, object]]:
        found = context.server.files.entries(start, context.limit)
        return [
            {
                "line": number,
                "time_ms": entry.time if entry else None,
                "who": entry.who if entry else "",
                "command": entry.command if entry else "(not an entry)",
                "arguments": entry.arguments if entry else {},
                "outcome": entry.outcome if entry else "",
                "hash": entry.hash if entry else "",
            }
            for number, entry in found
        ]

    rows = await asyncio.to_thread(page)
    return ResultPage(rows, str(start + len(rows)) if len(rows) == context.limit else "")


async def verify(context: CommandContext) -> object:
    """Is the chain of hashes whole?"""
    good, last, wrong = await asyncio.to_thread(context.server.files.verify_audit)
    if wrong:
        raise CommandError(500, f"{good} entries are good, then: {wrong}")
    return {"entries": good, "last_hash": last, "whole": True}
