"""Access tokens of the REST API: issue and revoke."""

from __future__ import annotations

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.bus.messages import STATE_NORMAL, Kick
from lanying.protocol.schema.xsync_pb2 import UserNotice


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
