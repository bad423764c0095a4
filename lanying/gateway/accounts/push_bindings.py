"""Where pushes for the caller go, and under which names they are addressed: device tokens, alias, tags, badge (rest-api.md section 5)."""

from __future__ import annotations

from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.names import compared
from lanying.base.refusals import Refusal
from lanying.bus.messages import BindPush, EditTags, GetExtras, SetBadge, SetPushAlias, UpdateAccount
from lanying.bus.shards import ask
from lanying.gateway.accounts import handles
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, RequestContext

MAX_SN: Final = (1 << 31) - 1
MOST_BADGE: Final = 99_999


async def bind(context: RequestContext) -> object:
    """Pushes for one of the caller's devices go to this vendor token from now on."""
    params = context.params
    sn = params.number("device_sn", least=1, most=MAX_SN)
    token, notifier = params.text("device_token"), params.text("notifier_name", most=limits.NAME_FIELD_CHARS)
    if not (token and notifier):
        raise CallError(Refusal.INVALID_PARAMETER, "device_token and notifier_name are texts that are not empty")
    await ask(context.shards, context.uid, BindPush(context.uid, sn, notifier, token))
    return True


async def unbind(context: RequestContext) -> object:
    """No more pushes for a device; the parameter is written ``deviceSn``."""
    name = "device_sn" if "device_sn" in context.params else "deviceSn"
    sn = context.params.number(name, least=1, most=MAX_SN)
    await ask(context.shards, context.uid, BindPush(context.uid, sn, "", ""))
    return {}


async def set_alias(context: RequestContext) -> object:
    """Give the caller a push alias nobody else of the app has; an empty one takes it away."""
    await bind_alias(context, context.uid, context.params.text("alias", most=limits.PUSH_TAG_CHARS))
    if "push_token" in context.params:
        change = UpdateAccount(context.uid, {"push_token": context.params.text("push_token")})
        await ask(context.shards, context.uid, change)
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


async def add_tags(context: RequestContext) -> object:
    """Give the caller push tags."""
    return await ask(context.shards, context.uid, EditTags(context.uid, add=_tags(context)))


async def remove_tags(context: RequestContext) -> object:
    """Take push tags away."""
    return await ask(context.shards, context.uid, EditTags(context.uid, remove=_tags(context)))


async def clear_tags(context: RequestContext) -> object:
    """Take all push tags away."""
    return await ask(context.shards, context.uid, EditTags(context.uid, clear=True))


async def set_badge(context: RequestContext) -> object:
    """The number the app shows at its icon now; pushes count on from it."""
    badge = context.params.number("badge", most=MOST_BADGE)
    return await ask(context.shards, context.uid, SetBadge(context.uid, badge))


def _tags(context: RequestContext) -> list[str]:
    return context.params.texts("tags", most=limits.PUSH_TAGS, chars=limits.PUSH_TAG_CHARS)


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
