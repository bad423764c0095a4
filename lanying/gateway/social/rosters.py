"""Friends, friend requests and blocks of the caller (xsync 2.5).

A roster item is put together here: the account from its own shard, the caller's notes about it from the caller's.
"""

from __future__ import annotations

from typing import Any, Final

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
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, Page, RequestContext

BLOCKED: Final = 3
"""``relation`` of somebody the caller has blocked, friend or not."""
PAGE: Final = 1 << 31
"""Rows without a ``limit``: all there are, clients read one page only."""


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


async def friend_ids(context: RequestContext) -> object:
    """Ids of the caller's friends, all of them unless a ``limit`` is given."""
    limit = context.params.number("limit", PAGE, least=1, most=PAGE)
    after = context.params.number("cursor", 0, most=MAX_ENTITY_ID)
    found = await ask(context.shards, context.uid, ListFriends(context.uid, after, limit))
    return _page(found, limit, str(found[-1]) if found else "")


async def details(context: RequestContext) -> object:
    """One item for each existing id asked, strangers and the caller included (xsync rule 22)."""
    wanted = [uid for uid in context.params.entities("list") if 0 < uid <= MAX_ENTITY_ID]
    found = await accounts(context.shards, context.app.app_id, wanted)
    return await _items(context, [found[uid] for uid in wanted if uid in found])


async def by_id(context: RequestContext) -> object:
    """Look somebody up by id."""
    return await one(context, context.params.entity("user_id"))


async def by_name(context: RequestContext) -> object:
    """Look somebody up by user name."""
    app, name = context.app.app_id, context.params.text("username", most=limits.NAME_FIELD_CHARS)
    uid = await ask_name(context.shards, app, name, FindName(app, name))
    if not uid:
        raise CallError(Refusal.NO_SUCH_USER)
    return await one(context, uid)


async def apply(context: RequestContext) -> object:
    """Ask somebody to be friends."""
    params, other = context.params, context.params.entity("user_id")
    request = ApplyFriend(
        other,
        context.uid,
        context.app.app_id,
        reason=params.text("reason", ""),
        alias=params.text("alias", ""),
        answer=params.text("auth_answer", ""),
    )
    await ask(context.shards, other, request)
    return True


async def accept(context: RequestContext) -> object:
    """Accept a friend request."""
    request = AnswerApplication(context.uid, context.params.entity("user_id"), accept=True)
    return await ask(context.shards, context.uid, request)


async def decline(context: RequestContext) -> object:
    """Decline a friend request."""
    other, reason = context.params.entity("user_id"), context.params.text("reason", "")
    request = AnswerApplication(context.uid, other, accept=False, reason=reason)
    return await ask(context.shards, context.uid, request)


async def applications(context: RequestContext) -> object:
    """Friend requests received, latest first."""
    limit = context.params.number("limit", PAGE, least=1, most=PAGE)
    request = ListApplications(context.uid, _place(context.params.text("cursor", "")), limit)
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
    return _page(data, limit, f"{found[-1].created_ms}-{found[-1].applicant}" if found else "")


async def delete(context: RequestContext) -> object:
    """End a friendship; no error when there is none."""
    await ask(context.shards, context.uid, DeleteFriend(context.uid, context.params.entity("user_id")))
    return True


async def set_notes(context: RequestContext) -> object:
    """Remark, extension and mute of somebody; what is not given stays."""
    params = context.params
    other = await _existing(context)
    request = SetRelation(
        context.uid,
        other,
        alias=params.text("alias") if "alias" in params else None,
        ext=params.text("ext") if "ext" in params else None,
        mute_notification=params.switch("mute_notification") if "mute_notification" in params else None,
    )
    return await ask(context.shards, context.uid, request)


async def block(context: RequestContext) -> object:
    """Block somebody."""
    other = await _existing(context)
    return await ask(context.shards, context.uid, Block(context.uid, other, True))


async def unblock(context: RequestContext) -> object:
    """Unblock somebody."""
    other = await _existing(context)
    return await ask(context.shards, context.uid, Block(context.uid, other, False))


async def blocked_ids(context: RequestContext) -> object:
    """Ids the caller has blocked."""
    return await ask(context.shards, context.uid, ListBlocked(context.uid))


async def one(context: RequestContext, uid: int) -> dict[str, Any]:
    """A user as a roster item of the caller. :raises CallError: 10000, 10021 the account was closed"""
    info = (await accounts(context.shards, context.app.app_id, [uid])).get(uid)
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


async def _existing(context: RequestContext) -> int:
    """The id in ``user_id``, of a user of the same app. :raises CallError: 10000"""
    uid = context.params.entity("user_id")
    if uid not in await accounts(context.shards, context.app.app_id, [uid]):
        raise CallError(Refusal.NO_SUCH_USER)
    return uid


def _place(cursor: str) -> tuple[int, int] | None:
    """Where a page of applications begins: ``ms-uid`` of the row before it."""
    if not cursor:
        return None
    created_ms, _, applicant = cursor.partition("-")
    if not (created_ms.isdecimal() and applicant.isdecimal()) or len(cursor) > 40:
        raise CallError(Refusal.INVALID_PARAMETER, "cursor is not one of this server's, begin without it")
    return min(int(created_ms), limits.MAX_JSON_INT), min(int(applicant), MAX_ENTITY_ID)


def _page(data: list[Any], limit: int, cursor: str) -> Page:
    extra: dict[str, Any] = {"version": 0}
    if len(data) >= limit:
        extra["cursor"] = cursor
    return Page(data, extra)


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
