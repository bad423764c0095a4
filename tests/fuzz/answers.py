"""Is a frame answered? What a client may expect of each."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from lanying.protocol.frame import PROVISION, SYNC, UNREAD, FrameError, parse_frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta, Status, SyncDL, SyncUL
from lanying.shard.chat import door
from lanying.testing.simulation import Device

NOTHING: dict[int, int] = {-1: -1}
"""No unread list came yet."""


def is_answered(phone: Device, data: bytes, syncs: Sequence[SyncDL]) -> bool:
    """Is there an answer to a frame among ``syncs``, all that came since? ``phone.unread`` was :data:`NOTHING` before."""
    try:
        command, payload = parse_frame(data)
    except FrameError as error:
        return any(sync.status.code == error.status_code and not sync.client_mid for sync in syncs)
    if command == UNREAD:
        return phone.unread is not NOTHING
    if command == PROVISION:
        return any(kind == PROVISION for kind, _ in phone.frames) or any(
            sync.status.code != Status.OK for sync in syncs
        )
    if command != SYNC:
        return any(sync.status.code == Status.UNKNOWN_COMMAND for sync in syncs)
    try:
        asked = SyncUL.FromString(payload)
    except DecodeError:
        return any(sync.status.code == Status.PB_PARSER_ERROR and not sync.client_mid for sync in syncs)
    if not asked.HasField("meta") and max(asked.key, asked.xid.uid) > door.LARGEST_ID:
        return any(sync.status.code == Status.INVALID_PARAMETER and not sync.client_mid for sync in syncs)
    if asked.HasField("meta"):  # an acknowledgement or a refusal; only one that names no message can have no number
        names = (
            {asked.meta.id, 0} if is_recall(asked.meta) else {asked.meta.id}
        )  # a refused recall names none (xsync 5.6)
        return any(sync.client_mid in names and (sync.server_mid or sync.status.code != Status.OK) for sync in syncs)
    mine = [sync for sync in syncs if sync.xid.uid == asked.xid.uid and not sync.client_mid]
    return any(sync.is_full_sync == asked.is_full_sync for sync in mine)


def is_recall(meta: Meta) -> bool:
    """Does it take a message back?"""
    try:
        return MessageBody.FromString(meta.payload).operation.type == MessageOperation.RECALL
    except DecodeError:
        return False
