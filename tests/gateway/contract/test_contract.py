"""Every call of ``contract.json`` on a gateway over simulated shards: who may call, what is required, what comes back.

A call is made as it would be in life: ``SCENES`` brings about what it needs, ``EXAMPLES`` has a value for every parameter
by its name, ``VALUES`` those of single calls. What a call answers has the published shape.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from PIL import Image

from lanying.base.tokens import ROLE_USER, Identity, issue
from lanying.bus.messages import ReadCode
from lanying.config.notifiers import Secret
from lanying.config.schema import Sms
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.contract import not_offered
from lanying.gateway.contract.contract import CONTRACT, ContractCall
from lanying.testing.simulation import User
from tests.gateway.conftest import ACCOUNTS, APPS, Gateway, SimulatedShards

OWED: set[str] = set()
"""Calls nobody has built yet."""

ROUTED = {(method, endpoint.path) for endpoint in ENDPOINTS for method in endpoint.methods}
CALLS = [(method, call) for call in CONTRACT.calls for method in call.methods if (method, call.path) in ROUTED]


def name(method: str, call: ContractCall) -> str:
    return f"{method} {call.path}"


def every(calls: list[tuple[str, ContractCall]]) -> Any:
    return pytest.mark.parametrize(("method", "call"), calls, ids=[name(*pair) for pair in calls])


class World:
    """Alice, who calls; Bob and Carol, whom she knows; her group with Bob in it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        gateway.shards = SimulatedShards(gateway.services.config)
        gateway.services.shards = gateway.shards
        self.tokens: dict[str, str] = {}
        self.uids: dict[str, int] = {}
        for who in ("alice", "bob", "carol"):
            self.uids[who], self.tokens[who] = gateway.register(who)
        body = {"name": "team", "user_list": [self.uids["bob"]]}
        self.group = self.call("alice", "POST", "/group/create", body)["group_id"]
        self.found: dict[str, Any] = {}
        gateway.now += 3600
        gateway.services.sms = SentSms()

    def no_sms(self) -> None:
        self.gateway.services.sms = None

    def call(self, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.gateway.data(method, path, self.tokens.get(who, ""), json=body or {})

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"user_id": str(self.uids["alice"])}
        return self.gateway.data(method, path, self.gateway.admin(), json=body or {}, headers=headers)

    def friends(self) -> None:
        self.call("bob", "POST", "/user/authmode", {"value": 0})
        self.call("alice", "POST", "/roster/apply", {"user_id": self.uids["bob"], "alias": ""})

    def applied(self) -> None:
        self.call("bob", "POST", "/roster/apply", {"user_id": self.uids["alice"], "alias": ""})

    def invited(self) -> None:
        """Bob's group wants Alice."""
        self.call("alice", "POST", "/user/settings", {"group_confirm": True})
        self.group = self.call("bob", "POST", "/group/create", {"name": "theirs"})["group_id"]
        self.call("bob", "POST", "/group/invite", {"group_id": self.group, "user_list": [self.uids["alice"]]})

    def group_of_bob(self) -> None:
        self.group = self.call("bob", "POST", "/group/create", {"name": "theirs"})["group_id"]

    def in_group_of_bob(self) -> None:
        body = {"name": "theirs", "user_list": [self.uids["alice"]]}
        self.group = self.call("bob", "POST", "/group/create", body)["group_id"]

    def group_application(self) -> None:
        body = {"group_id": self.group, "apply_approval": 1}
        self.call("alice", "POST", "/group/settings/require_admin_approval", body)
        self.call("carol", "POST", "/group/apply", {"group_id": self.group, "reason": "please"})
        self.found["user_id"] = self.uids["carol"]

    def carol_is_meant(self) -> None:
        self.found |= {"user_id": self.uids["carol"], "user_list": [self.uids["carol"]]}

    def bob_is_admin(self) -> None:
        self.call("alice", "POST", "/group/admin/add", {"group_id": self.group, "user_list": [self.uids["bob"]]})

    def announcement(self) -> None:
        body = {"group_id": self.group, "title": "t", "content": "c"}
        self.call("alice", "POST", "/group/announcement/edit", body)
        [found] = self.call("alice", "GET", f"/group/announcement/list?group_id={self.group}")
        self.found["announcement_id"] = found["id"]

    def shared_file(self) -> None:
        self.call("alice", "POST", "/group/file/upload", {"group_id": self.group, **SHARED_FILE})
        [found] = self.call("alice", "GET", f"/group/file/list?group_id={self.group}")
        self.found |= {"file_id": found["file_id"], "file_list": [found["file_id"]]}

    def group_code(self) -> None:
        self.group_of_bob()
        self.found["qr_info"] = self.call("bob", "GET", f"/group/qrcode/sign?group_id={self.group}")["qr_info"]

    def message(self) -> None:
        body = {"type": 1, "targets": [self.uids["bob"]], "content_type": 0, "content": "hello"}
        answer = self.gateway.call("POST", "/message/send", self.tokens["alice"], json=body)
        self.found["msg_id"] = answer["msg_ids"][0]

    def uploaded_file(self) -> None:
        self.found["file_sign"] = self._upload("/file/upload/chat?file_type=102&to_id=1")

    def uploaded_avatar(self) -> None:
        self.found["object_name"] = self._upload("/file/upload/avatar/user")

    def _upload(self, ticket_path: str) -> str:
        ticket = self.call("alice", "GET", ticket_path)
        picture = io.BytesIO()
        Image.new("RGB", (8, 8)).save(picture, "PNG")
        self.gateway.send("PUT", ticket["upload_url"], content=picture.getvalue())
        return str(ticket["download_url"].rpartition("=")[2])

    def device(self) -> None:
        simulation = self.gateway.shards.simulation
        User(simulation, self.uids["alice"], "alice", "app").device()
        self.found |= {"device_sn": 1, "deviceSn": 1}

    def picture(self) -> None:
        image = self.call("", "POST", "/app/captcha/image")
        self.found |= {"image_id": image, "captcha": self.secret("captcha", image)}

    def secret(self, kind: str, code: str) -> str:
        request = ReadCode("app", kind, code)
        shards = self.gateway.shards
        found = shards.simulation.call(shards.map.shard_of_name("app", f"{kind}:{code}"), request)
        return str(msgspec.msgpack.decode(found))

    def texted(self) -> None:
        self.call("", "GET", "/app/captcha/sms", {"mobile": MOBILE})
        sms: Any = self.gateway.services.sms
        self.found |= {"captcha": sms.codes[MOBILE], "mobile": MOBILE}

    def has_phone(self) -> None:
        self.texted()
        self.call("alice", "POST", "/app/user/mobile_bind", self.found)
        self.gateway.now += 3600
        self.texted()

    def phone_proven(self) -> None:
        self.texted()
        self.found["sign"] = self.call("", "GET", "/app/user/info_pwd", self.found)["sign"]

    def proven(self) -> None:
        proof = self.call("alice", "POST", "/app/user/mobile_prechange_by_password", {"password": "secret1"})
        self.texted()
        self.found["sign"] = proof["sign"]

    def qr_shown(self) -> None:
        self.found["qr_code"] = self.call("", "GET", "/app/qr_code")["qr_code"]

    def qr_allowed(self) -> None:
        self.qr_shown()
        self.call("alice", "GET", "/app/allow", {"allow": "1", **self.found})

    def secret_kept(self) -> None:
        self.found |= self.call("alice", "POST", "/app/secret_info", {"secret_text": "x", "expire_seconds": 60})

    def notifier(self) -> None:
        self.gateway.services.notifiers.put("app", "mi", 3, 1, "vendor-app", Secret("key", "secret", "text"))

    def push_task(self) -> None:
        self.notifier()
        body = {"audience": "all", "message": {"title": "t"}}
        task = self.gateway.data("POST", "/push/notify", self.gateway.admin(), json=body)
        self.found["list"] = [task["task_id"]]

    def bobs_phone(self) -> None:
        self.no_sms()
        self.gateway.data("POST", "/user/mobile", self.tokens["bob"], json={"mobile": MOBILE})

    def parameters(self, method: str, call: ContractCall) -> dict[str, Any]:
        """What the call needs, and no more than what is required unless ``VALUES`` says so."""
        SCENES.get(call.path, lambda world: None)(self)
        examples = EXAMPLES(self) | self.found
        own = VALUES.get(call.path, {})
        own = own(self) if callable(own) else own
        return {name: examples[name] for name in call.required if name not in own} | own


