"""Access tokens: JSON Web Tokens (HS256) with the claims of :class:`Identity`.

A token is never valid JSON text (xsync section 0 rule 6). Revocation is by ``epoch``: an account carries a number that a password
change, a full kick or a ban raises; a token with a smaller one is refused by the shard that owns the account. Forgery and expiry are
found wherever a token is read.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Final

import msgspec

from lanying.base.errors import TokenError

ROLE_USER: Final = 1
ROLE_ADMIN: Final = 2
ROLE_FILES: Final = 3
"""May download what its user may, for an hour: it stands in addresses, which end up in histories, logs and screenshots."""
ROLE_READER: Final = 4
"""An admin's that reads and changes nothing, for a monitor or a dashboard."""
ADMINS: Final = (ROLE_ADMIN, ROLE_READER)
REMEMBERED: Final = 2048
"""Tokens whose signature need not be checked again: clients that reconnect all at once come with the same ones."""


class Identity(msgspec.Struct, frozen=True):
    """Who a token speaks for.

    :ivar app: app id
    :ivar uid: user id, 0 for an admin token
    :ivar role: one of the roles above
    :ivar epoch: revocation epoch of the account when the token was made
    :ivar expires: seconds since 1970, 0 for never
    :ivar issued: seconds since 1970, ``number`` a random one; of admin tokens alone, which it names
    """

    app: str
    uid: int
    role: int
    epoch: int
    expires: int = 0
    issued: int = 0
    number: str = ""


def admin(app: str, epoch: int, now_s: int, expires: int = 0, role: int = ROLE_ADMIN) -> Identity:
    """Who a new admin token of an app speaks for."""
    return Identity(app, 0, role, epoch, expires, now_s, secrets.token_hex(8))


def issue(key: bytes, identity: Identity) -> str:
    """A signed token for ``identity``."""
    import jwt  # 5 MB, with the library for ciphers below it: a shard knows apps and never reads a token

    claims: dict[str, object] = {
        "app": identity.app,
        "sub": str(identity.uid),
        "role": identity.role,
        "epoch": identity.epoch,
    }
    if identity.expires:
        claims["exp"] = identity.expires
    if identity.number:
        claims |= {"iat": identity.issued, "jti": identity.number}
    return jwt.encode(claims, key, algorithm="HS256")


def verify(key: bytes, token: str, now_ms: int) -> Identity:
    """The identity of a token signed with ``key``.

    :raises TokenError: forged, malformed or expired
    """
    identity = _verified(key, token)
    if identity.expires and identity.expires * 1000 <= now_ms:
        raise TokenError("token expired")
    return identity


@lru_cache(REMEMBERED)
def _verified(key: bytes, token: str) -> Identity:
    import jwt

    try:
        claims = jwt.decode(
            token, key, algorithms=["HS256"], options={"require": ["sub"], "verify_exp": False, "verify_iat": False}
        )
        return Identity(
            app=str(claims["app"]),
            uid=int(claims["sub"]),
            role=int(claims["role"]),
            epoch=int(claims["epoch"]),
            expires=int(claims.get("exp", 0)),
            issued=int(claims.get("iat", 0)),
            number=str(claims.get("jti", "")),
        )
    except (jwt.InvalidTokenError, ArithmeticError, LookupError, ValueError, TypeError, RecursionError) as error:
        # ArithmeticError by numbers without an end, RecursionError by nested JSON
        raise TokenError("token invalid") from error
