"""One-time codes, made, read and checked here, kept on the shards (:mod:`lanying.shard.accounts.one_time_codes`)."""

from __future__ import annotations

import secrets
from typing import Final

from lanying.bus.messages import CheckCode, PutCode, ReadCode
from lanying.bus.shards import ask_name
from lanying.gateway.http.endpoint import RequestContext

QR_LOGIN: Final = "qr"
ONE_TIME_PASSWORD: Final = "otp"
SECRET: Final = "secret"
CAPTCHA: Final = "captcha"
SMS: Final = "sms"
PROOF: Final = "proof"
"""Kinds of codes: one is never taken for another."""

PASSWORD_PREFIX: Final = "otp."
"""A password that begins like this may be a one-time password; others are never looked up."""
PASSWORD_LIFETIME_MS: Final = 5 * 60_000
PROOF_LIFETIME_MS: Final = 10 * 60_000


async def keep(
    context: RequestContext,
    kind: str,
    value: str,
    lifetime_ms: int,
    code: str = "",
    *,
    attempts: int = 1,
    prefix: str = "",
) -> str:
    """Keep a secret; the code it is under, a random one if none is given. :raises CallError: 503 too many"""
    code = code or prefix + secrets.token_urlsafe(24)
    expires_ms = context.services.now_ms() + lifetime_ms
    request = PutCode(context.app.app_id, kind, code, value, expires_ms, attempts, context.peer)
    await ask_name(context.shards, context.app.app_id, f"{kind}:{code}", request)
    return code


async def read(context: RequestContext, kind: str, code: str, *, take: bool = False) -> str | None:
    """The secret under a code; ``take``: for the last time."""
    request = ReadCode(context.app.app_id, kind, code, take)
    return await ask_name(context.shards, context.app.app_id, f"{kind}:{code}", request)


async def check(context: RequestContext, kind: str, code: str, answer: str) -> bool:
    """Is this the secret under a code? Yes comes once."""
    request = CheckCode(context.app.app_id, kind, code, answer)
    return await ask_name(context.shards, context.app.app_id, f"{kind}:{code}", request)


async def one_time_password(context: RequestContext, uid: int) -> str:
    """A one-time password for ``uid``, valid for minutes (the real one is stored only as a hash)."""
    return await keep(context, ONE_TIME_PASSWORD, str(uid), PASSWORD_LIFETIME_MS, prefix=PASSWORD_PREFIX)


async def is_one_time_password(context: RequestContext, uid: int, password: str) -> bool:
    """Was ``password`` made for ``uid`` by :func:`one_time_password`, and not used yet?"""
    return password.startswith(PASSWORD_PREFIX) and await check(context, ONE_TIME_PASSWORD, password, str(uid))
