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
from lanying.gateway.http.endpoint import GET, REMOVE, UPDATE, Endpoint, Handler, Page, Visit
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


async def me(visit: Visit) -> AccountInfo:
    """The caller's account. :raises CallError: 10000"""
    found = await accounts(visit.shards, visit.app.app_id, [visit.uid])
    if visit.uid not in found:
        raise CallError(Refusal.NO_SUCH_USER)
    return found[visit.uid]


async def profile(visit: Visit) -> object:
    """The caller's profile."""
    info = await me(visit)
    names = ("username", "avatar", "email", "mobile", "alias", *PROFILE_TEXTS)
    return {"user_id": info.uid, **{name: getattr(info, name) for name in names}}


async def set_profile(visit: Visit) -> object:
    """Change what is given of the profile."""
    return await _update(visit, {name: visit.params.text(name) for name in PROFILE_TEXTS if name in visit.params})


async def settings(visit: Visit) -> object:
    """The caller's settings."""
    return settings_of(await me(visit))


async def set_settings(visit: Visit) -> object:
    """Change what is given of the settings; ``user_id`` and ``id`` in the body name nobody else."""
    params = visit.params
    changes: dict[str, Any] = {name: params.text(name) for name in SETTING_TEXTS if name in params}
    changes |= {name: params.switch(name) for name in SETTING_SWITCHES if name in params}
    changes |= {name: params.number(name, most=23) for name in SETTING_HOURS if name in params}
    if "auth_mode" in params:
        changes["auth_mode"] = params.number("auth_mode", most=AUTH_MODES)
    return await _update(visit, changes)


async def set_auth_mode(visit: Visit) -> object:
    """Change how others become friends."""
    return await _update(visit, {"auth_mode": visit.params.number("value", most=AUTH_MODES)})


def text(name: str, parameter: str = "") -> Handler:
    """A handler that sets one text, sent under its name or as ``parameter``."""

    async def handler(visit: Visit) -> object:
        given = name if name in visit.params else parameter or name
        return await _update(visit, {name: visit.params.text(given)})

    return handler


def switch(name: str) -> Handler:
    """A handler that sets one switch from ``value``."""

    async def handler(visit: Visit) -> object:
        return await _update(visit, {name: visit.params.switch("value")})

    return handler


async def set_quiet_hours(visit: Visit) -> object:
    """From when to when nothing is pushed: hours of the server's clock; the same hour twice ends it."""
    names = ("no_push_start_hour", "no_push_end_hour")
    return await _update(visit, {name: visit.params.number(name, most=23) for name in names})


async def online_status(visit: Visit) -> object:
    """Is any device of the user connected?"""
    return {"online": bool(await ask(visit.shards, visit.uid, ListOnline([visit.uid])))}


async def pins(visit: Visit) -> object:
    """Conversations the caller has pinned, the latest first."""
    found = await ask(visit.shards, visit.uid, GetExtras(visit.uid))
    return {"conversation_ids": found.pins}


def pin(*, pinned: bool) -> Handler:
    """A handler that pins or unpins a conversation."""

    async def handler(visit: Visit) -> object:
        request = Pin(visit.uid, visit.params.entity("conversation_id"), pinned)
        return await ask(visit.shards, visit.uid, request)

    return handler


async def devices(visit: Visit) -> object:
    """Devices the caller has logged in with."""
    rows = await ask(visit.shards, visit.uid, ListDevices(visit.uid))
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


async def kick(visit: Visit) -> object:
    """Log one device out, or all without ``device_sn``; all also ends the caller's tokens."""
    sn = visit.params.number("device_sn", 0, most=MAX_SN)
    request = Kick(visit.uid, sn, UserNotice.KICKED_BY_OTHER_DEVICE)
    await ask(visit.shards, visit.uid, request)
    return True


async def remove_device(visit: Visit) -> object:
    """Log a device out and forget it."""
    sn = visit.params.number("device_sn", least=1, most=MAX_SN)
    await ask(visit.shards, visit.uid, ForgetDevice(visit.uid, sn))
    return True


async def _update(visit: Visit, changes: dict[str, Any]) -> bool:
    if changes:
        await ask(visit.shards, visit.uid, UpdateAccount(visit.uid, changes))
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
