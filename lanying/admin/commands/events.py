"""``events``: what happens, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lanying.admin.context import CommandContext
from lanying.admin.messages import Event


async def events(context: CommandContext) -> AsyncIterator[dict[str, Any]]:
    """Events as they come, of all topics or one; a console that does not read loses the newest."""
    only = context.text("topic")
    with context.server.followers.queue(Event) as queue:
        while True:
            event = await queue.get()
            if only in ("", event.topic):
                yield {"time_ms": event.time_ms, "topic": event.topic, **event.what}
