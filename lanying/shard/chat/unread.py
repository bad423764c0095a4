"""The unread list, which a client asks for after its login and with every heartbeat (xsync 5.2). Pure."""

from __future__ import annotations

from collections.abc import Callable

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import ConversationUnread
from lanying.shard.chat import marks
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.ports import Loop
from lanying.shard.core.session import Session
from lanying.shard.core.work import Work
from lanying.shard.store import schema

Row = tuple[int, int, int]
"""Peer, entries beyond this device's cursor, type."""
LoopOf = Callable[[Session, Conversation], Loop]


def unread_list(work: Work, loop_of: LoopOf, session: Session) -> bytes:
    """First after a login: all conversations. Later: only what is pending."""
    if session.listed:
        return frame.unread_list(_pending(work, session))
    session.listed = True
    return frame.unread_list(_all(work, loop_of, session))


def _pending(work: Work, session: Session) -> list[Row]:
    session.forget_idle_loops()
    rows: list[Row] = []
    for peer, loop in session.loops.items():
        head = work.mailboxes.refresh(work.mailboxes.head(session.uid, peer))
        pending = loop.pending(head, work.tick.now)
        if pending > 0:
            rows.append((peer, pending, _type(head)))
    return rows


def _all(work: Work, loop_of: LoopOf, session: Session) -> list[Row]:
    rows: list[Row] = []
    cursors = work.mailboxes.cursors(session.uid, session.sn)
    heads = sorted(work.mailboxes.heads_of(session.uid), key=lambda head: head.last_mid, reverse=True)
    for head in heads[: limits.UNREAD_CONVERSATIONS]:
        pending = head.last_seq - cursors.get(head.peer, 0)
        if pending > 0:
            pending = loop_of(session, head).pending(head, work.tick.now)
        if pending > 0 or not (head.flags & schema.UNLISTED or marks.dropped(work.store, head, session.sn)):
            rows.append((head.peer, max(pending, 0), _type(head)))
    # Devices ask in this order: a conversation that was dropped elsewhere goes before what came into it afterwards.
    rows.sort(key=lambda row: row[0] != 0)
    return rows


def _type(head: Conversation) -> int:
    if head.flags & schema.IS_GROUP:
        return ConversationUnread.GROUPCHAT
    # Queue 0 is a conversation once it has a system message (6.6); notices alone never show (5.2).
    return ConversationUnread.CHAT if head.peer or head.last_mid else ConversationUnread.UNKNOWN
