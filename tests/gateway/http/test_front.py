"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lanying.base import limits
from lanying.config.schema import RestLimits
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.services.bodies import Bodies
from tests.gateway.conftest import Gateway

GUARDS = ("x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy")


@pytest.mark.parametrize(
    ("method", "path"),
    [*((method, it.path) for it in ENDPOINTS for method in it.methods),
     ("GET", "/"), ("GET", "/admin"), ("GET", "/nothing/here"), ("GET", "/web/x/nothing.js"), ("DELETE", "/"), ("POST", "/api/health"),
     ("OPTIONS", "/token/user"), ("HEAD", "/file/download/chat?x=1"), ("TRACE", "/"), ("GET", "//"), ("GET", "/%00")],
)  # fmt: skip
def test_every_answer_has_every_guard_once(gateway: Gateway, method: str, path: str) -> None:
    headers = gateway.send(method, path).headers
    for name in GUARDS:
        assert len(headers.get_list(name)) == 1, name
    assert headers["access-control-allow-origin"] == "*"
    assert (
        "frame-ancestors 'none'" in headers["content-security-policy"]
        or "sandbox" in headers["content-security-policy"]
    )
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("path", ["//api//health", "/v2/app_dns/", "//v2/app_dns//"])
def test_doubled_and_trailing_slashes_are_answered(gateway: Gateway, path: str) -> None:
    assert gateway.call("GET", f"http://im.test{path}?app_id=app")["code"] == 200


def test_the_app_may_be_named_without_an_underscore(gateway: Gateway) -> None:
    body = {"name": "nobody", "password": "secret1"}
    for headers in ({"app_id": "app"}, {"app-id": "app"}):
        assert gateway.send("POST", "/token/user", headers=headers, json=body).json()["code"] == 10000
    assert gateway.send("POST", "/token/user", json={**body, "app_id": "app"}).json()["code"] == 10000
    unnamed = gateway.send("POST", "/token/user", json=body).json()
    assert unnamed["code"] == 40000
    assert "underscores_in_headers" in unnamed["message"]


def test_a_trusted_proxy_speaks_for_its_client_and_nobody_else_does(make: Callable[..., Gateway]) -> None:
    said = {"x-forwarded-for": "8.8.8.8, 203.0.113.9", "x-forwarded-proto": "https", "x-forwarded-host": "im.example"}

    def discovered(gateway: Gateway, headers: dict[str, str]) -> httpx.Response:
        return gateway.send("GET", "/v2/app_dns?app_id=app", headers=headers)

    behind = discovered(make(listen_proxies=("127.0.0.1/32",)), said)
    assert '"protocol":"https","host":"im.example"' in behind.text
    assert behind.headers["strict-transport-security"]
    below = discovered(make(listen_proxies=("127.0.0.1/32",)), said | {"x-forwarded-prefix": "/im/"})
    assert '"protocol":"https","host":"im.example/im"' in below.text
    for odd in ("/", "im", "/im?x", "//evil.example", '/"', "/a" * 9):
        assert (
            discovered(make(listen_proxies=("127.0.0.1/32",)), said | {"x-forwarded-prefix": odd}).text == behind.text
        )
    stranger = discovered(make(), said)
    assert "im.example" not in stranger.text
    assert "im.test" in stranger.text
    assert "strict-transport-security" not in stranger.headers


def test_made_up_addresses_are_one_peer_unless_a_trusted_proxy_names_them(make: Callable[..., Gateway]) -> None:
    def refused(gateway: Gateway) -> int:
        codes = [
            gateway.code(
                "POST",
                "/token/user",
                headers={"x-forwarded-for": f"203.0.113.{n}"},
                json={"name": f"n{n}", "password": "wrong12"},
            )
            for n in range(150)
        ]
        return codes.count(10028)

    assert refused(make()) == 50
    assert refused(make(listen_proxies=("127.0.0.1/32",))) == 0


def test_without_a_good_token_a_body_is_small_and_with_one_it_may_be_large(gateway: Gateway) -> None:
    _, token = gateway.register("alice")
    large = {"pad": "x" * limits.REST_BODY_BYTES_NO_TOKEN}
    assert gateway.send("POST", "/token/user", headers={"app_id": "app"}, json=large).status_code == 413
    assert (
        gateway.send("POST", "/token/user", headers={"app_id": "app", "access-token": "a.b.c"}, json=large).status_code
        == 413
    )
    assert gateway.code("POST", "/roster/list", "forged", json=large) == 402
    assert gateway.code("POST", "/roster/list", token, json={"list": [1] * 20_000}) != 413


