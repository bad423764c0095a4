"""Announcements and shared-file records of a group. Pure. Both draw their ids from one counter of the group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import Announcement, GroupRequest, Outcome, SharedFile
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.core.work import Work
from lanying.shard.groups import notices as tell
from lanying.shard.groups import records
from lanying.shard.groups.records import ADMIN, MEMBER, Group
from lanying.shard.store import schema
from lanying.shard.store.base import Store

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decode_announcement: Final = msgspec.msgpack.Decoder(Announcement).decode
_decode_file: Final = msgspec.msgpack.Decoder(SharedFile).decode


# --- announcements ---------------------------------------------------------------------------------------------------


def publish(work: Work, request: GroupRequest[object], title: str, content: str) -> Announcement:
    """Say something to all members; the oldest announcement makes room."""
    group, _ = records.need(work, request, ADMIN)
    records.check_text("title", title, limits.NAME_FIELD_CHARS)
    records.check_text("content", content, limits.TEXT_FIELD_CHARS)
    gid = group.info.gid
    kept = _list(work.store, gid, schema.GROUP_ANNOUNCEMENT, _decode_announcement)
    for old in kept[: len(kept) + 1 - limits.GROUP_ANNOUNCEMENTS] if len(kept) >= limits.GROUP_ANNOUNCEMENTS else []:
        work.delete(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_ANNOUNCEMENT, old.id))
    row = Announcement(_next_item(work, group), request.uid, title, content, work.now_ms)
    work.put(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_ANNOUNCEMENT, row.id), _encode(row))
    _announced(work, gid, request.uid, content)
    return row


def withdraw(work: Work, request: GroupRequest[object], number: int) -> None:
    """Delete an announcement."""
    group, _ = records.need(work, request, ADMIN)
    gid = group.info.gid
    if _get(work.store, gid, schema.GROUP_ANNOUNCEMENT, number, _decode_announcement) is None:
        raise CallError(Refusal.NO_SUCH_ANNOUNCEMENT, f"there is no announcement {number} in this group")
    work.delete(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_ANNOUNCEMENT, number))
    _announced(work, gid, request.uid, "")


def announcements(work: Work, request: GroupRequest[object]) -> list[Announcement]:
    """Oldest first."""
    group, _ = records.need(work, request, MEMBER)
    return _list(work.store, group.info.gid, schema.GROUP_ANNOUNCEMENT, _decode_announcement)


# --- files -----------------------------------------------------------------------------------------------------------


def share(work: Work, request: GroupRequest[object], name: str, size: int, kind: str, url: str) -> SharedFile:
    """Note a file somebody has uploaded."""
    group, _ = records.need(work, request, MEMBER)
    records.check_text("name", name, limits.NAME_FIELD_CHARS)
    records.check_text("type", kind, limits.NAME_FIELD_CHARS)
    records.check_text("url", url, limits.TEXT_FIELD_CHARS)
    gid, now_ms = group.info.gid, work.now_ms
    if len(_list(work.store, gid, schema.GROUP_FILE, _decode_file)) >= limits.GROUP_FILES:
        raise CallError(Refusal.NOT_THE_UPLOADER, f"a group keeps {limits.GROUP_FILES} shared files, delete some first")
    row = SharedFile(_next_item(work, group), request.uid, name, size, kind, url, now_ms, now_ms)
    _save_file(work, gid, row)
    content = {"file_id": row.id, "name": name, "size": size, "type": kind, "url": url}
    _tell_files(work, gid, request.uid, pb.GroupNotice.FILE_UPLOADED, content)
    return row


def rename(work: Work, request: GroupRequest[object], number: int, name: str) -> None:
    """Rename a file: its uploader and admins may."""
    group, own = records.need(work, request, MEMBER)
    records.check_text("name", name, limits.NAME_FIELD_CHARS)
    gid = group.info.gid
    found = _get(work.store, gid, schema.GROUP_FILE, number, _decode_file)
    refused = _untouchable(found, number, request.uid, own)
    if found is None or refused is not None:
        assert refused is not None and refused.refusal is not None
        raise CallError(refused.refusal, refused.reason)
    _save_file(work, gid, msgspec.structs.replace(found, name=name, updated_ms=work.now_ms))
    _tell_files(work, gid, request.uid, pb.GroupNotice.FILE_UPDATED, {"file_id": number, "name": name})


def unshare(work: Work, request: GroupRequest[object], numbers: list[int]) -> list[Outcome]:
    """Delete file records: their uploaders and admins may."""
    group, own = records.need(work, request, MEMBER)
    gid = group.info.gid
    outcomes: list[Outcome] = []
    for number in numbers:
        found = _get(work.store, gid, schema.GROUP_FILE, number, _decode_file)
        refused = _untouchable(found, number, request.uid, own)
        outcomes.append(refused or Outcome(number))
        if refused is None:
            work.delete(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_FILE, number))
    gone = [it.id for it in outcomes if it.refusal is None]
    if gone:
        _tell_files(work, gid, request.uid, pb.GroupNotice.FILE_DELETED, {"file_list": gone})
    return outcomes


def files(work: Work, request: GroupRequest[object]) -> list[SharedFile]:
    """Oldest first."""
    group, _ = records.need(work, request, MEMBER)
    return _list(work.store, group.info.gid, schema.GROUP_FILE, _decode_file)


# --- inside ----------------------------------------------------------------------------------------------------------


def _untouchable(found: SharedFile | None, number: int, uid: int, own: int) -> Outcome | None:
    if found is None:
        return Outcome(number, Refusal.NO_SUCH_SHARED_FILE, f"there is no shared file {number} in this group")
    if found.uploader != uid and own < ADMIN:
        return Outcome(number, Refusal.NOT_THE_UPLOADER, Refusal.NOT_THE_UPLOADER.message)
    return None


def _next_item(work: Work, group: Group) -> int:
    number = group.last_item + 1
    records.save(work, msgspec.structs.replace(group, last_item=number))
    return number


def _announced(work: Work, gid: int, actor: int, text: str) -> None:
    payload = tell.notice(pb.GroupNotice.ANNOUNCEMENT_UPDATED, gid, actor, (), text)
    work.group_notice(gid, actor, payload)


def _tell_files(work: Work, gid: int, actor: int, kind: int, content: dict[str, object]) -> None:
    work.group_notice(gid, actor, tell.notice(kind, gid, actor, (), tell.json(content)))


def _save_file(work: Work, gid: int, row: SharedFile) -> None:
    work.put(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_FILE, row.id), _encode(row))


def _get(store: Store, gid: int, kind: int, number: int, decode: Callable[[bytes], T]) -> T | None:
    if not 0 < number <= MAX_ENTITY_ID:
        return None
    row = store.get(schema.GROUP_ITEMS, schema.pack_item(gid, kind, number))
    return None if row is None else decode(row)


def _list(store: Store, gid: int, kind: int, decode: Callable[[bytes], T]) -> list[T]:
    start = schema.pack_item(gid, kind, 0)
    return [decode(row) for _, row in store.scan(schema.GROUP_ITEMS, start, schema.successor(start[:9]))]
