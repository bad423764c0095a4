"""QR texts: ours, whole, in time, and no access token of either kind."""

from __future__ import annotations

import jwt
import pytest

from lanying.base.errors import CallError, TokenError
from lanying.base.refusals import Refusal
from lanying.base.tokens import ROLE_USER, Identity, issue, verify
from lanying.gateway.groups.codes import GroupCode, read, write

KEY, OTHER = b"\x11" * 32, b"\x22" * 32
CODE = GroupCode(7, 8, 1000)


def refusal(text: str, key: bytes = KEY, now_ms: int = 0) -> Refusal:
    with pytest.raises(CallError) as error:
        read(key, text, now_ms)
    return error.value.refusal


def test_a_text_says_what_was_written_until_its_end() -> None:
    text = write(KEY, CODE)
    assert read(KEY, text, 999) == CODE
    assert refusal(text, now_ms=1000) is Refusal.OLD_QR_CODE


def forged(**claims: object) -> str:
    good = {"aud": "group-invitation", "gid": 7, "by": 8, "until": 1000}
    return jwt.encode({name: value for name, value in (good | claims).items() if value is not None}, KEY, "HS256")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        write(OTHER, CODE),
        write(KEY, CODE)[:-2],
        jwt.encode({"aud": "group-invitation", "gid": 7, "by": 8, "until": 1000}, None, "none"),
        issue(KEY, Identity("app", 7, ROLE_USER, 0, 0)),
        forged(aud="another"),
        forged(aud=None),
        forged(gid=None),
        forged(until=None),
        forged(gid="x"),
        forged(by=[1]),
        forged(note="x" * 1024),
    ],
    ids=lambda text: "text",
)
def test_any_other_text_is_no_code(text: str) -> None:
    assert refusal(text) is Refusal.WRONG_QR_CODE
    assert read(KEY, forged(), 0) == CODE


def test_a_code_is_no_access_token() -> None:
    with pytest.raises(TokenError):
        verify(KEY, write(KEY, CODE), 0)
