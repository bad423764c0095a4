"""Friends, friend requests and blocks of the caller (xsync 2.5).

A roster item is put together here: the account from its own shard, the caller's notes about it from the caller's.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    STATE_DELETED,
    AccountInfo,
    AnswerApplication,
    ApplyFriend,
    Block,
    DeleteFriend,
    FindName,
    GetRelations,
    ListApplications,
    ListBlocked,
    ListFriends,
    RelationInfo,
    SetRelation,
)
from lanying.bus.shards import accounts, ask, ask_name
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, PagedResult, RequestContext
from lanying.gateway.http.kinds import EntityId, Handle, ShownText

BLOCKED: Final = 3
"""``relation`` of somebody the caller has blocked, friend or not."""
PAGE: Final = 1 << 31
"""Rows without a ``limit``: all there are, clients read one page only."""


class OfUser(msgspec.Struct):
    """A call about another user."""

    user_id: EntityId


class Friends(msgspec.Struct):
    """A page of friends: ``cursor`` is the last id seen."""

    cursor: Annotated[int, msgspec.Meta(ge=0, le=MAX_ENTITY_ID)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE)] = PAGE


class Users(msgspec.Struct):
    """Some users."""

    uids: list[EntityId] = msgspec.field(name="list", default_factory=list)


class NamedUser(msgspec.Struct):
    """A user by name."""

    username: Handle


class FriendRequest(OfUser):
    """A friend request."""

    alias: str = ""
    auth_answer: str = ""
    reason: ShownText = ""


class Declined(OfUser):
    """A friend request that is refused."""

    reason: ShownText = ""


class FriendRequests(msgspec.Struct):
    """A page of friend requests."""

    cursor: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE)] = PAGE


class Notes(OfUser):
    """What the caller notes about somebody; what is not given stays."""

    alias: str | None = None
    ext: str | None = None
    mute_notification: bool | None = None


def item(info: AccountInfo, notes: RelationInfo) -> dict[str, Any]:
    """RosterItemDto of the REST reference."""
    return {
        "user_id": info.uid,
        "username": info.username,
        "nick_name": info.nick_name,
        "alias": notes.alias,
        "avatar": info.avatar,
        "description": info.description,
        "public_info": info.public_info,
        "ext": notes.ext,
        "relation": BLOCKED if notes.blocked else notes.relation,
        "mute_notification": notes.mute_notification,
        "auth_mode": info.auth_mode,
        "auth_question": info.auth_question,
    }


async def friend_ids(context: RequestContext, given: Friends) -> object:
    """Ids of the caller's friends, all of them unless a ``limit`` is given."""
    found = await ask(context.shards, context.uid, ListFriends(context.uid, given.cursor, given.limit))
    return _page(found, given.limit, str(found[-1]) if found else "")


async def details(context: RequestContext, given: Users) -> object:
    """One item for each existing id asked, strangers and the caller included (xsync rule 22)."""
    found = await look(context, given.uids)
    return await _items(context, [found[uid] for uid in given.uids if uid in found])


async def look(context: RequestContext, uids: list[int]) -> dict[int, AccountInfo]:
    """Those of ``uids`` that exist. :raises CallError: 429, the caller has asked for too many that do not"""
    probes, who = context.services.probes, context.prober
    probes.may_look(who)
    found = await accounts(context.shards, context.app.app_id, uids)
    probes.missed(who, len(set(uids)) - len(found))
    return found


async def by_id(context: RequestContext, given: OfUser) -> object:
    """Look somebody up by id."""
    return await one(context, given.user_id)


async def by_name(context: RequestContext, given: NamedUser) -> object:
    """Look somebody up by user name."""
    app, probes = context.app.app_id, context.services.probes
    probes.may_look(context.prober)
    uid = await ask_name(context.shards, app, given.username, FindName(app, given.username))
    if not uid:
        probes.missed(context.prober, 1)
        raise CallError(Refusal.NO_SUCH_USER)
    return await one(context, uid)


async def apply(context: RequestContext, given: FriendRequest) -> object:
    """Ask somebody to be friends."""
    request = ApplyFriend(
        given.user_id,
        context.uid,
        context.app.app_id,
        reason=given.reason,
        alias=given.alias,
        answer=given.auth_answer,
    )
    await ask(context.shards, given.user_id, request)
    return True


async def accept(context: RequestContext, given: OfUser) -> object:
    """Accept a friend request."""
    request = AnswerApplication(context.uid, given.user_id, accept=True)
    return await ask(context.shards, context.uid, request)


