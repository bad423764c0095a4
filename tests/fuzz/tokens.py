"""Tokens: of users and files, as anybody may write them."""

from __future__ import annotations

import base64
import hmac

from lanying.base.errors import TokenError
from lanying.base.tokens import ROLE_ADMIN, ROLE_USER, Identity, issue, verify
from lanying.router.login import claimed_app
from tests.fuzz.target import Found, Target

KEY = b"\x11" * 32
NOW_MS = 1_900_000_000_000
GOOD = [
    issue(KEY, Identity("app", 7, role, 1, expires)) for role in (ROLE_USER, ROLE_ADMIN) for expires in (0, 1, 1 << 40)
]


class Tokens(Target):
    """As it is, and signed with the right key: what a signature covers may be anything, too."""

    words = (
        b".",
        b"e30",
        base64.urlsafe_b64encode(b'{"alg":"none"}'),
        base64.urlsafe_b64encode(b'{"app":'),
        b"[" * 1400,
    )

    def seeds(self) -> list[bytes]:
        claims = [
            b'{"app":"app","sub":"7","role":1,"epoch":1}',
            b'{"app":"app","sub":"7","role":1,"epoch":1e400}',
            b"[" * 5000,
        ]
        return [token.encode() for token in GOOD] + claims

    def judge(self, data: bytes) -> None:
        self.units += 1
        text = data.decode("latin-1")
        identity = taken(text)
        if identity is not None and text.rstrip("=") not in GOOD:
            raise Found(f"forged: {text} is {identity}")
        body = (
            base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
            + b"."
            + base64.urlsafe_b64encode(data).rstrip(b"=")
        )
        signature = base64.urlsafe_b64encode(hmac.digest(KEY, body, "sha256")).rstrip(b"=")
        taken((body + b"." + signature).decode())


def taken(token: str) -> Identity | None:
    """Whose it is."""
    try:
        claimed_app(token)
    except TokenError:
        pass
    try:
        return verify(KEY, token, NOW_MS)
    except TokenError:
        return None
