"""What operations do to a stored message: it is found, removed, changed (xsync 6.4). Pure.

An edit leaves the queue as it is and puts the changed message behind the history row: a device that was away gets the original and
then every edit in order, like those that were there; history shows the result. The copy in history is a millisecond younger than
the edit, so that a client that has seen it takes a late APPEND for an old one instead of appending twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lanying.base import jsons
from lanying.base.errors import Refused
from lanying.base.refusals import Refusal
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.store import schema

if TYPE_CHECKING:
    from lanying.shard.shard import Shard

MERGE_DEPTH = 32
"""Deeper objects are replaced instead of merged."""


def find(shard: Shard, head: Conversation, mid: int) -> tuple[int, Meta] | None:
    """Position and present Meta of a message listed in history."""
    shard.settle()
    row = shard.store.get(schema.HISTORY, head.key + schema.pack_u64(mid))
    if row is None:
        return None
    seq = schema.HISTORY_VALUE.unpack_from(row)[0]
    stored = row[9:] or shard.store.get(schema.QUEUE, head.key + schema.pack_u64(seq))
    return (seq, Meta.FromString(stored)) if stored else None


def remove(shard: Shard, head: Conversation, mid: int, how: str) -> None:
    """Take a message out of history and out of the queue of devices that have not seen it. ``how``: for who asks what became of it."""
    found = find(shard, head, mid)
    if found is not None:
        shard.tick.batch.delete(schema.HISTORY, head.key + schema.pack_u64(mid))
        shard.tick.batch.put(schema.QUEUE, head.key + schema.pack_u64(found[0]), b"")
        shard.tick.durable = True
        shard.inspection.removes(head, mid, *found, how)


def edit_time(meta: Meta, now_ms: int) -> int:
    """When an edit of this message counts as made: never before the message or the last edit."""
    return max(now_ms, meta.timestamp, MessageBody.FromString(meta.payload).edit_timestamp)


def change(shard: Shard, head: Conversation, mid: int, kind: int, edit: MessageBody, edit_ms: int) -> None:
    """APPEND or REPLACE in one stored copy. :raises Refused: it would become longer than a message may be"""
    found = find(shard, head, mid)
    if found is None:
        return
    meta = found[1]
    body = MessageBody.FromString(meta.payload)
    if kind == MessageOperation.APPEND:
        body.content += edit.content
    elif edit.content:
        body.content = edit.content
    body.config = merge_json(body.config, edit.config)
    body.ext = merge_json(body.ext, edit.ext)
    body.edit_timestamp = edit_ms + 1
    meta.payload = body.SerializeToString()
    if len(meta.payload) > shard.config.policy.message_bytes:
        raise Refused(Refusal.MESSAGE_TOO_LONG, Refusal.MESSAGE_TOO_LONG.message)
    key = head.key + schema.pack_u64(mid)
    row = shard.store.get(schema.HISTORY, key)
    assert row is not None
    shard.tick.batch.put(schema.HISTORY, key, row[:9] + meta.SerializeToString())
    shard.tick.durable = True


def merge_json(old: str, new: str) -> str:
    """Deep merge of two JSON objects as text; text that is not an object replaces."""
    if not new or not old:
        return new or old
    try:
        left, right = jsons.read(old), jsons.read(new)
    except ValueError:
        return new
    if not isinstance(left, dict) or not isinstance(right, dict):
        return new
    _merge(left, right, 0)
    return msgspec.json.encode(left).decode()


def _merge(left: dict[str, object], right: dict[str, object], depth: int) -> None:
    for key, value in right.items():
        have = left.get(key)
        if isinstance(have, dict) and isinstance(value, dict) and depth < MERGE_DEPTH:
            _merge(have, value, depth + 1)
        else:
            left[key] = value