async def decline(context: RequestContext, given: Declined) -> object:
    """Decline a friend request."""
    request = AnswerApplication(context.uid, given.user_id, accept=False, reason=given.reason)
    return await ask(context.shards, context.uid, request)


async def applications(context: RequestContext, given: FriendRequests) -> object:
    """Friend requests received, latest first."""
    request = ListApplications(context.uid, _place(given.cursor), given.limit)
    found = await ask(context.shards, context.uid, request)
    data = [
        {
            "user_id": row.applicant,
            "status": row.status,
            "reason": row.reason,
            "expired_time": row.expired_time,
        }
        for row in found
    ]
    return _page(data, given.limit, f"{found[-1].created_ms}-{found[-1].applicant}" if found else "")


async def delete(context: RequestContext, given: OfUser) -> object:
    """End a friendship; no error when there is none."""
    await ask(context.shards, context.uid, DeleteFriend(context.uid, given.user_id))
    return True


async def set_notes(context: RequestContext, given: Notes) -> object:
    """Remark, extension and mute of somebody; what is not given stays."""
    other = await _existing(context, given)
    request = SetRelation(
        context.uid,
        other,
        alias=given.alias,
        ext=given.ext,
        mute_notification=given.mute_notification,
        by_admin=context.admin,
    )
    return await ask(context.shards, context.uid, request)


async def block(context: RequestContext, given: OfUser) -> object:
    """Block somebody."""
    other = await _existing(context, given)
    return await ask(context.shards, context.uid, Block(context.uid, other, True, context.admin))


async def unblock(context: RequestContext, given: OfUser) -> object:
    """Unblock somebody."""
    other = await _existing(context, given)
    return await ask(context.shards, context.uid, Block(context.uid, other, False, context.admin))


async def blocked_ids(context: RequestContext) -> object:
    """Ids the caller has blocked."""
    return await ask(context.shards, context.uid, ListBlocked(context.uid))


async def one(context: RequestContext, uid: int) -> dict[str, Any]:
    """A user as a roster item of the caller. :raises CallError: 10000, 10021 the account was closed"""
    info = (await look(context, [uid])).get(uid)
    if info is None:
        raise CallError(Refusal.NO_SUCH_USER)
    if info.state == STATE_DELETED:
        raise CallError(Refusal.ACCOUNT_CLOSED)
    return (await _items(context, [info]))[0]


async def _items(context: RequestContext, infos: list[AccountInfo]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for start in range(0, len(infos), limits.REST_IDS_PER_CALL):
        part = infos[start : start + limits.REST_IDS_PER_CALL]
        request = GetRelations(context.uid, [info.uid for info in part])
        notes = await ask(context.shards, context.uid, request)
        items += map(item, part, notes)
    return items


async def _existing(context: RequestContext, given: OfUser) -> int:
    """The id in ``user_id``, of a user of the same app. :raises CallError: 10000"""
    if given.user_id not in await look(context, [given.user_id]):
        raise CallError(Refusal.NO_SUCH_USER)
    return given.user_id


def _place(cursor: str) -> tuple[int, int] | None:
    """Where a page of applications begins: ``ms-uid`` of the row before it."""
    if not cursor:
        return None
    created_ms, _, applicant = cursor.partition("-")
    if not (created_ms.isdecimal() and applicant.isdecimal()) or len(cursor) > 40:
        raise CallError(Refusal.INVALID_PARAMETER, "cursor is not one of this server's, begin without it")
    return min(int(created_ms), limits.MAX_JSON_INT), min(int(applicant), MAX_ENTITY_ID)


def _page(data: list[Any], limit: int, cursor: str) -> PagedResult:
    extra: dict[str, Any] = {"version": 0}
    if len(data) >= limit:
        extra["cursor"] = cursor
    return PagedResult(data, extra)


ENDPOINTS: Final = (
    Endpoint(GET, "/roster/list", friend_ids),
    Endpoint(POST, "/roster/list", details),
    Endpoint(GET, "/roster/id", by_id),
    Endpoint(GET, "/roster/name", by_name),
    Endpoint(POST, "/roster/apply", apply),
    Endpoint(UPDATE, "/roster/accept", accept),
    Endpoint(UPDATE, "/roster/decline", decline),
    Endpoint(GET, "/roster/apply/list", applications),
    Endpoint(REMOVE, "/roster/delete", delete),
    Endpoint(UPDATE, "/roster/ext", set_notes),
    Endpoint(UPDATE, "/roster/block", block),
    Endpoint(REMOVE, "/roster/unblock", unblock),
    Endpoint(GET, "/roster/blocked_list", blocked_ids),
)
