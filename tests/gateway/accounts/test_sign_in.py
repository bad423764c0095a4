from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from itertools import count

import pytest
from msgspec import structs

from lanying.base.errors import CallError
from lanying.base.fair_queue import FairQueue
from lanying.base.refusals import Refusal
from lanying.bus.messages import STATE_BANNED, GetCredentials, SetState
from lanying.config.schema import Accounts
from lanying.protocol.schema import xsync_pb2 as pb
from tests.gateway.conftest import ACCOUNTS, APPS, Gateway


def test_register_and_log_in_every_way(gateway: Gateway) -> None:
    settings = gateway.data("POST", "/user/register/v2", "stale", json={"username": "alice", "password": "secret1"})
    uid = settings["user_id"]
    assert settings["auth_mode"] == 1
    assert 0 < uid < 10**15
    for path, body in (
        ("/token/user", {"name": "Alice"}),
        ("/app/token", {"name": "alice"}),
        ("/token/login", {"login_name": "alice"}),
        ("/token/id", {"user_id": uid}),
        ("/token/id", {"user_id": str(uid)}),
        ("/app/token_id", {"user_id": str(uid)}),
    ):
        found = gateway.data("POST", path, "stale", json=body | {"password": "secret1"})
        assert found["user_id"] == uid
        assert not found["token"].isdigit()
        assert gateway.data("GET", "/user/profile", found["token"])["username"] == "alice"


def test_space_around_a_name_does_not_count(gateway: Gateway) -> None:
    """As on the page, which trims what is typed: keyboards put a space behind a word they complete."""
    typed = " alice\t\n"
    account = {"username": typed, "password": "secret1"}
    uid = gateway.data("POST", "/user/register/v2", json=account)["user_id"]
    assert gateway.code("POST", "/user/register/v2", json={"username": "alice ", "password": "secret1"}) == 10004
    for path, name in (("/token/user", "name"), ("/app/token", "name"), ("/token/login", "login_name")):
        found = gateway.data("POST", path, json={name: typed, "password": "secret1"})
        assert found["user_id"] == uid
    token = found["token"]
    assert gateway.data("GET", "/user/profile", token)["username"] == "alice"
    assert gateway.data("GET", "/roster/name", token, params={"username": typed})["user_id"] == uid
    assert gateway.data("GET", "/app/user/name_check", params={"username": typed}) is True
    gateway.data("POST", "/user/username", token, json={"username": " alicia "})
    assert gateway.data("GET", "/user/profile", token)["username"] == "alicia"
    assert gateway.code("POST", "/token/user", json={"name": "alice", "password": " secret1"}) == 11001, (
        "of a password it counts"
    )
    assert gateway.code("POST", "/user/register/v2", json={"username": "ali ce", "password": "secret1"}) == 10002


def test_a_query_does_as_well_as_a_body(gateway: Gateway) -> None:
    gateway.register("alice")
    assert gateway.data("POST", "/token/user?name=alice&password=secret1", json={})["token"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 10002),
        ({"username": "alice"}, 10002),
        ({"username": "12345", "password": "secret1"}, 10002),
        ({"username": "maximal", "password": "secret1"}, 10002),
        ({"username": "bob", "password": "short"}, 10002),
        ({"username": "bob", "password": "x" * 129}, 10002),
        ({"username": ["bob"], "password": "secret1"}, 10002),
        ({"username": "ALICE", "password": "secret1"}, 10004),
    ],
)
def test_registrations_refused(gateway: Gateway, body: object, code: int) -> None:
    gateway.register("alice")
    assert gateway.code("POST", "/user/register/v2", json=body) == code


def test_closed_registration(make: Callable[..., Gateway]) -> None:
    gateway = make(accounts=Accounts(argon2_memory_kib=64, argon2_passes=1))
    body = {"username": "alice", "password": "secret1"}
    assert gateway.code("POST", "/user/register/v2", json=body) == 40001
    assert gateway.code("POST", "/user/register/v2", "stale", json=body) == 40001
    assert gateway.code("POST", "/user/register/v2", gateway.admin(epoch=1), json=body) == 40001
    assert gateway.code("POST", "/user/register/v2", gateway.admin(), json=body) == 200


def test_new_accounts_from_an_address_are_counted_and_those_of_admins_are_not(make: Callable[..., Gateway]) -> None:
    gateway = make(accounts=structs.replace(ACCOUNTS, registrations_per_minute=3))
    numbers = count()

    def register(path: str = "v2", token: str = "", address: str = "127.0.0.1") -> int:
        body = {"username": f"user_{next(numbers)}", "password": "secret1"}
        return gateway.code("POST", f"/user/register/{path}", token, json=body, address=address)

    assert [register(), register("anonymous"), register("push"), register()] == [200, 200, 200, 10028]
    assert register("anonymous") == register("push") == 10028
    assert register(token=gateway.admin()) == register(address="127.0.0.2") == 200
    gateway.now += 21
    assert [register(), register()] == [200, 10028]


