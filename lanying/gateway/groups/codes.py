"""QR texts that lead into a group: JSON Web Tokens (HS256) of this app for an audience of their own, so that they are
no access tokens and access tokens are no QR texts. They say which group, who handed them out, and until when."""

from __future__ import annotations

from typing import Final

import jwt
import msgspec

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal

_AUDIENCE: Final = "group-invitation"
_CHARS: Final = 1024


class GroupCode(msgspec.Struct, frozen=True):
    """What a QR text says."""

    gid: int
    inviter: int
    expires_ms: int


def write(key: bytes, code: GroupCode) -> str:
    """The text of a QR code."""
    claims = {"aud": _AUDIENCE, "gid": code.gid, "by": code.inviter, "until": code.expires_ms}
    return jwt.encode(claims, key, algorithm="HS256")


def read(key: bytes, text: str, now_ms: int) -> GroupCode:
    """:raises CallError: 20024 not one of ours, 20025 expired"""
    try:
        if len(text) > _CHARS:
            raise jwt.InvalidTokenError("too long")
        claims = jwt.decode(text, key, algorithms=["HS256"], audience=_AUDIENCE)
        code = GroupCode(int(claims["gid"]), int(claims["by"]), int(claims["until"]))
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
        raise CallError(Refusal.WRONG_QR_CODE) from error
    if code.expires_ms <= now_ms:
        raise CallError(Refusal.OLD_QR_CODE)
    return code
