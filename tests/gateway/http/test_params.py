from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.http.params import Also, parse, peek, read
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


class Some(msgspec.Struct):
    a: int
    b: str | None = None
    c: int = 7
    d: Annotated[str, Also("e")] = msgspec.field(name="f", default="x")


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(CallError) as error:
        call()
    assert error.value.refusal is Refusal.INVALID_PARAMETER
    return error.value.message


def test_the_body_wins_and_null_is_not_given() -> None:
    given = read(Some, parse(b"a=1&b=2&c=", b'{"a": 5, "b": null}'))
    assert (given.a, given.b, given.c, given.d) == (5, None, 7, "x")


def test_an_empty_text_is_nothing_but_where_a_text_is_asked() -> None:
    assert read(Some, {"a": "1", "b": "", "c": ""}) == Some(1, "", 7)


@pytest.mark.parametrize(("values", "found"), [({"e": "1"}, "1"), ({"f": "2", "e": "1"}, "2"), ({"d": "3"}, "x")])
def test_a_second_name_counts_where_the_first_is_not_given(values: dict[str, str], found: str) -> None:
    assert read(Some, {"a": 1, **values}).d == found


def test_a_refusal_names_the_parameter_and_what_it_has_to_be() -> None:
    assert refused(lambda: read(Some, {})) == f"a is missing; it is a whole number from 0 to {limits.MAX_JSON_INT}"
    assert refused(lambda: read(Some, {"a": 1, "b": {}})) == "b is a text of at most 4096 characters"
    assert refused(lambda: read(Some, {"a": 1, "f": []}, inside="row")).startswith("row.f is a text")


def test_what_stands_in_is_checked_too_and_yields_to_what_is_given() -> None:
    assert read(Some, {}, {"a": 3}).a == 3
    assert read(Some, {"a": 4}, {"a": 3}).a == 4
    assert "a is a whole number" in refused(lambda: read(Some, {}, {"a": "x"}))


def test_peeking_refuses_nothing() -> None:
    assert peek({"a": "5"}, "a", int, 0) == 5
    assert peek({"a": "x"}, "a", int, 0) == peek({}, "a", int, 0) == 0


@pytest.mark.parametrize("body", [b"{", b"5", b'{"a": \xff}', b'{"a": "\\ud800"}', b"[" * 2000])
def test_bodies_that_are_no_objects(body: bytes) -> None:
    refused(lambda: parse(b"", body))


def test_bare_lists_and_texts_have_names() -> None:
    assert parse(b"", b"[1, 2]") == {"list": [1, 2]}
    assert parse(b"", b'"x"') == {"value": "x"}


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b"null"])
def test_bodies_that_say_nothing(body: bytes) -> None:
    assert parse(b"", body) == {}


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