def test_bad_logins(gateway: Gateway) -> None:
    uid, _ = gateway.register("alice")
    assert gateway.code("POST", "/token/user", json={"name": "alice", "password": "secret2"}) == 11001
    assert gateway.code("POST", "/token/id", json={"user_id": uid, "password": "x" * 4000}) == 11001
    assert gateway.code("POST", "/token/user", json={"name": "bob", "password": "secret1"}) == 10000
    assert gateway.code("POST", "/token/id", json={"user_id": uid + 1024, "password": "secret1"}) == 10000
    assert gateway.code("POST", "/token/user", app="other", json={"name": "alice", "password": "secret1"}) == 10000
    assert gateway.code("POST", "/token/user", app="third", json={"name": "alice", "password": "secret1"}) == 40000
    assert gateway.code("POST", "/token/user", json={"name": "alice"}) == 10002
    assert gateway.code("POST", "/token/user", content=b"{") == 10002
    assert gateway.code("POST", "/token/user", json=[1]) == 10002


def test_guesses_are_limited_by_name_whatever_the_path(gateway: Gateway) -> None:
    uid, _ = gateway.register("alice")
    for n in range(10):
        path, body = ("/token/user", {"name": "alice"}) if n % 2 else ("/token/id", {"user_id": uid})
        assert gateway.code("POST", path, json={**body, "password": "wrong"}) == 11001
    right = {"name": "alice", "password": "secret1"}
    assert gateway.code("POST", "/token/user", json=right) == 10028
    gateway.now += 6.1
    assert gateway.code("POST", "/token/user", json=right) == 200
    assert gateway.code("POST", "/token/user", json=right) == 200


def test_nobody_is_shut_out_by_who_guesses_at_their_name(gateway: Gateway) -> None:
    _, token = gateway.register("alice")
    right, wrong = ({"name": "alice", "password": password} for password in ("secret1", "wrong"))
    rude = [gateway.code("POST", "/token/user", json=wrong) for _ in range(12)]
    assert rude == [11001] * 10 + [10028] * 2
    assert gateway.code("POST", "/token/user", json=right, address="127.0.2.4") == 200
    assert gateway.code("POST", "/token/user", json=right) == 10028
    assert gateway.code("POST", "/token/user", token, json=right) == 200
    other = gateway.register("bob")[1]
    assert gateway.code("POST", "/token/user", other, json=right) == 10028
    change = {"old_password": "secret1", "new_password": "secret2"}
    assert gateway.code("POST", "/user/change_password", token, json=change) == 200


def test_guesses_are_limited_by_address(gateway: Gateway) -> None:
    codes = {gateway.code("POST", "/token/user", json={"name": f"n{n}", "password": "x"}) for n in range(100)}
    assert codes == {10000}
    assert gateway.code("POST", "/token/user", json={"name": "n", "password": "x"}) == 10028


def test_right_passwords_are_not_counted(gateway: Gateway) -> None:
    gateway.register("alice")
    for _ in range(20):
        assert gateway.code("POST", "/token/user", json={"name": "alice", "password": "secret1"}) == 200


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00eb 123", "cafe\u0308 123"),
        ("cafe\u0308 123", "caf\u00eb 123"),
        ("\uac00" * 128, "\u1100\u1161" * 128),
        ("a b c d", "a\u00a0b\u3000c\u2009d"),
        ("\uac00\ub098\ub2e4123", "\u1100\u1161\u1102\u1161\u1103\u1161123"),
    ],
)
def test_a_password_is_one_on_every_keyboard(gateway: Gateway, one: str, other: str) -> None:
    _, token = gateway.register("alice", one)
    login = {"name": "\uff21LICE", "password": other}
    assert gateway.code("POST", "/token/user", json=login) == 200
    change = {"old_password": other, "new_password": f"{one[1:]}!"}
    assert gateway.code("POST", "/user/change_password", token, json=change) == 200
    login["password"] = unicodedata.normalize("NFD", f"{one[1:]}!")
    assert gateway.code("POST", "/token/user", json=login) == 200
    assert gateway.code("POST", "/token/user", json={"name": "alice", "password": f"{other}?"}) == 11001


def test_a_hash_from_before_passwords_were_prepared_is_still_good(gateway: Gateway) -> None:
    typed = "cafe\u0308 123"
    gateway.register("alice")
    encoded = gateway.services.passwords._hasher.hash(typed)
    assert gateway.run(gateway.services.passwords.verify(encoded, typed, ""))
    assert not gateway.run(gateway.services.passwords.verify(encoded, "cafe 123", ""))


