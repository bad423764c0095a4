"""Messages over REST, with devices watching what a socket would have brought them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.testing.simulation import Device, User
from tests.gateway.conftest import Gateway, SimulatedShards


class Town:
    """Alice, Bob and Carol; Alice's group with Bob in it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        shards = SimulatedShards(gateway.services.config)
        gateway.shards = gateway.services.shards = shards
        self.simulation = shards.simulation
        self.uids: dict[str, int] = {}
        self.tokens: dict[str, str] = {}
        for name in ("alice", "bob", "carol"):
            self.uids[name], self.tokens[name] = gateway.register(name)
        body = {"name": "team", "user_list": [self.uids["bob"]]}
        self.group = self.call("alice", "POST", "/group/create", body)["data"]["group_id"]

    def device(self, name: str) -> Device:
        return User(self.simulation, self.uids[name], name, "app").device()

    def call(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        token = self.gateway.admin() if who == "admin" else self.tokens[who]
        return self.gateway.call(method, path, token, json=body or {}, **more)

    def send(self, who: str, *to: str | int, **more: Any) -> dict[str, Any]:
        targets = [self.uids[name] if isinstance(name, str) else name for name in to]
        body = {"type": 1, "targets": targets, "content_type": 0, "content": "hello", **more}
        return self.call(who, "POST", more.pop("path", "/message/send"), body)

    def history(self, who: str, peer: int, **query: Any) -> Any:
        params = {"opposite_id": peer, "limit": 20, "msg_id_start": 0, **query}
        return self.call(who, "GET", "/message/conversation", params=params)["data"]

    def contents(self, who: str, peer: int) -> list[str]:
        return [message["content"] for message in self.history(who, peer)["messages"]]


@pytest.fixture
def town(make: Callable[..., Gateway]) -> Town:
    return Town(make())


def test_a_message_arrives_as_from_a_socket(town: Town) -> None:
    phone, bob = town.device("alice"), town.device("bob")
    answer = town.send("alice", "bob", ext='{"a":1}', config="{}")
    assert answer["data"] is True
    [mid] = answer["msg_ids"]
    for device in (phone, bob):
        meta = device.metas[-1]
        assert (meta.id, getattr(meta, "from").uid, meta.to.uid) == (mid, town.uids["alice"], town.uids["bob"])
        body = MessageBody.FromString(meta.payload)
        assert (body.type, body.content, body.ext, body.config) == (MessageBody.CHAT, "hello", '{"a":1}', "{}")
    [message] = town.history("bob", town.uids["alice"])["messages"]
    assert message == {
        "msg_id": mid,
        "timestamp": message["timestamp"],
        "from_xid": {"uid": town.uids["alice"], "device_sn": 0},
        "to_xid": {"uid": town.uids["bob"], "device_sn": 0},
        "ctype": "TEXT",
        "content": "hello",
        "attachment": "",
        "config": "{}",
        "ext": '{"a":1}',
        "status": "UNREAD",
    }


def test_a_connector_sends_ids_as_texts_with_an_admin_token(town: Town) -> None:
    bob = town.device("bob")
    body = {"type": 1, "from_user_id": str(town.uids["alice"]), "targets": [str(town.uids["bob"])], "content_type": 0}
    answer = town.call("admin", "POST", "/message/send", {**body, "content": "from the bot"})
    assert answer["code"] == 200
    assert bob.texts == ["from the bot"]
    read = {**body, "content_type": 9, "content": "", "related_mid": str(answer["msg_ids"][0])}
    assert town.call("admin", "POST", "/message/send", read)["code"] == 200
    assert town.call("admin", "POST", "/message/send", {**body, "from_user_id": 5, "content": "x"})["code"] == 10000


def test_many_targets(town: Town) -> None:
    answer = town.send("alice", "bob", "carol")
    assert (answer["data"], answer["msg_ids"], answer["refused"]) == (True, [], [])
    assert town.contents("carol", town.uids["alice"]) == ["hello"]
    answer = town.send("alice", "bob", 999_999)
    assert answer["data"] is False
    assert answer["refused"][0]["id"] == 999_999
    assert answer["refused"][0]["code"] == 10000
    assert town.send("alice", 999_999)["code"] == 10000
    many = list(range(1, limits.MESSAGE_TARGETS + 2))
    assert town.send("alice", *many)["code"] == 10002


def test_groups(town: Town) -> None:
    bob = town.device("bob")
    body = {"type": 2, "targets": [town.group], "content_type": 0, "content": "all", "transaction_id": 7}
    answer = town.call("alice", "POST", "/message/send", body)
    assert town.call("alice", "POST", "/message/send", body)["msg_ids"] == answer["msg_ids"]
    assert bob.texts == ["all"]
    assert town.call("carol", "POST", "/message/send", body)["code"] == 20011
    recalled = town.call(
        "alice", "POST", "/message/recall", {"conversation_id": town.group, "msg_id": answer["msg_ids"][0]}
    )
    assert recalled["data"] is True
    assert town.contents("bob", town.group) == []


def test_transactions_are_told_apart_by_target_and_sender(town: Town) -> None:
    for _ in range(2):
        town.send("alice", "bob", "carol", transaction_id=1)
        town.send("carol", "bob", transaction_id=1)
    assert town.contents("bob", town.uids["alice"]) == ["hello"]
    assert town.contents("carol", town.uids["alice"]) == ["hello"]
    assert town.contents("bob", town.uids["carol"]) == ["hello"]
    town.send("alice", "bob", transaction_id=2)
    assert len(town.contents("bob", town.uids["alice"])) == 2


def test_edits_and_recalls(town: Town) -> None:
    bob = town.device("bob")
    [mid] = town.send("alice", "bob")["msg_ids"]
    for content_type, content in ((11, " there"), (12, "good bye")):
        assert town.send("alice", "bob", content_type=content_type, content=content, related_mid=mid)["code"] == 200
    assert town.contents("bob", town.uids["alice"]) == ["good bye"]
    assert town.send("bob", "alice", content_type=12, content="x", related_mid=mid)["code"] == 10010
    assert town.send("alice", "bob", content_type=10)["code"] == 10002
    assert town.send("alice", "bob", content_type=10, content="", related_mid=mid)["code"] == 200
    assert bob.operations[-1] == (MessageOperation.RECALL, mid)
    assert town.contents("bob", town.uids["alice"]) == []


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"type": 3}, "type"),
        ({"content_type": 8}, "content_type"),
        ({"content_type": 13}, "content_type"),
        ({"content_type": 1}, "attachment"),
        ({"targets": []}, "targets"),
        ({"content": None}, "content"),
        ({"content": "x" * 70_000}, "content"),
        ({"online_only": "maybe"}, "online_only"),
    ],
)
def test_what_is_wrong_is_named(town: Town, wrong: dict[str, Any], name: str) -> None:
    answer = town.send("alice", "bob", **wrong)
    assert answer["code"] == 10002
    assert name in answer["message"]


