"""GroupNotices (xsync 7.2): how they are encoded, and the ones every change of a property sends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.core.work import Work

NS: Final = pb.Meta.GROUP_NOTICE


def notice(kind: int, gid: int, sender: int, to: Iterable[int] = (), content: str = "") -> bytes:
    """An encoded GroupNotice from ``sender``."""
    parts: dict[str, Any] = {"from": pb.XID(uid=sender), "to": [pb.XID(uid=uid) for uid in to]}
    body = pb.GroupNotice(type=pb.GroupNotice.Type.ValueType(kind), gid=pb.XID(uid=gid), content=content, **parts)
    return body.SerializeToString()


def json(values: object) -> str:
    """Content of the notices that carry JSON."""
    return msgspec.json.encode(values).decode()


def property_notice(gid: int, sender: int, name: str, value: object) -> bytes:
    """INFO_UPDATED with one property."""
    return notice(pb.GroupNotice.INFO_UPDATED, gid, sender, (), json({"property": name, name: value}))


def updated(work: Work, gid: int, sender: int, name: str, value: object) -> None:
    """Notify all members of a property's new value."""
    work.group_notice(gid, sender, property_notice(gid, sender, name, value))


def each(work: Work, uids: Iterable[int], sender: int, payload: bytes) -> None:
    """A notice for some users, each in their own queue and once."""
    for uid in dict.fromkeys(uids):
        work.notice(uid, sender, NS, payload)
