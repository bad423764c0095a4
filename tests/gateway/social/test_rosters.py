from __future__ import annotations

from typing import Any

import pytest

from lanying.bus.messages import STATE_DELETED, SetState
from lanying.protocol.schema import xsync_pb2 as pb
from tests.gateway.conftest import Gateway

R = pb.RosterNotice


class Town:
    """Alice, bob on another shard, and carol of another app."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        shard_of = gateway.cluster.map.shard_of
        self.alice, self.as_alice = gateway.register("alice")
        names = (n for n in map("bob{}".format, range(99)))
        here = shard_of(self.alice)
        name = next(n for n in names if gateway.cluster.map.shard_of_name("app", n) != here)
        self.bob, self.as_bob = gateway.register(name)
        self.bob_name = name
        self.carol, self.as_carol = gateway.register("carol", app="other")
        assert shard_of(self.bob) != here

    def befriend(self) -> None:
        self.gateway.data("POST", "/roster/apply", self.as_alice, json={"user_id": self.bob, "alias": "B"})
        self.gateway.data("POST", f"/roster/accept?user_id={self.alice}", self.as_bob, json={})
        self.gateway.told()

    def items(self, token: str, *uids: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.gateway.data("POST", "/roster/list", token, json={"list": list(uids)})
        return found


@pytest.fixture
def town(gateway: Gateway) -> Town:
    return Town(gateway)


def test_from_request_to_friendship(gateway: Gateway, town: Town) -> None:
    alice, bob = town.alice, town.bob
    body = {"user_id": str(bob), "alias": "Bobby", "reason": "hi"}
    assert gateway.data("POST", "/roster/apply", town.as_alice, json=body) is True
    assert [(n.uid, n.type, n.source, n.target, n.content) for n in gateway.told()] == [
        (bob, R.APPLIED, alice, bob, "hi")
    ]
    [row] = gateway.data("GET", "/roster/apply/list?cursor=", town.as_bob)
    assert (row["user_id"], row["status"], row["reason"]) == (alice, 0, "hi")
    assert row["expired_time"] > gateway.cluster.now_ms
    assert gateway.data("POST", f"/roster/accept?user_id={alice}", town.as_bob, json={}) is True
    assert {(n.uid, n.type, n.source, n.target) for n in gateway.told()} == {
        (who, R.ACCEPTED, bob, alice) for who in (alice, bob)
    }
    assert gateway.data("GET", "/roster/list", town.as_alice) == [bob]
    assert gateway.data("GET", "/roster/list", town.as_bob) == [alice]
    assert gateway.data("GET", "/roster/apply/list", town.as_bob)[0]["status"] == 1
    assert gateway.code("POST", "/roster/apply", town.as_bob, json={"user_id": alice}) == 10005


def test_a_row_for_every_existing_id(gateway: Gateway, town: Town) -> None:
    town.befriend()
    rows = town.items(town.as_alice, town.bob, town.alice, town.carol, 5, -1, 0, 1 << 62, str(town.bob))
    assert [row["user_id"] for row in rows] == [town.bob, town.alice]
    assert rows[0] == {
        "user_id": town.bob,
        "username": town.bob_name,
        "nick_name": "",
        "alias": "B",
        "avatar": "",
        "description": "",
        "public_info": "",
        "ext": "",
        "relation": 0,
        "mute_notification": False,
        "auth_mode": 1,
        "auth_question": "",
    }
    assert town.items(town.as_alice) == []
    assert gateway.data("POST", "/roster/list", town.as_alice, json={}) == []
    assert gateway.code("POST", "/roster/list", town.as_alice, json={"list": ["x"]}) == 10002
    assert gateway.code("POST", "/roster/list", town.as_alice, json={"list": [1] * 10_001}) == 10002


def test_a_thousand_ids_in_one_call(gateway: Gateway, town: Town) -> None:
    asked = [*range(1, 1000), town.bob, town.alice]
    assert [row["user_id"] for row in town.items(town.as_alice, *asked)] == [town.bob, town.alice]


def test_looking_up(gateway: Gateway, town: Town) -> None:
    assert gateway.data("GET", f"/roster/id?user_id={town.bob}", town.as_alice)["relation"] == 2
    assert gateway.data("GET", f"/roster/name?username={town.bob_name}", town.as_alice)["user_id"] == town.bob
    assert gateway.code("GET", f"/roster/id?user_id={town.carol}", town.as_alice) == 10000
    assert gateway.code("GET", "/roster/id?user_id=77", town.as_alice) == 10000
    assert gateway.code("GET", "/roster/id?user_id=x", town.as_alice) == 10002
    assert gateway.code("GET", "/roster/id", town.as_alice) == 10002
    assert gateway.code("GET", "/roster/name?username=carol", town.as_alice) == 10000
    gateway.cluster.ask(town.bob, SetState(town.bob, STATE_DELETED))
    assert gateway.code("GET", f"/roster/id?user_id={town.bob}", town.as_alice) == 10021


def test_delete(gateway: Gateway, town: Town) -> None:
    town.befriend()
    assert gateway.data("POST", f"/roster/delete?user_id={town.bob}", town.as_alice, json={}) is True
    assert {n.type for n in gateway.told()} == {R.REMOVED}
    assert gateway.data("GET", "/roster/list", town.as_alice) == []
    assert gateway.data("GET", "/roster/list", town.as_bob) == []
    assert town.items(town.as_alice, town.bob)[0]["relation"] == 1
    assert gateway.data("DELETE", f"/roster/delete?user_id={town.bob}", town.as_alice) is True


def test_decline(gateway: Gateway, town: Town) -> None:
    gateway.data("POST", "/roster/apply", town.as_alice, json={"user_id": town.bob})
    assert gateway.data("PUT", "/roster/decline", town.as_bob, json={"user_id": town.alice, "reason": "no"}) is True
    assert gateway.code("POST", "/roster/decline", town.as_bob, json={"user_id": town.alice}) == 10007
    assert gateway.code("POST", "/roster/accept", town.as_bob, json={"user_id": town.alice}) == 10007


def test_nobody_takes_part_from_another_app(gateway: Gateway, town: Town) -> None:
    body = {"user_id": town.carol}
    for path in ("/roster/apply", "/roster/block", "/roster/unblock", "/roster/ext"):
        assert gateway.code("POST", path, town.as_alice, json=body) == 10000, path


def test_block(gateway: Gateway, town: Town) -> None:
    assert gateway.data("POST", f"/roster/block?user_id={town.alice}", town.as_bob, json={}) is True
    assert gateway.data("GET", "/roster/blocked_list", town.as_bob) == [town.alice]
    assert town.items(town.as_bob, town.alice)[0]["relation"] == 3
    assert gateway.code("POST", "/roster/apply", town.as_alice, json={"user_id": town.bob}) == 10006
    assert gateway.data("DELETE", f"/roster/unblock?user_id={town.alice}", town.as_bob) is True
    assert gateway.data("GET", "/roster/blocked_list", town.as_bob) == []
    assert [n.type for n in gateway.told()] == [R.BLOCKED, R.UNBLOCKED]


def test_auth_modes(gateway: Gateway, town: Town) -> None:
    apply = {"user_id": town.bob}
    gateway.data("POST", "/user/authmode?value=3", town.as_bob)
    assert gateway.code("POST", "/roster/apply", town.as_alice, json=apply) == 10012
    settings = {"auth_mode": 2, "auth_question": "6*7", "auth_answer": "42"}
    gateway.data("POST", "/user/settings", town.as_bob, json=settings)
    found = gateway.data("GET", f"/roster/id?user_id={town.bob}", town.as_alice)
    assert (found["auth_mode"], found["auth_question"]) == (2, "6*7")
    assert "auth_answer" not in found
    assert gateway.code("POST", "/roster/apply", town.as_alice, json=apply | {"auth_answer": 41}) == 10012
    assert gateway.code("POST", "/roster/apply", town.as_alice, json=apply | {"auth_answer": 42}) == 200
    assert gateway.data("GET", "/roster/list", town.as_alice) == [town.bob]


def test_notes(gateway: Gateway, town: Town) -> None:
    body = {"user_id": town.bob, "alias": "B", "ext": "{}", "mute_notification": 1}
    assert gateway.data("POST", "/roster/ext", town.as_alice, json=body) is True
    assert gateway.data("PUT", "/roster/ext", town.as_alice, json={"user_id": town.bob, "alias": ""}) is True
    [row] = town.items(town.as_alice, town.bob)
    assert (row["alias"], row["ext"], row["mute_notification"], row["relation"]) == ("", "{}", True, 2)
    assert gateway.code("POST", "/roster/ext", town.as_alice, json=body | {"mute_notification": "x"}) == 10002


def test_pages(gateway: Gateway, town: Town) -> None:
    gateway.data("POST", "/user/authmode?value=0", town.as_alice)
    others = [gateway.register(f"user{n}") for n in range(5)]
    for _, token in others:
        gateway.data("POST", "/roster/apply", token, json={"user_id": town.alice})
    everyone = sorted(uid for uid, _ in others)
    assert gateway.data("GET", "/roster/list", town.as_alice) == everyone
    seen: list[int] = []
    cursor = ""
    while True:
        page = gateway.call("GET", f"/roster/list?limit=2&cursor={cursor}", town.as_alice)
        seen += page["data"]
        if "cursor" not in page:
            break
        cursor = page["cursor"]
    assert seen == everyone


def test_pages_of_applications(gateway: Gateway, town: Town) -> None:
    for n in range(3):
        _, token = gateway.register(f"user{n}")
        gateway.data("POST", "/roster/apply", token, json={"user_id": town.alice})
        gateway.cluster.now_ms += 1
    page = gateway.call("GET", "/roster/apply/list?limit=2", town.as_alice)
    rest = gateway.call("GET", f"/roster/apply/list?limit=2&cursor={page['cursor']}", town.as_alice)
    ids = [row["user_id"] for row in page["data"] + rest["data"]]
    assert len(set(ids)) == 3
    assert "cursor" not in rest
    assert gateway.code("GET", "/roster/apply/list?cursor=abc", town.as_alice) == 10002
