"""Whatever users write and vendors answer: requests are well-formed and small, answers have a meaning, nothing raises."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.config.notifiers import PROVIDERS
from lanying.push.decision import Push
from lanying.push.vendors.exchange import Access, PushOutcome, PushState, VendorAnswer, VendorRequest
from lanying.push.vendors.payload import json_bytes
from lanying.push.vendors.registry import make
from tests.push.vendors.keys import APNS_TOKEN, NOW, TOKEN, notifier_of, secret_of

KNOWN = ("sound", "channel_id", "click_action", "intent", "badge_class", "category", "push_mode", "classification")
IOS = ("sound", "content_available", "mutable_content", "category", "thread_id", "subtitle", "apns_collapse_id")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.just("intent"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TIMES = st.sampled_from((0, 1, int(NOW) + 1, int(NOW) + 10**6, 2**31 - 1))
PUSHES = st.builds(
    Push,
    title=st.text(max_size=100),
    body=st.text(max_size=1000) | st.integers(0, 1000).map(lambda chars: "\x00" * chars),
    badge=st.integers(0, 2**31 - 1),
    silent=st.booleans(),
    loc_key=st.text(max_size=50),
    loc_args=st.lists(st.text(max_size=20), max_size=10),
    show_begin_time=TIMES,
    show_end_time=TIMES,
    ios=st.dictionaries(st.sampled_from(IOS) | st.text(max_size=9), VALUES, max_size=6),
    android=st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=9), VALUES, max_size=6),
    vendors=st.dictionaries(
        st.sampled_from(tuple(PROVIDERS)), st.dictionaries(st.sampled_from(KNOWN), VALUES, max_size=4), max_size=2
    ),
    ext=st.dictionaries(st.text(max_size=8), VALUES, max_size=3),
    data_only=st.booleans(),
    image=st.text(max_size=40),
)
MADE = {provider: make(notifier_of(provider), secret_of(provider)) for provider in PROVIDERS}


MEMBER = {"": 0}
WRAPPING = {
    "apns": 0,
    "fcm": len(json_bytes({"message": {"token": TOKEN} | MEMBER})) - len(json_bytes(MEMBER)),
    "huawei": len(json_bytes({"validate_only": False, "message": MEMBER | {"token": [TOKEN]}}))
    - len(json_bytes(MEMBER)),
}
"""Bytes sent around the payload, which counts for the limit of those who have one for the whole."""

LONG_WITH_FLOATS = Push("t", "x" * 5000, 1, ext={"n": [1e16, 1e-7, 1e300]})
"""Python's own JSON writes these numbers longer than what is sent has them."""


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(push=PUSHES, collapse_id=st.text(max_size=80))
@example(push=LONG_WITH_FLOATS, collapse_id="")
def test_requests(provider, push, collapse_id):
    vendor = MADE[provider]
    token = APNS_TOKEN if provider == "apns" else TOKEN
    found = vendor.request(token, push, collapse_id, "access", NOW)
    if isinstance(found, PushOutcome):
        assert found.state is PushState.REFUSED and found.reason
        return
    assert found.url.startswith(vendor.base) and found.url.isascii() and " " not in found.url
    for name, value in found.headers.items():
        assert f"{name}{value}".isascii() and f"{name}{value}".isprintable()
    if provider in WRAPPING:
        assert len(found.body) - WRAPPING[provider] <= limits.VENDOR_PAYLOAD_BYTES
    assert len(found.body) < 32 * 1024


CODES = st.sampled_from((0, "0", 200, "200", "80000000", -1, 10000, 11, "token", "é", 3600, -5, 10**400, True))
ANSWERS = st.builds(
    VendorAnswer,
    status=st.sampled_from((200, 204, 301, 400, 401, 403, 404, 410, 413, 429, 500, 503)),
    headers=st.dictionaries(st.just("retry-after"), st.text(max_size=12) | st.integers().map(str)),
    body=st.binary(max_size=40)
    | st.dictionaries(
        st.sampled_from(("code", "result", "reason", "error", "value", "data", "msg", "message", "desc", "access_token",
                         "expires_in", "authToken", "invalidUser", "description")),
        CODES | VALUES | st.dictionaries(st.sampled_from(("status", "details", "auth_token", "bad_regids")), CODES | VALUES, max_size=3),
        max_size=4,
    ).map(lambda found: json.dumps(found).encode()),
)  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(answer=ANSWERS)
def test_answers(provider, answer):
    vendor = MADE[provider]
    outcome = vendor.outcome(answer, NOW)
    assert isinstance(outcome.reason, str) and (outcome.reason or outcome.state is PushState.SENT)
    assert (outcome.state is PushState.LATER) == (outcome.retry_after_s > 0)
    assert outcome.retry_after_s <= limits.VENDOR_RETRY_MAX_S
    assert outcome.state is not PushState.SENT or answer.status == 200
    assert vendor.stale(answer) in (True, False)
    if isinstance(vendor.login(NOW), VendorRequest):
        access = vendor.access(answer, NOW)
        assert isinstance(access, Access | PushOutcome)
        assert not isinstance(access, Access) or (access.token and access.until > NOW)
