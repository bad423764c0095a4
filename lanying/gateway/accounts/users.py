"""Profile, settings, devices and pinned conversations of the caller (xsync 2.4)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

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
from lanying.gateway.http.endpoint import GET, REMOVE, UPDATE, Endpoint, Handler, PagedResult, RequestContext
from lanying.gateway.http.kinds import AnyDevice, DeviceSn, EntityId, ReadByOthers, ShownName
from lanying.gateway.http.params import Also
from lanying.protocol.schema.xsync_pb2 import UserNotice

Hour = Annotated[int, msgspec.Meta(ge=0, le=23)]
AuthMode = Annotated[int, msgspec.Meta(ge=0, le=3)]
"""How others become friends."""


class ProfileChange(msgspec.Struct):
    """What is given of the profile; each attribute is one of :class:`AccountInfo`, as in all changes here."""

    nick_name: Annotated[str | None, ReadByOthers(name=True)] = None
    description: Annotated[str | None, ReadByOthers()] = None
    public_info: str | None = None
    private_info: str | None = None


class SettingsChange(msgspec.Struct):
    """What is given of the settings."""

    auth_mode: AuthMode | None = None
    auth_question: Annotated[str | None, ReadByOthers()] = None
    auth_answer: str | None = None
    push_nick_name: Annotated[str | None, ReadByOthers(name=True)] = None
    push_token: str | None = None
    auto_download: bool | None = None
    group_confirm: bool | None = None
    no_push: bool | None = None
    no_push_detail: bool | None = None
    no_sounds: bool | None = None
    vibratory: bool | None = None
    no_push_start_hour: Hour | None = None
    no_push_end_hour: Hour | None = None
    silence_start_time: Hour | None = None
    silence_end_time: Hour | None = None


class NickName(msgspec.Struct):
    nick_name: ShownName


class Avatar(msgspec.Struct):
    avatar: str


class PublicInfo(msgspec.Struct):
    public_info: Annotated[str, Also("public_info")] = msgspec.field(name="value")


class PrivateInfo(msgspec.Struct):
    private_info: Annotated[str, Also("private_info")] = msgspec.field(name="value")


class PushName(msgspec.Struct):
    push_nick_name: Annotated[str, Also("push_nick_name"), ReadByOthers(name=True)] = msgspec.field(name="value")


class AutoDownload(msgspec.Struct):
    auto_download: bool = msgspec.field(name="value")


class NoPush(msgspec.Struct):
    no_push: bool = msgspec.field(name="value")


class NoPushDetail(msgspec.Struct):
    no_push_detail: bool = msgspec.field(name="value")


class NoSounds(msgspec.Struct):
    no_sounds: bool = msgspec.field(name="value")


class Vibratory(msgspec.Struct):
    vibratory: bool = msgspec.field(name="value")


class NewAuthMode(msgspec.Struct):
    auth_mode: AuthMode = msgspec.field(name="value")


class QuietHours(msgspec.Struct):
    """From when to when nothing is pushed: hours of the server's clock; the same hour twice ends it."""

    no_push_start_hour: Hour
    no_push_end_hour: Hour


class Pinned(msgspec.Struct):
    """A conversation."""

    conversation_id: EntityId


class Devices(msgspec.Struct):
    """One device, or all."""

    device_sn: AnyDevice = 0


class OneDevice(msgspec.Struct):
    """One device."""

    device_sn: DeviceSn


def settings_of(info: AccountInfo) -> dict[str, Any]:
    """UserSettings of the REST reference."""
    return {"id": info.uid, "user_id": info.uid, **{it: getattr(info, it) for it in SettingsChange.__struct_fields__}}


async def me(context: RequestContext) -> AccountInfo:
    """The caller's account. :raises CallError: 10000"""
    found = await accounts(context.shards, context.app.app_id, [context.uid])
    if context.uid not in found:
        raise CallError(Refusal.NO_SUCH_USER)
    return found[context.uid]


