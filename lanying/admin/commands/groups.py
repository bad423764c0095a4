"""Groups: list, show, members, mute, kick, destroy."""

from __future__ import annotations

from typing import Any

from lanying.admin.context import CommandContext, ResultPage
from lanying.admin.errors import CommandError
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


async def _group(context: CommandContext) -> GroupInfo:
    app, text = context.server.app(context.text("app")), context.text("group")
    gid = typed_id(text)
    found = await context.server.ask(gid, GetGroups(0, app.app_id, [gid])) if gid else []
    if not found:
        raise CommandError(20001, f"there is no group {text} in app {app.app_id}; `groups list` shows them")
    return found[0].info


async def list_all(context: CommandContext) -> object:
    """Groups of an app, page by page, by shard and id."""
    server, app = context.server, context.server.app(context.text("app"))
    shard, after = (int(part) for part in (context.cursor or "0:0").split(":"))
    rows: list[dict[str, Any]] = []
    while shard < server.map.shards and len(rows) < context.limit:
        page = await server.ask_shard(shard, ListGroups(app.app_id, after, context.limit - len(rows)))
        rows += map(shown, page.groups)
        shard, after = (shard, page.next) if page.next else (shard + 1, 0)
    return ResultPage(rows, f"{shard}:{after}" if shard < server.map.shards else "")


async def show(context: CommandContext) -> object:
    """A group and its settings."""
    return shown(await _group(context))


async def members(context: CommandContext) -> object:
    """Members of a group, page by page."""
    info = await _group(context)
    request = ListMembers(info.gid, info.owner, info.app, ADMIN_RIGHTS, int(context.cursor or 0), context.limit)
    page = await context.server.ask(info.gid, request)
    rows = [
        {
            "uid": row.uid,
            "display_name": row.display_name,
            "joined_ms": row.joined_ms,
            "muted_until_ms": row.banned_until_ms,
        }
        for row in page.rows
    ]
    return ResultPage(rows, str(page.rows[-1].uid) if len(page.rows) == context.limit else "")


async def mute(context: CommandContext) -> object:
    """Only admins of the group may write for some minutes."""
    info, minutes = await _group(context), context.number("minutes", -1)
    context.will(
        f"let only admins write in {info.name} ({info.gid}) "
        + (f"for {minutes} minutes" if minutes >= 0 else "for ever")
    )
    until = await context.server.ask(info.gid, BanGroup(info.gid, info.owner, info.app, ADMIN_RIGHTS, minutes))
    return {"gid": info.gid, "muted_until_ms": until}


async def unmute(context: CommandContext) -> object:
    """Everybody may write again."""
    info = await _group(context)
    context.will(f"let everybody write in {info.name} ({info.gid})")
    await context.server.ask(info.gid, BanGroup(info.gid, info.owner, info.app, ADMIN_RIGHTS, 0))
    return f"everybody may write in {info.name} ({info.gid})"


async def kick(context: CommandContext) -> object:
    """Remove members from a group."""
    info = await _group(context)
    users = [await context.server.user(context.server.app(info.app), who) for who in context.many("users")]
    context.will(f"remove {', '.join(user.username for user in users)} from {info.name} ({info.gid})")
    request = KickMembers(info.gid, info.owner, info.app, ADMIN_RIGHTS, [user.uid for user in users])
    found = await context.server.ask(info.gid, request)
    owner = "owns the group: let them hand it over first, or `groups destroy` it"
    return [
        {"uid": row.id, "removed": row.refusal is None, "reason": owner if row.id == info.owner else row.reason}
        for row in found
    ]


async def destroy(context: CommandContext) -> object:
    """End a group for all its members."""
    info = await _group(context)
    context.will(f"destroy the group {info.name} ({info.gid}) of {info.count} members, for good")
    await context.server.ask(info.gid, DestroyGroup(info.gid, info.owner, info.app, ADMIN_RIGHTS))
    return f"{info.name} ({info.gid}) is destroyed"
