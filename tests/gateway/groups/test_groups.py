from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lanying.base import limits
from lanying.config.schema import Accounts, PolicySettings
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.groups.codes import GroupCode, write
from lanying.protocol.schema import xsync_pb2 as pb
from tests.gateway.conftest import APPS, Gateway

N = pb.GroupNotice


class Town:
    """Alice owns a group, adam is an admin, mary a member, nora is not; cora lives in another app."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.ids: dict[str, int] = {}
        self.tokens: dict[str, str] = {"": ""}
        for name in ("alice", "adam", "mary", "nora"):
            self.add(name)
        self.ids["cora"], self.tokens["cora"] = gateway.register("cora", app="other")
        body = {"name": "club", "user_list": [self.ids["adam"], str(self.ids["mary"])]}
        self.gid = self.post("alice", "/group/create", body)["group_id"]
        self.post("alice", "/group/admin/add", user_list=[self.ids["adam"]])
        self.told()

    def add(self, name: str) -> int:
        self.ids[name], self.tokens[name] = self.gateway.register(name)
        return self.ids[name]

    def post(self, who: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        sent = body if body is not None else {"group_id": self.gid} | more
        return self.gateway.data("POST", path, self.tokens[who], json=sent)

    def get(self, who: str, path: str, **query: Any) -> Any:
        return self.gateway.data("GET", path, self.tokens[who], params={"group_id": self.gid} | query)

    def code(self, who: str, path: str, method: str = "POST", **more: Any) -> int:
        return self.gateway.code(method, path, self.tokens[who], json={"group_id": self.gid} | more)

    def told(self) -> dict[int, list[str]]:
        """Who got which type of notice."""
        names = {uid: name for name, uid in self.ids.items()}
        found: dict[int, list[str]] = {}
        for it in self.gateway.cluster.take_group_notices():
            found.setdefault(it.type, []).append(names[it.uid])
        return {kind: sorted(who) for kind, who in found.items()}

    def members(self) -> set[int]:
        return {row["user_id"] for row in self.get("alice", "/group/member_list")}


@pytest.fixture
def town(gateway: Gateway) -> Town:
    return Town(gateway)


ALL = ["adam", "alice", "mary"]
ROLES = ("nora", "mary", "adam", "alice")
"""Index: role."""
USER = -1
"""Anybody with a token may, the call is about the caller."""


def case(role: int, path: str, *methods: str, **params: Any) -> Any:
    return pytest.param(role, path, methods, params, id=path)


P, PP, PD, G = ("POST",), ("POST", "PUT"), ("POST", "DELETE"), ("GET",)
GID, UIDS = {"group_id": "gid"}, {"group_id": "gid", "user_list": ["mary"]}
CASES = [
    case(USER, "/group/user_joined", *G),
    case(USER, "/group/info", *G, **GID),
    case(USER, "/group/settings", *G, **GID),
    case(USER, "/group/info/batch", *P, group_list=["gid"]),
    case(USER, "/group/public_list", *G),
    case(USER, "/group/create", *P),
    case(USER, "/group/invitation_list", *G),
    case(USER, "/group/application_list", *P, group_list=["gid"]),
    case(USER, "/group/apply", *P, **GID),
    case(USER, "/group/invite/handle", *PP, **GID, user_id="mary", approval=True),
    case(USER, "/group/qrcode/invite", *P, qr_info="x"),
    case(USER, "/app/qrcode/group_invite", "GET", "POST", qr_info="x"),
    case(1, "/group/leave", *PD, **GID),
    case(1, "/group/member_list", *G, **GID),
    case(1, "/group/admin_list", *G, **GID),
    case(1, "/group/banned_list", *G, **GID),
    case(1, "/group/members/display_name", *P, **UIDS),
    case(1, "/group/announcement/list", *G, **GID),
    case(1, "/group/announcement", *G, **GID, announcement_id=1),
    case(1, "/group/announcement/last", *G, **GID),
    case(1, "/group/file/list", *G, **GID),
    case(1, "/group/file", *G, **GID, file_id=1),
    case(1, "/group/file/upload", *P, **GID, name="n", size=1, url="http://x/?a"),
    case(1, "/group/file/update_name", *PP, **GID, file_id=1, name="n"),
    case(1, "/group/file/delete", *PD, **GID, file_list=[1]),
    case(1, "/group/display_name", *PP, **GID, value="n"),
    case(1, "/group/msg/mute_mode", *PP, **GID, msg_mute_mode=2),
    case(1, "/group/msg/push_mode", *PP, **GID, msg_push_mode=4),
    case(1, "/group/msg/not_disturb", *P, **GID, value=1),
    case(1, "/group/invite", *P, **UIDS),
    case(1, "/group/qrcode/sign", *G, **GID),
    case(1, "/app/qrcode/group_sign", *G, **GID),
    case(2, "/group/info/name", *PP, **GID, value="n"),
    case(2, "/group/info/description", *PP, **GID, value=""),
    case(2, "/group/info/avatar", *PP, **GID, value="a"),
    case(2, "/group/info/ext", *PP, **GID, value="{}"),
    case(2, "/group/settings/allow_member_invitation", *PP, **GID, value=0),
    case(2, "/group/settings/allow_member_modify", *PP, **GID, value=1),
    case(2, "/group/settings/enable_read_ack", *PP, **GID, value=True),
    case(2, "/group/settings/history_visible", *PP, **GID, value="true"),
    case(2, "/group/settings/hide_member_info", *PP, **GID, value="1"),
    case(2, "/group/settings/require_admin_approval", *PP, **GID, apply_approval=0),
    case(2, "/group/settings/ban_all", *P, **GID, duration=-1),
    case(2, "/group/settings/unban_all", *P, **GID),
    case(2, "/group/kick", *PD, **UIDS),
    case(2, "/group/block", *P, **UIDS),
    case(2, "/group/unblock", *PD, **UIDS),
    case(2, "/group/blocked_list", *G, **GID),
    case(2, "/group/ban", *P, **UIDS, duration=3),
    case(2, "/group/unban", *P, **UIDS),
    case(2, "/group/apply/handle", *PP, **GID, user_id="nora", approval=True),
    case(2, "/group/announcement/edit", *P, **GID, title="t", content="c"),
    case(2, "/group/announcement/delete", *PD, **GID, announcement_id=1),
    case(3, "/group/transfer", *PP, **GID, new_owner="mary"),
    case(3, "/group/destroy", *PD, **GID),
    case(3, "/group/admin/add", *P, **UIDS),
    case(3, "/group/admin/remove", *PD, **UIDS),
]
ELSEWISE = {
    "/group/apply": 20017,
    "/group/invite/handle": 20015,
    "/group/qrcode/invite": 20024,
    "/app/qrcode/group_invite": 20024,
    "/group/announcement": 20020,
    "/group/announcement/last": 20020,
    "/group/announcement/delete": 20020,
    "/group/file": 20022,
    "/group/file/update_name": 20022,
    "/group/apply/handle": 20014,
}
"""What a call of the table answers to somebody who may make it, when it is not 200."""


def fill(town: Town, params: dict[str, Any]) -> dict[str, Any]:
    """Names in place of ids become ids."""
    known = town.ids | {"gid": town.gid}

    def one(value: Any) -> Any:
        return [one(it) for it in value] if isinstance(value, list) else known.get(value, value)

    return {name: one(value) for name, value in params.items()}


def test_the_table_is_complete() -> None:
    paths = {
        endpoint.path: set(endpoint.methods)
        for endpoint in ENDPOINTS
        if re.search("^/(group|app/qrcode)/", endpoint.path)
    }
    assert paths == {it.values[1]: set(it.values[2]) for it in CASES}


@pytest.mark.parametrize(("role", "path", "methods", "params"), CASES)
def test_every_call(town: Town, role: int, path: str, methods: tuple[str, ...], params: dict[str, Any]) -> None:
    gateway, sent = town.gateway, fill(town, params)

    def call(who: str, method: str, given: dict[str, Any], in_query: bool = False, app: str = "app") -> dict[str, Any]:
        more: dict[str, Any] = {"params": given} if in_query or method == "GET" else {"json": given}
        return gateway.call(method, path, town.tokens[who], app, **more)

    for method in methods:
        assert call("", method, sent)["code"] == 10003
        for name in params:
            answer = call(ROLES[max(role, 1)], method, {key: value for key, value in sent.items() if key != name})
            assert answer["code"] == 10002, name
            assert name in answer["message"]
        if role > 0:
            refused = call(ROLES[role - 1], method, sent)
            assert refused["code"] == {1: 20011, 2: 20012, 3: 20013}[role], refused
        if "group_id" in params:
            assert call("alice", method, sent | {"group_id": 77})["code"] == 20001
            assert call("alice", method, sent | {"group_id": "x"})["code"] == 10002
            assert call("cora", method, sent, app="other")["code"] in (20001, 10000)
    expected = ELSEWISE.get(path, 200)
    answer = call(ROLES[max(role, 1)], methods[-1], sent, in_query=True)
    assert answer["code"] == expected, answer
    if answer["code"] == 200:
        assert answer["data"] is not None
        if path.endswith(("list", "joined", "batch", "display_name")) and methods != PP:
            assert isinstance(answer["data"], list)


INFO = {
    "group_id": int, "name": str, "description": str, "avatar": str, "ext": str, "type": int, "owner": int,
    "owner_id": int, "status": int, "count": int, "capacity": int, "created_at": int, "updated_at": int,
    "member_invite": bool, "member_modify": bool, "read_ack": bool, "history_visible": bool, "hide_member_info": bool,
    "apply_approval": int, "ban_expire_time": int, "msg_mute_mode": int, "msg_push_mode": int,
}  # fmt: skip


def test_founding(gateway: Gateway, town: Town) -> None:
    gateway.data("POST", "/user/settings", town.tokens["mary"], json={"group_confirm": 1})
    users = [town.ids["adam"], town.ids["mary"], town.ids["cora"], 77, town.ids["alice"]]
    found = town.post("alice", "/group/create", {"name": "quick", "type": 3, "user_list": users})
    assert {name: type(value) for name, value in found.items()} == INFO
    assert (found["owner_id"], found["count"], found["type"], found["capacity"]) == (town.ids["alice"], 2, 3, 2000)
    assert town.told() == {N.CREATED: ["alice"], N.JOINED: ["adam", "alice"], N.INVITED: ["alice", "mary"]}
    gid = found["group_id"]
    assert sorted(gateway.data("GET", "/group/user_joined", town.tokens["adam"])) == sorted([town.gid, gid])
    assert gateway.data("GET", "/group/user_joined", town.tokens["mary"]) == [town.gid]
    [row] = gateway.data("GET", "/group/invitation_list", town.tokens["mary"])
    assert (row["group_id"], row["inviter_id"], row["invitee_id"], row["status"]) == (
        gid, town.ids["alice"], town.ids["mary"], 0,
    )  # fmt: skip
    body = {"group_id": gid, "user_id": town.ids["mary"], "approval": 1}
    assert town.post("mary", "/group/invite/handle", body) is True
    assert town.told() == {N.INVITE_ACCEPTED: ["alice", "mary"], N.JOINED: ALL}


def test_capacity(make: Callable[..., Gateway]) -> None:
    town = Town(make(policy=PolicySettings(group_members=3)))
    [row] = town.post("alice", "/group/invite", user_list=[town.ids["nora"]])
    assert (row["result"], "full" in row["reason"]) == ("fail", True)


def test_info_for_members_and_others(town: Town) -> None:
    for who in ("mary", "nora"):
        found = town.get(who, "/group/info")
        assert found == town.get(who, "/group/settings")
        assert {name: type(value) for name, value in found.items()} == INFO
        owner, count = (town.ids["alice"], 3) if who == "mary" else (0, 0)  # strangers see the name of a private one
        assert (found["name"], found["owner_id"], found["owner"], found["count"]) == ("club", owner, owner, count)
    town.post("mary", "/group/msg/mute_mode", msg_mute_mode=2)
    assert town.get("mary", "/group/info")["msg_mute_mode"] == 2
    assert town.get("nora", "/group/info")["msg_mute_mode"] == 0
    town.post("mary", "/group/msg/not_disturb", value="true")
    assert town.get("mary", "/group/info")["msg_mute_mode"] == 1


def test_info_of_many(town: Town) -> None:
    more = [town.post(who, "/group/create", {"name": who})["group_id"] for who in ("adam", "mary", "nora")]
    asked = [77, more[2], town.gid, more[0], str(more[1]), -1]
    rows = town.post("alice", "/group/info/batch", {"group_list": asked})
    assert [row["group_id"] for row in rows] == [more[2], town.gid, more[0], more[1]]
    assert (
        town.gateway.data("POST", "/group/info/batch", town.tokens["cora"], app="other", json={"group_list": asked})
        == []
    )


def test_settings(town: Town) -> None:
    paths = {
        "allow_member_invitation": "member_invite",
        "allow_member_modify": "member_modify",
        "enable_read_ack": "read_ack",
        "history_visible": "history_visible",
        "hide_member_info": "hide_member_info",
    }
    for path, name in paths.items():
        for value, meant in ((1, True), (0, False), ("true", True), (False, False)):
            assert town.post("adam", f"/group/settings/{path}", value=value) is True
            assert town.get("mary", "/group/info")[name] is meant
        assert town.code("adam", f"/group/settings/{path}", value="maybe") == 10002
    for value, number in ((2, 2), (0, 0), ("1", 1), (False, 0), ("0", 0)):
        assert town.post("adam", "/group/settings/require_admin_approval", apply_approval=value) is True
        assert town.get("mary", "/group/info")["apply_approval"] == number
    assert town.code("adam", "/group/settings/require_admin_approval", apply_approval=3) == 10002
    assert set(town.told()) == {N.INFO_UPDATED}


def test_names_and_texts(town: Town) -> None:
    town.post("alice", "/group/settings/allow_member_modify", value=1)
    for name in ("name", "description", "avatar", "ext"):
        assert town.post("mary", f"/group/info/{name}", value=f"a {name}") is True
        assert town.get("mary", "/group/info")[name] == f"a {name}"
    town.told()
    town.post("mary", "/group/display_name", value="M")
    assert town.told() == {N.INFO_UPDATED: ALL}
    uids = [town.ids["mary"], town.ids["nora"]]
    rows = town.post("adam", "/group/members/display_name", user_list=uids)
    assert [(row["user_id"], row["display_name"]) for row in rows] == [(uids[0], "M"), (uids[1], "")]
    assert town.post("adam", "/group/members/display_name", user_list=[*range(1, 1001)])[999]["user_id"] == 1000
    assert town.post("adam", "/group/members/display_name", user_list=[]) == []


def test_bans(town: Town) -> None:
    uid, now_ms = town.ids["mary"], town.gateway.cluster.now_ms
    assert town.post("adam", "/group/ban", user_list=[uid], duration=3) == [
        {"user_id": uid, "result": "success", "reason": ""}
    ]
    assert town.told() == {N.BANNED: ALL}
    [row] = town.get("adam", "/group/banned_list")
    assert (row["user_id"], row["expired_time"]) == (uid, now_ms + 180_000)
    town.post("adam", "/group/ban", user_list=[uid], duration=-1)
    assert town.get("mary", "/group/banned_list")[0]["expired_time"] == -1
    town.post("adam", "/group/unban", user_list=[uid])
    assert town.get("adam", "/group/banned_list") == []
    for wrong in (0, -2, "x", 1 << 40):
        assert town.code("adam", "/group/ban", user_list=[uid], duration=wrong) == 10002
        assert town.code("adam", "/group/settings/ban_all", duration=wrong) == 10002
    assert town.post("adam", "/group/settings/ban_all", duration=-1) == {"ban_expire_time": -1}
    assert town.get("mary", "/group/info")["ban_expire_time"] == -1
    assert town.post("adam", "/group/settings/ban_all", duration=2) == {"ban_expire_time": (now_ms + 120_000) // 1000}
    assert town.post("adam", "/group/settings/unban_all") is True
    assert town.get("mary", "/group/info")["ban_expire_time"] == 0


def test_rows_of_batches(town: Town) -> None:
    asked = [town.ids["nora"], 77, town.ids["cora"], town.ids["mary"]]
    rows = town.post("mary", "/group/invite", user_list=asked, reason="come")
    assert [(row["user_id"], row["result"]) for row in rows] == [
        (asked[0], "success"), (asked[1], "fail"), (asked[2], "fail"), (asked[3], "fail"),
    ]  # fmt: skip
    assert all((row["reason"] == "") == (row["result"] == "success") for row in rows)
    assert town.told() == {N.JOINED: ["adam", "alice", "mary", "nora"]}
    rows = town.post("adam", "/group/kick", user_list=[town.ids["nora"], town.ids["alice"], 77])
    assert [row["result"] for row in rows] == ["success", "fail", "fail"]
    rows = town.post("alice", "/group/admin/remove", user_list=[town.ids["adam"]])
    assert [row["result"] for row in rows] == ["success"]
    assert town.get("mary", "/group/admin_list") == []


def test_block_list(town: Town) -> None:
    asked = [town.ids["nora"], town.ids["mary"], town.ids["cora"]]
    rows = town.post("adam", "/group/block", user_list=asked)
    assert [row["result"] for row in rows] == ["success", "success", "fail"]
    found = town.get("adam", "/group/blocked_list")
    assert [row["user_id"] for row in found] == sorted(asked[:2])
    assert found[0]["created_at"].endswith("Z")
    assert town.code("nora", "/group/apply") == 20018
    assert [row["result"] for row in town.post("adam", "/group/unblock", user_list=asked)] == ["success"] * 3
    assert town.get("adam", "/group/blocked_list") == []


def test_applications(town: Town) -> None:
    uid = town.ids["nora"]
    assert town.post("nora", "/group/apply", reason="please") == {"user_id": uid, "result": "success", "reason": ""}
    assert town.told() == {N.APPLYED: ["adam", "alice"]}
    lists = {who: town.post(who, "/group/application_list", {"group_list": [town.gid, 77]}) for who in ROLES}
    assert lists["mary"] == lists["nora"] == []
    [row] = lists["adam"]
    assert row == {
        "group_id": town.gid,
        "applicant_id": uid,
        "status": 0,
        "reason": "please",
        "expired_time": town.gateway.cluster.now_ms + limits.INVITATION_LIFETIME_MS,
    }
    assert town.post("adam", "/group/apply/handle", user_id=uid, approval=True)["result"] == "success"
    assert town.told() == {N.APPLY_ACCEPTED: ["adam", "nora"], N.JOINED: [*ALL, "nora"]}
    assert town.post("adam", "/group/application_list", {"group_list": [town.gid]})[0]["status"] == 1
    assert town.code("adam", "/group/apply/handle", user_id=uid, approval=True) == 20014
    assert town.code("adam", "/group/apply/handle", user_id=77, approval=True) == 10000


def test_groups_that_take_nobody(town: Town) -> None:
    town.post("alice", "/group/settings/require_admin_approval", apply_approval=2)
    assert town.code("nora", "/group/apply") == 10010
    town.post("alice", "/group/settings/require_admin_approval", apply_approval=0)
    town.told()
    town.post("nora", "/group/apply")
    assert town.told() == {N.JOINED: [*ALL, "nora"]}


def test_pages(town: Town) -> None:
    gateway = town.gateway
    for n in range(3):
        town.add(f"user{n}")
        town.post(f"user{n}", "/group/apply")
        gateway.cluster.now_ms += 1

    def pages(method: str, path: str, body: dict[str, Any]) -> list[Any]:
        rows: list[Any] = []
        cursor = ""
        while True:
            more: dict[str, Any] = {"params": {"group_id": town.gid, "limit": 2, "cursor": cursor}, "json": body}
            answer = gateway.call(method, path, town.tokens["alice"], **more)
            assert answer["code"] == 200, answer
            rows += answer["data"]
            assert len(answer["data"]) <= 2
            if "cursor" not in answer:
                return rows
            cursor = answer["cursor"]

    applicants = pages("POST", "/group/application_list", {"group_list": [town.gid]})
    assert [row["applicant_id"] for row in applicants] == [town.ids[f"user{n}"] for n in (2, 1, 0)]
    assert {row["user_id"] for row in pages("GET", "/group/member_list", {})} == town.members()
    everyone = [uid for name, uid in town.ids.items() if name not in ("alice", "cora")]
    town.post("alice", "/group/ban", user_list=everyone, duration=1)
    assert len(pages("GET", "/group/banned_list", {})) == 2
    town.post("alice", "/group/block", user_list=everyone)
    assert [row["user_id"] for row in pages("GET", "/group/blocked_list", {})] == sorted(everyone)
    answer = gateway.call("GET", f"/group/member_list?group_id={town.gid}", town.tokens["alice"])
    assert (answer["total"], answer["version"]) == (1, 0)
    for path in ("/group/application_list", "/group/invitation_list"):
        method = "POST" if "application" in path else "GET"
        query = {"cursor": "x", "group_list": str(town.gid)}
        assert gateway.code(method, path, town.tokens["alice"], params=query) == 10002


def test_pages_of_invitations(town: Town) -> None:
    gateway = town.gateway
    gateway.data("POST", "/user/settings", town.tokens["nora"], json={"group_confirm": True})
    for _ in range(3):
        town.post("alice", "/group/create", {"user_list": [town.ids["nora"]]})
        gateway.cluster.now_ms += 1
    first = gateway.call("GET", "/group/invitation_list?limit=2", town.tokens["nora"])
    rest = gateway.call("GET", f"/group/invitation_list?limit=2&cursor={first['cursor']}", town.tokens["nora"])
    assert len({row["group_id"] for row in first["data"] + rest["data"]}) == 3
    assert "cursor" not in rest


def test_announcements(town: Town) -> None:
    assert town.code("alice", "/group/announcement/last", "GET") == 20020
    for text in ("one", "two"):
        made = town.post("adam", "/group/announcement/edit", title="t", content=text)
    assert town.told() == {N.ANNOUNCEMENT_UPDATED: sorted([*ALL, *ALL])}
    assert made == {
        "id": 2, "group_id": town.gid, "author": town.ids["adam"], "title": "t", "content": "two",
        "created_at": town.gateway.cluster.now_ms,
    }  # fmt: skip
    assert [row["content"] for row in town.get("mary", "/group/announcement/list")] == ["one", "two"]
    assert town.get("mary", "/group/announcement/last") == made
    assert town.get("mary", "/group/announcement", announcement_id=1)["content"] == "one"
    url = f"/group/announcement/delete?group_id={town.gid}&announcement_id=1"
    assert town.gateway.data("DELETE", url, town.tokens["adam"]) == {}
    assert [row["id"] for row in town.get("mary", "/group/announcement/list")] == [2]


def test_files(town: Town) -> None:
    made = town.post("mary", "/group/file/upload", name="a.txt", size=5, type=200, url="http://x/f?file_sign=1")
    assert (made["file_id"], made["uploader"], made["type"]) == (1, town.ids["mary"], "200")
    assert town.get("adam", "/group/file/list") == [made]
    assert town.get("adam", "/group/file", file_id=1) == made
    assert town.post("mary", "/group/file/update_name", file_id=1, name="b.txt") is True
    assert town.get("adam", "/group/file", file_id=1)["name"] == "b.txt"
    rows = town.post("adam", "/group/file/delete", file_list=[1, 2])
    assert [(row["file_id"], row["result"]) for row in rows] == [(1, "success"), (2, "fail")]
    assert set(town.told()) == {N.FILE_UPLOADED, N.FILE_UPDATED, N.FILE_DELETED}


def test_transfer_leave_destroy(town: Town) -> None:
    assert town.code("alice", "/group/leave") == 20004
    assert town.code("alice", "/group/transfer", new_owner=town.ids["nora"]) == 20005
    assert town.post("alice", "/group/transfer", new_owner=town.ids["mary"])["result"] == "success"
    assert town.told() == {N.OWNER_ASSIGNED: ALL, N.INFO_UPDATED: ALL}
    url = f"/group/leave?group_id={town.gid}"
    assert town.gateway.data("POST", url, town.tokens["alice"], json={}) is True
    assert town.told() == {N.LEAVED: ALL}
    assert town.gateway.data("DELETE", f"/group/destroy?group_id={town.gid}", town.tokens["mary"]) is True
    assert town.told() == {N.DESTROYED: ["adam", "mary"]}
    assert town.gateway.data("GET", "/group/user_joined", town.tokens["adam"]) == []
    assert town.get("adam", "/group/info")["status"] == 1
    assert town.code("adam", "/group/apply") == 20001


def test_qr_texts(town: Town) -> None:
    gateway = town.gateway
    made = town.get("mary", "/group/qrcode/sign")
    assert made["expire_at"] == made["expired"] == made["create_at"] + limits.GROUP_CODE_LIFETIME_MS
    assert gateway.code("GET", "/group/user_joined", made["qr_info"]) == 402
    text = {"qr_info": made["qr_info"]}
    assert gateway.code("POST", "/group/qrcode/invite", town.tokens["cora"], app="other", json=text) == 20024
    assert town.post("nora", "/group/qrcode/invite", text) == {}
    assert town.told() == {N.JOINED: [*ALL, "nora"]}
    assert gateway.code("POST", "/group/qrcode/invite", town.tokens["nora"], json=text) == 20017
    old = write(APPS[0].secret, GroupCode(town.gid, town.ids["mary"], made["create_at"]))
    for wrong, code in ((old, 20025), (town.tokens["mary"], 20024), ("x" * 2000, 20024)):
        assert gateway.code("POST", "/group/qrcode/invite", town.tokens["nora"], json={"qr_info": wrong}) == code
    town.add("nina")
    assert gateway.data("GET", "/app/qrcode/group_invite", town.tokens["nina"], params=text) is True
    town.post("alice", "/group/settings/allow_member_invitation", value=0)
    assert gateway.code("GET", f"/group/qrcode/sign?group_id={town.gid}", town.tokens["mary"]) == 20012
    town.add("nils")
    assert gateway.code("POST", "/group/qrcode/invite", town.tokens["nils"], json=text) == 20024


def test_public_list(town: Town) -> None:
    assert town.get("nora", "/group/public_list") == []
    found = sorted(town.post(who, "/group/create", {"type": 1})["group_id"] for who in ("alice", "adam", "nora"))
    assert town.get("nora", "/group/public_list") == found


def test_groups_per_user(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUPS_PER_USER", 1)
    assert town.code("mary", "/group/create") == 200, (
        "she was put into the group she is in: that takes no place of hers"
    )
    assert town.code("mary", "/group/create") == 20009
    other = town.post("nora", "/group/create", {"name": "mine"})["group_id"]
    [row] = town.post("nora", "/group/invite", {"group_id": other, "user_list": [town.ids["mary"]]})
    assert row["result"] == "fail"
    assert town.code("nora", "/group/apply") == 20009
    assert town.code("adam", "/group/apply/handle", user_id=town.ids["nora"], approval=1) == 20009


def test_who_was_put_into_many_groups_is_asked_from_then_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUPS_UNASKED", 1)
    other = town.post("nora", "/group/create", {"name": "mine"})["group_id"]
    [row] = town.post("nora", "/group/invite", {"group_id": other, "user_list": [town.ids["mary"]]})
    assert row["result"] == "success"
    assert other not in town.get("mary", "/group/user_joined")
    assert other in [it["group_id"] for it in town.get("mary", "/group/invitation_list")]
    assert town.code("mary", "/group/invite/handle", group_id=other, user_id=town.ids["nora"], approval=1) == 200
    assert other in town.get("mary", "/group/user_joined")


def test_an_admin_token_with_a_group(town: Town) -> None:
    gateway, admin = town.gateway, town.gateway.admin()
    here = {"group_id": str(town.gid)}
    assert gateway.data("GET", "/group/info", admin, headers=here)["group_id"] == town.gid
    body = {"group_id": town.gid, "value": "by admin"}
    assert gateway.data("POST", "/group/info/name", admin, headers=here, json=body) is True
    as_nora = here | {"user_id": str(town.ids["nora"])}
    assert gateway.data("POST", "/group/info/name", admin, headers=as_nora, json=body | {"value": "by nora"}) is True
    rows = gateway.data("POST", "/group/kick", admin, headers=as_nora, json={"user_list": [town.ids["mary"]]})
    assert rows[0]["result"] == "success"
    assert gateway.code("POST", "/group/destroy", admin, headers=as_nora, json={}) == 20013
    listed = gateway.data("POST", "/group/application_list", admin, headers=as_nora, json={"group_list": [town.gid]})
    assert listed == []
    elsewhere = town.post("adam", "/group/create", {})["group_id"]
    wrong = {"group_id": elsewhere, "value": "x"}
    assert gateway.code("POST", "/group/info/name", admin, headers=as_nora, json=wrong) == 20011
    assert gateway.code("GET", "/group/info", admin, headers={"group_id": "77"}) == 20001
    assert gateway.code("GET", "/group/info", admin, headers={"group_id": "x"}) == 10002
    nora = town.tokens["nora"]
    assert gateway.code("POST", "/group/info/name", nora, headers=here, json=body) == 20011
    assert gateway.code("POST", "/group/info/name", nora, headers=here, json={"value": "x"}) == 10002
    assert gateway.data("DELETE", "/group/destroy", admin, headers=here) is True


def test_the_demo_opens_a_group_chat(town: Town) -> None:
    """xsync 8.9 and 8.11: what its pages load."""
    for path in ("member_list", "admin_list", "info", "banned_list", "blocked_list", "announcement/list", "file/list"):
        town.get("adam", f"/group/{path}")
    for who in ROLES[1:]:
        assert town.get(who, "/group/member_list") != []
    assert [row["user_id"] for row in town.get("mary", "/group/admin_list")] == [town.ids["adam"]]


def test_contents_of_notices(town: Town) -> None:
    town.post("adam", "/group/info/name", value="new")
    town.post("adam", "/group/ban", user_list=[town.ids["mary"]], duration=-1)
    contents = {it.content for it in town.gateway.cluster.take_group_notices()}
    assert contents == {json.dumps({"property": "name", "name": "new"}, separators=(",", ":")), "-1"}


def befriend(town: Town, one: str, other: str) -> None:
    town.post(one, "/roster/apply", {"user_id": town.ids[other], "reason": ""})
    town.post(other, "/roster/accept", {"user_id": town.ids[one]})


@pytest.fixture
def careful(make: Callable[..., Gateway]) -> Town:
    """Alice and mary are friends, nobody else is."""
    town = Town.__new__(Town)
    town.gateway = make(accounts=Accounts(open_registration=True, argon2_memory_kib=64, argon2_passes=1))
    town.ids, town.tokens = {}, {"": ""}
    for name in ("alice", "mary", "nora"):
        town.add(name)
    befriend(town, "alice", "mary")
    town.told()
    return town


def test_strangers_are_asked_and_friends_are_in(careful: Town) -> None:
    body = {"name": "club", "user_list": [careful.ids["mary"], careful.ids["nora"]]}
    founded = careful.post("alice", "/group/create", body)
    careful.gid = founded["group_id"]
    assert founded["count"] == 2
    assert careful.members() == {careful.ids["alice"], careful.ids["mary"]}
    assert careful.told()[N.INVITED] == ["alice", "nora"]
    [row] = careful.get("nora", "/group/invitation_list")
    assert row["inviter_id"] == careful.ids["alice"]
    careful.post("nora", "/group/invite/handle", user_id=careful.ids["alice"], approval=True)
    assert careful.ids["nora"] in careful.members()


@pytest.mark.parametrize("place", ["careful", "town"])
def test_who_has_blocked_somebody_is_not_even_asked(request: pytest.FixtureRequest, place: str) -> None:
    """Also where strangers may add, as in the town."""
    town: Town = request.getfixturevalue(place)
    town.post("nora", "/roster/block", {"user_id": town.ids["alice"]})
    town.gid = town.post("alice", "/group/create", {"name": "club", "user_list": [town.ids["nora"]]})["group_id"]
    [row] = town.post("alice", "/group/invite", user_list=[town.ids["nora"]])
    assert (row["result"], row["reason"]) == ("fail", "has blocked you")
    assert town.get("nora", "/group/invitation_list") == []
    assert town.members() == {town.ids["alice"]}
