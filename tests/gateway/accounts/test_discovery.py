from __future__ import annotations

from collections.abc import Callable

from lanying.config.schema import AppOverrides, Discovery
from tests.gateway.conftest import Gateway


def test_servers_are_those_of_the_request(gateway: Gateway) -> None:
    data = gateway.data("GET", "/v2/app_dns?app_id=app&source=sdk", headers={"access-token": "stale"})
    own = {"protocol": "http", "host": "im.test:8480", "here": True}
    assert data["app_status"] == "normal"
    assert data["account_verification"] == {"type": "enterprise", "status": "unverified", "name": "Our School"}
    [level] = data["dns_list"]
    assert level["group_level"] == 0
    [cluster] = level["clusters"]
    assert cluster == {"ratel": [{**own, "ip_list": ["im.test"]}], "webim": [own], "rtc": [own]}
    assert data["dns_server_list"] == data["link_server_list"] == []


def test_servers_of_the_configuration(make: Callable[..., Gateway]) -> None:
    discovery = Discovery(rest_url="https://a.example/x/", message_url="wss://b.example:8", rtc_url="ws://[::1]:9")
    data = make(discovery=discovery).data("GET", "/v2/app_dns?app_id=app")
    [cluster] = data["dns_list"][0]["clusters"]
    assert cluster == {
        "ratel": [{"protocol": "https", "host": "a.example/x", "ip_list": ["a.example"]}],
        "webim": [{"protocol": "https", "host": "b.example:8"}],
        "rtc": [{"protocol": "http", "host": "[::1]:9"}],
    }


def test_an_unknown_app_has_a_code_of_its_own(gateway: Gateway) -> None:
    assert gateway.code("GET", "/v2/app_dns?app_id=nobody") == 99997
    assert gateway.code("GET", "/v2/app_dns", app="nobody") == 99997
    assert gateway.code("GET", "/app/config?platform=6", app="nobody") == 40000


def test_a_host_that_is_none_is_not_echoed(gateway: Gateway) -> None:
    data = gateway.data("GET", "/v2/app_dns?app_id=app", headers={"host": 'x"><script>'})
    assert data["dns_list"][0]["clusters"][0]["webim"][0]["host"] == gateway.services.config.listen


def test_probes(gateway: Gateway) -> None:
    assert gateway.send("GET", "/api/health").json() == {"code": 200, "data": True, "message": None}
    page = gateway.send("GET", "/")
    assert (page.status_code, page.headers["access-control-allow-origin"]) == (200, "*")
    assert page.headers["content-type"].startswith("text/html")


def test_app_config(gateway: Gateway) -> None:
    data = gateway.data("GET", "/app/config?platform=6", "stale token")
    assert data == {
        "hide_member_info": False,
        "message_forward_max_user_num": 20,
        "message_forward_max_message_num": 100,
    }


def test_preflight_echoes_the_headers_asked_for(gateway: Gateway) -> None:
    for path in ("/roster/list", "/no/such/path"):
        headers = {"origin": "https://a", "access-control-request-headers": "app_id,x-more"}
        response = gateway.send("OPTIONS", path, headers=headers)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-headers"] == "app_id,x-more"
        assert int(response.headers["access-control-max-age"]) > 0
        assert {"GET", "POST", "PUT", "DELETE"} <= set(response.headers["access-control-allow-methods"].split(", "))
    assert "app_id" in gateway.send("OPTIONS", "/").headers["access-control-allow-headers"]


def test_unknown_paths_and_methods_are_envelopes(gateway: Gateway) -> None:
    response = gateway.send("GET", "/no/such/path")
    assert (response.status_code, response.json()["code"]) == (404, 404)
    assert response.headers["access-control-allow-origin"] == "*"
    response = gateway.send("DELETE", "/token/user")
    assert (response.status_code, response.json()["code"]) == (405, 405)


def test_a_body_beyond_the_limit(gateway: Gateway) -> None:
    response = gateway.send("POST", "/token/user", headers={"app_id": "app"}, content=b"x" * (1 << 20) + b"x")
    assert (response.status_code, response.json()["code"]) == (413, 413)
    assert response.headers["connection"] == "close"


def test_what_the_configuration_says_is_verified_app_by_app(make: Callable[..., Gateway]) -> None:
    gateway = make(discovery=Discovery(verified_name="A School Ltd."), apps={"other": AppOverrides(verified_name="B")})
    for app, name in (("app", "A School Ltd."), ("other", "B")):
        found = gateway.data("GET", f"/v2/app_dns?app_id={app}")["account_verification"]
        assert found == {"type": "enterprise", "status": "verified", "name": name}


def test_features_not_offered_are_business_errors(gateway: Gateway) -> None:
    _, token = gateway.register("alice")
    assert gateway.data("GET", "/app/user_verification", token) == {"status": 0}
    assert gateway.data("GET", "/app/support_staff", token) == []
