"""The server's own description: valid, complete, and true for whatever schemathesis makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from lanying.gateway.app import ENDPOINTS
from lanying.gateway.contract.contract import CONTRACT
from lanying.gateway.contract.openapi import document
from lanying.gateway.http.pages import PAGES
from tests.gateway.conftest import ACCOUNTS, Gateway
from tests.gateway.contract.test_contract import World

OWN = {"/openapi.json", "/docs"}
"""Not part of the described API."""


def test_everything_described_is_routed(gateway: Gateway) -> None:
    found = gateway.send("GET", "/openapi.json").json()
    described = {(method.upper(), path) for path, it in found["paths"].items() for method in it}
    routed = {(method, it.path) for it in ENDPOINTS for method in it.methods if it.path not in OWN and method != "HEAD"}
    routed |= {("GET", path) for path in PAGES}
    assert described - routed == set()


def test_every_shape_is_a_json_schema() -> None:
    for name, shape in CONTRACT.schemas.items():
        assert jsonschema_rs.validator_for({"components": {"schemas": CONTRACT.schemas}, **shape}), name


def test_the_page_names_every_path_and_loads_nothing(gateway: Gateway) -> None:
    response = gateway.send("GET", "/docs")
    assert response.headers["content-type"].startswith("text/html")
    for call in CONTRACT.calls:
        assert f"<code>{call.path}</code>" in response.text
    assert re.findall("(?:src|href|url)[=(]['\"]?(?!/openapi.json)[^ >]*", response.text) == []


api = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    gateway = Gateway(ACCOUNTS)
    yield World(gateway)
    gateway.close()


@api.parametrize()
@settings(
    max_examples=2,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
def test_no_input_ends_in_a_server_error(case: Any, world: World) -> None:
    gateway = world.gateway
    gateway.now += 60
    headers = {"app_id": "app", "access-token": gateway.admin(), "user_id": str(world.uids["carol"])}
    arguments = case.as_transport_kwargs()
    headers |= {key: value for key, value in arguments.get("headers", {}).items() if key.lower() == "content-type"}
    body = {"json": arguments["json"]} if "json" in arguments else {"content": arguments.get("data")}
    response = gateway.send(case.method, case.formatted_path, params=arguments.get("params"), headers=headers, **body)
    assert response.status_code < 500, response.text
    if response.headers.get("content-type") == "application/json" and case.path not in OWN:
        assert response.json()["code"] != 500, response.text


@pytest.mark.parametrize("target", [-1, 0, -(1 << 63), (1 << 63) - 1])
def test_a_message_to_no_id_at_all_is_refused(world: World, target: int) -> None:
    body = {"type": 1, "targets": [target], "content_type": 0, "content": "x"}
    assert world.gateway.code("POST", "/message/send", world.tokens["alice"], json=body) == 10002
