"""Names that lead to one user: an alias of somebody else is refused, one that is given up is free."""

from __future__ import annotations

import pytest

from lanying.base.refusals import Refusal
from lanying.gateway.accounts.handles import is_mobile
from tests.gateway.conftest import Gateway


@pytest.mark.parametrize("text", ["+4915112345678", "+12345678", "+" + "1" * 20, "13912345678", "19912345678"])
def test_phone_numbers_look_like_ones(text: str) -> None:
    assert is_mobile(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "+1234567",
        "+" + "1" * 21,
        "12912345678",
        "1391234567",
        "139123456789",
        "004915112345678",
        "+49 151 123",
        "+٤٩١٥١١٢٣",
        "13912345678\n",
    ],
)
def test_other_texts_do_not(text: str) -> None:
    assert not is_mobile(text)


def alias(gateway: Gateway, token: str, text: str) -> int:
    return gateway.code("POST", "/user/push/alias", token, json={"alias": text})


def test_an_alias_leads_to_one_user_of_an_app(gateway: Gateway) -> None:
    (_, ann), (_, bea) = gateway.register("ann"), gateway.register("bea")
    assert alias(gateway, ann, "desk") == 200
    assert alias(gateway, bea, "desk") == alias(gateway, bea, "DESK") == Refusal.ALIAS_TAKEN.code
    assert alias(gateway, ann, "Desk") == 200, "one's own"
    _, other = gateway.register("cora", app="other")
    assert gateway.code("POST", "/user/push/alias", other, app="other", json={"alias": "desk"}) == 200


@pytest.mark.parametrize("then", ["", "other"])
def test_an_alias_that_is_given_up_is_free(gateway: Gateway, then: str) -> None:
    (_, ann), (_, bea) = gateway.register("ann"), gateway.register("bea")
    alias(gateway, ann, "desk")
    assert alias(gateway, ann, then) == 200
    assert alias(gateway, bea, "desk") == 200


def test_an_alias_is_nobodys_user_name(gateway: Gateway) -> None:
    _, ann = gateway.register("ann")
    assert alias(gateway, ann, "bea") == 200
    assert gateway.register("bea")[0]
