"""Everything one account or address may cause too much of has a budget. Each refuses in the same way: with its code, in words and with
Retry-After, until then, whoever floods and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from lanying.base import limits
from lanying.config.schema import RestLimits
from lanying.gateway.services import services
from lanying.gateway.services.registrations import Registrations
from tests.gateway.conftest import ACCOUNTS, Gateway

MOST = 3
UNKNOWN = 1023 + (40 << 10)


class Town:
    """Who floods, somebody else, and whom they both deal with."""

    def __init__(self, make: Callable[..., Gateway], **config: Any) -> None:
        self.gateway = make(**config)
        self.flooder, self.other, self.target = (self.gateway.register(name) for name in ("flooder", "other", "target"))
        made = self.gateway.data("POST", "/group/create", self.other[1], json={"name": "theirs"})
        self.groups = {self.other[0]: made["group_id"]}

    def send(self, token: str, method: str, url: str, address: str = "127.0.0.2", **more: Any) -> httpx.Response:
        return self.gateway.send(method, url, address, headers={"app_id": "app", "access-token": token}, **more)

    def pass_time(self, seconds: float) -> None:
        self.gateway.now += seconds
        self.gateway.cluster.now += seconds


Attempt = Callable[[Town, "tuple[int, str]", str, int], httpx.Response]
"""The n-th time that an account tries something, from an address."""


class Case(NamedTuple):
    """``patch``: the limit in ``limits`` or ``services``; ``config``: settings instead; ``code`` of the refusal."""

    attempt: Attempt
    patch: str = ""
    config: dict[str, Any] = {}
    code: int = 429
    most: int = MOST
    fine: tuple[int, ...] = (200,)


def post(url: str, **body: Any) -> Attempt:
    """A call with this body; ``...`` is the target, ``n`` in a text the number of the attempt."""

    def attempt(town: Town, who: tuple[int, str], address: str, n: int) -> httpx.Response:
        filled = {name: town.target[0] if value is ... else value for name, value in body.items()}
        filled = {
            name: value.replace("#", str(n)) if isinstance(value, str) else value for name, value in filled.items()
        }
        return town.send(who[1], "POST", url, address, json=filled)

    return attempt


def get(url: str, **params: Any) -> Attempt:
    def attempt(town: Town, who: tuple[int, str], address: str, n: int) -> httpx.Response:
        return town.send(who[1], "GET", url, address, params=params)

    return attempt


def invite(town: Town, who: tuple[int, str], address: str, n: int) -> httpx.Response:
    return town.send(who[1], "POST", "/group/create", address, json={"user_list": [town.target[0]]})


def rename(town: Town, who: tuple[int, str], address: str, n: int) -> httpx.Response:
    if who[0] not in town.groups:
        made = town.send(who[1], "POST", "/group/create", json={"name": "mine"}).json()
        town.groups[who[0]] = made["data"]["group_id"]
    body = {"group_id": town.groups[who[0]], "value": f"name {n}"}
    return town.send(who[1], "POST", "/group/info/name", address, json=body)


def unknown_recipient(town: Town, who: tuple[int, str], address: str, n: int) -> httpx.Response:
    body = {"type": 1, "targets": [UNKNOWN + (n << 10)], "content_type": 0, "content": "hello"}
    return town.send(who[1], "POST", "/message/send", address, json=body)


CASES = {
    "groups founded": Case(post("/group/create", name="g"), "GROUPS_FOUNDED_PER_DAY"),
    "invitations": Case(invite, "INVITATIONS_PER_DAY"),
    "friend requests": Case(post("/roster/apply", user_id=..., reason="#"), "FRIEND_REQUESTS_PER_DAY"),
    "changes of a profile": Case(post("/user/nickname", nick_name="name #"), "PROFILES_PER_HOUR"),
    "changes of a group": Case(rename, "CHANGES_PER_HOUR"),
    "remarks": Case(post("/roster/ext", user_id=..., alias="#"), "CHANGES_PER_HOUR"),
    "users who do not exist": Case(get("/roster/id", user_id=UNKNOWN), "UNKNOWN_PER_HOUR", fine=(10000,)),
    "lists of them": Case(post("/roster/list", list=[UNKNOWN]), "UNKNOWN_PER_HOUR"),
    "names nobody has": Case(get("/roster/name", username="nobody"), "UNKNOWN_PER_HOUR", fine=(10000,)),
    "groups that do not exist": Case(get("/group/info", group_id=UNKNOWN), "UNKNOWN_PER_HOUR", fine=(20001,)),
    "recipients who do not exist": Case(unknown_recipient, "UNKNOWN_PER_HOUR", fine=(10000,)),
    "phone numbers": Case(get("/roster/mobile", mobile="13900000000"), "PHONES_PER_DAY", fine=(10000,)),
    "claims of phone numbers": Case(post("/user/mobile", mobile="1390000000#"), "PHONE_CLAIMS_PER_DAY"),
    "names that are taken": Case(get("/app/user/name_check", username="nobody1"), "CODES_PER_MINUTE", code=10028),
    "QR codes": Case(get("/app/qr_code"), "CODES_PER_MINUTE", code=10028),
    "new accounts": Case(
        post("/user/register/v2", username="account_#", password="secret1"),
        config={"accounts": msgspec.structs.replace(ACCOUNTS, registrations_per_minute=MOST)},
        code=10028,
    ),
    "wrong passwords": Case(
        post("/token/user", name="target", password="guess-#"),
        config={"accounts": msgspec.structs.replace(ACCOUNTS, password_guesses_per_minute=MOST)},
        code=10028,
        fine=(11001,),
    ),
    "requests": Case(get("/user/profile"), config={"rest": RestLimits(requests_per_second_per_token=1)}, most=10),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_too_much_is_refused_until_it_is_worth_trying_again(
    name: str, make: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    if case.patch:
        monkeypatch.setattr(services if hasattr(services, case.patch) else limits, case.patch, MOST)
    registrations = name == "new accounts"
    town = Town(make, **({} if registrations else case.config))
    if registrations:  # those of the town do not count
        town.gateway.services.registrations = Registrations(MOST)
    codes: list[int] = []
    refused: httpx.Response | None = None
    for n in range(case.most + 1):
        refused = case.attempt(town, town.flooder, "127.0.0.2", n)
        codes.append(refused.json()["code"])
    assert refused is not None
    assert all(code in case.fine for code in codes[: case.most]), codes
    assert codes[-1] == case.code, (codes, refused.text)
    wait_s = int(refused.headers["retry-after"])
    assert 1 <= wait_s <= 86_400
    assert any(word in refused.json()["message"] for word in ("try again", "wait")), refused.text
    assert case.attempt(town, town.other, "127.0.0.3", 7).json()["code"] in case.fine, "somebody else"
    town.pass_time(wait_s + 1)
    assert case.attempt(town, town.flooder, "127.0.0.2", 8).json()["code"] in case.fine, "and later"


def test_who_asks_for_many_that_do_not_exist_at_once_waits_longer(make: Callable[..., Gateway]) -> None:
    town = Town(make)
    many = [UNKNOWN + (n << 10) for n in range(1, 3 * limits.UNKNOWN_PER_HOUR)]
    assert town.send(town.flooder[1], "POST", "/roster/list", json={"list": many}).json()["code"] == 200
    refused = town.send(town.flooder[1], "POST", "/group/info/batch", json={"group_list": [1]})
    assert refused.json()["code"] == 429
    assert int(refused.headers["retry-after"]) > 3600


def test_the_owner_of_an_account_gets_in_while_others_guess(make: Callable[..., Gateway]) -> None:
    town = Town(make, accounts=msgspec.structs.replace(ACCOUNTS, password_guesses_per_minute=MOST))
    for n in range(20):
        town.send("", "POST", "/token/user", json={"name": "target", "password": f"guess-{n}"})
    body = {"name": "target", "password": "secret1"}
    assert town.send("", "POST", "/token/user", "127.0.0.9", json=body).json()["code"] == 200


def test_administrators_have_no_budget(make: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (
        "UNKNOWN_PER_HOUR",
        "PHONES_PER_DAY",
        "PHONE_CLAIMS_PER_DAY",
        "CHANGES_PER_HOUR",
        "INVITATIONS_PER_DAY",
    ):
        monkeypatch.setattr(limits, limit, 1)
    town = Town(make)
    headers = {"app_id": "app", "access-token": town.gateway.admin(), "user_id": str(town.flooder[0])}
    for n in range(5):
        for method, url, more in (
            ("GET", "/roster/id", {"params": {"user_id": UNKNOWN}}),
            ("GET", "/roster/mobile", {"params": {"mobile": "13900000000"}}),
            ("POST", "/roster/ext", {"json": {"user_id": town.target[0], "alias": str(n)}}),
            ("POST", "/user/mobile", {"json": {"mobile": f"1390000000{n}"}}),
        ):
            code = town.gateway.send(method, url, headers=headers, **more).json()["code"]  # type: ignore[arg-type]
            assert code in (200, 10000), (url, code)
