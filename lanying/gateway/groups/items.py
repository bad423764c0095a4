"""Announcements and shared files of a group (xsync 2.6)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    Announcement,
    DeleteAnnouncement,
    DeleteFiles,
    ListAnnouncements,
    ListFiles,
    PublishAnnouncement,
    RenameFile,
    SharedFile,
    ShareFile,
)
from lanying.gateway.groups.context import OfGroup, ask_group, row
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, RequestContext
from lanying.gateway.http.kinds import EntityId, Name, ReadByOthers, ShownText


class OneAnnouncement(OfGroup):
    """An announcement of a group."""

    announcement_id: EntityId


class NewAnnouncement(OfGroup):
    """An announcement to publish."""

    title: Annotated[Name, ReadByOthers()]
    content: ShownText


class OneFile(OfGroup):
    """A shared file of a group."""

    file_id: EntityId


class NewFile(OfGroup):
    """An uploaded file to share."""

    name: ShownText
    url: str
    size: int
    type: str = ""


class NewName(OneFile):
    """Another name for a shared file."""

    name: ShownText


class SharedFiles(OfGroup):
    """Some shared files."""

    file_list: list[EntityId]


def announcement_row(gid: int, it: Announcement) -> dict[str, Any]:
    """GroupAnnouncement of the REST reference."""
    return {
        "id": it.id,
        "group_id": gid,
        "author": it.author,
        "title": it.title,
        "content": it.content,
        "created_at": it.created_ms,
    }


def file_row(gid: int, it: SharedFile) -> dict[str, Any]:
    """GroupSharedFileDto of the REST reference."""
    return {
        "file_id": it.id,
        "group_id": gid,
        "name": it.name,
        "size": it.size,
        "type": it.type,
        "url": it.url,
        "uploader": it.uploader,
        "created_at": it.created_ms,
        "updated_at": it.updated_ms,
    }


async def announcements(context: RequestContext, given: OfGroup) -> object:
    """Oldest first."""
    gid = given.group_id
    return [announcement_row(gid, it) for it in await ask_group(context, gid, ListAnnouncements)]


async def announcement(context: RequestContext, given: OneAnnouncement) -> object:
    """One of them."""
    for it in await ask_group(context, given.group_id, ListAnnouncements):
        if it.id == given.announcement_id:
            return announcement_row(given.group_id, it)
    raise CallError(Refusal.NO_SUCH_ANNOUNCEMENT)


async def last_announcement(context: RequestContext, given: OfGroup) -> object:
    """The newest."""
    found = await ask_group(context, given.group_id, ListAnnouncements)
    if not found:
        raise CallError(Refusal.NO_SUCH_ANNOUNCEMENT)
    return announcement_row(given.group_id, found[-1])


async def publish(context: RequestContext, given: NewAnnouncement) -> object:
    """A new announcement."""
    made = await ask_group(context, given.group_id, PublishAnnouncement, given.title, given.content)
    return announcement_row(given.group_id, made)


async def withdraw(context: RequestContext, given: OneAnnouncement) -> object:
    """Delete an announcement."""
    await ask_group(context, given.group_id, DeleteAnnouncement, given.announcement_id)
    return {}


async def files(context: RequestContext, given: OfGroup) -> object:
    """Shared files, oldest first."""
    gid = given.group_id
    return [file_row(gid, it) for it in await ask_group(context, gid, ListFiles)]


async def file(context: RequestContext, given: OneFile) -> object:
    """One of them."""
    for it in await ask_group(context, given.group_id, ListFiles):
        if it.id == given.file_id:
            return file_row(given.group_id, it)
    raise CallError(Refusal.NO_SUCH_SHARED_FILE)


async def share(context: RequestContext, given: NewFile) -> object:
    """Note an uploaded file."""
    made = await ask_group(context, given.group_id, ShareFile, given.name, given.size, given.type, given.url)
    return file_row(given.group_id, made)


async def rename(context: RequestContext, given: NewName) -> object:
    """Give a shared file another name."""
    return await ask_group(context, given.group_id, RenameFile, given.file_id, given.name)


async def unshare(context: RequestContext, given: SharedFiles) -> object:
    """Delete shared files."""
    return [row(it, "file_id") for it in await ask_group(context, given.group_id, DeleteFiles, given.file_list)]


ENDPOINTS: Final = (
    Endpoint(GET, "/group/announcement", announcement),
    Endpoint(GET, "/group/announcement/list", announcements),
    Endpoint(GET, "/group/announcement/last", last_announcement),
    Endpoint(POST, "/group/announcement/edit", publish),
    Endpoint(REMOVE, "/group/announcement/delete", withdraw),
    Endpoint(GET, "/group/file", file),
    Endpoint(GET, "/group/file/list", files),
    Endpoint(POST, "/group/file/upload", share),
    Endpoint(UPDATE, "/group/file/update_name", rename),
    Endpoint(REMOVE, "/group/file/delete", unshare),
)
