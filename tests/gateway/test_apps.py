"""Two apps on one server know nothing of each other."""

from __future__ import annotations

from typing import Any

import pytest

from lanying.base.tokens import ROLE_ADMIN, ROLE_READER, Identity, admin, issue
from lanying.bus.messages import JobInfo
from lanying.config.schema import AppOverrides
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.contract import not_offered
from lanying.gateway.http.endpoint import Endpoint
from lanying.testing.simulation import User
from tests.gateway.conftest import APPS, Gateway, SimulatedShards
from tests.gateway.contract.test_contract import CALLS, REFUSED, World, every, name, request


@pytest.fixture
def world(make: Any) -> World:
    return World(make())


def test_the_same_name_is_somebody_else_in_another_app(world: World) -> None:
    uid, token = world.gateway.register("alice", password="another1", app="other")
    assert uid != world.uids["alice"]
    login = {"name": "alice", "password": "another1"}
    assert world.gateway.code("POST", "/token/user", json=login) == 11001
    assert world.gateway.code("GET", "/user/profile", token) == 402
    assert world.gateway.code("GET", "/user/profile", world.tokens["alice"], app="other") == 402


@every([it for it in CALLS if it[1].auth == "user-or-admin" and name(*it) not in REFUSED])
def test_no_call_reaches_a_user_or_group_of_another_app(world: World, method: str, call: Any) -> None:
    """Whoever is named by id is of another app: a call refuses, or does and shows nothing."""
    gateway = world.gateway
    stranger, token = gateway.register("stranger", app="other")
    group = gateway.data("POST", "/group/create", token, app="other", json={"name": "hidden"})["group_id"]
    before = gateway.data("GET", "/group/info", token, app="other", params={"group_id": group})
    params = world.parameters(method, call)
    swapped = {key: swap(world, value, stranger, group) for key, value in params.items()}
    envelope = request(world, method, call, swapped)
    text = repr(envelope)
    assert "stranger" not in text.replace("strangers", "")
    assert "hidden" not in text
    assert gateway.data("GET", "/group/info", token, app="other", params={"group_id": group}) == before
    assert gateway.data("GET", "/roster/list", token, app="other") == []
    assert gateway.data("GET", "/roster/apply/list", token, app="other") == []
    assert gateway.data("GET", "/group/invitation_list", token, app="other") == []
    assert gateway.data("GET", "/group/user_joined", token, app="other") == [group]


def swap(world: World, value: Any, stranger: int, group: int) -> Any:
    """Ids of this app become ids of the other one."""
    if isinstance(value, list):
        return [swap(world, item, stranger, group) for item in value]
    if isinstance(value, dict):
        return {key: swap(world, item, stranger, group) for key, item in value.items()}
    if isinstance(value, bool):
        return value
    return stranger if value in (world.uids["bob"], world.uids["carol"]) else group if value == world.group else value


def test_no_message_reaches_a_user_of_another_app(world: World) -> None:
    stranger, _ = world.gateway.register("stranger", app="other")
    simulation = world.gateway.shards.simulation
    alice = User(simulation, world.uids["alice"], "alice", "app").device()
    theirs = User(simulation, stranger, "stranger", "other").device()
    sent = alice.send(stranger, "hello")
    assert sent in alice.refused
    assert theirs.texts == []


def test_an_app_has_rules_of_its_own(make: Any) -> None:
    overrides = AppOverrides(open_registration=False, rest_url="https://im.branch.example")
    gateway: Gateway = make(apps={"other": overrides})
    body = {"username": "alice", "password": "secret1"}
    assert gateway.code("POST", "/user/register/v2", app="other", json=body) == 40001
    assert gateway.code("POST", "/user/register/v2", json=body) == 200
    own, theirs = (
        gateway.data("GET", f"/v2/app_dns?app_id={app}")["dns_list"][0]["clusters"][0] for app in ("app", "other")
    )
    assert own["ratel"][0]["host"] == "im.test:8480"
    assert theirs["ratel"][0]["host"] == "im.branch.example"


