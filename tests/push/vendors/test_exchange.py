"""What vendors share: what an answer means, when to try again, whose token is taken."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.notifiers import Notifier
from lanying.push.vendors import exchange
from lanying.push.vendors.exchange import Access, PushOutcome, PushState, VendorAnswer

NOW = 1_700_000_000.0
NOTIFIER = Notifier("app", "ours", 7, 1, "123", "")


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        ("", limits.VENDOR_RETRY_S),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 1.0),
        ("99999", limits.VENDOR_RETRY_MAX_S),
        ("9999999999", limits.VENDOR_RETRY_S),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2003 22:13:50 GMT", 1.0),
        ("soon", limits.VENDOR_RETRY_S),
        ("-5", limits.VENDOR_RETRY_S),
        ("٧", limits.VENDOR_RETRY_S),
    ],
)
def test_a_vendor_says_when_to_try_again_within_bounds(asked: str, wait_s: float) -> None:
    outcome = exchange.later(VendorAnswer(503, {"retry-after": asked}), "", NOW)
    assert outcome == PushOutcome(PushState.LATER, "HTTP 503", wait_s)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (400, PushState.REFUSED),
        (404, PushState.REFUSED),
        (428, PushState.REFUSED),
        (429, PushState.LATER),
        (430, PushState.REFUSED),
        (499, PushState.REFUSED),
        (500, PushState.LATER),
        (503, PushState.LATER),
    ],
)
def test_a_status_alone_says_later_or_never(status: int, state: PushState) -> None:
    found = exchange.by_status(VendorAnswer(status), "", NOW)
    assert (found.state, found.reason) == (state, f"HTTP {status}")
    assert exchange.by_status(VendorAnswer(status), "its word", NOW).reason == "its word"


CODES = {0: PushState.SENT, 10: PushState.GONE, 20: PushState.LATER}


@pytest.mark.parametrize(
    ("code", "status", "state", "reason"),
    [
        (0, 200, PushState.SENT, ""),
        ("0", 200, PushState.SENT, ""),
        (0, 500, PushState.LATER, "why"),
        (0, 404, PushState.REFUSED, "why"),
        (10, 200, PushState.GONE, "10 why"),
        (20, 200, PushState.LATER, "20 why"),
        (30, 200, PushState.REFUSED, "30 why"),
        (-1, 200, PushState.REFUSED, "-1 why"),
        (None, 200, PushState.LATER, "why"),
        (None, 403, PushState.REFUSED, "why"),
        (False, 200, PushState.LATER, "why"),
        ("0x0", 200, PushState.LATER, "why"),
        ("1234567890", 200, PushState.LATER, "why"),
    ],
)
def test_a_vendors_own_code_counts_if_it_is_one(code: object, status: int, state: PushState, reason: str) -> None:
    found = exchange.by_code(CODES, code, "why", VendorAnswer(status), NOW)
    assert (found.state, found.reason) == (state, reason)


@pytest.mark.parametrize(
    ("body", "found"),
    [(b'{"a":1}', {"a": 1}), (b"[1]", {}), (b"", {}), (b"<html>", {}), (b"\xff", {}), (b"[" * 100_000, {})],
)
def test_an_answer_that_is_no_object_is_an_empty_one(body: bytes, found: dict[str, object]) -> None:
    assert VendorAnswer(200, {}, body).json() == found


@pytest.mark.parametrize(
    ("body", "access"),
    [
        (b'{"access_token":"t","expires_in":1000}', Access("t", NOW + 900)),
        (b'{"access_token":"t"}', Access("t", NOW + 3240)),
        (b'{"access_token":"t","expires_in":0}', Access("t", NOW + 3240)),
        (b'{"access_token":"t","expires_in":-4}', Access("t", NOW + 3240)),
        (b'{"access_token":"t","expires_in":"9"}', Access("t", NOW + 3240)),
        (b'{"access_token":"t","expires_in":1e99}', Access("t", NOW + 3240)),
    ],
)
def test_an_access_token_is_renewed_before_it_ends(body: bytes, access: Access) -> None:
    assert exchange.bearer(VendorAnswer(200, {}, body), NOW) == access


@pytest.mark.parametrize(
    ("status", "body", "state", "reason"),
    [
        (200, b'{"access_token":"a b"}', PushState.REFUSED, "login refused: HTTP 200"),
        (200, b'{"access_token":"a\\r\\nx: y"}', PushState.REFUSED, "login refused: HTTP 200"),
        (200, b'{"access_token":""}', PushState.REFUSED, "login refused: HTTP 200"),
        (401, b'{"access_token":"t"}', PushState.REFUSED, "login refused: HTTP 401"),
        (400, b'{"error":"invalid_grant"}', PushState.REFUSED, "login refused: invalid_grant"),
        (400, b'{"error":"x","error_description":"why"}', PushState.REFUSED, "login refused: why"),
        (503, b"", PushState.LATER, "login refused: HTTP 503"),
    ],
)
def test_a_login_that_gives_no_token_says_why(status: int, body: bytes, state: PushState, reason: str) -> None:
    found = exchange.bearer(VendorAnswer(status, {}, body), NOW)
    assert isinstance(found, PushOutcome) and (found.state, found.reason) == (state, reason)


def test_a_vendors_own_login_is_judged_alike() -> None:
    assert exchange.token_of(VendorAnswer(200), {"auth": "t"}, "auth", "", 9.0, NOW) == Access("t", 9.0)
    for answer, holder, reason in (
        (VendorAnswer(200), {"auth": "a b"}, "HTTP 200"),
        (VendorAnswer(200), None, "HTTP 200"),
        (VendorAnswer(403), {"auth": "t"}, "HTTP 403"),
    ):
        found = exchange.token_of(answer, holder, "auth", "", 9.0, NOW)
        assert found == PushOutcome(PushState.REFUSED, f"login refused: {reason}")
    assert exchange.token_of(VendorAnswer(403), {}, "auth", "why", 9.0, NOW) == PushOutcome(
        PushState.REFUSED, "login refused: why"
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"--app-id": "", "--app-key": "", "--app-secret": "x"},
            "ours: --app-id and --app-key missing; see docs/push.md",
        ),
        ({"--app-id": "a b"}, "ours: --app-id must be printable ASCII without spaces"),
        ({"--app-id": "ä", "--app-key": "x\n"}, "ours: --app-id and --app-key must be printable ASCII"),
    ],
)
def test_a_field_that_is_missing_or_would_break_a_header_is_named(fields: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        exchange.required(NOTIFIER, fields)
    exchange.required(NOTIFIER, {"--app-id": "!~"})


@pytest.mark.parametrize("app_id", ["", "12a", "1" * 19, "-1", "٧"])
def test_an_app_id_that_has_to_be_a_number_is_one(app_id: str) -> None:
    exchange.digits(NOTIFIER)
    with pytest.raises(ConfigError, match="--app-id is a number"):
        exchange.digits(Notifier("app", "ours", 7, 1, app_id, ""))