MOBILE = "+8613800000001"
SHARED_FILE = {"name": "a.txt", "size": 5, "type": "txt", "url": "https://files/x?sign=1"}


def EXAMPLES(world: World) -> dict[str, Any]:
    bob = world.uids["bob"]
    return {
        "alias": "al",
        "allow": "1",
        "announcement_id": 1,
        "badge": 3,
        "captcha": "",
        "code": "",
        "deviceSn": 1,
        "device_token": "vendor-token",
        "expire_seconds": 60,
        "image_id": "",
        "new_password_check": "secret2",
        "notifier_name": "xiaomi",
        "qr_code": "",
        "audience": {"user_id": [bob]},
        "message": {"title": "t"},
        "provider": 3,
        "secret_text": "hidden",
        "sign": "",
        "tags": ["red", "blue"],
        "app_id": "app",
        "apply_approval": 1,
        "approval": True,
        "auth_answer": "42",
        "avatar": "https://a/b",
        "content": "hello",
        "content_type": 0,
        "conversation_id": bob,
        "device_sn": 1,
        "duration": 5,
        "file_id": 1,
        "file_list": [1],
        "file_type": 102,
        "group_id": world.group,
        "group_list": [world.group],
        "limit": 10,
        "list": [bob],
        "mobile": MOBILE,
        "msg_id_start": 0,
        "msg_mute_mode": 1,
        "msg_push_mode": 1,
        "name": "alice",
        "login_name": "alice",
        "new_owner": bob,
        "new_password": "secret2",
        "nick_name": "Al",
        "no_push_end_hour": 7,
        "no_push_start_hour": 22,
        "old_password": "secret1",
        "opposite_id": bob,
        "password": "secret1",
        "qr_info": "",
        "roster_id": world.uids["alice"],
        "size": 5,
        "targets": [bob],
        "title": "t",
        "type": 1,
        "to_id": bob,
        "url": "https://files/x?sign=1",
        "user_id": bob,
        "user_list": [bob],
        "username": "bob",
        "value": True,
    }


