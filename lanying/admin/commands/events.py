"""``events``: what happens, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lanying.admin.messages import Event
from lanying.admin.visit import Visit


async def events(visit: Visit) -> AsyncIterator[dict[str, Any]]:
    """Events as they come, of all topics or one; a console that does not read loses the newest."""
    only = visit.text("topic")
    with visit.server.followers.queue(Event) as queue:
        while True:
            event = await queue.get()
            if only in ("", event.topic):
                yield {"time_ms": event.time_ms, "topic": event.topic, **event.what}
