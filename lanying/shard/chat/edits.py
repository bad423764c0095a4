"""What operations do to a stored message: it is found, removed, changed (xsync 6.4). Pure.

An edit leaves the queue as it is and puts the changed message behind the history row: a device that was away gets the original and
then every edit in order, like those that were there; history shows the result. The copy in history is a millisecond younger than
the edit, so that a client that has seen it takes a late APPEND for an old one instead of appending twice.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from lanying.base import jsons
from lanying.base.errors import Refused
from lanying.base.ids import message_time_ms
from lanying.base.refusals import Refusal
from lanying.bus.messages import EntryState, MessageTrace
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta
from lanying.shard.chat import door, history, visible
from lanying.shard.chat.progress import progress
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.work import Work
from lanying.shard.store import schema

_EDIT_TIMESTAMP: Final = b"\x78"
"""Tag of MessageBody.edit_timestamp, appended to an encoded body."""

_pack: Final = msgspec.msgpack.Encoder().encode


class Found(NamedTuple):
    """A message listed in a conversation's history, as it is now."""

    head: Conversation
    listed: history.Listed
    meta: Meta

    @property
    def author(self) -> int:
        """User id of its author."""
        return int(getattr(self.meta, "from").uid)


def find(work: Work, head: Conversation, mid: int) -> Found | None:
    """A message listed in history."""
    listed = history.listed(work.store, head.key, mid)
    stored = b"" if listed is None else history.entry(work.store, head.key, listed)
    if listed is None or not stored:
        return None
    meta = visible.readable(head, stored, listed.seq)
    return None if meta is None else Found(head, listed, meta)


def need(work: Work, head: Conversation, mid: int) -> Found:
    """As :func:`find`. :raises Refused: there is none"""
    found = find(work, head, mid)
    if found is None:
        raise Refused(Refusal.NO_SUCH_MESSAGE)
    return found


def check_author(found: Found, uid: int) -> None:
    """:raises Refused: somebody else wrote it"""
    if found.author != uid:
        raise Refused(Refusal.NOT_THE_AUTHOR)


def check_recall(work: Work, found: Found, uid: int) -> None:
    """The rule for authors. :raises Refused: not theirs, or too long ago"""
    check_author(found, uid)
    if work.now_ms - message_time_ms(found.listed.mid) > work.config.policy.recall_seconds * 1000:
        raise Refused(Refusal.TOO_LATE_TO_RECALL)


def recall(work: Work, found: Found) -> None:
    """Take a message back."""
    remove(work, found, "recalled")


def edit(work: Work, found: Found, kind: int, payload: bytes, body: MessageBody) -> tuple[bytes, int]:
    """APPEND or REPLACE by the author: the operation's payload as it is passed on, and its edit time."""
    edited_ms = visible.body(found.meta).edit_timestamp
    edit_ms = max(work.now_ms, found.meta.timestamp, min(edited_ms, door.LARGEST_ID))  # there is always a later one
    change(work, found, kind, body, edit_ms)
    return payload + _EDIT_TIMESTAMP + frame.varint(edit_ms), edit_ms


def remove(work: Work, found: Found, how: str) -> None:
    """Take a message out of history and out of the queue of devices that have not seen it. ``how``: for operators who ask."""
    head, listed, meta = found
    work.delete(schema.HISTORY, head.key + schema.pack_u64(listed.mid))
    work.put(schema.QUEUE, head.key + schema.pack_u64(listed.seq), b"")
    author = getattr(meta, "from")
    trace = MessageTrace(
        head.uid, head.peer, listed.seq, EntryState.REMOVED, author.uid, author.deviceSN, meta.timestamp
    )
    if head.uid != head.peer or not head.flags & schema.IS_GROUP:
        reached = progress(work, head, listed.seq)
        trace.devices = [(sn, state) for sn, state in reached if state in ("acknowledged", "sent")]
    trace.removed_how, trace.removed_ms = how, work.now_ms
    work.recent.removed.append((listed.mid, _pack(trace)))


def change(work: Work, found: Found, kind: int, edit: MessageBody, edit_ms: int) -> None:
    """APPEND or REPLACE in one stored copy. :raises Refused: it would become longer than a message may be"""
    meta = found.meta
    body = visible.body(meta)
    if kind == MessageOperation.APPEND:
        body.content += edit.content
    elif edit.content:
        body.content = edit.content
    body.config = merge_json(body.config, edit.config)
    body.ext = merge_json(body.ext, edit.ext)
    body.edit_timestamp = edit_ms + 1
    meta.payload = body.SerializeToString()
    if len(meta.payload) > work.config.policy.message_bytes:
        raise Refused(Refusal.MESSAGE_TOO_LONG, Refusal.MESSAGE_TOO_LONG.message)
    changed = found.listed._replace(changed=meta.SerializeToString())
    work.put(schema.HISTORY, found.head.key + schema.pack_u64(changed.mid), changed.row)


def merge_json(old: str, new: str) -> str:
    """Deep merge of two JSON objects as text; text that is not an object replaces."""
    if not new or not old:
        return new or old
    left, right = jsons.loads_object(old), jsons.loads_object(new)
    if left is None or right is None:
        return new
    pairs = [(left, right)]
    for old_values, new_values in pairs:
        for key, value in new_values.items():
            have = old_values.get(key)
            if isinstance(have, dict) and isinstance(value, dict):
                pairs.append((have, value))
            else:
                old_values[key] = value
    try:
        return msgspec.json.encode(left).decode()
    except (OverflowError, ValueError):  # a number of any length is JSON, and cannot be written again
        return new
