"""Users: create, show, password, ban, freeze, delete, devices, kick."""

from __future__ import annotations

from typing import Any, Final

from lanying.admin.context import CommandContext, ResultPage
from lanying.admin.errors import CommandError
from lanying.base.names import compared
from lanying.bus.messages import (
    STATE_BANNED,
    STATE_DELETED,
    STATE_FROZEN,
    STATE_NORMAL,
    AccountInfo,
    ClaimAccount,
    GetCredentials,
    Kick,
    ListAccounts,
    ListDevices,
    SetPassword,
    SetState,
)
from lanying.bus.shards import ask_name
from lanying.protocol.schema.xsync_pb2 import UserNotice

STATES: Final = {STATE_NORMAL: "normal", STATE_BANNED: "banned", STATE_FROZEN: "frozen", STATE_DELETED: "deleted"}


PAGES_LOOKED_AT: Final = 50
"""Pages of a shard one command looks through for a rare name before it gives the console a cursor to go on."""


def shown(info: AccountInfo) -> dict[str, Any]:
    """A user as a row."""
    return {
        "uid": info.uid,
        "username": info.username,
        "app": info.app,
        "state": STATES.get(info.state, str(info.state)),
        "nick_name": info.nick_name,
        "created_ms": info.created_ms,
        "avatar": info.avatar,
        "mobile": info.mobile,
        "email": info.email,
    }


async def _user(context: CommandContext) -> AccountInfo:
    return await context.server.user(context.server.app(context.text("app")), context.text("user"))


async def create(context: CommandContext) -> object:
    """Create an account."""
    server, name = context.server, context.text("username")
    app = server.app(context.text("app"))
    password = context.text("password")
    server.passwords.check_new(password)
    context.will(f"create the user {name} in app {app.app_id}")
    request = ClaimAccount(app.app_id, name, await server.passwords.hash(password, ""))
    uid = await ask_name(server.shards, app.app_id, name, request)
    return {"uid": uid, "username": name, "app": app.app_id}


async def show(context: CommandContext) -> object:
    """A user with their devices."""
    info = await _user(context)
    gone = info.state == STATE_DELETED
    devices = [] if gone else await context.server.ask(info.uid, ListDevices(info.uid))
    return shown(info) | {"devices": len(devices), "online": sum(device.online for device in devices)}


async def list_all(context: CommandContext) -> object:
    """Users of an app, page by page, by shard and id; with ``text`` those whose name or nickname contains it."""
    server, app, wanted = context.server, context.server.app(context.text("app")), compared(context.text("text"))
    shard, after = (int(part) for part in (context.cursor or "0:0").split(":"))
    rows: list[dict[str, Any]] = []
    for _ in range(PAGES_LOOKED_AT):
        if shard >= server.map.shards or len(rows) >= context.limit:
            break
        page = await server.ask_shard(shard, ListAccounts(app.app_id, after, 0, context.limit - len(rows)))
        rows += [
            shown(info)
            for info in page.accounts
            if wanted in compared(info.username) or wanted in compared(info.nick_name)
        ]
        shard, after = (shard + 1, 0) if page.end else (shard, page.last)
    return ResultPage(rows, f"{shard}:{after}" if shard < server.map.shards else "")


async def sessions(context: CommandContext) -> object:
    """Devices of a user that are connected now."""
    rows = await devices(context)
    assert isinstance(rows, list)
    return [row for row in rows if row["online"]]


async def devices(context: CommandContext) -> object:
    """Devices of a user, online ones first."""
    info = await _user(context)
    rows = await context.server.ask(info.uid, ListDevices(info.uid))
    return [
        {
            "device_sn": row.device_sn,
            "online": row.online,
            "platform": row.platform,
            "user_agent": row.user_agent,
            "last_seen_ms": row.last_seen_ms,
        }
        for row in rows
    ]


async def set_password(context: CommandContext) -> object:
    """Give a user a new password; their devices are logged out."""
    server, info = context.server, await _user(context)
    password = context.text("password")
    server.passwords.check_new(password)
    context.will(f"give {info.username} ({info.uid}) a new password and log all their devices out")
    old = await server.ask(info.uid, GetCredentials(info.app, info.uid))
    await server.ask(
        info.uid,
        SetPassword(info.uid, await server.passwords.hash(password, ""), expected=old.password_hash, revoke=True),
    )
    return f"{info.username} has a new password"


async def kick(context: CommandContext) -> object:
    """Log a user's devices out: one, or all with their tokens."""
    info = await _user(context)
    sn = context.number("device")
    if sn and sn not in [row.device_sn for row in await context.server.ask(info.uid, ListDevices(info.uid))]:
        raise CommandError(404, f"{info.username} ({info.uid}) has no device {sn}; `users devices` lists them")
    context.will(f"log {f'device {sn}' if sn else 'all devices'} of {info.username} ({info.uid}) out")
    closed = await context.server.ask(info.uid, Kick(info.uid, sn, UserNotice.KICKED_BY_OTHER_DEVICE))
    return {"uid": info.uid, "sessions_closed": closed}


def changes_state(state: int, verb: str, means: str) -> Any:
    """The handler of a command that sets an account's state."""

    async def handler(context: CommandContext) -> object:
        info = await _user(context)
        if info.state == STATE_DELETED:
            raise CommandError(10010, f"{info.username} ({info.uid}) is deleted, for good: create another account")
        context.will(f"{verb} {info.username} ({info.uid}): {means}")
        await context.server.ask(info.uid, SetState(info.uid, state))
        return {"uid": info.uid, "username": info.username, "state": STATES[state]}

    return handler


ban = changes_state(STATE_BANNED, "ban", "they cannot log in, their sessions and tokens end")
freeze = changes_state(
    STATE_FROZEN, "freeze", "they cannot log in until they are restored, their sessions and tokens end"
)
restore = changes_state(STATE_NORMAL, "restore", "they may log in again")
delete = changes_state(STATE_DELETED, "delete", "the account is closed for good, its name stays taken")