async def profile(context: RequestContext) -> object:
    """The caller's profile."""
    info = await me(context)
    names = ("username", "avatar", "email", "mobile", "alias", *ProfileChange.__struct_fields__)
    return {"user_id": info.uid, **{name: getattr(info, name) for name in names}}


async def settings(context: RequestContext) -> object:
    """The caller's settings."""
    return settings_of(await me(context))


def changes(given: msgspec.Struct) -> dict[str, Any]:
    """What is given of the caller's account, by attribute."""
    return {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}


async def change(context: RequestContext, given: msgspec.Struct) -> object:
    """Change what is given of the caller's account; ``user_id`` and ``id`` in the body name nobody else."""
    if wanted := changes(given):
        await ask(context.shards, context.uid, UpdateAccount(context.uid, wanted))
    return True


async def online_status(context: RequestContext) -> object:
    """Is any device of the user connected?"""
    return {"online": bool(await ask(context.shards, context.uid, ListOnline([context.uid])))}


async def pins(context: RequestContext) -> object:
    """Conversations the caller has pinned, the latest first."""
    found = await ask(context.shards, context.uid, GetExtras(context.uid))
    return {"conversation_ids": found.pins}


def pin(*, pinned: bool) -> Handler:
    """A handler that pins or unpins a conversation."""

    async def handler(context: RequestContext, given: Pinned) -> object:
        return await ask(context.shards, context.uid, Pin(context.uid, given.conversation_id, pinned))

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
    return PagedResult(data, {"version": 0})


async def kick(context: RequestContext, given: Devices) -> object:
    """Log one device out, or all without ``device_sn``; all also ends the caller's tokens."""
    request = Kick(context.uid, given.device_sn, UserNotice.KICKED_BY_OTHER_DEVICE)
    await ask(context.shards, context.uid, request)
    return True


async def remove_device(context: RequestContext, given: OneDevice) -> object:
    """Log a device out and forget it."""
    await ask(context.shards, context.uid, ForgetDevice(context.uid, given.device_sn))
    return True


ENDPOINTS: Final = (
    Endpoint(GET, "/user/profile", profile),
    Endpoint(UPDATE, "/user/profile", change, takes=ProfileChange),
    Endpoint(UPDATE, "/user/nickname", change, takes=NickName),
    Endpoint(UPDATE, "/user/avatar", change, takes=Avatar),
    Endpoint(UPDATE, "/user/public", change, takes=PublicInfo),
    Endpoint(UPDATE, "/user/private", change, takes=PrivateInfo),
    Endpoint(UPDATE, "/user/download", change, takes=AutoDownload),
    Endpoint(UPDATE, "/user/push", change, takes=NoPush),
    Endpoint(UPDATE, "/user/push/detail", change, takes=NoPushDetail),
    Endpoint(UPDATE, "/user/push/limit", change, takes=QuietHours),
    Endpoint(UPDATE, "/user/push/nickname", change, takes=PushName),
    Endpoint(UPDATE, "/user/sounds", change, takes=NoSounds),
    Endpoint(UPDATE, "/user/vibratory", change, takes=Vibratory),
    Endpoint(GET, "/user/online_status", online_status),
    Endpoint(UPDATE, "/user/conversation/pin", pin(pinned=True)),
    Endpoint(UPDATE, "/user/conversation/unpin", pin(pinned=False)),
    Endpoint(GET, "/user/conversation/pin_list", pins),
    Endpoint(GET, "/user/settings", settings),
    Endpoint(UPDATE, "/user/settings", change, takes=SettingsChange),
    Endpoint(UPDATE, "/user/authmode", change, takes=NewAuthMode),
    Endpoint(GET, "/user/device/list", devices),
    Endpoint(REMOVE, "/user/device/remove", remove_device),
    Endpoint(UPDATE, "/user/kick", kick),
)
