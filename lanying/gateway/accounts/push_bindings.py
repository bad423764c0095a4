"""Where pushes for the caller go, and under which names they are addressed: device tokens, alias, tags, badge (rest-api.md section 5)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.names import compared
from lanying.base.refusals import Refusal
from lanying.bus.messages import BindPush, EditTags, GetExtras, SetBadge, SetPushAlias, UpdateAccount
from lanying.bus.shards import ask
from lanying.gateway.accounts import handles
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, RequestContext
from lanying.gateway.http.kinds import DeviceSn, Name
from lanying.gateway.http.params import Also

Tag = Annotated[str, msgspec.Meta(max_length=limits.PUSH_TAG_CHARS)]


class Binding(msgspec.Struct):
    """A vendor's token for a device."""

    device_sn: DeviceSn
    device_token: str
    notifier_name: Name


class Unbinding(msgspec.Struct):
    """A device; its parameter is written ``deviceSn``."""

    device_sn: Annotated[DeviceSn, Also("device_sn")] = msgspec.field(name="deviceSn")


class Alias(msgspec.Struct):
    """A push alias, empty for none."""

    alias: Tag
    push_token: str | None = None


class Tags(msgspec.Struct):
    """Some push tags."""

    tags: Annotated[list[Tag], msgspec.Meta(max_length=limits.PUSH_TAGS)]


class Badge(msgspec.Struct):
    """The number at an app's icon."""

    badge: Annotated[int, msgspec.Meta(ge=0, le=99_999)]


async def bind(context: RequestContext, given: Binding) -> object:
    """Pushes for one of the caller's devices go to this vendor token from now on."""
    if not (given.device_token and given.notifier_name):
        raise CallError(Refusal.INVALID_PARAMETER, "device_token and notifier_name are texts that are not empty")
    await ask(
        context.shards, context.uid, BindPush(context.uid, given.device_sn, given.notifier_name, given.device_token)
    )
    return True


async def unbind(context: RequestContext, given: Unbinding) -> object:
    """No more pushes for a device."""
    await ask(context.shards, context.uid, BindPush(context.uid, given.device_sn, "", ""))
    return {}


async def set_alias(context: RequestContext, given: Alias) -> object:
    """Give the caller a push alias nobody else of the app has; an empty one takes it away."""
    await bind_alias(context, context.uid, given.alias)
    if given.push_token is not None:
        await ask(context.shards, context.uid, UpdateAccount(context.uid, {"push_token": given.push_token}))
    return True


async def bind_alias(context: RequestContext, uid: int, alias: str) -> None:
    """:raises CallError: 10011 somebody else has this alias"""
    if alias:
        await handles.claim(context, handles.ALIAS + alias, uid, Refusal.ALIAS_TAKEN)
    before = await ask(context.shards, uid, SetPushAlias(uid, alias))
    if before and compared(before) != compared(alias):
        await handles.release(context, handles.ALIAS + before, uid)


async def tags(context: RequestContext) -> object:
    """The caller's push tags."""
    return (await ask(context.shards, context.uid, GetExtras(context.uid))).tags


async def add_tags(context: RequestContext, given: Tags) -> object:
    """Give the caller push tags."""
    return await ask(context.shards, context.uid, EditTags(context.uid, add=given.tags))


async def remove_tags(context: RequestContext, given: Tags) -> object:
    """Take push tags away."""
    return await ask(context.shards, context.uid, EditTags(context.uid, remove=given.tags))


async def clear_tags(context: RequestContext) -> object:
    """Take all push tags away."""
    return await ask(context.shards, context.uid, EditTags(context.uid, clear=True))


async def set_badge(context: RequestContext, given: Badge) -> object:
    """The number the app shows at its icon now; pushes count on from it."""
    return await ask(context.shards, context.uid, SetBadge(context.uid, given.badge))


ENDPOINTS: Final = (
    Endpoint(UPDATE, "/user/token/bind", bind),
    Endpoint(REMOVE, "/user/token/unbind", unbind),
    Endpoint(POST, "/user/push/alias", set_alias),
    Endpoint(POST, "/user/push/badge", set_badge),
    Endpoint(GET, "/user/push/tag", tags),
    Endpoint(POST, "/user/push/tag", add_tags),
    Endpoint(("DELETE",), "/user/push/tag", remove_tags),
    Endpoint(("DELETE",), "/user/push/tag/all", clear_tags),
)