SCENES: dict[str, Callable[[World], None]] = {
    "/file/download/chat": World.uploaded_file,
    "/message/recall": World.message,
    "/message/conversation": World.message,
    "/message/unread": World.message,
    "/file/upload/forward": World.uploaded_file,
    "/file/download/avatar": World.uploaded_avatar,
    "/roster/accept": World.applied,
    "/roster/decline": World.applied,
    "/roster/delete": World.friends,
    "/roster/apply/list": World.applied,
    "/roster/list": World.friends,
    "/user/rosters": World.friends,
    "/group/invite/handle": World.invited,
    "/group/invitation_list": World.invited,
    "/group/apply": World.group_of_bob,
    "/group/leave": World.in_group_of_bob,
    "/group/apply/handle": World.group_application,
    "/group/application_list": World.group_application,
    "/group/invite": World.carol_is_meant,
    "/group/admin_list": World.bob_is_admin,
    "/group/admin/remove": World.bob_is_admin,
    "/group/announcement": World.announcement,
    "/group/announcement/delete": World.announcement,
    "/group/announcement/last": World.announcement,
    "/group/announcement/list": World.announcement,
    "/group/file": World.shared_file,
    "/group/file/list": World.shared_file,
    "/group/file/delete": World.shared_file,
    "/group/file/update_name": World.shared_file,
    "/group/qrcode/invite": World.group_code,
    "/app/qrcode/group_invite": World.group_code,
}
SCENES |= {
    "/user/token/bind": World.device,
    "/user/token/unbind": World.device,
    "/user/device/list": World.device,
    "/user/device/remove": World.device,
    "/user/kick": World.device,
    "/app/captcha/image": World.picture,
    "/app/captcha/sms_web": World.picture,
    "/app/user/info_pwd": World.has_phone,
    "/app/user/mobile_bind": World.texted,
    "/app/user_verification_by_mobile": World.texted,
    "/app/user/mobile_prechange_by_mobile": World.has_phone,
    "/app/user/mobile_bind_with_sign": World.phone_proven,
    "/app/user/mobile_change": World.proven,
    "/app/pwd_change": World.proven,
    "/app/qr_login": World.qr_allowed,
    "/app/allow": World.qr_shown,
    "/app/user_verification": World.has_phone,
    "/push/certificate": World.notifier,
    "/push/notify": World.notifier,
    "/push/task/detail": World.push_task,
    "/roster/mobile": World.bobs_phone,
    "/app/user/mobile_update": World.no_sms,
    "/user/mobile": World.no_sms,
}
VALUES: dict[str, Any] = {
    "/app/secret_info": lambda world: world.secret_kept() or {"secret_text": "x", "expire_seconds": 5, **world.found},
    "/user/register/anonymous": {"username": "anon_", "password": "secret1"},
    "/user/register/push": {"username": "dora", "password": "secret1", "push_token": "t", "alias": "d"},
    "/user/register/batch": {
        "list": [{"username": "dora", "password": "secret1"}, {"username": "bob", "password": "x"}]
    },
    "/user/avatar/batch": lambda world: {"list": [{"user_id": world.uids["bob"], "avatar": "a"}, {"user_id": 5}]},
    "/user/profile/batch": lambda world: {"list": [{"user_id": world.uids["bob"], "nick_name": "b"}, {"user_id": 5}]},
    "/user/enable": lambda world: {"list": [world.uids["bob"]]},
    "/user/disable": lambda world: {"list": [world.uids["bob"]]},
    "/user/username": {"username": "alicia"},
    "/user/push/nickname": {"value": "Al"},
    "/push/task/detail": lambda world: {"list": world.found["list"]},
    "/user/public": {"value": "seen by all"},
    "/user/private": {"value": "seen by me"},
    "/user/delete": {"password": "secret1"},
    "/user/register/v2": {"username": "dora", "password": "secret1"},
    "/token/id": lambda world: {"user_id": world.uids["alice"], "password": "secret1"},
    "/app/token_id": lambda world: {"user_id": str(world.uids["alice"]), "password": "secret1"},
    "/group/create": {"name": "n"},
    "/message/broadcast": {"content": "to all"},
    "/user/authmode": {"value": 2},
    "/roster/apply/batch": lambda world: {"list": [{"user_id": world.uids["bob"]}, {"user_id": 5}, {}]},
    "/group/display_name": lambda world: {"group_id": world.group, "value": "Al"},
    **{
        f"/group/info/{what}": lambda world: {"group_id": world.group, "value": "x"}
        for what in ("name", "description", "ext", "avatar")
    },
}
REFUSED: dict[str, int] = {f"{method} {it.path}": 404 for it in not_offered.ENDPOINTS for method in it.methods}
"""What needs a provider this server has not got, and the code that says so."""
WITHOUT_ENVELOPE = {"/"}


