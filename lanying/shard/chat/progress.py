"""How far a user's devices have come with a message. Pure."""

from __future__ import annotations

from lanying.shard.accounts import devices
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.work import Work


def progress(work: Work, head: Conversation, seq: int) -> list[tuple[int, str]]:
    """Serial number of each device of the owner, and: acknowledged, sent, waiting (connected) or offline."""
    found = []
    live = {session.sn: session for session in work.registry.sessions(head.uid)}
    for device in devices.list_all(work.store, head.uid):
        session = live.get(device.sn)
        loop = session.loops.get(head.peer) if session is not None else None
        if max(work.mailboxes.cursor(head.uid, device.sn, head.peer), loop.cursor if loop else 0) >= seq:
            found.append((device.sn, "acknowledged"))
        elif loop is not None and loop.sent >= seq:
            found.append((device.sn, "sent"))
        else:
            found.append((device.sn, "waiting" if session is not None else "offline"))
    return found
