"""What a handler is told about its request, and where clients are told this server is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lanying.config.schema import Config, Discovery
from lanying.gateway.http.endpoint import RequestContext


def context(host: str = "", rest_url: str = "", scheme: str = "https", address: str = "1.2.3.4") -> RequestContext:
    config = Config(discovery=Discovery(rest_url=rest_url))
    anything: Any = SimpleNamespace(config=config, app_id="app")
    return RequestContext(anything, anything, {}, anything, address, "", "", scheme, host, anything)


@pytest.mark.parametrize("host", ["im.example.com", "im.example.com:8443", "[::1]:80", "10.0.0.1", "a-b_c"[:3]])
def test_an_address_for_clients_is_the_one_they_came_to(host: str) -> None:
    assert context(host).base_url == f"https://{host}"
    assert context(host, scheme="http").base_url == f"http://{host}"


def test_a_configured_address_counts_more() -> None:
    assert context("evil.example.com", "https://im.example.com/rest/").base_url == "https://im.example.com/rest"


def test_a_limit_counts_networks_and_not_their_addresses() -> None:
    one, other = (context(address=f"2001:db8:1:2::{n}").peer for n in (1, 9))
    assert one == other != context(address="2001:db8:1:3::1").peer
    assert context(address="1.2.3.4").peer != context(address="1.2.3.5").peer
