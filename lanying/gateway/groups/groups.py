"""Groups: reading, founding, properties, ownership, the end (xsync 2.6).

``group_members`` ``group_entry`` ``group_items`` have the rest of the area, ``group_visit`` what all share.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    BanGroup,
    CreateGroup,
    DestroyGroup,
    EditGroup,
    GetGroups,
    ListPublic,
    Outcome,
    SetAdmins,
    TransferGroup,
)
from lanying.bus.shards import ask, ask_owners, ask_shard
from lanying.gateway.groups import entry, items, members
from lanying.gateway.groups.context import (
    ask_group,
    details_of,
    group_of,
    invitees,
    joined,
    minutes_of,
    need_place,
    row,
    users_of,
)
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, Handler, RequestContext
from lanying.gateway.http.params import Params

TYPES: Final = 3
APPROVALS: Final = 2


# --- reading ---------------------------------------------------------------------------------------------------


async def joined_ids(context: RequestContext) -> object:
    """Ids of the caller's groups."""
    return await joined(context, context.uid)


async def info(context: RequestContext) -> object:
    """One group, for members and others."""
    gid = group_of(context)
    request = GetGroups(_viewer(context), context.app.app_id, [gid])
    found = await ask(context.shards, gid, request)
    if not found:
        raise CallError(Refusal.NO_SUCH_GROUP)
    return details_of(found[0])


async def details(context: RequestContext) -> object:
    """Those of the groups asked for that exist, in their order."""
    shards, wanted = context.shards, users_of(context, "group_list")
    views = await ask_owners(shards, wanted, partial(GetGroups, _viewer(context), context.app.app_id))
    found = {view.info.gid: view for view in views}
    return [details_of(found[gid]) for gid in wanted if gid in found]


def _viewer(context: RequestContext) -> int:
    """Who looks: 0, who sees everything, for an admin that acts for nobody."""
    return 0 if context.admin and not context.acting_for else context.uid


async def public(context: RequestContext) -> object:
    """Ids of public groups, at most :data:`~lanying.base.limits.REST_IDS`."""
    shards = context.shards
    gids: list[int] = []
    for shard in shards.map.peers:
        after = 0
        while len(gids) < limits.REST_IDS:
            part = await ask_shard(shards, shard, ListPublic(context.app.app_id, after))
            gids += part.gids
            after = part.next
            if not after:
                break
    return sorted(gids)[: limits.REST_IDS]


# --- founding and ending -----------------------------------------------------------------------------------------


async def create(context: RequestContext) -> object:
    """Found a group; users of the list are in at once, or invited when they want to be asked. Unknown ones are left out."""
    params = context.params
    kind = params.number("type", 0, most=TYPES)
    name, description, avatar = (params.text(it, "") for it in ("name", "description", "avatar"))
    await need_place(context, context.uid)
    asked = [uid for uid in params.entities("user_list") if 0 < uid <= MAX_ENTITY_ID and uid != context.uid]
    wanted, _ = await invitees(context, asked)
    capacity = context.services.config.policy.group_members
    request = CreateGroup(
        context.uid, context.app.app_id, kind, name, description, avatar, wanted, capacity, context.admin
    )
    return details_of(await ask(context.shards, context.uid, request))


async def transfer(context: RequestContext) -> object:
    """Hand the group to a member."""
    new_owner = context.params.entity("new_owner")
    await ask_group(context, TransferGroup, new_owner)
    return row(Outcome(new_owner))


async def destroy(context: RequestContext) -> object:
    """End the group."""
    return await ask_group(context, DestroyGroup)


def admins(granted: bool) -> Handler:
    """Make members admins, or plain members again."""

    async def handler(context: RequestContext) -> object:
        return [row(it) for it in await ask_group(context, SetAdmins, users_of(context), granted)]

    return handler


# --- properties --------------------------------------------------------------------------------------------------


def text(name: str) -> Handler:
    """Set a property of text."""

    async def handler(context: RequestContext) -> object:
        await ask_group(context, EditGroup, name, context.params.text("value"))
        return True

    return handler


def switch(name: str) -> Handler:
    """Set a property that is true or false."""

    async def handler(context: RequestContext) -> object:
        await ask_group(context, EditGroup, name, context.params.switch("value"))
        return True

    return handler


async def set_approval(context: RequestContext) -> object:
    """Who applies is let in, judged or refused."""
    await ask_group(context, EditGroup, "apply_approval", _approval(context.params))
    return True


async def ban_all(context: RequestContext) -> object:
    """Let only admins write for a while."""
    until_ms = await ask_group(context, BanGroup, minutes_of(context))
    return {"ban_expire_time": until_ms // 1000 if until_ms > 0 else until_ms}


async def unban_all(context: RequestContext) -> object:
    """Let everybody write."""
    await ask_group(context, BanGroup, 0)
    return True


def _approval(params: Params) -> int:
    """A falsy value keeps whatever type the caller gave it (xsync 2.6): false is 0 here."""
    try:
        return params.number("apply_approval", most=APPROVALS)
    except CallError as error:
        if "apply_approval" not in params:
            raise
        try:
            return int(params.switch("apply_approval"))
        except CallError:
            raise error from None


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(GET, "/group/user_joined", joined_ids),
    Endpoint(GET, "/group/info", info),
    Endpoint(GET, "/group/settings", info),
    Endpoint(POST, "/group/info/batch", details),
    Endpoint(GET, "/group/public_list", public),
    Endpoint(POST, "/group/create", create),
    Endpoint(UPDATE, "/group/transfer", transfer),
    Endpoint(REMOVE, "/group/destroy", destroy),
    Endpoint(POST, "/group/admin/add", admins(granted=True)),
    Endpoint(REMOVE, "/group/admin/remove", admins(granted=False)),
    *(Endpoint(UPDATE, f"/group/info/{name}", text(name)) for name in ("name", "description", "avatar", "ext")),
    Endpoint(UPDATE, "/group/settings/allow_member_invitation", switch("member_invite")),
    Endpoint(UPDATE, "/group/settings/allow_member_modify", switch("member_modify")),
    Endpoint(UPDATE, "/group/settings/enable_read_ack", switch("read_ack")),
    Endpoint(UPDATE, "/group/settings/history_visible", switch("history_visible")),
    Endpoint(UPDATE, "/group/settings/hide_member_info", switch("hide_member_info")),
    Endpoint(UPDATE, "/group/settings/require_admin_approval", set_approval),
    Endpoint(POST, "/group/settings/ban_all", ban_all),
    Endpoint(POST, "/group/settings/unban_all", unban_all),
    *members.ENDPOINTS,
    *entry.ENDPOINTS,
    *items.ENDPOINTS,
)
