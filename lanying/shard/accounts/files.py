"""Records of uploaded files, on the shard of the user who uploaded them, and how much each user has stored. Pure.

The bytes are in an object store (:mod:`lanying.gateway.services.objects`) under a name made of owner and number. A record is there
before its bytes are (the gateway puts them right afterwards, or after a crash when it starts) and goes after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import STATE_DELETED, FileRecord, FileUsage
from lanying.shard.accounts import accounts
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(FileRecord).decode
_decode_usage: Final = msgspec.msgpack.Decoder(FileUsage).decode
_BEHIND_ALL: Final = b"\xff" * 17
_GROUP: Final = 2
"""``to_type`` of what was uploaded for a group."""


def get(store: Store, owner: int, number: int) -> FileRecord | None:
    """A record, None if there is none."""
    row = store.get(schema.FILES, schema.pack_pair(owner, number))
    return None if row is None else _decode(row)


def usage(store: Store, owner: int) -> FileUsage:
    """How much a user has stored."""
    row = store.get(schema.FILE_USAGE, schema.pack_u64(owner))
    return FileUsage(owner) if row is None else _decode_usage(row)


def check(store: Store, owner: int, number: int, size: int, quota: int) -> None:
    """May this file come? :raises CallError: 10002 its ticket was used, 10009 the owner has no room"""
    if get(store, owner, number) is not None:
        raise CallError(Refusal.INVALID_PARAMETER, "this upload address was used, ask for a new one")
    found = usage(store, owner)
    if quota and found.bytes + size > quota:
        raise CallError(
            Refusal.NOT_STORED,
            f"your files take {found.bytes >> 20} of {quota >> 20} MB, there is no room for this one",
        )
    if found.count >= limits.FILES_PER_USER:
        raise CallError(Refusal.NOT_STORED, f"you have {found.count} files, more are not kept")


def add(work: Work, record: FileRecord, quota: int) -> None:
    """Keep the record of a complete file. :raises CallError: as :func:`check`"""
    check(work.store, record.owner, record.number, record.size, quota)
    found = usage(work.store, record.owner)
    work.put(schema.FILES, schema.pack_pair(record.owner, record.number), _encode(record))
    _put_usage(work, FileUsage(record.owner, found.bytes + record.size, found.count + 1))


def remove(work: Work, keys: Sequence[tuple[int, int]]) -> int:
    """Forget records, by owner and number. How many there were."""
    usages: dict[int, FileUsage] = {}
    count = 0
    for owner, number in dict.fromkeys(keys):
        record = get(work.store, owner, number)
        if record is not None:
            found = usages.get(owner) or usage(work.store, owner)
            usages[owner] = FileUsage(owner, found.bytes - record.size, found.count - 1)
            work.delete(schema.FILES, schema.pack_pair(owner, number))
            count += 1
    for found in usages.values():
        _put_usage(work, found)
    return count


def page(store: Store, after: tuple[int, int], before_ms: int) -> tuple[list[FileRecord], tuple[int, int] | None]:
    """Those of the next records behind ``after`` that may go, and where to go on (None: the end).

    What was made before ``before_ms`` goes, and what a deleted account uploaded; but not what it gave to a group.
    """
    start = schema.pack_pair(*after) + b"\0"
    rows = list(store.scan(schema.FILES, start, _BEHIND_ALL, limit=limits.FILES_SCANNED))
    records = [_decode(row) for _, row in rows]
    gone = {owner for owner in {record.owner for record in records} if _deleted(store, owner)}
    found = [
        record
        for record in records
        if record.created_ms < before_ms or (record.owner in gone and record.to_type != _GROUP)
    ]
    if len(rows) < limits.FILES_SCANNED:
        return found, None
    last = rows[-1][0]
    return found, (int.from_bytes(last[:8], "big"), int.from_bytes(last[8:], "big"))


def usages(store: Store, after: int) -> list[FileUsage]:
    """What the next users behind ``after`` (-1: from the first) have stored; fewer than ``limits.FILES_SCANNED``: the end."""
    start = schema.pack_u64(after + 1)
    return [
        _decode_usage(row) for _, row in store.scan(schema.FILE_USAGE, start, _BEHIND_ALL, limit=limits.FILES_SCANNED)
    ]


def _deleted(store: Store, owner: int) -> bool:
    account = accounts.load(store, owner)
    return account is not None and account.info.state == STATE_DELETED


def _put_usage(work: Work, found: FileUsage) -> None:
    key = schema.pack_u64(found.owner)
    if found.count > 0:
        work.put(schema.FILE_USAGE, key, _encode(found))
    else:
        work.delete(schema.FILE_USAGE, key)
