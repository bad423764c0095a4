"""Who is calling (rest-api.md sections 1 and 3).

A token's signature and expiry are judged here, its revocation by the shard of its user (``first_call``). An admin token acts as the user
named in the header ``user_id``, with the rights of an admin in the group named in the header ``group_id``, whose owner they
act as when no user is named; a user token ignores these headers. Codes: 40000 unknown app, 10003 no token,
402 a token that is not good (any more), 10010 a user who may not.
"""

from __future__ import annotations

import msgspec

from lanying.base.errors import CallError, TokenError
from lanying.base.refusals import Refusal
from lanying.base.tokens import ADMINS, ROLE_ADMIN, ROLE_READER, ROLE_USER, Identity
from lanying.bus.messages import STATE_DELETED, CheckToken, GetGroups
from lanying.bus.shards import accounts, ask
from lanying.gateway.http.endpoint import RequestContext
from lanying.gateway.http.first_call import FirstCall
from lanying.gateway.http.kinds import EntityId
from lanying.gateway.http.params import read


class _ActingFor(msgspec.Struct):
    uid: EntityId = msgspec.field(name="header user_id")


class _ActingIn(msgspec.Struct):
    gid: EntityId = msgspec.field(name="header group_id")


async def authenticate(context: RequestContext, *, admin: bool = False, role: int = ROLE_USER) -> None:
    """Set ``context.uid`` and ``context.admin``.

    :param admin: no user may call this
    :param role: what a token that is no admin's has to be made for
    :raises CallError: see above
    """
    if not context.token:
        raise CallError(Refusal.NO_TOKEN)
    identity = identify(context)
    if identity.role == ROLE_READER and not (admin and context.request.method in ("GET", "HEAD")):
        raise CallError(Refusal.PERMISSION_DENIED, "this token only reads what administrators may see")
    if identity.role in ADMINS:
        context.admin = True
        if context.acting_in:
            context.admin_of = read(_ActingIn, {"header group_id": context.acting_in}).gid
        if context.acting_for or not admin:
            context.uid = await _acting_for(context)
        return
    if identity.role != role or identity.uid <= 0:
        raise CallError(Refusal.TOKEN_REJECTED)
    context.shards = FirstCall(context.shards, CheckToken(identity.app, identity.uid, identity.epoch))
    if admin:
        await context.shards.check()
        raise CallError(Refusal.PERMISSION_DENIED, "only an admin token may call this")
    context.uid = identity.uid


def identify(context: RequestContext) -> Identity:
    """The identity in the context's token, of its app. :raises CallError: 402"""
    try:
        return context.app.identify(context.token, context.services.now_ms())
    except TokenError as error:
        raise CallError(Refusal.TOKEN_REJECTED, f"{error}; log in again") from error


def has_token(context: RequestContext) -> bool:
    """Does a call that needs no token come with one of this app, revoked or not?"""
    try:
        return bool(context.token) and bool(identify(context))
    except CallError:
        return False


def is_admin(context: RequestContext) -> bool:
    """Does a call that needs no token come with a good admin token? Stale tokens of any kind are ignored there."""
    try:
        return bool(context.token) and identify(context).role == ROLE_ADMIN
    except CallError:
        return False


async def _acting_for(context: RequestContext) -> int:
    if not context.acting_for and context.admin_of:
        return await _owner(context, context.admin_of)
    if not context.acting_for:
        raise CallError(
            Refusal.INVALID_PARAMETER, "with an admin token, name the user you act for in the header user_id"
        )
    uid = read(_ActingFor, {"header user_id": context.acting_for}).uid
    info = (await accounts(context.shards, context.app.app_id, [uid])).get(uid)
    if info is None or info.state == STATE_DELETED:
        raise CallError(Refusal.NO_SUCH_USER)
    return uid


async def _owner(context: RequestContext, gid: int) -> int:
    found = await ask(context.shards, gid, GetGroups(0, context.app.app_id, [gid]))
    if not found:
        raise CallError(Refusal.NO_SUCH_GROUP)
    return found[0].info.owner
