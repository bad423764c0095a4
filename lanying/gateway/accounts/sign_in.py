"""Tokens for passwords, and changing a password (rest-api.md section 3)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.base.tokens import ROLE_USER, Identity, issue
from lanying.bus.messages import STATE_NORMAL, Credentials, GetCredentials, SetPassword
from lanying.bus.shards import accounts, ask
from lanying.gateway.accounts import code_book, handles
from lanying.gateway.accounts.users import MAX_SN
from lanying.gateway.http.endpoint import POST, Endpoint, Visit


async def by_name(visit: Visit) -> object:
    """A token for a user name, or the number in ``mobile``, and password."""
    params = visit.params
    return await _by_name(visit, "mobile" if "mobile" in params and "name" not in params else "name")


async def by_login_name(visit: Visit) -> object:
    """A token for a user name or phone number and password; mail addresses are not login names here."""
    return await _by_name(visit, "login_name")


async def by_id(visit: Visit) -> object:
    """A token for a user id and password."""
    return await _token(visit, visit.params.entity("user_id"))


async def check_password(visit: Visit, uid: int, password: str) -> Credentials:
    """The credentials of a user whose password this is. A hash made with old parameters is renewed on the way.

    :raises CallError: 10000 no such user, 11001 wrong, 10028 too many wrong ones, 503 too many at once
    """
    services, app = visit.services, visit.app.app_id
    if not services.guesses.take(visit.peer, services.now(), (app, uid)):
        raise CallError(Refusal.TOO_MANY_FAILURES)
    found = await ask(services.shards, uid, GetCredentials(app, uid))
    if len(password) > limits.PASSWORD_CHARS or not await services.passwords.verify(found.password_hash, password):
        raise CallError(Refusal.WRONG_PASSWORD)
    services.guesses.give_back(visit.peer, (app, uid))
    if services.passwords.outdated(found.password_hash):
        renewed = await services.passwords.hash(password)
        try:
            await ask(services.shards, uid, SetPassword(uid, renewed, found.password_hash, revoke=False))
        except CallError as error:
            if error.refusal is not Refusal.WRONG_PASSWORD:  # a password changed in between is the newer truth
                raise
        else:
            found = msgspec.structs.replace(found, password_hash=renewed)
    return found


async def change_password(visit: Visit) -> object:
    """Replace the caller's password and end their tokens and sessions.

    A token does not say which device it is on, so the caller's own session is kept only if ``device_sn`` names it.
    """
    new = visit.params.text("new_password")
    visit.services.passwords.check_new(new)
    sn = visit.params.number("device_sn", 0, most=MAX_SN)
    found = await check_password(visit, visit.uid, visit.params.text("old_password"))
    password_hash = await visit.services.passwords.hash(new)
    request = SetPassword(visit.uid, password_hash, found.password_hash, revoke=True, except_sn=sn)
    await ask(visit.shards, visit.uid, request)
    return True


async def _by_name(visit: Visit, parameter: str) -> object:
    name = visit.params.text(parameter, most=limits.NAME_FIELD_CHARS)
    uid = await handles.find(visit, name)
    if not uid and handles.is_mobile(name):
        uid = await handles.find(visit, handles.TEL + name)
    if not uid:
        if not visit.services.guesses.take(visit.peer, visit.services.now()):
            raise CallError(Refusal.TOO_MANY_FAILURES)
        raise CallError(Refusal.NO_SUCH_USER, "there is no user of this name")
    return await _token(visit, uid)


async def _token(visit: Visit, uid: int) -> dict[str, Any]:
    password = visit.params.text("password")
    if await code_book.is_one_time_password(visit, uid, password):
        found = await ask(visit.shards, uid, GetCredentials(visit.app.app_id, uid))
    else:
        found = await check_password(visit, uid, password)
    if found.state != STATE_NORMAL:
        raise CallError(Refusal.PERMISSION_DENIED, "this account is banned or frozen, ask the administrator")
    expires = visit.services.now_ms() // 1000 + visit.services.config.accounts.token_lifetime_s
    token = issue(visit.app.token_key, Identity(visit.app.app_id, uid, ROLE_USER, found.epoch, expires))
    return {
        "token": token,
        "user_id": uid,
        "expire": expires,
        "public_key": "",
        "encrypt_type": 0,
        "access_key_secret": "",
        "store_token": "",
        "push_token": await _push_token(visit, uid) if visit.params.text("device_guid", "") else "",
    }


async def _push_token(visit: Visit, uid: int) -> str:
    return (await accounts(visit.shards, visit.app.app_id, [uid]))[uid].push_token


ENDPOINTS: Final = (
    Endpoint(POST, "/token/user", by_name, token=False),
    Endpoint(POST, "/token/id", by_id, token=False),
    Endpoint(POST, "/token/login", by_login_name, token=False),
    Endpoint(POST, "/app/token", by_name, token=False),
    Endpoint(POST, "/app/token_id", by_id, token=False),
    Endpoint(POST, "/user/change_password", change_password),
)