class SentSms:
    """Remembers the codes that were sent."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}

    async def send(self, app: str, mobile: str, code: str) -> None:
        self.codes[mobile] = code


@pytest.fixture(scope="module")
def one() -> Iterator[Gateway]:
    gateway = Gateway(ACCOUNTS, sms=Sms(provider="log"))
    yield gateway
    gateway.close()


@pytest.fixture
def world(one: Gateway) -> World:
    return World(one)


@pytest.fixture(scope="module")
def still(one: Gateway) -> World:
    """For calls that are refused: nothing of it changes."""
    return World(one)


def request(world: World, method: str, call: ContractCall, body: Any, **more: Any) -> dict[str, Any]:
    """Make a call as whom it is for; the envelope."""
    if call.auth == "admin":
        more.setdefault("token", world.gateway.admin())
        more.setdefault("headers", {"user_id": str(world.uids["alice"])})
    elif call.auth != "none" or call.path == "/app/user/mobile_bind_with_sign":
        more.setdefault("token", world.tokens["alice"])
    return world.gateway.envelope(method, call.path, json=body, **more)


def test_what_is_not_built_is_known() -> None:
    missing = {name(m, call) for call in CONTRACT.calls for m in call.methods if (m, call.path) not in ROUTED}
    print(f"{len(missing)} calls are not built:", *sorted(missing), sep="\n  ")
    assert missing == OWED | {"GET /"}  # the web client's page, no call: lanying/gateway/http/pages.py


@every([pair for pair in CALLS if pair[1].auth != "none"])
def test_a_token_is_asked_for(still: World, method: str, call: ContractCall) -> None:
    assert still.gateway.envelope(method, call.path, json={})["code"] == 10003
    expired = issue(APPS[0].secret, Identity("app", still.uids["alice"], ROLE_USER, 0, int(time.time()) - 1))
    for token in ("nonsense", expired, still.gateway.forge(still.uids["alice"], APPS[1].secret)):
        assert still.gateway.envelope(method, call.path, token, json={})["code"] == 402


@every([pair for pair in CALLS if pair[1].auth == "admin"])
def test_users_may_not_call_what_is_for_admins(still: World, method: str, call: ContractCall) -> None:
    assert request(still, method, call, {}, token=still.tokens["alice"])["code"] == 10010


@every([pair for pair in CALLS if pair[1].required and name(*pair) not in REFUSED])
def test_a_missing_parameter_is_named(world: World, method: str, call: ContractCall) -> None:
    params = world.parameters(method, call)
    for missing in call.required:
        rest = {name: value for name, value in params.items() if name != missing}
        envelope = request(world, method, call, rest)
        assert envelope["code"] == 10002, missing
        assert missing in envelope["message"]


@every(CALLS)
def test_the_answer_has_its_shape(world: World, method: str, call: ContractCall) -> None:
    expected = REFUSED.get(name(method, call), 200)
    envelope = request(world, method, call, {} if expected != 200 else world.parameters(method, call))
    assert envelope["code"] == expected, envelope
    if expected == 200:
        check(call, envelope)


@every([pair for pair in CALLS if pair[1].parameters and name(*pair) not in REFUSED])
def test_parameters_come_in_the_query_too_and_numbers_as_texts(world: World, method: str, call: ContractCall) -> None:
    params = world.parameters(method, call)
    if any(
        isinstance(value, dict) for item in params.values() for value in (item if isinstance(item, list) else [item])
    ):
        pytest.skip("objects travel in bodies only")
    texts = {key: as_text(value) for key, value in params.items()}
    envelope = request(world, method, call, {}, params=texts)
    assert envelope["code"] == 200, envelope
    check(call, envelope)


def as_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def check(call: ContractCall, envelope: dict[str, Any]) -> None:
    """The published shape of data and of what is beside it."""
    shape = {
        "type": "object",
        "properties": {"data": call.data, **call.extra},
        "components": {"schemas": CONTRACT.schemas},
    }
    jsonschema_rs.validator_for(shape).validate({key: value for key, value in envelope.items() if value is not None})
