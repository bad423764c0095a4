"""Groups: reading, founding, properties, ownership, the end (xsync 2.6).

``members`` ``entry`` ``items`` have the rest of the area, ``context`` what all share.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    BanGroup,
    CreateGroup,
    DestroyGroup,
    EditGroup,
    GetGroups,
    GroupView,
    ListPublic,
    Outcome,
    SetAdmins,
    TransferGroup,
)
from lanying.bus.shards import ask, ask_owners, ask_shard
from lanying.gateway.groups import entry, items, members
from lanying.gateway.groups.context import (
    Minutes,
    OfGroup,
    OfUsers,
    ShownNameValue,
    ShownTextValue,
    SwitchValue,
    TextValue,
    ask_group,
    check_minutes,
    details_of,
    invitees,
    joined,
    need_place,
    row,
)
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, Handler, RequestContext
from lanying.gateway.http.kinds import EntityId, OrSwitch, ShownName, ShownText


class Groups(msgspec.Struct):
    """Some groups."""

    group_list: list[EntityId]


class NewGroup(msgspec.Struct):
    """A group to found."""

    name: ShownName = ""
    description: ShownText = ""
    avatar: str = ""
    type: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    user_list: list[EntityId] = []


class NewOwner(OfGroup):
    """Who gets a group."""

    new_owner: EntityId


class Approval(OfGroup):
    """Who applies is let in (0), judged (1) or refused (2); clients send false for 0 (xsync 2.6)."""

    apply_approval: Annotated[int, msgspec.Meta(ge=0, le=2), OrSwitch()]


class GroupBan(OfGroup):
    """How long only admins may write."""

    duration: Minutes


# --- reading ---------------------------------------------------------------------------------------------------


async def joined_ids(context: RequestContext) -> object:
    """Ids of the caller's groups."""
    return await joined(context, context.uid)


async def info(context: RequestContext, given: OfGroup) -> object:
    """One group, for members and others."""
    found = await _look(context, [given.group_id])
    if not found:
        raise CallError(Refusal.NO_SUCH_GROUP)
    return details_of(found[given.group_id])


async def details(context: RequestContext, given: Groups) -> object:
    """Those of the groups asked for that exist, in their order."""
    found = await _look(context, given.group_list)
    return [details_of(found[gid]) for gid in given.group_list if gid in found]


async def _look(context: RequestContext, gids: list[int]) -> dict[int, GroupView]:
    """Those of ``gids`` that exist. :raises CallError: 429, the caller has asked for too many that do not, or are not theirs"""
    probes, who = context.services.probes, context.prober
    probes.may_look(who)
    views = await ask_owners(context.shards, gids, partial(GetGroups, _viewer(context), context.app.app_id))
    found = {view.info.gid: view for view in views}
    foreign = sum(1 for view in views if not view.info.owner)  # of these strangers see a name and a picture
    probes.missed(who, len(set(gids)) - len(found) + foreign)
    return found


def _viewer(context: RequestContext) -> int:
    """Who looks: 0, who sees everything, for an admin that acts for nobody."""
    return 0 if context.admin and not context.acting_for else context.uid


async def public(context: RequestContext) -> object:
    """Ids of public groups, at most :data:`~lanying.base.limits.REST_IDS`."""
    shards = context.shards
    gids: list[int] = []
    for shard in shards.map.peers:
        after = 0
        for _ in range(limits.LIST_ROUNDS):
            part = await ask_shard(shards, shard, ListPublic(context.app.app_id, after))
            gids += part.gids
            after = part.next
            if not after or len(gids) >= limits.REST_IDS:
                break
    return sorted(gids)[: limits.REST_IDS]


# --- founding and ending -----------------------------------------------------------------------------------------


async def create(context: RequestContext, given: NewGroup) -> object:
    """Found a group; users of the list are in at once, or invited when they want to be asked. Unknown ones are left out."""
    await need_place(context, context.uid)
    wanted, _ = await invitees(context, [uid for uid in given.user_list if uid != context.uid])
    request = CreateGroup(
        context.uid,
        context.app.app_id,
        given.type,
        given.name,
        given.description,
        given.avatar,
        wanted,
        context.services.config.policy.group_members,
        context.admin,
    )
    return details_of(await ask(context.shards, context.uid, request))


async def transfer(context: RequestContext, given: NewOwner) -> object:
    """Hand the group to a member."""
    await ask_group(context, given.group_id, TransferGroup, given.new_owner)
    return row(Outcome(given.new_owner))


async def destroy(context: RequestContext, given: OfGroup) -> object:
    """End the group."""
    return await ask_group(context, given.group_id, DestroyGroup)


def admins(granted: bool) -> Handler:
    """Make members admins, or plain members again."""

    async def handler(context: RequestContext, given: OfUsers) -> object:
        return [row(it) for it in await ask_group(context, given.group_id, SetAdmins, given.user_list, granted)]

    return handler


# --- properties --------------------------------------------------------------------------------------------------


def text(name: str) -> Handler:
    """Set a property of text."""

    async def handler(context: RequestContext, given: TextValue) -> object:
        await ask_group(context, given.group_id, EditGroup, name, given.value)
        return True

    return handler


def switch(name: str) -> Handler:
    """Set a property that is true or false."""

    async def handler(context: RequestContext, given: SwitchValue) -> object:
        await ask_group(context, given.group_id, EditGroup, name, given.value)
        return True

    return handler


async def set_approval(context: RequestContext, given: Approval) -> object:
    """Who applies is let in, judged or refused."""
    await ask_group(context, given.group_id, EditGroup, "apply_approval", given.apply_approval)
    return True


async def ban_all(context: RequestContext, given: GroupBan) -> object:
    """Let only admins write for a while."""
    until_ms = await ask_group(context, given.group_id, BanGroup, check_minutes(given.duration))
    return {"ban_expire_time": until_ms // 1000 if until_ms > 0 else until_ms}


async def unban_all(context: RequestContext, given: OfGroup) -> object:
    """Let everybody write."""
    await ask_group(context, given.group_id, BanGroup, 0)
    return True


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
    Endpoint(UPDATE, "/group/info/name", text("name"), takes=ShownNameValue),
    Endpoint(UPDATE, "/group/info/description", text("description"), takes=ShownTextValue),
    *(Endpoint(UPDATE, f"/group/info/{name}", text(name)) for name in ("avatar", "ext")),
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
