from __future__ import annotations

import json

import pytest

from lanying.protocol.schema import xsync_pb2 as pb
from tests.gateway.conftest import Gateway


@pytest.fixture
def alice(gateway: Gateway) -> tuple[int, str]:
    return gateway.register("alice")


def test_profile(gateway: Gateway, alice: tuple[int, str]) -> None:
    uid, token = alice
    assert gateway.data("GET", "/user/profile", token) == {
        "user_id": uid,
        "username": "alice",
        "nick_name": "",
        "avatar": "",
        "description": "",
        "mobile": "",
        "email": "",
        "public_info": "",
        "private_info": "",
        "alias": "",
    }
    assert gateway.data("POST", "/user/profile", token, json={"nick_name": "Al", "public_info": "p"}) is True
    assert gateway.data("PUT", "/user/profile", token, json={"description": "d"}) is True
    assert gateway.data("POST", "/user/nickname?nick_name=Ally", token, json={}) is True
    assert gateway.data("PUT", "/user/avatar", token, json={"avatar": "https://a/b"}) is True
    found = gateway.data("GET", "/user/profile", token)
    assert (found["nick_name"], found["public_info"], found["description"]) == ("Ally", "p", "d")
    assert found["avatar"] == "https://a/b"
    assert gateway.data("POST", "/user/profile", token, json={}) is True
    assert gateway.data("POST", "/user/nickname", token, json={"nick_name": ""}) is True
    assert gateway.data("GET", "/user/profile", token)["nick_name"] == ""


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/user/nickname", {}),
        ("/user/nickname", {"nick_name": "x" * 257}),
        ("/user/nickname", {"nick_name": {}}),
        ("/user/avatar", {"avatar": "x" * 4097}),
        ("/user/authmode", {"value": 4}),
        ("/user/authmode", {}),
        ("/user/authmode", {"value": "x"}),
        ("/user/settings", {"no_push": "maybe"}),
        ("/user/settings", {"no_push_start_hour": 24}),
        ("/user/settings", {"auth_mode": -1}),
        ("/user/kick", {"device_sn": "x"}),
        ("/user/kick", {"device_sn": 1 << 31}),
        ("/user/device/remove", {}),
    ],
)
def test_bad_values(gateway: Gateway, alice: tuple[int, str], path: str, body: object) -> None:
    assert gateway.code("POST", path, alice[1], json=body) == 10002


def test_settings(gateway: Gateway, alice: tuple[int, str]) -> None:
    uid, token = alice
    bob, bobs = gateway.register("bob")
    before = gateway.data("GET", "/user/settings", token)
    assert before["user_id"] == uid
    assert before["group_confirm"] is False
    body = {"user_id": bob, "group_confirm": 1, "auth_mode": "2", "auth_question": "?", "no_push_end_hour": 7}
    assert gateway.data("POST", "/user/settings", token, json=body) is True
    after = gateway.data("GET", "/user/settings", token)
    assert after == before | {"group_confirm": True, "auth_mode": 2, "auth_question": "?", "no_push_end_hour": 7}
    assert gateway.data("GET", "/user/settings", bobs)["auth_mode"] == 1
    assert gateway.data("PUT", "/user/authmode?value=0", token) is True
    assert gateway.data("GET", "/user/settings", token)["auth_mode"] == 0


def test_friends_hear_of_a_new_nickname(gateway: Gateway, alice: tuple[int, str]) -> None:
    uid, token = alice
    bob, bobs = gateway.register("bob")
    gateway.data("POST", "/user/authmode?value=0", bobs)
    gateway.data("POST", "/roster/apply", token, json={"user_id": bob, "alias": ""})
    gateway.told()
    gateway.data("POST", "/user/nickname?nick_name=Al", token)
    [notice] = gateway.told()
    assert (notice.uid, notice.type, notice.source, notice.target) == (bob, pb.RosterNotice.INFO_UPDATED, uid, bob)
    assert json.loads(notice.content) == {"nick_name": "Al"}


def test_devices(gateway: Gateway, alice: tuple[int, str]) -> None:
    uid, token = alice
    sessions = [gateway.cluster.log_in(uid, guid) for guid in ("a", "b", "c")]
    sessions[2].leave()
    envelope = gateway.call("GET", "/user/device/list", token)
    assert [row["device_sn"] for row in envelope["data"]] == [2, 1, 3]
    assert envelope["data"][0].items() >= {"platform": 6, "user_agent": "Web", "user_id": uid}.items()
    assert gateway.data("POST", "/user/kick", token, json={"device_sn": 1}) is True
    assert [session.closed for session in sessions] == [True, False, True]
    assert gateway.cluster.kicks[-1] == (uid, 1, pb.UserNotice.KICKED_BY_OTHER_DEVICE, 0)
    assert gateway.data("DELETE", "/user/device/remove?device_sn=3", token) is True
    assert gateway.data("PUT", "/user/kick", token) is True
    assert all(session.closed for session in sessions)
    assert gateway.code("GET", "/user/device/list", token) == 402


def test_groups_are_empty_for_now(gateway: Gateway, alice: tuple[int, str]) -> None:
    assert gateway.data("GET", "/group/user_joined", alice[1]) == []
    assert gateway.data("POST", "/group/info/batch", alice[1], json={"group_list": [5]}) == []
    assert gateway.code("POST", "/group/info/batch", alice[1], json={"group_list": "x"}) == 10002
