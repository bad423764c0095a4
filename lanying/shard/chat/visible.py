"""What a device is not given although it is in the queue (pure): asked for entries read back from the store.

*Calls.* A ``call`` message rings; one that is a minute old and was not ended does not reach the device any more (xsync 6.7).
*Silent groups.* With mute mode 2 a member's devices get a group's notices and operations and none of its messages; history has them.
*Removed messages.* A group's entries are everybody's: what members have removed from their history is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from lanying.base import jsons, limits
from lanying.base.errors import StoreError
from lanying.bus.messages import UnreadableEntry
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.chat import marks
from lanying.shard.core.mailbox import Conversation
from lanying.shard.store import schema
from lanying.shard.store.base import Store

log = logging.getLogger(__name__)

REPORTED = 1000
"""Unreadable entries that are logged; of more there is nothing new to say."""
_reported: dict[tuple[int, int, int], UnreadableEntry] = {}
PERSONAL = schema.SILENT | schema.NOTED
CALL_KEY = b"callId"


def for_device(
    store: Store, head: Conversation, sn: int, entries: Sequence[bytes | None], place: int, now_ms: int, seq: int = 0
) -> bytes | None:
    """The entry at ``place`` as one of the owner's devices gets it; None: it does not. ``entries``: what was read with it.

    :param seq: its position in the queue

    A body that cannot be judged is delivered as it is: it must not keep a device from what is behind it. What is no Meta at all would,
    in any batch, and is for nobody.
    """
    entry = entries[place]
    assert entry, "removed entries are for nobody"
    try:
        meta = Meta.FromString(entry)
        sender = getattr(meta, "from")
        if sender.deviceSN == sn and sender.uid == head.uid:
            return None
        return None if withheld(store, head, meta, entries, place, now_ms) else with_status(store, head, meta, entry)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stored entry makes fail
        report_unreadable(head, entry, error, seq)
        return entry if frame.meta_id(entry) else None


def report_unreadable(head: Conversation, entry: bytes, error: Exception, seq: int = 0) -> None:
    """A stored entry cannot be judged: logged once, as long as there are few, and remembered for operators."""
    peer = head.peer
    owner = peer if head.flags & schema.IS_GROUP else head.uid  # a group's entries are the group's
    key = (owner, peer, hash(entry))
    known = _reported.get(key)
    if known is not None:
        known.seq = known.seq or seq
    elif len(_reported) < REPORTED:
        mid, size, why = frame.meta_id(entry), len(entry), str(error) or type(error).__name__
        _reported[key] = UnreadableEntry(owner, peer, seq, mid, size, why)
        log.error(
            "event=entry_unreadable uid=%d peer=%d position=%d message=%d bytes=%d error=%r "
            "remedy='lanying-admin messages unreadable'",
            owner, peer, seq, mid, size, why,
        )  # fmt: skip


def unreadable() -> list[UnreadableEntry]:
    """Entries that could not be judged since the start."""
    return list(_reported.values())


def forget(owner: int, peer: int, mid: int, seq: int) -> None:
    """An entry was removed: the one with this id, or without one at this position."""
    for key, one in list(_reported.items()):
        if (one.owner, one.peer) == (owner, peer) and (one.mid == mid if mid else one.seq == seq):
            del _reported[key]


def readable(head: Conversation, entry: bytes, seq: int = 0) -> Meta | None:
    """A stored entry; None: it cannot be read, by no client either, and is passed over."""
    try:
        return Meta.FromString(entry)
    except DecodeError as error:
        report_unreadable(head, entry, error, seq)
        return None


def body(meta: Meta) -> MessageBody:
    """What a stored message says; nothing, where that cannot be read."""
    try:
        return MessageBody.FromString(meta.payload)
    except DecodeError:
        return MessageBody()


def sender(head: Conversation, entry: bytes) -> int:
    """Who wrote a stored entry; 0, which is the server, for one that cannot be read."""
    meta = readable(head, entry)
    return 0 if meta is None else int(getattr(meta, "from").uid)


def withheld(
    store: Store, head: Conversation, meta: Meta, entries: Sequence[bytes | None], place: int, now_ms: int
) -> bool:
    """Is the entry at ``place`` passed over? ``entries``: what was read with it."""
    if head.flags & schema.IS_GROUP and head.flags & PERSONAL:
        if meta.ns != Meta.MESSAGE or MessageBody.FromString(meta.payload).type == MessageBody.OPER:
            return False
        if head.flags & schema.SILENT:
            return True
        row = store.get(schema.MARKS, head.key + schema.pack_u64(meta.id))
        return bool(row and row[0] & schema.REMOVED)
    return CALL_KEY in meta.payload and _stale_call(meta, entries[place + 1 :], now_ms)


def with_status(store: Store, head: Conversation, meta: Meta, entry: bytes) -> bytes:
    """An entry a device gets late, marked as read if its user has read it on another one."""
    if meta.ns != Meta.MESSAGE or (meta.id > head.read_mid and not head.flags & schema.NOTED):
        return entry
    row = store.get(schema.MARKS, head.key + schema.pack_u64(meta.id)) if head.flags & schema.NOTED else None
    if not marks.is_read(head, meta.id, row[0] if row else 0) or getattr(meta, "from").uid == head.uid:
        return entry
    if MessageBody.FromString(meta.payload).type == MessageBody.OPER:
        return entry
    meta.payload += marks.STATUS_READ
    return meta.SerializeToString()


def _stale_call(meta: Meta, following: Sequence[bytes | None], now_ms: int) -> bool:
    if meta.ns != Meta.MESSAGE or now_ms - meta.timestamp < limits.CALL_RINGS_MS:
        return False
    body = MessageBody.FromString(meta.payload)
    if body.ctype != MessageBody.RTC or not body.config:
        return False
    config = jsons.loads_object(body.config)
    if config is None or config.get("action") != "call":
        return False
    named = config.get("callId")
    if type(named) not in (int, str):
        return False  # no call of any client
    call = str(named).encode(errors="replace")
    return not any(entry and call in entry for entry in following)
