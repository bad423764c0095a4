"""Sets what is known about single messages (:mod:`lanying.shard.chat.marks` reads it). Pure.

A conversation has at most ``MARKS_PER_CONVERSATION`` rows of its owner's own: whoever notes more loses what they noted about the oldest
message. So READ_ALL, which looks at all of them, never looks at many.
"""

from __future__ import annotations

from lanying.base import limits
from lanying.shard.chat import history, marks
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.work import Work
from lanying.shard.store import schema

_READ = schema.READ_BY_OWNER | schema.MARKED_UNREAD


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
    if mid < schema.FIRST_MID:
        return  # no message: these keys are of devices
    key = head.key + schema.pack_u64(mid)
    row = work.store.get(schema.MARKS, key) if head.flags & schema.NOTED else None
    old = row[0] if row else 0
    new = (old | bits) & ~clear
    if new == old:
        return
    if not new:
        work.delete(schema.MARKS, key)
        return
    if not old:
        _make_room(work, head)
    work.put(schema.MARKS, key, bytes([new]))
    _noted(work, head)


def read_up_to(work: Work, head: Conversation, mid: int) -> None:
    """READ_ALL: everything up to ``mid`` is read, also what was marked unread."""
    work.mailboxes.remember(head)
    head.read_mid = max(head.read_mid, mid)
    known = marks.notes(work.store, head, 0, mid)
    if any(bits & _READ for bits in known.values()):
        first, behind = head.key + schema.pack_u64(schema.FIRST_MID), head.key + schema.pack_u64(mid + 1)
        work.delete_range(schema.MARKS, first, behind)
        for one, bits in known.items():
            if bits & ~_READ:
                work.put(schema.MARKS, head.key + schema.pack_u64(one), bytes([bits & ~_READ]))
    if head.stored:
        work.mailboxes.hurry(head)


def drop(work: Work, head: Conversation, sn: int) -> None:
    """One device takes the conversation off its list, until something new comes."""
    work.put(schema.MARKS, head.key + schema.pack_u64(sn), schema.pack_u64(head.last_mid))
    _noted(work, head)


def _make_room(work: Work, head: Conversation) -> None:
    """For one more row. How many there are is counted once and then carried on; too many at worst makes one go too early."""
    if not head.flags & schema.NOTED:
        return
    counted = work.marks_counted
    rows = counted.get(head.key)
    start, stop = head.key + schema.pack_u64(schema.FIRST_MID), schema.successor(head.key)
    if rows is None or rows >= limits.MARKS_PER_CONVERSATION:
        rows = sum(1 for _ in work.store.scan(schema.MARKS, start, stop, limit=limits.MARKS_PER_CONVERSATION))
    if rows >= limits.MARKS_PER_CONVERSATION:
        spare = limits.MARKS_PER_CONVERSATION // 10
        oldest = [key for key, _ in work.store.scan(schema.MARKS, start, stop, limit=spare)]
        work.delete_range(schema.MARKS, start, oldest[-1] + b"\0")
        rows -= spare
    if len(counted) >= limits.MARKS_COUNTED:
        counted.clear()
    counted[head.key] = rows + 1
    work.undo((counted.pop, head.key, None))


def _noted(work: Work, head: Conversation) -> None:
    if not head.flags & schema.NOTED:
        work.mailboxes.change(head)
        head.flags |= schema.NOTED
