"""Access tokens of the REST API: issue and revoke."""

from __future__ import annotations

from lanying.admin.errors import CommandError
from lanying.admin.visit import Visit
from lanying.bus.messages import STATE_NORMAL, Kick
from lanying.protocol.schema.xsync_pb2 import UserNotice


async def issue(visit: Visit) -> object:
    """A token that speaks for a user."""
    from lanying.base import tokens

    server, app = visit.server, visit.server.app(visit.text("app"))
    info = await server.user(app, visit.text("user"))
    if info.state != STATE_NORMAL:
        raise CommandError(10010, f"{info.username} is banned, frozen or deleted; `users restore` first")
    hours = visit.number("hours", 24)
    if not 0 < hours <= 24 * 365:
        raise CommandError(10002, "--hours is 1 to 8760")
    expires = server.now_ms() // 1000 + hours * 3600
    visit.will(f"issue a token of {hours} hours that speaks for {info.username} ({info.uid})")
    identity = tokens.Identity(app.app_id, info.uid, tokens.ROLE_USER, info.epoch, expires)
    return {"uid": info.uid, "token": tokens.issue(app.token_key, identity), "expires_ms": expires * 1000}


async def revoke(visit: Visit) -> object:
    """End all tokens and sessions of a user."""
    info = await visit.server.user(visit.server.app(visit.text("app")), visit.text("user"))
    visit.will(f"end all tokens and sessions of {info.username} ({info.uid})")
    closed = await visit.server.ask(info.uid, Kick(info.uid, 0, UserNotice.KICKED_BY_OTHER_DEVICE))
    return {"uid": info.uid, "sessions_closed": closed}
