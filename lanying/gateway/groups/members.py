"""Members of a group: lists, removal, silence, block list, own settings of a member (xsync 2.6)."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

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
    GroupRows,
    Minutes,
    OfGroup,
    OfUsers,
    ShownNameValue,
    SwitchValue,
    ask_group,
    check_minutes,
    date_time,
    known,
    member_row,
    page,
    row,
)
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, Handler, RequestContext
from lanying.gateway.http.kinds import ShownText

MUTE_MODES: Final = 2
NO_ALERT: Final = 1
MODES: Final = 1000
"""Push modes are judged by the shard, which has a code of its own for them."""


class Removal(OfUsers):
    """Members to remove."""

    reason: ShownText = ""


class MemberBan(OfUsers):
    """How long members may not write."""

    duration: Minutes


class MuteMode(OfGroup):
    """How the caller is notified of messages."""

    msg_mute_mode: Annotated[int, msgspec.Meta(ge=0, le=MUTE_MODES)]


class PushMode(OfGroup):
    """What the caller is pushed."""

    msg_push_mode: Annotated[int, msgspec.Meta(ge=0, le=MODES)]


def members(banned: bool) -> Handler:
    """Members by page, or those of them who may not write."""

    async def handler(context: RequestContext, given: GroupRows) -> object:
        found = await ask_group(context, given.group_id, ListMembers, given.cursor, given.limit, banned)
        return page([member_row(it) for it in found.rows], given.limit, _last(found), found.total)

    return handler


async def admins(context: RequestContext, given: OfGroup) -> object:
    """The admins, without the owner."""
    return [member_row(it) for it in await ask_group(context, given.group_id, ListAdmins)]


async def name_cards(context: RequestContext, given: OfUsers) -> object:
    """A row for every id asked."""
    uids = given.user_list
    found: list[dict[str, Any]] = []
    for start in range(0, max(1, len(uids)), limits.REST_IDS_PER_CALL):
        part = uids[start : start + limits.REST_IDS_PER_CALL]
        found += [member_row(it) for it in await ask_group(context, given.group_id, GetMembers, part)]
    return found


async def blocked(context: RequestContext, given: GroupRows) -> object:
    """The block list."""
    gid = given.group_id
    found = await ask_group(context, gid, ListGroupBlocked, given.cursor, given.limit)
    rows = [{"user_id": it.uid, "group_id": gid, "created_at": date_time(it.joined_ms)} for it in found.rows]
    return page(rows, given.limit, _last(found), found.total)


async def kick(context: RequestContext, given: Removal) -> object:
    """Remove members."""
    return [row(it) for it in await ask_group(context, given.group_id, KickMembers, given.user_list, given.reason)]


async def leave(context: RequestContext, given: OfGroup) -> object:
    """Leave."""
    return await ask_group(context, given.group_id, LeaveGroup)


async def block(context: RequestContext, given: OfUsers) -> object:
    """Put users on the block list."""
    uids = given.user_list
    found = await known(context, uids)
    rows = await ask_group(context, given.group_id, BlockUsers, [uid for uid in uids if uid in found], True)
    outcomes = {it.id: it for it in rows}
    return [row(outcomes.get(uid) or Outcome(uid, Refusal.NO_SUCH_USER, "there is no such user")) for uid in uids]


async def unblock(context: RequestContext, given: OfUsers) -> object:
    """Take users off the block list."""
    return [row(it) for it in await ask_group(context, given.group_id, BlockUsers, given.user_list, False)]


async def ban(context: RequestContext, given: MemberBan) -> object:
    """Members may not write for a while."""
    minutes = check_minutes(given.duration)
    return [row(it) for it in await ask_group(context, given.group_id, BanMembers, given.user_list, minutes)]


async def unban(context: RequestContext, given: OfUsers) -> object:
    """Members may write again."""
    return [row(it) for it in await ask_group(context, given.group_id, BanMembers, given.user_list, 0)]


async def set_name(context: RequestContext, given: ShownNameValue) -> object:
    """The caller's name card."""
    return await ask_group(context, given.group_id, SetMember, given.value)


async def set_mute_mode(context: RequestContext, given: MuteMode) -> object:
    """How the caller is notified of messages."""
    await ask_group(context, given.group_id, SetMember, None, given.msg_mute_mode)
    return {}


async def set_push_mode(context: RequestContext, given: PushMode) -> object:
    """What the caller is pushed."""
    await ask_group(context, given.group_id, SetMember, None, None, given.msg_push_mode)
    return {}


async def set_not_disturb(context: RequestContext, given: SwitchValue) -> object:
    """The older switch between two mute modes."""
    return await ask_group(context, given.group_id, SetMember, None, NO_ALERT if given.value else 0)


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
