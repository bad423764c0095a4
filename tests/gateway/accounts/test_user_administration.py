"""Admins and accounts, names and ends of accounts, logins by phone and QR code, on whole simulated shards."""

from __future__ import annotations

from typing import Any

import pytest

from lanying.base import limits
from lanying.config.schema import Sms
from tests.gateway.contract.test_contract import MOBILE, SentSms, World


@pytest.fixture
def world(make: Any) -> World:
    return World(make(sms=Sms(provider="log")))


def sent(world: World) -> dict[str, str]:
    sms = world.gateway.services.sms
    assert isinstance(sms, SentSms)
    return sms.codes


def code(world: World, who: str, method: str, path: str, body: Any = None, **more: Any) -> int:
    return world.gateway.code(method, path, world.tokens.get(who, ""), json=body or {}, **more)


def test_every_user_is_on_exactly_one_page(world: World) -> None:
    uids = set(world.uids.values())
    for number in range(8):
        uids.add(world.gateway.register(f"user_{number}")[0])
    foreign, _ = world.gateway.register("stranger", app="other")
    admin = world.gateway.admin()
    by_number: list[int] = []
    for page in range(1, 5):
        rows = world.gateway.data("GET", f"/user/list?page_num={page}&page_size=3", admin)
        by_number += [row["user_id"] for row in rows]
    assert sorted(by_number) == sorted(uids)
    by_cursor, cursor = [], ""
    while True:
        envelope = world.gateway.call("GET", f"/user/list?page_size=4&cursor={cursor}", admin)
        by_cursor += [row["user_id"] for row in envelope["data"]]
        if "cursor" not in envelope:
            break
        cursor = envelope["cursor"]
    assert by_cursor == by_number
    assert foreign not in by_cursor
    assert world.gateway.data("GET", "/user/list?page_num=100", admin) == []
    assert world.gateway.code("GET", "/user/list?page_size=201", admin) == 10002
    assert world.gateway.code("GET", "/user/list?cursor=x", admin) == 10002


def test_a_banned_user_is_out_until_the_ban_is_lifted(world: World) -> None:
    bob, admin = world.uids["bob"], world.gateway.admin()
    assert world.gateway.code("PUT", "/user/disable", admin, json={"list": [bob, 5]}) == 10000
    assert code(world, "bob", "GET", "/user/profile") == 200
    assert world.gateway.data("PUT", "/user/disable", admin, json={"list": [bob, bob]}) is True
    assert code(world, "bob", "GET", "/user/profile") == 402
    login = {"name": "bob", "password": "secret1"}
    assert code(world, "", "POST", "/token/user", login) == 10010
    [row] = [row for row in world.gateway.data("GET", "/user/list", admin) if row["user_id"] == bob]
    assert row["status"] == 1
    assert world.gateway.data("PUT", "/user/enable", admin, json={"list": [bob]}) is True
    assert code(world, "", "POST", "/token/user", login) == 200


def test_a_ban_does_not_reach_into_another_app(world: World) -> None:
    foreign, token = world.gateway.register("stranger", app="other")
    assert world.gateway.code("PUT", "/user/disable", world.gateway.admin(), json={"list": [foreign]}) == 10000
    assert world.gateway.code("GET", "/user/profile", token, app="other") == 200


def test_a_new_name_leads_to_the_user_and_so_does_the_old_one(world: World) -> None:
    assert code(world, "alice", "POST", "/user/username", {"username": "bob"}) == 10004
    assert code(world, "alice", "POST", "/user/username", {"username": "123"}) == 10002
    assert code(world, "alice", "POST", "/user/username", {"username": "alicia"}) == 200
    assert world.call("alice", "GET", "/user/profile")["username"] == "alicia"
    assert (
        world.call("", "POST", "/token/user", {"name": "alicia", "password": "secret1"})["user_id"]
        == world.uids["alice"]
    )
    assert code(world, "", "POST", "/token/user", {"name": "alice", "password": "secret1"}) == 200
    assert code(world, "", "POST", "/user/register/v2", {"username": "alice", "password": "secret1"}) == 10004
    assert code(world, "bob", "POST", "/user/username", {"username": "Alice"}) == 10004
    assert code(world, "alice", "POST", "/user/username", {"username": "Alicia"}) == 200
    assert (
        world.call("", "POST", "/token/user", {"name": "alicia", "password": "secret1"})["user_id"]
        == world.uids["alice"]
    )


def test_of_many_names_the_oldest_is_free_again_and_an_own_old_one_can_be_taken_back(world: World) -> None:
    def rename(name: str) -> int:
        return code(world, "alice", "POST", "/user/username", {"username": name})

    names = [f"alice_{number}" for number in range(limits.FORMER_NAMES + 1)]
    assert {rename(name) for name in names} == {200}
    assert {code(world, "bob", "POST", "/user/username", {"username": name}) for name in names} == {10004}
    assert {rename(name) for name in [names[0], "ALICE_0", names[-1]]} == {200}
    assert code(world, "bob", "POST", "/user/username", {"username": names[0]}) == 10004
    assert world.gateway.register("alice")[0] != world.uids["alice"]