def test_strangers_may_chat_in_one_app_and_not_in_another(make: Any) -> None:
    world = World(make(apps={"other": AppOverrides(strangers_may_chat=False)}))
    simulation = world.gateway.shards.simulation
    alice = User(simulation, world.uids["alice"], "alice", "app").device()
    assert alice.send(world.uids["bob"], "hello") in alice.acknowledged
    (one, _), (two, _) = (world.gateway.register(who, app="other") for who in ("one", "two"))
    device = User(simulation, one, "one", "other").device()
    assert device.send(two, "hello") in device.refused


def test_an_app_has_only_so_many_users(make: Any) -> None:
    gateway: Gateway = make(apps={"app": AppOverrides(max_users=3)})
    gateway.shards = gateway.services.shards = SimulatedShards(gateway.services.config)

    def enter(name: str, app: str = "app") -> int:
        return gateway.code("POST", "/user/register/v2", app=app, json={"username": name, "password": "secret1"})

    assert [enter(name) for name in ("one_1", "two_2", "one_1", "three_3", "four_4")] == [200, 200, 10004, 200, 40002]
    assert [enter(f"other{n}", "other") for n in range(5)] == [200] * 5
    row = {"username": "five_5", "password": "secret1"}
    [batch] = gateway.data("POST", "/user/register/batch", gateway.admin(), json=[row])
    assert batch["success"] is False
    login = {"name": "two_2", "password": "secret1"}
    token = gateway.data("POST", "/token/user", json=login)["token"]
    assert gateway.data("POST", "/user/delete", token, json={"password": "secret1"}) is True
    assert enter("six_6") == 40002  # not counted again yet
    gateway.now += 61
    assert [enter("seven_7"), enter("eight_8")] == [200, 40002]


@pytest.mark.parametrize(
    "endpoint", [it for it in ENDPOINTS if it.admin and it not in not_offered.ENDPOINTS], ids=lambda it: it.path
)
def test_an_apps_administrator_learns_nothing_of_the_server_and_changes_nothing_of_another_app(
    endpoint: Endpoint, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call for administrators, about users of the first app, with the token of an administrator of the second."""
    gateway = world.gateway
    facts = {"data": str(gateway.data_directory), "processes": [{"name": "x", "pid": 4711}], "url": "http://hidden"}

    async def ask_admin(request: object) -> object:
        return [JobInfo(1, "backup hidden", "running", 1, "", "", 0)]

    monkeypatch.setattr("lanying.supervisor.control.ask", lambda *asked: dict(facts))
    monkeypatch.setattr(gateway.services, "ask_admin", ask_admin)
    before = gateway.data("GET", "/user/profile", world.tokens["alice"])
    token = issue(APPS[1].secret, Identity("other", 0, ROLE_ADMIN, 0))
    for method in endpoint.methods:
        call = next((it for way, it in CALLS if (way, it.path) == (method, endpoint.path)), None)
        sent = {"json": world.parameters(method, call)} if call else {}
        text = repr(gateway.envelope(method, endpoint.path, token, app="other", **sent))
        for fact in (str(gateway.data_directory), "4711", "hidden", "'app'", "Our School"):
            assert fact not in text, (method, fact)
    assert gateway.data("GET", "/user/profile", world.tokens["alice"]) == before
    assert gateway.data("GET", "/roster/list", world.tokens["alice"]) == []


@pytest.mark.parametrize("endpoint", [it for it in ENDPOINTS if it.token], ids=lambda it: it.path)
def test_a_token_that_reads_changes_nothing(endpoint: Endpoint, gateway: Gateway) -> None:
    token = issue(APPS[0].secret, admin("app", 2, 1, role=ROLE_READER))
    for method in endpoint.methods:
        code = gateway.envelope(method, endpoint.path, token)["code"]
        if endpoint.admin and method == "GET":
            assert code not in (402, 10003, 10010)
        else:
            assert code == 10010


def test_a_token_stands_in_addresses_of_files_alone() -> None:
    assert {it.path for it in ENDPOINTS if it.url_token} == {"/file/download/chat", "/file/download/avatar"}


@pytest.mark.parametrize("endpoint", [it for it in ENDPOINTS if it.token and not it.url_token], ids=lambda it: it.path)
def test_a_token_in_the_address_is_none_anywhere_else(endpoint: Endpoint, gateway: Gateway) -> None:
    method = endpoint.methods[0]
    query = {"access-token": gateway.admin(), "access_token": gateway.admin(), "token": gateway.admin()}
    assert gateway.envelope(method, endpoint.path, params=query)["code"] == 10003
