"""What all group handlers share: which group, whose rights, how to ask its shard, how rows look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    STATE_DELETED,
    CountGroups,
    GroupRequest,
    GroupView,
    Invitee,
    Joined,
    MemberInfo,
    Outcome,
    PeerQuery,
    PeerState,
)
from lanying.bus.messages.base import R
from lanying.bus.shards import accounts, ask
from lanying.gateway.http.endpoint import PagedResult, RequestContext
from lanying.gateway.http.kinds import EntityId, ShownName, ShownText

ADMIN: Final = 2
PAGE: Final = 1 << 31
"""Rows without a ``limit``: all there are, clients read one page only."""
AT_ONCE: Final = 50
"""Users asked about one by one are asked so many at a time."""
MOST_MINUTES: Final = limits.GROUP_BAN_MINUTES


Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE)]
Minutes = Annotated[int, msgspec.Meta(ge=-1, le=MOST_MINUTES)]
"""How long somebody may not write; -1: for ever."""


class OfGroup(msgspec.Struct):
    """A call about a group."""

    group_id: EntityId


class OfUsers(OfGroup):
    """A call about users and a group."""

    user_list: list[EntityId]


class GroupRows(OfGroup):
    """A page of a group's rows: ``cursor`` is the last id seen."""

    cursor: Annotated[int, msgspec.Meta(ge=0, le=MAX_ENTITY_ID)] = 0
    limit: Limit = PAGE


class TimePage(msgspec.Struct):
    """A page ordered by time: ``cursor`` has the numbers of the row before it."""

    cursor: str = ""
    limit: Limit = PAGE


class TextValue(OfGroup):
    """A text for a group."""

    value: str


class ShownTextValue(TextValue):
    """A text that others read."""

    value: ShownText


class ShownNameValue(TextValue):
    """A name that others read."""

    value: ShownName


class SwitchValue(OfGroup):
    """True or false for a group."""

    value: bool


async def ask_group(context: RequestContext, gid: int, request: type[GroupRequest[R]], *values: Any) -> R:
    """Ask the group's shard in the caller's name. :raises CallError: refused or 503"""
    rights = ADMIN if context.admin_of == gid else 0
    body = request(gid, context.uid, context.app.app_id, rights, *values)
    return await ask(context.shards, gid, body)


def check_minutes(duration: int) -> int:
    """:raises CallError: 10002, no minutes at all"""
    if not duration:
        raise CallError(Refusal.INVALID_PARAMETER, f"duration is 1 to {MOST_MINUTES} minutes, or -1 for ever")
    return duration


async def known(context: RequestContext, uids: list[int]) -> dict[int, bool]:
    """Those of ``uids`` who are users of this app, and whether they want to be asked before they are in a group."""
    found = await accounts(context.shards, context.app.app_id, uids)
    return {uid: info.group_confirm for uid, info in found.items() if info.state != STATE_DELETED}


async def joined(context: RequestContext, uid: int) -> list[int]:
    """Groups a user is in."""
    return await ask(context.shards, uid, Joined(uid))


async def need_place(context: RequestContext, uid: int) -> None:
    """:raises CallError: 20009, a user is in as many groups as they may; those that others put them in do not count"""
    agreed, _ = await ask(context.shards, uid, CountGroups(uid))
    if agreed >= limits.GROUPS_PER_USER:
        raise CallError(Refusal.TOO_MANY_GROUPS)