def test_a_deleted_account_leaves_its_groups_and_keeps_its_name(world: World) -> None:
    alone = world.call("alice", "POST", "/group/create", {"name": "alone"})["group_id"]
    world.call("alice", "POST", "/user/push/alias", {"alias": "al"})
    assert code(world, "alice", "POST", "/user/delete", {"password": "wrong"}) == 11001
    assert code(world, "alice", "POST", "/user/delete", {"password": "secret1"}) == 200
    assert code(world, "alice", "GET", "/user/profile") == 402
    info = world.call("bob", "GET", f"/group/info?group_id={world.group}")
    assert (info["owner_id"], info["count"]) == (world.uids["bob"], 1)
    assert world.call("bob", "GET", f"/group/info?group_id={alone}")["status"] == 1
    assert code(world, "", "POST", "/user/register/v2", {"username": "alice", "password": "secret1"}) == 10004
    assert code(world, "bob", "GET", f"/roster/id?user_id={world.uids['alice']}") == 10021
    assert code(world, "bob", "POST", "/user/push/alias", {"alias": "al"}) == 200
    assert (
        world.gateway.code("PUT", "/user/enable", world.gateway.admin(), json={"list": [world.uids["alice"]]}) == 10000
    )


def test_an_admin_deletes_without_a_password(world: World) -> None:
    assert world.admin("POST", "/user/delete") is True
    assert code(world, "alice", "GET", "/user/profile") == 402


def test_rows_of_a_batch_succeed_and_fail_on_their_own(world: World) -> None:
    rows = [{"username": "dora", "password": "secret1"}, {"username": "bob", "password": "secret1"}, {}]
    found = world.gateway.data("POST", "/user/register/batch", world.gateway.admin(), json={"list": rows})
    assert [row["success"] for row in found] == [True, False, False]
    assert "taken" in found[1]["reason"]
    assert world.gateway.code("POST", "/user/register/batch", world.gateway.admin(), json={"list": [1]}) == 10002


def test_guests_get_names_of_their_own(world: World) -> None:
    body = {"username": "anon_", "password": "secret1"}
    one, two = (world.call("", "POST", "/user/register/anonymous", body) for _ in range(2))
    assert one["username"] != two["username"]
    assert one["username"].startswith("anon_")
    login = {"name": one["username"], "password": "secret1"}
    assert world.call("", "POST", "/token/user", login)["user_id"] == one["user_id"]


def test_tags_pins_and_badge(world: World) -> None:
    assert code(world, "alice", "POST", "/user/push/tag", {"tags": ["red", "blue", "red"]}) == 200
    assert world.call("alice", "GET", "/user/push/tag") == ["red", "blue"]
    assert code(world, "alice", "DELETE", "/user/push/tag", {"tags": ["red", "green"]}) == 200
    assert world.call("alice", "GET", "/user/push/tag") == ["blue"]
    assert code(world, "alice", "POST", "/user/push/tag", {"tags": ["x" * 65]}) == 10002
    assert code(world, "alice", "POST", "/user/push/tag", {"tags": [f"t{n}" for n in range(100)]}) == 10002
    assert code(world, "alice", "DELETE", "/user/push/tag/all") == 200
    assert world.call("alice", "GET", "/user/push/tag") == []
    for uid in (world.uids["bob"], world.uids["carol"], world.uids["bob"]):
        assert code(world, "alice", "POST", "/user/conversation/pin", {"conversation_id": uid}) == 200
    found = world.call("alice", "GET", "/user/conversation/pin_list")
    assert found == {"conversation_ids": [world.uids["bob"], world.uids["carol"]]}
    assert code(world, "alice", "POST", "/user/conversation/unpin", {"conversation_id": str(world.uids["bob"])}) == 200
    assert world.call("alice", "GET", "/user/conversation/pin_list") == {"conversation_ids": [world.uids["carol"]]}


def test_an_alias_belongs_to_one_user(world: World) -> None:
    assert code(world, "alice", "POST", "/user/push/alias", {"alias": "al"}) == 200
    assert code(world, "alice", "POST", "/user/push/alias", {"alias": "al"}) == 200
    assert code(world, "bob", "POST", "/user/push/alias", {"alias": "al"}) == 10011
    assert code(world, "alice", "POST", "/user/push/alias", {"alias": "alice"}) == 200
    assert code(world, "bob", "POST", "/user/push/alias", {"alias": "al"}) == 200


