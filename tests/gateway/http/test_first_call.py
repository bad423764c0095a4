"""The caller's token is checked by the call that is made anyhow, and nothing is done or said for a dead one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import STATE_DELETED, Checked, CheckToken, Kick, SetState, decode_request
from tests.gateway.conftest import Gateway
from tests.gateway.messages.test_messages import Town


@pytest.fixture
def town(make: Callable[..., Gateway]) -> Town:
    return Town(make())


@pytest.fixture
def asked(town: Town, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the calls that reach shards; of one that takes the token along, what is in it with a plus."""
    names: list[str] = []
    call = town.gateway.services.shards.call

    async def counted(shard: int, request: Any, slots: Sequence[int] = ()) -> bytes:
        inside = decode_request(request.request) if isinstance(request, Checked) else request
        names.append("+" * isinstance(request, Checked) + type(inside).__name__)
        answer: bytes = await call(shard, request, slots)
        return answer

    monkeypatch.setattr(town.gateway.services.shards, "call", counted)
    return names


def kill_token(town: Town, name: str) -> None:
    town.simulation.call(town.simulation.map.shard_of(town.uids[name]), Kick(town.uids[name], 0, 5))


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("GET", "/user/settings", {}),
        ("GET", "/user/profile", {}),
        ("GET", "/group/user_joined", {}),
        ("GET", "/user/device/list", {}),
        ("GET", "/message/unread", {}),
        ("GET", "/user/conversation/pin_list", {}),
        ("GET", "/message/ack", {"conversation_id": "BOB", "msg_id": 7}),
        ("GET", "/message/conversation", {"opposite_id": "BOB", "msg_id_start": 0, "limit": 5}),
    ],
)
def test_one_call(town: Town, asked: list[str], method: str, path: str, params: dict[str, Any]) -> None:
    params = {name: town.uids["bob"] if value == "BOB" else value for name, value in params.items()}
    assert town.call("alice", method, path, params=params)["code"] == 200
    assert len(asked) == 1 and asked[0].startswith("+")


@pytest.mark.parametrize("targets", [1, 2, 50])
def test_a_post_is_one_call(town: Town, asked: list[str], targets: int) -> None:
    answer = town.send("alice", *[town.uids["bob"] + (number << 10) for number in range(targets)])
    assert answer["code"] == 200
    assert [name for name in asked if name.startswith("+")] == ["+PostMany"]


def test_a_post_to_more_is_a_call_per_share(town: Town, asked: list[str]) -> None:
    town.send("alice", *[town.uids["bob"] + (number << 10) for number in range(120)])
    assert sum("PostMany" in name for name in asked) == 3


def test_a_dead_token_sends_nothing(town: Town) -> None:
    kill_token(town, "alice")
    assert town.send("alice", "bob")["code"] == 402
    assert town.contents("bob", town.uids["alice"]) == []


def test_a_question_for_another_shard_waits_for_the_check(town: Town, asked: list[str]) -> None:
    assert town.call("bob", "GET", "/group/info", params={"group_id": town.group})["code"] == 200
    assert asked[0] == "CheckToken"
    asked.clear()
    kill_token(town, "bob")
    assert town.call("bob", "GET", "/group/info", params={"group_id": town.group})["code"] == 402
    assert asked == ["CheckToken"], "the group's shard was not asked"


@pytest.mark.parametrize("path", ["/message/send", "/message/recall"])
def test_a_dead_token_is_said_before_what_else_is_wrong(town: Town, path: str) -> None:
    kill_token(town, "alice")
    assert town.call("alice", "POST", path)["code"] == 402


def test_a_good_token_hears_what_is_wrong(town: Town) -> None:
    assert town.call("alice", "POST", "/message/send")["code"] == 10002


def test_a_user_who_is_gone_has_a_dead_token(town: Town) -> None:
    shard = town.simulation.map.shard_of(town.uids["alice"])
    town.simulation.call(shard, SetState(town.uids["alice"], STATE_DELETED))
    assert town.call("alice", "GET", "/user/settings")["code"] == 402


def test_a_refused_call_does_not_hide_a_dead_token(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that may be the token's is asked about before it is passed on."""
    checks: list[object] = []

    async def refusing(shard: int, request: Any, slots: Sequence[int] = ()) -> bytes:
        checks.append(type(request))
        raise CallError(Refusal.PERMISSION_DENIED if isinstance(request, Checked) else Refusal.TOKEN_REJECTED)

    monkeypatch.setattr(town.gateway.services.shards, "call", refusing)
    assert town.call("alice", "GET", "/message/unread")["code"] == 402
    assert checks == [Checked, CheckToken]
