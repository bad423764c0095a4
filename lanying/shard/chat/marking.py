"""Sets what is known about single messages (:mod:`lanying.shard.chat.marks` reads it). Pure."""

from __future__ import annotations

from lanying.shard.chat import history, marks
from lanying.shard.core.conversation import Conversation
from lanying.shard.core.work import Work
from lanying.shard.store import schema


def mark(work: Work, head: Conversation, mid: int, bits: int) -> bool:
    """Set marks in the history row of a message; False: there is none, and nothing changed."""
    found = history.listed(work.store, head.key, mid)
    if found is None:
        return False
    if found.marks | bits != found.marks:
        work.put(schema.HISTORY, head.key + schema.pack_u64(mid), found._replace(marks=found.marks | bits).row)
    return True


def note(work: Work, head: Conversation, mid: int, bits: int, clear: int = 0) -> None:
    """Set and clear marks in the user's own row about a message; without any left the row goes."""
    if not bits and not head.flags & schema.NOTED:
        return
    key = head.key + schema.pack_u64(mid)
    row = work.store.get(schema.MARKS, key) if head.flags & schema.NOTED else None
    old = row[0] if row else 0
    new = (old | bits) & ~clear
    if new == old:
        return
    if new:
        work.put(schema.MARKS, key, bytes([new]))
    else:
        work.delete(schema.MARKS, key)
    _noted(work, head)


def read_up_to(work: Work, head: Conversation, mid: int) -> None:
    """READ_ALL: everything up to ``mid`` is read, also what was marked unread."""
    work.mailboxes.remember(head)
    head.read_mid = max(head.read_mid, mid)
    for known in marks.notes(work.store, head, 0, mid):
        note(work, head, known, 0, clear=schema.READ_BY_OWNER | schema.MARKED_UNREAD)
    if head.stored:
        work.mailboxes.hurry(head)


def drop(work: Work, head: Conversation, sn: int) -> None:
    """One device takes the conversation off its list, until something new comes."""
    work.put(schema.MARKS, head.key + schema.pack_u64(sn), schema.pack_u64(head.last_mid))
    _noted(work, head)


def _noted(work: Work, head: Conversation) -> None:
    if not head.flags & schema.NOTED:
        work.mailboxes.change(head)
        head.flags |= schema.NOTED