def test_the_address_is_asked_before_the_body_is_read(make: Callable[..., Gateway]) -> None:
    gateway = make(rest=RestLimits(requests_per_second_per_address=1))

    async def unread() -> Any:
        raise AssertionError("the body was read")
        yield b""

    for _ in range(int(limits.REQUEST_BURST_S)):
        gateway.send("GET", "/api/health")
    assert gateway.call("POST", "/token/user", content=unread())["code"] == 429


def test_bodies_share_a_budget_per_peer_and_in_all(gateway: Gateway) -> None:
    bodies = gateway.services.bodies = Bodies(total=3000, each=2000)

    def post(size: int) -> int:
        return gateway.code("POST", "/token/user", json={"pad": "x" * size})

    assert post(1900) == 10002
    assert bodies.held == 0
    assert post(2100) == 503
    bodies.held = 2500
    assert post(1000) == 503
    assert bodies.held == 2500


def test_a_file_a_part_of_it_and_one_that_is_known_have_every_guard(gateway: Gateway) -> None:
    _, token = gateway.register("alice")
    ticket = gateway.data("GET", "/file/upload/chat?file_type=100&to_id=9", token)
    gateway.send("POST", ticket["upload_url"], content=b"<script>alert(1)</script>")
    sent = {"app_id": "app", "access-token": token}
    whole = gateway.send("GET", ticket["download_url"], headers=sent)
    assert whole.status_code == 200
    for more, status in (
        ({}, 200),
        ({"range": "bytes=0-3"}, 206),
        ({"range": "bytes=999-"}, 416),
        ({"if-none-match": whole.headers["etag"]}, 304),
    ):
        answer = gateway.send("GET", ticket["download_url"], headers=sent | more)
        assert answer.status_code == status
        for name in GUARDS:
            assert len(answer.headers.get_list(name)) == 1, (status, name)
        assert answer.headers["content-security-policy"].startswith("sandbox")


# --- hosts ---------------------------------------------------------------------------------------------------------

HOSTILE = (
    "evil.example",
    "evil.example:80",
    "im.test.evil.example",
    'x"><script>',
    "e vil.example",
    "x; script-src *",
    "x" * 300,
    "",
)


def told(gateway: Gateway, host: str) -> str:
    """Everything that repeats the host of a request: discovery, tickets, addresses, QR codes, pages and their policy."""
    token = gateway.register(f"user{secrets.token_hex(4)}")[1]
    own = {"host": host, "app_id": "app", "access-token": token}
    paths = ("/v2/app_dns", "/file/upload/chat?file_type=102&to_id=9", "/file/upload/avatar/user", "/app/qr_code")
    answers = [gateway.send("GET", path, headers=own) for path in (*paths, "/", "/admin", "/docs", "/nothing")]
    assert all(answer.status_code < 500 for answer in answers)
    return "\n".join(f"{answer.headers}\n{answer.text}" for answer in answers)


@pytest.mark.parametrize("host", HOSTILE)
def test_a_host_of_somebody_else_is_repeated_nowhere(make: Callable[..., Gateway], host: str) -> None:
    text = told(make(rest=RestLimits(hosts=("im.test", "other.test:8480"))), host)
    assert not host or host not in text
    assert "http://im.test/file/upload" in text


def test_hosts_of_ours_are_told_with_their_ports(make: Callable[..., Gateway]) -> None:
    gateway = make(rest=RestLimits(hosts=("im.test", "other.test:8480", "[fd00::1]")))
    for host in ("im.test", "IM.test:99", "other.test:8480", "[fd00::1]:5"):
        assert f"http://{host}/file/upload" in told(gateway, host)
    assert "http://im.test/file/upload" in told(gateway, "other.test:8481")


def test_two_hosts_are_none(make: Callable[..., Gateway]) -> None:
    headers = [("host", "im.test"), ("host", "evil.example")]
    assert "evil" not in make().send("GET", "/v2/app_dns?app_id=app", headers=headers).text
