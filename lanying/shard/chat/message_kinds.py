"""What users send and what the server sends them by itself, by kind: figures of a shard. Each is counted once, where it is accepted."""

from __future__ import annotations

from typing import Final

from lanying.protocol.schema.xsync_pb2 import MessageOperation

CHAT: Final = "chat"
GROUP: Final = "group"
SYSTEM: Final = "system"
"""Messages of the server."""
LIVE: Final = "live"
"""For connected devices only: typing, signals."""
CONVERSATION: Final = "conversation"
NOTICE: Final = "notice"
"""Of the server, into the mailbox of a user of this shard: friends, groups, their account."""
OF_OPERATION: Final[dict[int, str]] = {
    MessageOperation.READ_ACK: "read",
    MessageOperation.READ_ALL: "read",
    MessageOperation.READ_CANCEL: "unread",
    MessageOperation.DELIVER_ACK: "delivered",
    MessageOperation.PLAY_ACK: "played",
    MessageOperation.RECALL: "recall",
    MessageOperation.DELETE: "delete",
    MessageOperation.APPEND: "edit",
    MessageOperation.REPLACE: "edit",
}
MESSAGES: Final = (CHAT, GROUP, SYSTEM)
"""What people read."""
ALL: Final = (*MESSAGES, LIVE, CONVERSATION, NOTICE, *dict.fromkeys(OF_OPERATION.values()))


def none_yet() -> dict[str, int]:
    """Counts of all kinds."""
    return dict.fromkeys(ALL, 0)