def test_an_old_hash_is_renewed_at_login(make: Callable[..., Gateway]) -> None:
    gateway = make()
    uid, token = gateway.register("alice")
    newer = make(accounts=Accounts(argon2_memory_kib=128, argon2_passes=2))
    newer.shards.cluster = gateway.cluster
    assert newer.code("POST", "/token/user", json={"name": "alice", "password": "secret1"}) == 200
    assert "m=128,t=2" in str(gateway.cluster.ask(uid, GetCredentials("app", uid)))
    assert gateway.code("GET", "/user/profile", token) == 200


def test_tokens_refused(gateway: Gateway) -> None:
    uid, token = gateway.register("alice")

    def code(value: str, app: str = "app") -> int:
        return gateway.code("GET", "/user/profile", value, app=app)

    assert code("") == 10003
    assert code("nonsense") == 402
    assert code(token, app="other") == 402
    assert code(token, app="third") == 40000
    assert code(gateway.forge(uid, b"another key of thirty-two bytes!")) == 402
    assert code(gateway.forge(uid, APPS[1].secret)) == 402
    assert code(gateway.forge(uid, app="other")) == 402
    assert code(gateway.forge(uid, expires=int(time.time()) - 10)) == 402
    assert code(gateway.forge(uid + 1024)) == 402
    assert code(gateway.forge(-5)) == 402
    assert code(gateway.forge(0)) == 402
    assert code(gateway.forge(uid)) == 200


def test_a_changed_password_revokes_tokens(gateway: Gateway) -> None:
    uid, token = gateway.register("alice")
    body = {"old_password": "secret1", "new_password": "secret2"}
    assert gateway.code("POST", "/user/change_password", token, json=body | {"old_password": "x"}) == 11001
    assert gateway.code("POST", "/user/change_password", token, json=body | {"new_password": "x"}) == 10002
    assert gateway.data("POST", "/user/change_password", token, json=body | {"device_sn": 3}) is True
    kicks = gateway.cluster.kicks
    assert kicks == [(uid, 0, pb.UserNotice.PASSWORD_CHANGED, 3)]
    assert gateway.code("GET", "/user/profile", token) == 402
    assert gateway.code("POST", "/token/user", json={"name": "alice", "password": "secret1"}) == 11001
    assert gateway.code("POST", "/token/user", json={"name": "alice", "password": "secret2"}) == 200


def test_a_banned_user(gateway: Gateway) -> None:
    uid, token = gateway.register("alice")
    gateway.cluster.ask(uid, SetState(uid, STATE_BANNED))
    assert gateway.code("POST", "/token/user", json={"name": "alice", "password": "secret1"}) == 10010
    assert gateway.code("GET", "/user/profile", token) == 402
    assert gateway.code("GET", "/user/profile", gateway.forge(uid)) == 10010


def test_an_admin_acts_as_a_user(gateway: Gateway) -> None:
    uid, _ = gateway.register("alice")
    stranger, _ = gateway.register("carol", app="other")
    admin = gateway.admin()
    assert gateway.data("GET", "/user/profile", admin, headers={"user_id": str(uid)})["username"] == "alice"
    assert gateway.code("GET", "/user/profile", admin) == 10002
    assert gateway.code("GET", "/user/profile", admin, headers={"user_id": "x"}) == 10002
    assert gateway.code("GET", "/user/profile", admin, headers={"user_id": str(stranger)}) == 10000
    assert gateway.code("GET", "/user/profile", gateway.admin(epoch=1), headers={"user_id": str(uid)}) == 402


def test_a_user_cannot_act_as_another(gateway: Gateway) -> None:
    alice, _ = gateway.register("alice")
    _, token = gateway.register("bob")
    assert gateway.data("GET", "/user/profile", token, headers={"user_id": str(alice)})["username"] == "bob"


def test_a_shard_that_is_down_is_a_business_error(gateway: Gateway) -> None:
    _, token = gateway.register("alice")
    gateway.shards.fail = CallError(Refusal.UNAVAILABLE, "shard-0 did not answer in time, try again")
    assert gateway.code("GET", "/user/profile", token) == 503
    gateway.shards.fail = RuntimeError("bug")
    response = gateway.send("GET", "/user/profile", headers={"app_id": "app", "access-token": token})
    assert (response.status_code, response.json()["code"]) == (500, 500)
    assert "bug" not in response.text


def test_too_many_password_checks_at_once(gateway: Gateway) -> None:
    gateway.register("alice")
    gateway.services.passwords._queue = FairQueue(0, 0, 0, "busy", 5)
    sent = {"name": "alice", "password": "secret1"}
    answer = gateway.send("POST", "/token/user", json=sent, headers={"app_id": "app"})
    assert (answer.json()["code"], answer.headers["retry-after"]) == (503, "5")
    assert ACCOUNTS.password_guesses_per_minute == 10
