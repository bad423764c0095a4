"""A notifier that could never send is refused when it is added, and no secret leaves in the clear."""

from __future__ import annotations

import pytest

from lanying.base.errors import ConfigError
from lanying.config.notifiers import PROVIDERS, Notifier, Secret
from lanying.push.vendors.registry import KINDS, check, make

MEIZU = PROVIDERS["flyme"]


def notifier(provider: int = MEIZU, **fields: str) -> Notifier:
    return Notifier("app", "ours", provider, 1, "123", "", **fields)


SECRET = Secret(app_key="k", app_secret="s")


def test_every_provider_has_its_vendor() -> None:
    assert {name: KINDS[number].name for name, number in PROVIDERS.items()} == {name: name for name in PROVIDERS}


@pytest.mark.parametrize(
    "url",
    [
        "https://push.example.com",
        "https://push.example.com:8443/base",
        "http://127.0.0.1:99",
        "http://127.9.9.9/",
        "http://[::1]:99",
        "http://localhost",
    ],
)
def test_a_host_of_ones_own_is_taken(url: str) -> None:
    assert make(notifier(endpoint=url), SECRET).url == url.rstrip("/")


@pytest.mark.parametrize("option", ["endpoint", "login_endpoint"])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://push.example.com", "needs https"),
        ("http://127.0.0.1.example.com", "needs https"),
        ("http://localhost.example.com", "needs https"),
        ("http://x@127.0.0.1@example.com", "needs https"),
        ("ftp://push.example.com", "is an address like"),
        ("push.example.com", "is an address like"),
        ("https://", "is an address like"),
        ("https://push.example.com/?a=b", "is an address like"),
        ("https://push.example.com/#a", "is an address like"),
        ("https://push.example.com/ a", "is an address like"),
        ("https://push.example.com\r\nhost: x", "is an address like"),
    ],
)
def test_another_address_is_refused_by_the_name_of_its_option(option: str, url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"notifier ours: --{option.replace('_', '-')} {says}"):
        check(notifier(**{option: url}), SECRET)


def test_a_vendor_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="notifier ours: there is no vendor 8"):
        check(notifier(8), SECRET)
