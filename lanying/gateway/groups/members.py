"""Members of a group: lists, removal, silence, block list, own settings of a member (xsync 2.6)."""

from __future__ import annotations

from typing import Any, Final

from lanying.base import limits
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    BanMembers,
    BlockUsers,
    GetMembers,
    KickMembers,
    LeaveGroup,
    ListAdmins,
    ListGroupBlocked,
    ListMembers,
    MemberPage,
    Outcome,
    SetMember,
)
from lanying.gateway.groups.context import (
    ask_group,
    date_time,
    group_of,
    known,
    member_row,
    minutes_of,
    page,
    page_of,
    row,
    users_of,
)
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, Handler, RequestContext

MUTE_MODES: Final = 2
NO_ALERT: Final = 1
MODES: Final = 1000
"""Push modes are judged by the shard, which has a code of its own for them."""


def members(banned: bool) -> Handler:
    """Members by page, or those of them who may not write."""

    async def handler(context: RequestContext) -> object:
        after, limit = page_of(context)
        found = await ask_group(context, ListMembers, after, limit, banned)
        return page([member_row(it) for it in found.rows], limit, _last(found), found.total)

    return handler


async def admins(context: RequestContext) -> object:
    """The admins, without the owner."""
    return [member_row(it) for it in await ask_group(context, ListAdmins)]


async def name_cards(context: RequestContext) -> object:
    """A row for every id asked."""
    uids = users_of(context)
    found: list[dict[str, Any]] = []
    for start in range(0, max(1, len(uids)), limits.REST_IDS_PER_CALL):
        part = uids[start : start + limits.REST_IDS_PER_CALL]
        found += [member_row(it) for it in await ask_group(context, GetMembers, part)]
    return found


async def blocked(context: RequestContext) -> object:
    """The block list."""
    after, limit = page_of(context)
    found = await ask_group(context, ListGroupBlocked, after, limit)
    gid = group_of(context)
    rows = [{"user_id": it.uid, "group_id": gid, "created_at": date_time(it.joined_ms)} for it in found.rows]
    return page(rows, limit, _last(found), found.total)


async def kick(context: RequestContext) -> object:
    """Remove members."""
    uids, reason = users_of(context), context.params.text("reason", "")
    return [row(it) for it in await ask_group(context, KickMembers, uids, reason)]


async def leave(context: RequestContext) -> object:
    """Leave."""
    return await ask_group(context, LeaveGroup)


async def block(context: RequestContext) -> object:
    """Put users on the block list."""
    uids = users_of(context)
    found = await known(context, uids)
    rows = await ask_group(context, BlockUsers, [uid for uid in uids if uid in found], True)
    outcomes = {it.id: it for it in rows}
    return [row(outcomes.get(uid) or Outcome(uid, Refusal.NO_SUCH_USER, "there is no such user")) for uid in uids]


async def unblock(context: RequestContext) -> object:
    """Take users off the block list."""
    return [row(it) for it in await ask_group(context, BlockUsers, users_of(context), False)]


async def ban(context: RequestContext) -> object:
    """Members may not write for a while."""
    uids, minutes = users_of(context), minutes_of(context)
    return [row(it) for it in await ask_group(context, BanMembers, uids, minutes)]


async def unban(context: RequestContext) -> object:
    """Members may write again."""
    return [row(it) for it in await ask_group(context, BanMembers, users_of(context), 0)]


async def set_name(context: RequestContext) -> object:
    """The caller's name card."""
    return await ask_group(context, SetMember, context.params.text("value"))


async def set_mute_mode(context: RequestContext) -> object:
    """How the caller hears of messages."""
    await ask_group(context, SetMember, None, context.params.number("msg_mute_mode", most=MUTE_MODES))
    return {}


async def set_push_mode(context: RequestContext) -> object:
    """What the caller is pushed."""
    await ask_group(context, SetMember, None, None, context.params.number("msg_push_mode", most=MODES))
    return {}


async def set_not_disturb(context: RequestContext) -> object:
    """The older switch between two mute modes."""
    mode = NO_ALERT if context.params.switch("value") else 0
    return await ask_group(context, SetMember, None, mode)


def _last(found: MemberPage) -> str:
    return str(found.rows[-1].uid) if found.rows else ""


ENDPOINTS: Final = (
    Endpoint(GET, "/group/member_list", members(banned=False)),
    Endpoint(GET, "/group/banned_list", members(banned=True)),
    Endpoint(GET, "/group/admin_list", admins),
    Endpoint(POST, "/group/members/display_name", name_cards),
    Endpoint(GET, "/group/blocked_list", blocked),
    Endpoint(REMOVE, "/group/kick", kick),
    Endpoint(REMOVE, "/group/leave", leave),
    Endpoint(POST, "/group/block", block),
    Endpoint(REMOVE, "/group/unblock", unblock),
    Endpoint(POST, "/group/ban", ban),
    Endpoint(POST, "/group/unban", unban),
    Endpoint(UPDATE, "/group/display_name", set_name),
    Endpoint(UPDATE, "/group/msg/mute_mode", set_mute_mode),
    Endpoint(UPDATE, "/group/msg/push_mode", set_push_mode),
    Endpoint(POST, "/group/msg/not_disturb", set_not_disturb),
)
