"""Profile, settings, devices and password of the caller (xsync 2.4)."""

from __future__ import annotations

from typing import Any, Final

from lanying.bus.messages import (
    AccountInfo,
    DeviceInfo,
    ForgetDevice,
    Kick,
    ListDevices,
    UpdateAccount,
)
from lanying.bus.shards import accounts, ask
from lanying.gateway.codes import refuse
from lanying.gateway.endpoint import GET, REMOVE, UPDATE, Endpoint, Page, Visit
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
    found = await accounts(visit.services.shards, visit.app.app_id, [visit.uid])
    if visit.uid not in found:
        raise refuse(10000)
    return found[visit.uid]


async def profile(visit: Visit) -> object:
    """The caller's profile."""
    info = await me(visit)
    names = ("username", "avatar", "email", "mobile", "alias", *PROFILE_TEXTS)
    return {"user_id": info.uid, **{name: getattr(info, name) for name in names}}


async def set_profile(visit: Visit) -> object:
    """Change what is given of the profile."""
    return await _update(visit, {name: visit.params.text(name) for name in PROFILE_TEXTS if name in visit.params})


async def set_nickname(visit: Visit) -> object:
    """Change the nickname."""
    return await _update(visit, {"nick_name": visit.params.text("nick_name")})


async def set_avatar(visit: Visit) -> object:
    """Change the avatar: a URL, or the object name of an upload."""
    return await _update(visit, {"avatar": visit.params.text("avatar")})


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


async def devices(visit: Visit) -> object:
    """Devices the caller has logged in with."""
    rows = await ask(visit.services.shards, visit.uid, ListDevices(visit.uid), list[DeviceInfo])
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
    await ask(visit.services.shards, visit.uid, request, int)
    return True


async def remove_device(visit: Visit) -> object:
    """Log a device out and forget it."""
    sn = visit.params.number("device_sn", least=1, most=MAX_SN)
    await ask(visit.services.shards, visit.uid, ForgetDevice(visit.uid, sn), bool)
    return True


async def _update(visit: Visit, changes: dict[str, Any]) -> bool:
    if changes:
        await ask(visit.services.shards, visit.uid, UpdateAccount(visit.uid, changes), AccountInfo)
    return True


ENDPOINTS: Final = (
    Endpoint(GET, "/user/profile", profile),
    Endpoint(UPDATE, "/user/profile", set_profile),
    Endpoint(UPDATE, "/user/nickname", set_nickname),
    Endpoint(UPDATE, "/user/avatar", set_avatar),
    Endpoint(GET, "/user/settings", settings),
    Endpoint(UPDATE, "/user/settings", set_settings),
    Endpoint(UPDATE, "/user/authmode", set_auth_mode),
    Endpoint(GET, "/user/device/list", devices),
    Endpoint(REMOVE, "/user/device/remove", remove_device),
    Endpoint(UPDATE, "/user/kick", kick),
)
