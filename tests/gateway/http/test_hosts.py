"""What a request says about its host is repeated to clients only where that is this server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lanying.config.schema import RestLimits
from tests.gateway.conftest import Gateway


@pytest.mark.parametrize(
    ("hosts", "host", "shown"),
    [
        ((), "evil.example", "evil.example"),
        (("im.example",), "evil.example", "im.example"),
        (("im.example",), "IM.example", "IM.example"),
        (("im.example",), "im.example:8480", "im.example:8480"),
        (("im.example:8480", "192.0.2.7"), "192.0.2.7", "192.0.2.7"),
        (("im.example:8480",), "im.example:9999", "im.example:8480"),
        (("im.example", "[2001:db8::1]"), "[2001:db8::1]:8480", "[2001:db8::1]:8480"),
        (("im.example",), "x/../y@evil.example", "im.example"),
    ],
)
def test_addresses_name_this_server(
    make: Callable[..., Gateway], hosts: tuple[str, ...], host: str, shown: str
) -> None:
    gateway = make(rest=RestLimits(hosts=hosts))
    _, token = gateway.register("alice")
    ticket = gateway.data("GET", "/file/upload/avatar/user", token, headers={"host": host})
    assert ticket["upload_url"].startswith(f"http://{shown}/file/upload?"), ticket
