"""Pushes a back end orders: what is refused, who is counted; certificates stay secret."""

from __future__ import annotations

from typing import Any

import pytest

from lanying.config.notifiers import KEY_FILE, LIST_FILE, Secret
from lanying.testing.simulation import User
from tests.gateway.contract.test_contract import World


@pytest.fixture
def world(make: Any) -> World:
    found = World(make())
    found.notifier()
    return found


def order(world: World, audience: Any = "all", message: Any = None, **more: Any) -> dict[str, Any]:
    body = {"audience": audience, "message": {"title": "t"} if message is None else message, **more}
    return world.gateway.call("POST", "/push/notify", world.gateway.admin(), json=body)


def targets(world: World, audience: Any) -> int:
    envelope = order(world, audience)
    assert envelope["code"] == 200, envelope
    body = {"list": [envelope["data"]["task_id"]]}
    [row] = world.gateway.data("POST", "/push/task/detail", world.gateway.admin(), json=body)
    assert row["xiaomi_sent"] == row["fcm_target"] == 0
    return int(row["xiaomi_target"])


def bind(world: World, who: str, token: str, notifier: str = "mi") -> None:
    User(world.gateway.shards.simulation, world.uids[who], who, "app").device()
    body = {"device_sn": 1, "device_token": token, "notifier_name": notifier}
    assert world.call(who, "POST", "/user/token/bind", body) is True


def test_devices_of_the_audience_are_counted(world: World) -> None:
    bind(world, "alice", "a")
    bind(world, "bob", "b")
    bind(world, "carol", "c", "a-notifier-that-is-gone")
    world.call("alice", "POST", "/user/push/tag", {"tags": ["red"]})
    world.call("bob", "POST", "/user/push/alias", {"alias": "bobby"})
    assert targets(world, "all") == 2
    assert targets(world, {"tag": ["red", "blue"]}) == 1
    assert targets(world, {"alias": ["bobby", "nobody"]}) == 1
    assert targets(world, {"push_token": ["a", "b", "x"]}) == 2
    assert targets(world, {"user_id": [world.uids["alice"], str(world.uids["bob"]), 5]}) == 2
    world.call("alice", "POST", "/user/push", {"value": True})
    assert targets(world, "all") == 1
    world.call("bob", "POST", "/user/token/unbind", {"deviceSn": 1})
    assert targets(world, "all") == 0


def test_a_device_token_is_one_devices(world: World) -> None:
    user = User(world.gateway.shards.simulation, world.uids["alice"], "alice", "app")
    user.device("one")
    user.device("two")
    for sn in (1, 2, 2):
        world.call("alice", "POST", "/user/token/bind", {"device_sn": sn, "device_token": "t", "notifier_name": "mi"})
    assert targets(world, "all") == 1
    body = {"device_sn": 3, "device_token": "t", "notifier_name": "mi"}
    assert world.gateway.code("POST", "/user/token/bind", world.tokens["alice"], json=body) == 10002


@pytest.mark.parametrize(
    ("audience", "message", "code"),
    [
        ("some", None, 10002),
        ({}, None, 10002),
        ({"tag": ["a"], "alias": ["b"]}, None, 10002),
        ({"tag": []}, None, 10002),
        ({"tag": [{}]}, None, 10002),
        ({"user_id": list(range(1, 502))}, None, 12005),
        ("all", {}, 10002),
        ("all", "hello", 10002),
        ("all", {"type": "song", "title": "t"}, 10002),
        ("all", {"type": "image", "title": "t", "attachment_url": "picture"}, 12004),
        ("all", {"title": "t", "badge": "-1"}, 10002),
        ("all", {"title": "t", "ios": "x"}, 10002),
        ("all", {"title": "t", "show_begin_time": "soon"}, 10002),
    ],
)
def test_bad_orders(world: World, audience: Any, message: Any, code: int) -> None:
    assert order(world, audience, message)["code"] == code


def test_bad_settings_and_repeated_requests(world: World) -> None:
    assert order(world, setting={"distribution_strategy": "x"})["code"] == 10002
    assert order(world, setting={"ospush_sequence": ["x"]})["code"] == 10002
    first, second = (order(world, setting={"request_id": "r-1"})["data"]["task_id"] for _ in range(2))
    assert first == second
    assert order(world, setting={"request_id": "r-2"})["data"]["task_id"] != first


def test_without_a_notifier_push_is_not_enabled(world: World) -> None:
    world.gateway.services.notifiers.remove("app", "mi")
    assert order(world)["code"] == 12006
    assert world.gateway.code("GET", "/push/certificate?provider=3", world.tokens["alice"]) == 12006


def test_secrets_are_for_admins_and_encrypted_on_the_disk(world: World) -> None:
    assert world.call("alice", "GET", "/push/certificate?provider=3") == {"name": "mi", "app_id": "vendor-app"}
    found = world.admin("GET", "/push/certificate?provider=3")
    assert (found["app_key"], found["app_secret"], found["certificate"]) == ("key", "secret", "text")
    data = world.gateway.data_directory
    assert b'"secret"' in (data / LIST_FILE).read_bytes()
    world.gateway.services.notifiers.put("app", "mi", 3, 1, "vendor-app", Secret("KEYTEXT", "SECRETTEXT", "CERTTEXT"))
    assert not any(word in (data / LIST_FILE).read_bytes() for word in (b"KEYTEXT", b"SECRETTEXT", b"CERTTEXT"))
    assert (data / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert world.gateway.code("GET", "/push/certificate?provider=3&environment=0", world.tokens["alice"]) == 12006