def test_a_phone_logs_in_with_a_code_once(world: World) -> None:
    world.has_phone()
    assert code(world, "", "GET", "/app/captcha/sms", {"mobile": MOBILE}) == 10028
    granted = world.call("", "GET", "/app/user/info_pwd", world.found)
    assert granted["username"] == "alice"
    login = {"name": "alice", "password": granted["password"]}
    assert code(world, "", "POST", "/token/user", {"name": "bob", "password": granted["password"]}) == 11001
    world.gateway.now += 3600
    world.texted()
    login["password"] = world.call("", "GET", "/app/user/info_pwd", world.found)["password"]
    assert world.call("", "POST", "/token/user", login)["user_id"] == world.uids["alice"]
    assert code(world, "", "POST", "/token/user", login) == 11001
    assert code(world, "", "GET", "/app/user/info_pwd", world.found) == 10001
    by_number = {"mobile": MOBILE, "password": "secret1"}
    assert world.call("", "POST", "/token/user", by_number)["user_id"] == world.uids["alice"]
    by_number["mobile"] = f" {MOBILE[:3]} {MOBILE[3:]}"
    assert world.call("", "POST", "/token/user", by_number)["user_id"] == world.uids["alice"], "as people write it"


def test_a_number_belongs_to_one_account(world: World) -> None:
    world.has_phone()
    assert code(world, "bob", "POST", "/app/user/mobile_bind", world.found) == 11012
    assert code(world, "bob", "POST", "/user/mobile", {"mobile": "+8613800000009"}) == 10010
    assert code(world, "bob", "POST", "/app/user/mobile_bind", {"mobile": "x", "captcha": "1"}) == 10002


def test_wrong_codes_run_out(world: World) -> None:
    world.texted()
    right = world.found["captcha"]
    wrong = {"mobile": MOBILE, "captcha": "x"}
    assert [code(world, "alice", "POST", "/app/user/mobile_bind", wrong) for _ in range(5)] == [10001] * 5
    assert code(world, "alice", "POST", "/app/user/mobile_bind", {"mobile": MOBILE, "captcha": right}) == 10001


def test_without_a_provider_phones_are_not_offered(make: Any) -> None:
    gateway = make()
    _, token = gateway.register("alice")
    assert gateway.code("GET", "/app/captcha/sms?mobile=13800000001", token) == 404
    assert gateway.code("POST", "/user/mobile", token, json={"mobile": "13800000001"}) == 200
    assert gateway.data("GET", "/app/user_verification", token) == {"status": 0}
    assert gateway.data("GET", "/user/profile", token)["mobile"] == "13800000001"


def test_a_picture_is_a_picture_and_its_text_counts_once(world: World) -> None:
    world.picture()
    image = world.gateway.send("GET", f"/app/captcha/image?image_id={world.found['image_id']}&app_id=app")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    body = world.found | {"mobile": MOBILE, "captcha": world.found["captcha"].lower()}
    assert code(world, "", "GET", "/app/captcha/sms_web", body) == 200
    assert code(world, "", "GET", "/app/captcha/sms_web", body) == 11014
    assert set(sent(world)) == {MOBILE}


def test_a_screen_logs_in_when_a_phone_allows_it(world: World) -> None:
    world.qr_shown()
    assert world.call("", "GET", "/app/qr_login", world.found) == {"username": "", "password": ""}
    assert code(world, "alice", "GET", "/app/allow", {"allow": "1", **world.found}) == 200
    assert code(world, "bob", "GET", "/app/allow", {"allow": "1", **world.found}) == 10002
    granted = world.call("", "GET", "/app/qr_login", world.found)
    assert code(world, "", "GET", "/app/qr_login", world.found) == 10002
    login = {"name": granted["username"], "password": granted["password"]}
    assert world.call("", "POST", "/token/user", login)["user_id"] == world.uids["alice"]


def test_a_secret_is_read_once(world: World) -> None:
    world.secret_kept()
    assert world.gateway.code("GET", "/app/secret_info", json=world.found, app="other") == 10002
    assert world.call("", "GET", "/app/secret_info", world.found) == {"secret_text": "x"}
    assert code(world, "", "GET", "/app/secret_info", world.found) == 10002


def test_a_secret_is_kept_for_who_has_a_token_and_for_minutes(world: World) -> None:
    body = {"secret_text": "x", "expire_seconds": 86_400}
    assert code(world, "", "POST", "/app/secret_info", body) == 10003
    world.found |= world.call("alice", "POST", "/app/secret_info", body)
    world.gateway.shards.simulation.advance(600)
    assert code(world, "", "GET", "/app/secret_info", world.found) == 10002


def test_requests_are_counted_by_token_and_address(make: Any) -> None:
    from lanying.config.schema import RestLimits

    gateway = make(rest=RestLimits(requests_per_second_per_token=1, requests_per_second_per_address=4))
    _, token = gateway.register("alice")
    codes = [gateway.code("GET", "/user/profile", token) for _ in range(11)]
    assert codes == [200] * 10 + [429]
    assert gateway.code("GET", "/user/profile", gateway.register("bob")[1]) == 200
    gateway.now += 1
    assert [gateway.code("GET", "/user/profile", token) for _ in range(2)] == [200, 429]
    codes = [gateway.code("GET", "/app/config") for _ in range(60)]
    assert codes[-1] == 429
