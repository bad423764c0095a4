"""Groups: list, show, members, mute, kick, destroy."""

from __future__ import annotations

from typing import Any

from lanying.admin.errors import CommandError
from lanying.admin.visit import Page, Visit
from lanying.base.ids import typed_id
from lanying.bus.messages import (
    BanGroup,
    DestroyGroup,
    GetGroups,
    GroupInfo,
    KickMembers,
    ListGroups,
    ListMembers,
)

ADMIN_RIGHTS = 2
"""Rights of an admin in the group, which an operator has everywhere."""


def shown(info: GroupInfo) -> dict[str, Any]:
    """A group as a row."""
    return {
        "gid": info.gid,
        "name": info.name,
        "app": info.app,
        "owner": info.owner,
        "members": info.count,
        "state": "destroyed" if info.status else "normal",
        "type": ("private", "public", "chat room", "temporary")[info.type] if 0 <= info.type < 4 else info.type,
        "created_ms": info.created_ms,
        "capacity": info.capacity,
        "description": info.description,
        "muted_until_ms": info.ban_until_ms,
    }


async def _group(visit: Visit) -> GroupInfo:
    app, text = visit.server.app(visit.text("app")), visit.text("group")
    gid = typed_id(text)
    found = await visit.server.ask(gid, GetGroups(0, app.app_id, [gid])) if gid else []
    if not found:
        raise CommandError(20001, f"there is no group {text} in app {app.app_id}; `groups list` shows them")
    return found[0].info


async def list_all(visit: Visit) -> object:
    """Groups of an app, page by page, by shard and id."""
    server, app = visit.server, visit.server.app(visit.text("app"))
    shard, after = (int(part) for part in (visit.cursor or "0:0").split(":"))
    rows: list[dict[str, Any]] = []
    while shard < server.map.shards and len(rows) < visit.limit:
        page = await server.ask_shard(shard, ListGroups(app.app_id, after, visit.limit - len(rows)))
        rows += map(shown, page.groups)
        shard, after = (shard, page.next) if page.next else (shard + 1, 0)
    return Page(rows, f"{shard}:{after}" if shard < server.map.shards else "")


async def show(visit: Visit) -> object:
    """A group and its settings."""
    return shown(await _group(visit))


async def members(visit: Visit) -> object:
    """Members of a group, page by page."""
    info = await _group(visit)
    request = ListMembers(info.gid, info.owner, info.app, ADMIN_RIGHTS, int(visit.cursor or 0), visit.limit)
    page = await visit.server.ask(info.gid, request)
    rows = [
        {
            "uid": row.uid,
            "display_name": row.display_name,
            "joined_ms": row.joined_ms,
            "muted_until_ms": row.banned_until_ms,
        }
        for row in page.rows
    ]
    return Page(rows, str(page.rows[-1].uid) if len(page.rows) == visit.limit else "")


async def mute(visit: Visit) -> object:
    """Only admins of the group may write for some minutes."""
    info, minutes = await _group(visit), visit.number("minutes", -1)
    visit.will(
        f"let only admins write in {info.name} ({info.gid}) "
        + (f"for {minutes} minutes" if minutes >= 0 else "for ever")
    )
    until = await visit.server.ask(info.gid, BanGroup(info.gid, info.owner, info.app, ADMIN_RIGHTS, minutes))
    return {"gid": info.gid, "muted_until_ms": until}


async def unmute(visit: Visit) -> object:
    """Everybody may write again."""
    info = await _group(visit)
    visit.will(f"let everybody write in {info.name} ({info.gid})")
    await visit.server.ask(info.gid, BanGroup(info.gid, info.owner, info.app, ADMIN_RIGHTS, 0))
    return f"everybody may write in {info.name} ({info.gid})"


async def kick(visit: Visit) -> object:
    """Remove members from a group."""
    info = await _group(visit)
    users = [await visit.server.user(visit.server.app(info.app), who) for who in visit.many("users")]
    visit.will(f"remove {', '.join(user.username for user in users)} from {info.name} ({info.gid})")
    request = KickMembers(info.gid, info.owner, info.app, ADMIN_RIGHTS, [user.uid for user in users])
    found = await visit.server.ask(info.gid, request)
    owner = "owns the group: let them hand it over first, or `groups destroy` it"
    return [
        {"uid": row.id, "removed": row.refusal is None, "reason": owner if row.id == info.owner else row.reason}
        for row in found
    ]


async def destroy(visit: Visit) -> object:
    """End a group for all its members."""
    info = await _group(visit)
    visit.will(f"destroy the group {info.name} ({info.gid}) of {info.count} members, for good")
    await visit.server.ask(info.gid, DestroyGroup(info.gid, info.owner, info.app, ADMIN_RIGHTS))
    return f"{info.name} ({info.gid}) is destroyed"
