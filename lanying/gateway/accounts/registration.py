"""New accounts: named, throw-away, for pushes only, many at once (rest-api.md section 3)."""

from __future__ import annotations

import secrets
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.names import username_error
from lanying.base.refusals import Refusal
from lanying.bus.messages import AccountInfo, ClaimAccount, UpdateAccount
from lanying.bus.shards import accounts, ask, ask_name
from lanying.gateway.accounts import handles
from lanying.gateway.accounts.push_bindings import bind_alias
from lanying.gateway.accounts.users import settings_of
from lanying.gateway.http.auth import is_admin
from lanying.gateway.http.batch import each
from lanying.gateway.http.endpoint import POST, Endpoint, RequestContext
from lanying.gateway.http.params import Params

_TAIL: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without characters that look like others."""


async def register(context: RequestContext) -> object:
    """Create an account; the answer is its settings. Closed registration is open to admin tokens."""
    _need_open(context)
    uid = await create(context, context.params.text("username"), context.params.text("password"))
    return settings_of(await _account(context, uid))


async def register_anonymous(context: RequestContext) -> object:
    """Create a throw-away user, whose name begins with the given one."""
    _need_open(context)
    prefix, password = context.params.text("username"), context.params.text("password")
    while True:
        name = prefix + "".join(secrets.choice(_TAIL) for _ in range(limits.ANONYMOUS_TAIL))
        try:
            return {"user_id": await create(context, name, password), "username": name}
        except CallError as error:
            if error.refusal is not Refusal.NAME_TAKEN:
                raise


async def register_for_push(context: RequestContext) -> object:
    """Create an account with a push token and alias; it can log in like any other."""
    _need_open(context)
    params = context.params
    uid = await create(context, params.text("username"), params.text("password"))
    if "push_token" in params:
        change = UpdateAccount(uid, {"push_token": params.text("push_token")})
        await ask(context.shards, uid, change)
    if "alias" in params:
        await bind_alias(context, uid, params.text("alias", most=limits.PUSH_TAG_CHARS))
    return settings_of(await _account(context, uid))


async def register_many(context: RequestContext) -> object:
    """Create accounts, each on its own."""
    rows = context.params.rows()

    async def one(row: Params) -> int:
        return await create(context, row.text("username"), row.text("password"))

    return [
        {"username": row.text("username", ""), "success": True, "user_id": found, "reason": ""}
        if isinstance(found, int)
        else {"username": row.text("username", ""), "success": False, "reason": found.message}
        for row, found in zip(rows, await each(rows, one), strict=True)
    ]


async def create(context: RequestContext, name: str, password: str) -> int:
    """A new account. :raises CallError: 10002 not a name or password, 10004 taken, 40002 the app is full"""
    services, app = context.services, context.app.app_id
    reason = username_error(name)
    if reason is not None:
        raise CallError(Refusal.INVALID_PARAMETER, f"username: {reason}")
    services.passwords.check_new(password)
    if await handles.find(context, name):
        raise CallError(Refusal.NAME_TAKEN)
    await services.user_cap.take(services.shards, app)
    try:
        password_hash = await services.passwords.hash_new(password, context.peer)
        return await ask_name(services.shards, app, name, ClaimAccount(app, name, password_hash))
    except BaseException:
        services.user_cap.give_back(app)
        raise


def _need_open(context: RequestContext) -> None:
    """:raises CallError: 40001 registration is closed, 10028 too many new accounts; neither for an admin"""
    if is_admin(context):
        return
    if not context.services.config.accounts_of(context.app.app_id).open_registration:
        raise CallError(Refusal.REGISTRATION_CLOSED)
    if not context.services.registrations.take(context.peer, context.services.now()):
        raise CallError(
            Refusal.TOO_MANY_FAILURES, "too many new accounts at once; try again in a minute, or ask the administrator"
        )


async def _account(context: RequestContext, uid: int) -> AccountInfo:
    return (await accounts(context.shards, context.app.app_id, [uid]))[uid]


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(POST, "/user/register/v2", register, token=False),
    Endpoint(POST, "/user/register/anonymous", register_anonymous, token=False),
    Endpoint(POST, "/user/register/push", register_for_push, token=False),
    Endpoint(POST, "/user/register/batch", register_many, admin=True),
)
