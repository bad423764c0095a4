"""Profile, settings, devices and pinned conversations of the caller (xsync 2.4)."""

from __future__ import annotations

from typing import Any, Final

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    AccountInfo,
    ForgetDevice,
    GetExtras,
    Kick,
    ListDevices,
    ListOnline,
    Pin,
    UpdateAccount,
)
from lanying.bus.shards import accounts, ask
from lanying.gateway.http.endpoint import GET, REMOVE, UPDATE, Endpoint, Handler, Page, RequestContext
from lanying.protocol.schema.xsync_pb2 import UserNotice

MAX_SN: Final = (1 << 31) - 1

PROFILE_TEXTS: Final = ("nick_name", "description", "public_info", "private_info")
SETTING_TEXTS: Final = ("auth_question", "auth_answer", "push_nick_name", "push_token")
SETTING_SWITCHES: Final = ("auto_download", "group_confirm", "no_push", "no_push_detail", "no_sounds", "vibratory")
SETTING_HOURS: Final = ("no_push_start_hour", "no_push_end_hour", "silence_start_time", "silence_end_time")
AUTH_MODES: Final = 3


def settings_of(info: AccountInfo) -> dict[str, Any]:
    """UserSettings of the REST reference."""
    names = ("auth_mode", *SETTING_TEXTS, *SETTING_SWITCHES, *SETTING_HOURS)
    return {"id": info.uid, "user_id": info.uid, **{name: getattr(info, name) for name in names}}


async def me(context: RequestContext) -> AccountInfo:
    """The caller's account. :raises CallError: 10000"""
    found = await accounts(context.shards, context.app.app_id, [context.uid])
    if context.uid not in found:
        raise CallError(Refusal.NO_SUCH_USER)
    return found[context.uid]


async def profile(context: RequestContext) -> object:
    """The caller's profile."""
    info = await me(context)
    names = ("username", "avatar", "email", "mobile", "alias", *PROFILE_TEXTS)
    return {"user_id": info.uid, **{name: getattr(info, name) for name in names}}


async def set_profile(context: RequestContext) -> object:
    """Change what is given of the profile."""
    return await _update(context, {name: context.params.text(name) for name in PROFILE_TEXTS if name in context.params})


async def settings(context: RequestContext) -> object:
    """The caller's settings."""
    return settings_of(await me(context))


async def set_settings(context: RequestContext) -> object:
    """Change what is given of the settings; ``user_id`` and ``id`` in the body name nobody else."""
    params = context.params
    changes: dict[str, Any] = {name: params.text(name) for name in SETTING_TEXTS if name in params}
    changes |= {name: params.switch(name) for name in SETTING_SWITCHES if name in params}
    changes |= {name: params.number(name, most=23) for name in SETTING_HOURS if name in params}
    if "auth_mode" in params:
        changes["auth_mode"] = params.number("auth_mode", most=AUTH_MODES)
    return await _update(context, changes)


async def set_auth_mode(context: RequestContext) -> object:
    """Change how others become friends."""
    return await _update(context, {"auth_mode": context.params.number("value", most=AUTH_MODES)})


def text(name: str, parameter: str = "") -> Handler:
    """A handler that sets one text, sent under its name or as ``parameter``."""

    async def handler(context: RequestContext) -> object:
        given = name if name in context.params else parameter or name
        return await _update(context, {name: context.params.text(given)})

    return handler


def switch(name: str) -> Handler:
    """A handler that sets one switch from ``value``."""

    async def handler(context: RequestContext) -> object:
        return await _update(context, {name: context.params.switch("value")})

    return handler


async def set_quiet_hours(context: RequestContext) -> object:
    """From when to when nothing is pushed: hours of the server's clock; the same hour twice ends it."""
    names = ("no_push_start_hour", "no_push_end_hour")
    return await _update(context, {name: context.params.number(name, most=23) for name in names})


async def online_status(context: RequestContext) -> object:
    """Is any device of the user connected?"""
    return {"online": bool(await ask(context.shards, context.uid, ListOnline([context.uid])))}


async def pins(context: RequestContext) -> object:
    """Conversations the caller has pinned, the latest first."""
    found = await ask(context.shards, context.uid, GetExtras(context.uid))
    return {"conversation_ids": found.pins}


def pin(*, pinned: bool) -> Handler:
    """A handler that pins or unpins a conversation."""

    async def handler(context: RequestContext) -> object:
        request = Pin(context.uid, context.params.entity("conversation_id"), pinned)
        return await ask(context.shards, context.uid, request)

    return handler


async def devices(context: RequestContext) -> object:
    """Devices the caller has logged in with."""
    rows = await ask(context.shards, context.uid, ListDevices(context.uid))
    data = [
        {
            "device_sn": row.device_sn,
            "platform": row.platform,
            "user_agent": row.user_agent,
            "user_id": row.user_id,
            "online": row.online,
            "last_seen": row.last_seen_ms,
        }
        for row in rows
    ]
    return Page(data, {"version": 0})


async def kick(context: RequestContext) -> object:
    """Log one device out, or all without ``device_sn``; all also ends the caller's tokens."""
    sn = context.params.number("device_sn", 0, most=MAX_SN)
    request = Kick(context.uid, sn, UserNotice.KICKED_BY_OTHER_DEVICE)
    await ask(context.shards, context.uid, request)
    return True


async def remove_device(context: RequestContext) -> object:
    """Log a device out and forget it."""
    sn = context.params.number("device_sn", least=1, most=MAX_SN)
    await ask(context.shards, context.uid, ForgetDevice(context.uid, sn))
    return True


async def _update(context: RequestContext, changes: dict[str, Any]) -> bool:
    if changes:
        await ask(context.shards, context.uid, UpdateAccount(context.uid, changes))
    return True


ENDPOINTS: Final = (
    Endpoint(GET, "/user/profile", profile),
    Endpoint(UPDATE, "/user/profile", set_profile),
    Endpoint(UPDATE, "/user/nickname", text("nick_name")),
    Endpoint(UPDATE, "/user/avatar", text("avatar")),
    Endpoint(UPDATE, "/user/public", text("public_info", "value")),
    Endpoint(UPDATE, "/user/private", text("private_info", "value")),
    Endpoint(UPDATE, "/user/download", switch("auto_download")),
    Endpoint(UPDATE, "/user/push", switch("no_push")),
    Endpoint(UPDATE, "/user/push/detail", switch("no_push_detail")),
    Endpoint(UPDATE, "/user/push/limit", set_quiet_hours),
    Endpoint(UPDATE, "/user/push/nickname", text("push_nick_name", "value")),
    Endpoint(UPDATE, "/user/sounds", switch("no_sounds")),
    Endpoint(UPDATE, "/user/vibratory", switch("vibratory")),
    Endpoint(GET, "/user/online_status", online_status),
    Endpoint(UPDATE, "/user/conversation/pin", pin(pinned=True)),
    Endpoint(UPDATE, "/user/conversation/unpin", pin(pinned=False)),
    Endpoint(GET, "/user/conversation/pin_list", pins),
    Endpoint(GET, "/user/settings", settings),
    Endpoint(UPDATE, "/user/settings", set_settings),
    Endpoint(UPDATE, "/user/authmode", set_auth_mode),
    Endpoint(GET, "/user/device/list", devices),
    Endpoint(REMOVE, "/user/device/remove", remove_device),
    Endpoint(UPDATE, "/user/kick", kick),
)
