"""Announcements and shared files of a group (xsync 2.6)."""

from __future__ import annotations

from typing import Any, Final

from lanying.base import limits
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
from lanying.gateway.groups.context import ask_group, group_of, row, users_of
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, RequestContext


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


async def announcements(context: RequestContext) -> object:
    """Oldest first."""
    gid = group_of(context)
    return [announcement_row(gid, it) for it in await ask_group(context, ListAnnouncements)]


async def announcement(context: RequestContext) -> object:
    """One of them."""
    gid, wanted = group_of(context), context.params.entity("announcement_id")
    for it in await ask_group(context, ListAnnouncements):
        if it.id == wanted:
            return announcement_row(gid, it)
    raise CallError(Refusal.NO_SUCH_ANNOUNCEMENT)


async def last_announcement(context: RequestContext) -> object:
    """The newest."""
    found = await ask_group(context, ListAnnouncements)
    if not found:
        raise CallError(Refusal.NO_SUCH_ANNOUNCEMENT)
    return announcement_row(group_of(context), found[-1])


async def publish(context: RequestContext) -> object:
    """A new announcement."""
    title = context.params.text("title", most=limits.NAME_FIELD_CHARS)
    content = context.params.text("content")
    made = await ask_group(context, PublishAnnouncement, title, content)
    return announcement_row(group_of(context), made)


async def withdraw(context: RequestContext) -> object:
    """Delete an announcement."""
    await ask_group(context, DeleteAnnouncement, context.params.entity("announcement_id"))
    return {}


async def files(context: RequestContext) -> object:
    """Shared files, oldest first."""
    gid = group_of(context)
    return [file_row(gid, it) for it in await ask_group(context, ListFiles)]


async def file(context: RequestContext) -> object:
    """One of them."""
    gid, wanted = group_of(context), context.params.entity("file_id")
    for it in await ask_group(context, ListFiles):
        if it.id == wanted:
            return file_row(gid, it)
    raise CallError(Refusal.NO_SUCH_SHARED_FILE)


async def share(context: RequestContext) -> object:
    """Note an uploaded file."""
    params = context.params
    name, url = params.text("name"), params.text("url")
    made = await ask_group(context, ShareFile, name, params.number("size"), params.text("type", ""), url)
    return file_row(group_of(context), made)


async def rename(context: RequestContext) -> object:
    """Give a shared file another name."""
    number, name = context.params.entity("file_id"), context.params.text("name")
    return await ask_group(context, RenameFile, number, name)


async def unshare(context: RequestContext) -> object:
    """Delete shared files."""
    numbers = users_of(context, "file_list")
    return [row(it, "file_id") for it in await ask_group(context, DeleteFiles, numbers)]


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
