"""Tokens for passwords, and changing a password (rest-api.md section 3)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.base.tokens import ROLE_USER, Identity, issue
from lanying.bus.messages import STATE_NORMAL, Credentials, GetCredentials, SetPassword
from lanying.bus.shards import accounts, ask
from lanying.gateway.accounts import code_book, handles
from lanying.gateway.http.auth import identify
from lanying.gateway.http.endpoint import POST, Endpoint, PagedResult, RequestContext
from lanying.gateway.http.kinds import AnyDevice, EntityId, Handle
from lanying.gateway.http.params import Also


class SignIn(msgspec.Struct):
    """A password; with ``device_guid`` the answer has the push token."""

    password: str
    device_guid: str = ""


class ByName(SignIn, kw_only=True):
    """With a user name or a phone number."""

    name: Annotated[Handle, Also("mobile")]


class ByLoginName(SignIn, kw_only=True):
    """The same under another name."""

    name: Handle = msgspec.field(name="login_name")


class ById(SignIn, kw_only=True):
    """With a user id."""

    user_id: EntityId


class NewPassword(msgspec.Struct):
    """The caller's password and the next; ``device_sn`` is the device whose session stays."""

    old_password: str
    new_password: str
    device_sn: AnyDevice = 0


async def by_name(context: RequestContext, given: ByName) -> object:
    """A token for a user name or phone number and password; mail addresses are not login names here."""
    return await _by_name(context, given.name, given)


async def by_login_name(context: RequestContext, given: ByLoginName) -> object:
    """As :func:`by_name`."""
    return await _by_name(context, given.name, given)


async def by_id(context: RequestContext, given: ById) -> object:
    """A token for a user id and password."""
    return await _token(context, given.user_id, given)


async def check_password(context: RequestContext, uid: int, password: str) -> Credentials:
    """The credentials of a user whose password this is. A hash made with old parameters is renewed on the way.

    :raises CallError: 10000 no such user, 11001 wrong, 10028 too many wrong ones, 503 too many at once
    """
    services, app = context.services, context.app.app_id
    peer = "" if context.uid == uid or was_here(context, uid) else context.peer
    if not services.guesses.take(peer, services.now(), (app, uid)):
        raise CallError(Refusal.TOO_MANY_FAILURES)
    late_s = services.guesses.late_s(peer, services.now(), (app, uid))
    if late_s:
        await asyncio.sleep(late_s)
    found = await ask(services.shards, uid, GetCredentials(app, uid))
    if not await services.passwords.verify(found.password_hash, password, context.peer):
        raise CallError(Refusal.WRONG_PASSWORD)
    services.guesses.give_back(peer, (app, uid))
    if services.passwords.outdated(found.password_hash):
        renewed = await services.passwords.hash(password, context.peer)
        try:
            await ask(services.shards, uid, SetPassword(uid, renewed, found.password_hash, revoke=False))
        except CallError as error:
            if error.refusal is not Refusal.WRONG_PASSWORD:  # a password changed in between is the newer truth
                raise
        else:
            found = msgspec.structs.replace(found, password_hash=renewed)
    return found


def was_here(context: RequestContext, uid: int) -> bool:
    """Does the caller show a token of this user's, from an earlier login? Revoked ones count: it is who they were that is asked."""
    try:
        if not context.token:
            return False
        identity = identify(context)
        return identity.role == ROLE_USER and identity.uid == uid
    except CallError:
        return False


async def change_password(context: RequestContext, given: NewPassword) -> object:
    """Replace the caller's password and end their tokens and sessions. A new token is beside the answer.

    A token does not say which device it is on, so the caller's own session is kept only if ``device_sn`` names it.
    """
    context.services.passwords.check_new(given.new_password)
    found = await check_password(context, context.uid, given.old_password)
    password_hash = await context.services.passwords.hash(given.new_password, context.peer)
    request = SetPassword(context.uid, password_hash, found.password_hash, revoke=True, except_sn=given.device_sn)
    await ask(context.shards, context.uid, request)
    renewed = await ask(context.services.shards, context.uid, GetCredentials(context.app.app_id, context.uid))
    token, expires = _issue(context, context.uid, renewed)
    return PagedResult(True, {"token": token, "expire": expires})


async def _by_name(context: RequestContext, name: str, given: SignIn) -> object:
    uid = await handles.find(context, name)
    if not uid and handles.is_mobile(mobile := name.replace(" ", "")):
        uid = await handles.find(context, handles.TEL + mobile)
    if not uid:
        if not context.services.guesses.take(context.peer, context.services.now()):
            raise CallError(Refusal.TOO_MANY_FAILURES)
        raise CallError(Refusal.NO_SUCH_USER, "there is no user of this name")
    return await _token(context, uid, given)


async def _token(context: RequestContext, uid: int, given: SignIn) -> dict[str, Any]:
    if await code_book.is_one_time_password(context, uid, given.password):
        found = await ask(context.shards, uid, GetCredentials(context.app.app_id, uid))
    else:
        found = await check_password(context, uid, given.password)
    if found.state != STATE_NORMAL:
        raise CallError(Refusal.PERMISSION_DENIED, "this account is banned or frozen, ask the administrator")
    token, expires = _issue(context, uid, found)
    return {
        "token": token,
        "user_id": uid,
        "expire": expires,
        "public_key": "",
        "encrypt_type": 0,
        "access_key_secret": "",
        "store_token": "",
        "push_token": await _push_token(context, uid) if given.device_guid else "",
    }


def _issue(context: RequestContext, uid: int, found: Credentials) -> tuple[str, int]:
    """A token, and when it ends in seconds since 1970."""
    expires = context.services.now_ms() // 1000 + context.services.config.accounts.token_lifetime_s
    identity = Identity(context.app.app_id, uid, ROLE_USER, found.epoch, expires)
    return issue(context.app.token_key, identity), expires


async def _push_token(context: RequestContext, uid: int) -> str:
    return (await accounts(context.shards, context.app.app_id, [uid]))[uid].push_token


ENDPOINTS: Final = (
    Endpoint(POST, "/token/user", by_name, token=False),
    Endpoint(POST, "/token/id", by_id, token=False),
    Endpoint(POST, "/token/login", by_login_name, token=False),
    Endpoint(POST, "/app/token", by_name, token=False),
    Endpoint(POST, "/app/token_id", by_id, token=False),
    Endpoint(POST, "/user/change_password", change_password),
)
