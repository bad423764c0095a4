from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lanying.base.errors import CallError
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.http.params import Params, parse
from tests.gateway.conftest import Gateway

NAMES = (
    "user_id", "list", "group_list", "name", "login_name", "username", "password", "nick_name", "avatar", "value",
    "device_sn", "auth_mode", "no_push", "no_push_start_hour", "reason", "alias", "ext", "mute_notification", "limit",
    "cursor", "old_password", "new_password", "app_id", "auth_answer", "public_info",
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
BODIES = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6) | JSON


def refusal(call: Callable[[], object]) -> int:
    with pytest.raises(CallError) as refused:
        call()
    return refused.value.code


def test_the_body_wins_and_null_is_not_given() -> None:
    params = parse(b"a=1&b=2&c=", b'{"a": 5, "b": null}')
    assert params.number("a") == 5
    assert "b" not in params
    assert params.number("c", 7) == 7
    assert params.text("c") == ""
    assert params.text("d", "x") == "x"


@pytest.mark.parametrize("body", [b"{", b"5", b'{"a": \xff}', b'{"a": "\\ud800"}', b"[" * 2000])
def test_bodies_that_are_no_objects(body: bytes) -> None:
    assert refusal(lambda: parse(b"", body)) == 10002


def test_bare_lists_and_texts_have_names() -> None:
    assert parse(b"", b"[1, 2]").entities("list") == [1, 2]
    assert parse(b"", b'"x"').text("value") == "x"


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b"null"])
def test_bodies_that_say_nothing(body: bytes) -> None:
    assert parse(b"", body).text("a", "") == ""


@pytest.mark.parametrize(("value", "number"), [(5, 5), ("5", 5), (5.0, 5), (" 7 ", 7), (0, 0)])
def test_numbers(value: object, number: int) -> None:
    assert Params({"n": value}).number("n") == number


@pytest.mark.parametrize("value", [True, "x", "5x", 5.5, [], {}, -1, "-1", 1e300, "9" * 30, "٣", 1 << 60])
def test_not_numbers(value: object) -> None:
    assert refusal(lambda: Params({"n": value}).number("n")) == 10002


@pytest.mark.parametrize(("value", "on"), [(True, True), (1, True), ("true", True), ("0", False), ("False", False)])
def test_switches(value: object, on: bool) -> None:
    assert Params({"s": value}).switch("s") is on


@pytest.mark.parametrize("value", [2, "yes", [], 1.0])
def test_not_switches(value: object) -> None:
    assert refusal(lambda: Params({"s": value}).switch("s")) == 10002


@pytest.mark.parametrize("value", [[1, "2", 1], "1,2", ["1", 2.0]])
def test_lists_of_ids(value: object) -> None:
    assert Params({"l": value}).entities("l") == [1, 2]


def test_missing() -> None:
    params = Params({})
    for call in (params.text, params.number, params.switch, params.entity):
        assert refusal(lambda call=call: call("x")) == 10002  # type: ignore[misc]
    assert params.entities("x") == []


PLAIN = {"/", "/docs", "/openapi.json", "/user/delete"}
"""Without envelope; and what would end the user all others are about."""


@pytest.fixture(scope="module")
def shared() -> Any:
    gateway = Gateway()
    yield gateway, *gateway.register("alice"), *gateway.register("bob")
    gateway.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), body=BODIES)
def test_any_json_ends_in_an_envelope(shared: Any, data: st.DataObject, body: Any) -> None:
    gateway, alice, _, bob, _ = shared
    endpoint = data.draw(st.sampled_from([e for e in ENDPOINTS if e.path not in PLAIN and not e.statuses]))
    if isinstance(body, dict) and data.draw(st.booleans()):
        body["user_id"] = alice
    gateway.now += 60
    # An admin's token outlives the kicks and password changes among the examples.
    headers = {"app_id": "app", "access-token": gateway.admin(), "user_id": str(bob)}
    method = data.draw(st.sampled_from(endpoint.methods))
    response = gateway.send(method, endpoint.path, headers=headers, json=body)
    assert response.status_code == 200, response.text
    assert isinstance(response.json()["code"], int)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.binary(max_size=60), body=st.binary(max_size=60), token=st.text(st.characters(max_codepoint=255)))
def test_any_bytes_end_in_an_envelope(shared: Any, query: bytes, body: bytes, token: str) -> None:
    gateway = shared[0]
    gateway.now += 60
    url = "/roster/list?" + "".join(f"%{byte:02x}" if byte % 3 else chr(byte % 64 + 48) for byte in query)
    raw = token.encode("latin-1").translate(None, b"\r\n\0")
    headers = [(b"app_id", b"app"), (b"access-token", raw)]
    response = gateway.send("POST", url, headers=headers, content=body)
    assert response.status_code == 200
    assert response.json()["code"] in (402, 10002, 10003)