def test_online_only(town: Town) -> None:
    town.send("alice", "bob", online_only=True)
    assert town.contents("bob", town.uids["alice"]) == []
    bob = town.device("bob")
    town.send("alice", "bob", online_only=True, content="now")
    assert bob.texts == ["now"]


def test_notices_of_the_server(town: Town) -> None:
    bob = town.device("bob")
    assert town.call("alice", "POST", "/message/notify", {})["code"] == 10010
    answer = town.send("admin", "bob", path="/message/notify", content="maintenance")
    assert answer["data"] is True
    meta = bob.metas[-1]
    assert (getattr(meta, "from").uid, meta.id) == (0, answer["msg_ids"][0])
    assert MessageBody.FromString(meta.payload).is_system
    assert town.contents("bob", 0) == ["maintenance"]
    town.send("admin", "bob", path="/message/notify", content="banner", from_user_id=town.uids["alice"])
    banner = bob.metas[-1]
    assert getattr(banner, "from").uid == town.uids["alice"]
    assert MessageBody.FromString(banner.payload).is_system
    town.send("admin", town.group, path="/message/notify", content="to the group", type=2)
    assert MessageBody.FromString(bob.metas[-1].payload).is_system
    assert town.send("admin", 999_999, path="/message/notify")["code"] == 10000
    assert town.send("admin", "bob", path="/message/notify", content_type=10, related_mid=1)["code"] == 10002