async def invitees(context: RequestContext, uids: list[int]) -> tuple[list[Invitee], dict[int, Outcome]]:
    """Users to bring in, and why others cannot be. Who is no friend of the caller is asked first, unless strangers may add; who has
    blocked the caller is left out in any case."""
    confirms = await known(context, uids)
    refused = {uid: Outcome(uid, Refusal.NO_SUCH_USER, "there is no such user") for uid in uids if uid not in confirms}
    if not context.admin:
        strangers_may = context.services.config.accounts.strangers_may_add_to_groups
        for uid, state in (await _relations(context, [uid for uid in uids if uid in confirms])).items():
            confirms[uid] = confirms[uid] or not (state.friend or strangers_may)
            if state.barred:
                refused[uid] = Outcome(uid, Refusal.BLOCKED_BY_USER, "has blocked you")
    direct = [uid for uid in uids if confirms.get(uid) is False and uid not in refused]
    for start in range(0, len(direct), AT_ONCE):
        part = direct[start : start + AT_ONCE]
        counts = await asyncio.gather(*(ask(context.shards, uid, CountGroups(uid)) for uid in part))
        for uid, (agreed, unasked) in zip(part, counts, strict=True):
            if agreed >= limits.GROUPS_PER_USER:
                refused[uid] = Outcome(uid, Refusal.TOO_MANY_GROUPS, "is in too many groups already")
            elif unasked >= limits.GROUPS_UNASKED and not context.admin:
                confirms[uid] = True
    return [Invitee(uid, confirms[uid]) for uid in uids if uid not in refused], refused


async def _relations(context: RequestContext, uids: list[int]) -> dict[int, PeerState]:
    """What users say about the caller."""
    found: dict[int, PeerState] = {}
    for start in range(0, len(uids), AT_ONCE):
        part = uids[start : start + AT_ONCE]
        asked = (ask(context.shards, uid, PeerQuery(uid, context.uid, context.app.app_id)) for uid in part)
        found.update(zip(part, await asyncio.gather(*asked), strict=True))
    return found


def row(outcome: Outcome, name: str = "user_id") -> dict[str, Any]:
    """A row of a batch."""
    return {name: outcome.id, "result": "success" if outcome.refusal is None else "fail", "reason": outcome.reason}


def details_of(view: GroupView) -> dict[str, Any]:
    """GroupInfoAndSettingsDto and GroupBrief of the REST reference in one, with both names of the owner."""
    info = view.info
    until_ms = info.ban_until_ms
    return {
        "group_id": info.gid,
        "name": info.name,
        "description": info.description,
        "avatar": info.avatar,
        "ext": info.ext,
        "type": info.type,
        "owner": info.owner,
        "owner_id": info.owner,
        "status": info.status,
        "count": info.count,
        "capacity": info.capacity,
        "created_at": info.created_ms,
        "updated_at": info.updated_ms,
        "member_invite": info.member_invite,
        "member_modify": info.member_modify,
        "read_ack": info.read_ack,
        "history_visible": info.history_visible,
        "hide_member_info": info.hide_member_info,
        "apply_approval": info.apply_approval,
        "ban_expire_time": until_ms // 1000 if until_ms > 0 else until_ms,
        "msg_mute_mode": view.mute_mode,
        "msg_push_mode": view.push_mode,
    }


def member_row(info: MemberInfo) -> dict[str, Any]:
    """GroupMember of the REST reference."""
    return {
        "user_id": info.uid,
        "display_name": info.display_name,
        "join_time": info.joined_ms,
        "expired_time": info.banned_until_ms,
    }


def page(data: list[Any], limit: int, cursor: str, total: int | None = None) -> PagedResult:
    """A list with its paging members."""
    extra: dict[str, Any] = {"version": 0}
    if total is not None:
        extra["total"] = total
    if len(data) >= limit:
        extra["cursor"] = cursor
    return PagedResult(data, extra)


def place_of(cursor: str, parts: int) -> tuple[int, ...] | None:
    """Where a page begins that is ordered by time: the numbers of the row before it. :raises CallError: 10002"""
    if not cursor:
        return None
    numbers = cursor.split("-")
    if len(numbers) != parts or len(cursor) > 60 or not all(it.isdecimal() and it.isascii() for it in numbers):
        raise CallError(Refusal.INVALID_PARAMETER, "cursor is not one of this server's, begin without it")
    return tuple(min(int(it), limits.MAX_JSON_INT) for it in numbers)


def date_time(ms: int) -> str:
    """Date and time as text."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
