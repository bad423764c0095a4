"""Tokens: what is signed comes back, everything else is refused."""

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.errors import TokenError
from lanying.base.tokens import ROLE_ADMIN, ROLE_USER, Identity, issue, verify

KEY, OTHER = b"k" * 32, b"o" * 32
NOW_S = 1_900_000_000
ALICE = Identity("lanying", 1_024_001, ROLE_USER, 3, NOW_S)


@pytest.mark.parametrize("identity", [ALICE, Identity("lanying", 0, ROLE_ADMIN, 0)])
def test_round_trip(identity):
    assert verify(KEY, issue(KEY, identity), 0) == identity


def test_a_token_is_not_json_text():
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(issue(KEY, ALICE))


def test_a_token_ends_with_its_second_to_the_millisecond():
    assert verify(KEY, issue(KEY, ALICE), NOW_S * 1000 - 1) == ALICE
    with pytest.raises(TokenError, match="expired"):
        verify(KEY, issue(KEY, ALICE), NOW_S * 1000)


def test_signed_with_another_key():
    with pytest.raises(TokenError, match="invalid"):
        verify(OTHER, issue(KEY, ALICE), 0)


def test_unsigned():
    head, body = ({"alg": "none"}, {"app": "lanying", "sub": "1", "role": ROLE_ADMIN, "epoch": 0})
    pieces = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, body)]
    with pytest.raises(TokenError):
        verify(KEY, ".".join([*pieces, ""]), 0)


@pytest.mark.parametrize("missing", ["app", "sub", "role", "epoch"])
def test_a_claim_is_missing(missing):
    claims = {"app": "lanying", "sub": "1", "role": 1, "epoch": 0}
    del claims[missing]
    with pytest.raises(TokenError):
        verify(KEY, jwt.encode(claims, KEY, algorithm="HS256"), 0)


@pytest.mark.parametrize("claims", [{"sub": "x"}, {"role": "admin"}, {"epoch": None}, {"epoch": []}, {"epoch": 1e999}])
def test_a_claim_is_of_the_wrong_kind(claims):
    with pytest.raises(TokenError):
        verify(KEY, jwt.encode({"app": "a", "sub": "1", "role": 1, "epoch": 0, **claims}, KEY, algorithm="HS256"), 0)


@given(st.text(max_size=200))
def test_any_text_is_refused_and_nothing_else(text):
    with pytest.raises(TokenError):
        verify(KEY, text, 0)


@given(st.integers(0, 10_000))
def test_a_changed_token_is_refused(position):
    token = issue(KEY, ALICE)
    at = position % len(token)
    changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    try:
        assert verify(KEY, changed, 0) == ALICE  # the last character of base64 has bits that say nothing
    except TokenError:
        pass