def test_a_user_cannot_look_like_the_server(town: Town) -> None:
    bob = town.device("bob")
    town.send("alice", "bob", is_system=True)
    assert not MessageBody.FromString(bob.metas[-1].payload).is_system


def test_a_broadcast(town: Town) -> None:
    town.gateway.register("stranger", app="other")
    answer = town.call("admin", "POST", "/message/broadcast", {"type": 1, "content_type": 0, "content": "to all"})
    assert answer["data"] == {"send_num": 3, "success": True}
    for _ in range(2):
        for shard in town.simulation.shards:
            shard.maintain()
        town.simulation.run()
    for name in ("alice", "bob", "carol"):
        assert town.contents(name, 0) == ["to all"]
    body = {"broadcast_id": answer["broadcast_id"]}
    assert town.call("admin", "POST", "/message/broadcast/cancel", body)["data"] is False
    assert town.call("alice", "POST", "/message/broadcast", {"type": 1, "content_type": 0})["code"] == 10010


def test_unread_and_acknowledgements(town: Town) -> None:
    alice = town.uids["alice"]
    mids = [town.send("alice", "bob")["msg_ids"][0] for _ in range(3)]

    def unread() -> dict[int, int]:
        rows = town.call("bob", "GET", "/message/unread")["data"]
        return {row["conversation_id"]["uid"]: row["num"] for row in rows}

    assert unread()[alice] == 3
    query = {"conversation_id": alice, "msg_id": mids[1]}
    assert town.call("bob", "GET", "/message/ack", params=query)["data"] is True
    assert unread()[alice] == 1
    seen = {message["msg_id"]: message["status"] for message in town.history("alice", town.uids["bob"])["messages"]}
    assert seen[mids[1]] == "READ"
    assert town.call("bob", "GET", "/message/ack", params={"conversation_id": alice})["data"] is True
    assert unread()[alice] == 0
    assert town.call("bob", "GET", "/message/ack")["data"] is True
    group = {"conversation_id": town.group, "msg_id": mids[0]}
    assert town.call("bob", "GET", "/message/ack", params=group)["data"] is True
    assert town.call("bob", "DELETE", "/message/conversation", params={"conversation_id": alice})["data"] is True
    assert alice not in unread()
    assert len(town.contents("bob", alice)) == 3


def test_pages(town: Town) -> None:
    mids = [town.send("alice", "bob")["msg_ids"][0] for _ in range(5)]
    start, found = 0, []
    for _ in range(9):
        page = town.history("bob", town.uids["alice"], limit=2, msg_id_start=start)
        found += [message["msg_id"] for message in page["messages"]]
        start = page["next_msg_id"]
        if page["is_last"]:
            break
    assert found == mids[::-1]
    assert town.history("carol", 999_999) == {"messages": [], "next_msg_id": 0, "is_last": True}
    assert town.history("carol", town.group)["messages"] == []


def test_a_shard_that_does_not_answer_is_said(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(shard: int, request: object, slots: Sequence[int] = ()) -> bytes:
        raise CallError(Refusal.UNAVAILABLE, "shard-1 did not answer in time, try again")

    monkeypatch.setattr(town.gateway.services.shards, "call", gone)
    assert town.send("alice", "bob")["code"] == 503
