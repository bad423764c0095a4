"""Logging in by scanning a QR code, and secrets handed from one device to another.

A screen asks for a code and shows it; a phone that is logged in allows it; the screen, which keeps asking, gets the
user's name and a one-time password for ``/token/user``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import quote

import msgspec

from lanying.base import limits
from lanying.base.budgets import charge
from lanying.base.errors import CallError
from lanying.base.names import username_error
from lanying.base.refusals import Refusal
from lanying.gateway.accounts import code_book, handles
from lanying.gateway.accounts.users import me
from lanying.gateway.http.endpoint import GET, POST, Endpoint, RequestContext
from lanying.gateway.http.kinds import Positive, Trimmed

_LIFETIME_MS: Final = 3 * 60_000
_SECRET_MS: Final = limits.CODE_LIFETIME_MS


class ShownCode(msgspec.Struct):
    """The code a screen shows."""

    qr_code: str


class Allowed(ShownCode):
    """The code a screen shows, allowed to log in."""

    allow: Literal[1]


class NewSecret(msgspec.Struct):
    """A text to keep for a while."""

    secret_text: Annotated[str, msgspec.Meta(max_length=limits.CODE_CHARS)]
    expire_seconds: Positive


class CodeSecret(msgspec.Struct):
    """The code of a text that was kept."""

    code: str


class Wanted(msgspec.Struct):
    """A name somebody would like to have."""

    username: Annotated[str, Trimmed()]


async def new_code(context: RequestContext) -> object:
    """A code for a screen to show: ``url`` is what to draw."""
    _throttle(context)
    code = await code_book.keep(context, code_book.QR_LOGIN, "", _LIFETIME_MS)
    url = f"{context.base_url}/app/qr_login?app_id={quote(context.app.app_id)}&qr_code={code}"
    return {"qr_code": code, "qrcode_id": code, "url": url, "expired": context.services.now_ms() + _LIFETIME_MS}


async def allow(context: RequestContext, given: Allowed) -> object:
    """The caller lets the screen with this code log in as them. :raises CallError: 10002 it has expired"""
    if await code_book.read(context, code_book.QR_LOGIN, given.qr_code) != "":
        raise CallError(Refusal.INVALID_PARAMETER, "qr_code has expired or was used, show a new one")
    await code_book.keep(context, code_book.QR_LOGIN, str(context.uid), _LIFETIME_MS, given.qr_code)
    return (await me(context)).username


async def poll(context: RequestContext, given: ShownCode) -> object:
    """Has somebody allowed it? Empty texts until then; the answer comes once."""
    code = given.qr_code
    found = await code_book.read(context, code_book.QR_LOGIN, code)
    if found is None:
        raise CallError(Refusal.INVALID_PARAMETER, "qr_code has expired or was used, ask for a new one")
    if not found or await code_book.read(context, code_book.QR_LOGIN, code, take=True) is None:
        return {"username": "", "password": ""}
    context.uid = int(found)
    return {
        "username": (await me(context)).username,
        "password": await code_book.one_time_password(context, context.uid),
    }


async def keep_secret(context: RequestContext, given: NewSecret) -> object:
    """Keep a text of the caller's for somebody who knows the code, for ten minutes at most."""
    _throttle(context)
    lifetime_ms = min(given.expire_seconds * 1000, _SECRET_MS)
    return {"code": await code_book.keep(context, code_book.SECRET, given.secret_text, lifetime_ms)}


async def read_secret(context: RequestContext, given: CodeSecret) -> object:
    """The text under a code, once."""
    found = await code_book.read(context, code_book.SECRET, given.code, take=True)
    if found is None:
        raise CallError(Refusal.INVALID_PARAMETER, "code has expired or was used, ask for a new one")
    return {"secret_text": found}


async def name_taken(context: RequestContext, given: Wanted) -> object:
    """Is there a user of this name? A name nobody can have is refused."""
    name = given.username
    reason = username_error(name)
    if reason is not None:
        raise CallError(Refusal.INVALID_PARAMETER, f"username: {reason}")
    _throttle(context)
    return bool(await handles.find(context, name))


def _throttle(context: RequestContext) -> None:
    """:raises CallError: 10028, this address asks too often"""
    key, now = (context.app.app_id, context.peer), context.services.now()
    charge(context.services.code_requests, key, now, "codes", refusal=Refusal.TOO_MANY_FAILURES)


ENDPOINTS: Final = (
    Endpoint(GET, "/app/qr_code", new_code, token=False),
    Endpoint(GET, "/app/allow", allow),
    Endpoint(GET, "/app/qr_login", poll, token=False),
    Endpoint(POST, "/app/secret_info", keep_secret),
    Endpoint(GET, "/app/secret_info", read_secret, token=False),
    Endpoint(GET, "/app/user/name_check", name_taken, token=False),
)
