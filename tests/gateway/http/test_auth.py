"""Who is calling: a token of this app, not revoked, of the right kind; and whom an admin acts for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lanying.base.refusals import Refusal
from lanying.base.tokens import ROLE_ADMIN, ROLE_FILES, ROLE_USER, Identity, issue
from tests.gateway.conftest import APPS, Gateway

KEY = APPS[0].secret
NOW_S = 2_000_000_000
ME = "/user/profile"


def me(gateway: Gateway, token: str, **headers: str) -> dict[str, object]:
    return gateway.envelope("GET", ME, token, headers=headers)


def test_a_call_without_a_token_says_so(gateway: Gateway) -> None:
    assert me(gateway, "")["code"] == Refusal.NO_TOKEN.code


@pytest.mark.parametrize(
    "forge",
    [
        lambda uid: "x",
        lambda uid: issue(b"\x33" * 32, Identity("app", uid, ROLE_USER, 0)),
        lambda uid: issue(KEY, Identity("other", uid, ROLE_USER, 0)),
        lambda uid: issue(KEY, Identity("app", uid, ROLE_FILES, 0)),
        lambda uid: issue(KEY, Identity("app", uid, 99, 0)),
        lambda uid: issue(KEY, Identity("app", 0, ROLE_USER, 0)),
        lambda uid: issue(KEY, Identity("app", -1, ROLE_USER, 0)),
        lambda uid: issue(KEY, Identity("app", uid, ROLE_USER, 0, NOW_S)),
        lambda uid: issue(KEY, Identity("app", uid, ROLE_USER, 7)),
        lambda uid: issue(KEY, Identity("app", 0, ROLE_ADMIN, 1)),
    ],
    ids=[
        "no token",
        "another key",
        "another app",
        "made for files",
        "an unknown role",
        "nobody's",
        "below nobody's",
        "expired",
        "of another epoch",
        "an admin's that was revoked",
    ],
)
def test_a_token_that_is_not_good_is_refused(gateway: Gateway, forge: Callable[[int], str]) -> None:
    uid, token = gateway.register("ann")
    assert me(gateway, token)["code"] == 200
    found = me(gateway, forge(uid))
    assert found["code"] == Refusal.TOKEN_REJECTED.code and found["message"]


def test_a_token_is_good_until_its_last_second(gateway: Gateway) -> None:
    uid, _ = gateway.register("ann")
    assert me(gateway, gateway.forge(uid, expires=NOW_S + 1))["code"] == 200
    expired = me(gateway, gateway.forge(uid, expires=NOW_S - 1))
    assert expired["code"] == Refusal.TOKEN_REJECTED.code and "log in again" in str(expired["message"])


def test_what_is_an_admins_is_no_users_and_a_bad_token_is_told_apart(gateway: Gateway) -> None:
    uid, token = gateway.register("ann")
    assert gateway.code("POST", "/user/register/batch", token, json={"list": []}) == Refusal.PERMISSION_DENIED.code
    stale = issue(KEY, Identity("app", uid, ROLE_USER, 7))
    assert gateway.code("POST", "/user/register/batch", stale, json={"list": []}) == Refusal.TOKEN_REJECTED.code
    assert gateway.code("POST", "/user/register/batch", gateway.admin(), json={"list": []}) == 200


def test_an_admin_acts_as_the_user_they_name(gateway: Gateway) -> None:
    uid, token = gateway.register("ann")
    other, _ = gateway.register("bea")
    named = me(gateway, gateway.admin(), user_id=str(other))
    assert named["code"] == 200 and named["data"]["user_id"] == other  # type: ignore[index]
    assert me(gateway, gateway.admin())["code"] == Refusal.INVALID_PARAMETER.code
    mine = me(gateway, token, user_id=str(other))
    assert mine["data"]["user_id"] == uid, "a user's token ignores the header"  # type: ignore[index]


@pytest.mark.parametrize("name", ["0", "-1", "x", "99999999999999999999", "1.5"])
def test_an_admin_names_a_user_that_can_be(gateway: Gateway, name: str) -> None:
    found = me(gateway, gateway.admin(), user_id=name)
    assert found["code"] == Refusal.INVALID_PARAMETER.code and "user_id" in str(found["message"])


def test_an_admin_cannot_act_as_nobody_or_as_a_user_of_another_app(gateway: Gateway) -> None:
    stranger, _ = gateway.register("cora", app="other")
    gone, _ = gateway.register("dora")
    for uid in (stranger, gone + 1024 * 999):
        assert me(gateway, gateway.admin(), user_id=str(uid))["code"] == Refusal.NO_SUCH_USER.code
