"""Answers are compressed for whom takes it, where it is worth it."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from lanying.base import limits
from lanying.gateway.http.packing import takes_gzip
from tests.gateway.conftest import Gateway


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("gzip;q=0.01", True),
        ("xgzip2", False),
    ],
)
def test_who_takes_it(accepted: str, taken: bool) -> None:
    head = [(b"accept-encoding", accepted.encode())]
    assert takes_gzip(Request({"type": "http", "headers": head})) is taken


@pytest.mark.parametrize(
    ("path", "least"), [("/user/profile", limits.REST_PACKED_BYTES), ("/openapi.json", limits.REST_PACKED_ASIDE_BYTES)]
)
def test_long_answers_are_shorter(gateway: Gateway, path: str, least: int) -> None:
    _, token = gateway.register("alice")
    gateway.data("POST", "/user/profile", token, json={"description": "long " * (limits.TEXT_FIELD_CHARS // 5)})
    who = {"app_id": "app", "access-token": token}
    plain, packed = (gateway.send("GET", path, headers={**who, "accept-encoding": it}) for it in ("identity", "gzip"))
    assert len(plain.content) >= least
    assert plain.json() == packed.json()
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


def test_a_short_answer_stays_as_it_is(gateway: Gateway) -> None:
    found = gateway.send("GET", "/api/health", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in found.headers
    assert found.json()["data"] is True
