"""Stored entries that cannot be judged: listed for operators, and taken out when one says so. Pure.

An entry is everybody's of a conversation: the two users of a 1:1 conversation have a copy each, a group has one. What devices have
fetched they keep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lanying.bus.messages import EntryState, ListUnreadable, Message, MessageTrace, RemoveEntry, UnreadableEntry
from lanying.bus.messages.base import answers
from lanying.protocol import frame
from lanying.shard.chat import history, visible
from lanying.shard.core.work import Work
from lanying.shard.store import schema

HOW: Final = "removed by an operator"
_pack: Final = msgspec.msgpack.Encoder().encode


def listed(work: Work, request: ListUnreadable) -> list[UnreadableEntry]:
    """Entries this shard has met since its start and could not judge."""
    return visible.unreadable()


def remove(work: Work, request: RemoveEntry) -> bool:
    """Take an entry out of its queue and its history. Was it here? It is not listed as unreadable any more, whoever's it is."""
    owner, peer, mid, seq = request.owner, request.peer, request.mid, request.seq
    visible.forget(owner, peer, mid, seq)
    if not work.owns(owner):
        return False
    head = work.mailboxes.head(owner, peer)
    if mid:
        found = history.listed(work.store, head.key, mid)
        seq = 0 if found is None else found.seq
    place = head.key + schema.pack_u64(seq)
    entry = work.store.get(schema.QUEUE, place) if seq else None
    if not entry:
        return False
    mid = mid or frame.meta_id(entry)
    work.put(schema.QUEUE, place, b"")
    if mid:
        work.delete(schema.HISTORY, head.key + schema.pack_u64(mid))
        trace = MessageTrace(owner, peer, seq, EntryState.REMOVED, removed_how=HOW, removed_ms=work.now_ms)
        work.recent.removed.append((mid, _pack(trace)))
    return True


HANDLERS: Final[dict[type[Message], Callable[[Work, Any], object]]] = dict(
    [answers(ListUnreadable)(listed), answers(RemoveEntry)(remove)]
)
