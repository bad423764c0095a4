"""New accounts: named, throw-away, for pushes only, many at once (rest-api.md section 3)."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

import msgspec

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
from lanying.gateway.http.kinds import Trimmed
from lanying.gateway.http.params import peek, read

_TAIL: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_NAMES_TRIED: Final = 10
"""Each costs a hash; names are random, so a second one is hardly ever needed."""
"""Without characters that look like others."""


class NewAccount(msgspec.Struct):
    """An account to create."""

    username: Annotated[str, Trimmed()]
    password: str


class NewPushAccount(NewAccount):
    """An account to create, and where its pushes go."""

    push_token: str | None = None
    alias: Annotated[str, msgspec.Meta(max_length=limits.PUSH_TAG_CHARS)] | None = None


class NewAccounts(msgspec.Struct):
    """Accounts to create: each a :class:`NewAccount`."""

    rows: list[dict[str, Any]] = msgspec.field(name="list")


async def register(context: RequestContext, given: NewAccount) -> object:
    """Create an account; the answer is its settings. Closed registration is open to admin tokens."""
    _need_open(context)
    uid = await create(context, given.username, given.password)
    return settings_of(await _account(context, uid))


async def register_anonymous(context: RequestContext, given: NewAccount) -> object:
    """Create a throw-away user, whose name begins with the given one."""
    _need_open(context)
    for _ in range(_NAMES_TRIED):
        name = given.username + "".join(secrets.choice(_TAIL) for _ in range(limits.ANONYMOUS_TAIL))
        try:
            return {"user_id": await create(context, name, given.password), "username": name}
        except CallError as error:
            if error.refusal is not Refusal.NAME_TAKEN:
                raise
    raise CallError(Refusal.NAME_TAKEN)


async def register_for_push(context: RequestContext, given: NewPushAccount) -> object:
    """Create an account with a push token and alias; it can log in like any other."""
    _need_open(context)
    uid = await create(context, given.username, given.password)
    if given.push_token is not None:
        await ask(context.shards, uid, UpdateAccount(uid, {"push_token": given.push_token}))
    if given.alias is not None:
        await bind_alias(context, uid, given.alias)
    return settings_of(await _account(context, uid))


async def register_many(context: RequestContext, given: NewAccounts) -> object:
    """Create accounts, each on its own."""

    async def one(row: dict[str, Any]) -> int:
        wanted = read(NewAccount, row)
        return await create(context, wanted.username, wanted.password)

    found = await each(given.rows, one)
    names = (peek(row, "username", str, "") for row in given.rows)
    return [
        {"username": name, "success": True, "user_id": uid, "reason": ""}
        if isinstance(uid, int)
        else {"username": name, "success": False, "reason": uid.message}
        for name, uid in zip(names, found, strict=True)
    ]


async def create(context: RequestContext, name: str, password: str) -> int:
    """A new account. :raises CallError: 10002 not a name or password, 10004 taken, 40002 the app is full"""
    services, app = context.services, context.app.app_id
    reason = username_error(name)
    if reason is not None:
        raise CallError(Refusal.INVALID_PARAMETER, f"username: {reason}")
    if not is_admin(context):
        services.wording.check("username", name, name=True)
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
