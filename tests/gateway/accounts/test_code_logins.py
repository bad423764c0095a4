"""A screen logs in with a phone's consent, once; secrets are read once; names are looked up in bounded number."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.refusals import Refusal
from tests.gateway.conftest import Gateway


def code(gateway: Gateway) -> str:
    found = gateway.data("GET", "/app/qr_code")
    assert found["qr_code"] == found["qrcode_id"] and found["qr_code"] in found["url"] and "app_id=app" in found["url"]
    assert found["expired"] == gateway.services.now_ms() + 3 * 60_000
    return str(found["qr_code"])


def poll(gateway: Gateway, qr: str) -> dict[str, object]:
    return gateway.call("GET", "/app/qr_login", params={"qr_code": qr})


def allow(gateway: Gateway, token: str, qr: str, yes: int = 1) -> dict[str, object]:
    return gateway.call("GET", "/app/allow", token, params={"qr_code": qr, "allow": yes})


def test_a_screen_waits_is_allowed_and_logs_in_once(gateway: Gateway) -> None:
    uid, token = gateway.register("ann")
    qr = code(gateway)
    for _ in range(2):
        assert poll(gateway, qr)["data"] == {"username": "", "password": ""}
    assert allow(gateway, token, qr)["data"] == "ann"
    found = poll(gateway, qr)["data"]
    assert isinstance(found, dict) and found["username"] == "ann"
    gone = poll(gateway, qr)
    assert gone["code"] == Refusal.INVALID_PARAMETER.code and "ask for a new one" in str(gone["message"])
    login = {"name": "ann", "password": found["password"]}
    assert gateway.data("POST", "/token/user", json=login)["user_id"] == uid
    assert gateway.code("POST", "/token/user", json=login) != 200, "a password for one time"


def test_a_code_is_allowed_once_and_by_who_means_it(gateway: Gateway) -> None:
    (_, ann), (_, bea) = gateway.register("ann"), gateway.register("bea")
    qr = code(gateway)
    assert "allow is 1" in str(allow(gateway, ann, qr, 0)["message"])
    assert poll(gateway, qr)["data"] == {"username": "", "password": ""}
    assert allow(gateway, ann, qr)["code"] == 200
    refused = allow(gateway, bea, qr)
    assert refused["code"] == Refusal.INVALID_PARAMETER.code and "show a new one" in str(refused["message"])
    found = poll(gateway, qr)["data"]
    assert isinstance(found, dict) and found["username"] == "ann"


@pytest.mark.parametrize("qr", ["x", "otp.x", "a" * 500])
def test_a_code_nobody_made_is_refused(gateway: Gateway, qr: str) -> None:
    _, token = gateway.register("ann")
    assert poll(gateway, qr)["code"] == allow(gateway, token, qr)["code"] == Refusal.INVALID_PARAMETER.code


def test_a_secret_is_read_once_and_is_no_login(gateway: Gateway) -> None:
    _, token = gateway.register("ann")
    asked = {"secret_text": "sesame", "expire_seconds": 60}
    made = str(gateway.data("POST", "/app/secret_info", token, json=asked)["code"])
    assert poll(gateway, made)["code"] == Refusal.INVALID_PARAMETER.code
    assert gateway.data("GET", "/app/secret_info", params={"code": made}) == {"secret_text": "sesame"}
    assert gateway.code("GET", "/app/secret_info", params={"code": made}) == Refusal.INVALID_PARAMETER.code
    for wrong in ({"expire_seconds": 0}, {"secret_text": "x" * (limits.CODE_CHARS + 1)}):
        assert gateway.code("POST", "/app/secret_info", token, json=asked | wrong) == Refusal.INVALID_PARAMETER.code


def test_a_name_is_taken_free_or_impossible(gateway: Gateway) -> None:
    gateway.register("ann")

    def check(name: str) -> dict[str, object]:
        return gateway.call("GET", "/app/user/name_check", params={"username": name})

    assert [check(name)["data"] for name in ("ann", "ANN", "bea")] == [True, True, False]
    wrong = check("a b\n")
    assert wrong["code"] == Refusal.INVALID_PARAMETER.code and str(wrong["message"]).startswith("username: ")


def test_codes_and_names_are_asked_for_in_bounded_number(gateway: Gateway) -> None:
    codes = [gateway.code("GET", "/app/qr_code") for _ in range(200)]
    assert codes[0] == 200 and codes[-1] == Refusal.TOO_MANY_FAILURES.code
    assert gateway.code("GET", "/app/user/name_check", params={"username": "bea"}) == Refusal.TOO_MANY_FAILURES.code
    assert gateway.code("GET", "/app/qr_code", address="9.9.9.9") == 200, "others are not meant"
