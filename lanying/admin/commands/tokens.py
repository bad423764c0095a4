"""Access tokens of the REST API: issue, revoke, and rotate what they are signed with."""

from __future__ import annotations

import asyncio
from typing import Final

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.bus.messages import STATE_NORMAL, Kick, LimitSessions
from lanying.protocol.schema.xsync_pb2 import UserNotice

DAYS: Final = 3650
"""Longest life of a token that an administrator asks for, and longest grace."""
ROLES: Final = ("admin", "read")
ALL: Final = "all"
HANDED_OVER_S: Final = 1.0
"""Who was let in with an old token just before is at their shard by then."""


async def issue(context: CommandContext) -> object:
    """A token that speaks for a user."""
    from lanying.base import tokens

    server, app = context.server, context.server.app(context.text("app"))
    info = await server.user(app, context.text("user"))
    if info.state != STATE_NORMAL:
        raise CommandError(10010, f"{info.username} is banned, frozen or deleted; `users restore` first")
    hours = context.number("hours", 24)
    if not 0 < hours <= 24 * 365:
        raise CommandError(10002, "--hours is 1 to 8760")
    expires = server.now_ms() // 1000 + hours * 3600
    context.will(f"issue a token of {hours} hours that speaks for {info.username} ({info.uid})")
    identity = tokens.Identity(app.app_id, info.uid, tokens.ROLE_USER, info.epoch, expires)
    return {"uid": info.uid, "token": tokens.issue(app.token_key, identity), "expires_ms": expires * 1000}


async def revoke(context: CommandContext) -> object:
    """End all tokens and sessions of a user."""
    info = await context.server.user(context.server.app(context.text("app")), context.text("user"))
    context.will(f"end all tokens and sessions of {info.username} ({info.uid})")
    closed = await context.server.ask(info.uid, Kick(info.uid, 0, UserNotice.KICKED_BY_OTHER_DEVICE))
    return {"uid": info.uid, "sessions_closed": closed}


async def admin(context: CommandContext) -> object:
    """A further admin token of an app, which ends."""
    from lanying.base import tokens

    server, app = context.server, context.server.app(context.text("app"))
    role, days = context.text("role", ROLES[0]), _days(context, "days", 90)
    now_s = server.now_ms() // 1000
    context.will(f"issue a token of {days} days with the role {role} in the app {app.app_id}")
    kind = tokens.ROLE_READER if role == "read" else tokens.ROLE_ADMIN
    identity = tokens.admin(app.app_id, app.admin_epoch, now_s, now_s + days * 86_400, kind)
    return {
        "app": app.app_id,
        "role": role,
        "number": identity.number,
        "token": tokens.issue(app.token_key, identity),
        "expires_ms": identity.expires * 1000,
    }


async def rotate(context: CommandContext) -> object:
    """Have an app's tokens signed anew: those of admins, or all. Who has an old one needs a new one before the grace ends."""
    server, app = context.server, context.server.app(context.text("app"))
    users = context.text("which") == ALL
    hours = context.number("grace_hours", 24)
    if not 0 <= hours <= DAYS * 24:
        raise CommandError(10002, f"--grace-hours is 0 to {DAYS * 24}")
    grace_s = 0 if context.flag("now") else hours * 3600
    days = _days(context, "days", 0, least=0)
    what = "all tokens, those of users too," if users else "all admin tokens"
    context.will(
        f"end {what} of the app {app.app_id} {f'in {hours} hours' if grace_s else 'now'}, and write a new admin token"
    )
    now_s = server.now_ms() // 1000
    found = server.apps.rotate(app.app_id, now_s, grace_s, users=users, expires=now_s + days * 86_400 if days else 0)
    sessions, silent = await _end_sessions(context, app.app_id, (now_s + grace_s) * 1000) if users else (0, [])
    server.publish("config", {"app": app.app_id, "who": context.who})
    return {
        "app": found.app_id,
        "key": found.generation or "first",
        "admin_epoch": found.admin_epoch,
        "old_end_ms": (now_s + grace_s) * 1000,
        "sessions_that_end": sessions,
        "shards_not_asked": silent,
        "admin_token": str(server.files.token_file(found, first=found.app_id == server.config.app_id)),
    }


async def _end_sessions(context: CommandContext, app: str, ends_ms: int) -> tuple[int, list[int]]:
    """Sessions that end with the tokens they logged in with, and shards that were silent: a restart has ended theirs."""
    await asyncio.sleep(HANDED_OVER_S)
    answers, silent = await context.server.ask_all(LimitSessions(app, ends_ms))
    return sum(answers.values()), silent


def _days(context: CommandContext, key: str, default: int, least: int = 1) -> int:
    days = context.number(key, default)
    if not least <= days <= DAYS:
        raise CommandError(10002, f"--{key} is {least} to {DAYS}")
    return days
