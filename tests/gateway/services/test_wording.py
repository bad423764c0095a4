"""Reserved names and forbidden words, at every place where somebody types what others read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lanying.base.errors import CallError
from lanying.config.schema import Accounts, Config, PolicySettings
from lanying.gateway.services.wording import Wording
from tests.gateway.conftest import Gateway

TAKEN, FORBIDDEN = 10004, 10010


@pytest.mark.parametrize(
    "name",
    ["admin", "ADMIN", "_a_dmin", "ｒｏｏｔ", "管理员", "【系统】", "客服", "cus\u200btomer service", "@everyone"],
)
def test_names_of_those_who_run_the_server_are_kept(name: str) -> None:
    with pytest.raises(CallError, match="kept for the administrator"):
        Wording(Config()).check("nick_name", name, name=True)


@pytest.mark.parametrize("name", ["adminton", "alice", "管理员的朋友", "", "_", "systems"])
def test_other_names_are_free(name: str) -> None:
    Wording(Config()).check("nick_name", name, name=True)


def test_the_administrator_says_which() -> None:
    wording = Wording(Config(accounts=Accounts(reserved_names=("Headmaster", ""))))
    wording.check("nick_name", "admin", name=True)
    wording.check("nick_name", "", name=True)
    wording.check("description", "headmaster", name=False)
    with pytest.raises(CallError, match="choose another"):
        wording.check("username", "head_master", name=True)


@pytest.fixture
def school(make: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    (tmp_path / "words").write_text("坏词\n")
    return make(policy=PolicySettings(words_file=str(tmp_path / "words")))


def typed(text: str, group: int, other: int) -> dict[str, dict[str, Any]]:
    """Every call with something that others read, and whether it is a name."""
    return {
        "/user/nickname": {"nick_name": text},
        "/user/profile": {"nick_name": text},
        "/user/username": {"username": text},
        "/user/push/nickname": {"value": text},
        "/user/settings": {"push_nick_name": text},
        "/group/create": {"name": text},
        "/group/info/name": {"group_id": group, "value": text},
        "/group/display_name": {"group_id": group, "value": text},
        "/user/register/v2": {"username": text, "password": "secret1"},
        "/user/register/push": {"username": text, "password": "secret1"},
    }


def read(text: str, group: int, other: int) -> dict[str, dict[str, Any]]:
    return {
        "/user/profile": {"description": text},
        "/user/settings": {"auth_question": text},
        "/group/create": {"name": "fine", "description": text},
        "/group/info/description": {"group_id": group, "value": text},
        "/group/announcement/edit": {"group_id": group, "title": text, "content": "fine"},
        "/group/announcement/edit?": {"group_id": group, "title": "fine", "content": text},
        "/group/file/upload": {"group_id": group, "name": text, "size": 1, "url": "http://im.test/x"},
        "/group/invite": {"group_id": group, "user_list": [other], "reason": text},
        "/group/kick": {"group_id": group, "user_list": [other], "reason": text},
        "/roster/apply": {"user_id": other, "reason": text},
    }


def test_at_every_place(school: Gateway) -> None:
    _, token = school.register("alice")
    other, _ = school.register("bob")
    group = school.data("POST", "/group/create", token, json={"name": "class"})["group_id"]
    for path, body in typed("管理员", group, other).items():
        assert school.code("POST", path, token, json=body) == TAKEN, path
    for path, body in (typed("坏词", group, other) | read("a 坏\u200b词 b", group, other)).items():
        found = school.call("POST", path, token, json=body)
        assert found["code"] == FORBIDDEN, path
        assert "leave them out" in found["message"]
    for path, body in read("管理员", group, other).items():
        assert school.code("POST", path, token, json=body) == 200, path


def test_an_administrator_gives_any_name(school: Gateway) -> None:
    admin = school.admin()
    body = {"username": "support", "password": "secret1"}
    uid = school.data("POST", "/user/register/v2", admin, json=body)["user_id"]
    named = {"user_id": str(uid)}
    assert school.code("POST", "/user/nickname", admin, json={"nick_name": "客服"}, headers=named) == 200
    assert school.code("POST", "/user/username", admin, json={"username": "official"}, headers=named) == 200
