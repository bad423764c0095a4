"""Decisions on login frames."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from lanying.base import tokens
from lanying.base.clock import wall_ms
from lanying.bus.handoff.records import Login
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.protocol.connection import SOCKETIO
from lanying.protocol.schema.xsync_pb2 import Provision, Status, SyncUL
from lanying.router.login import NOT_LOGGED_IN, Doorkeeper, Handoff, Refuse, refuse_sync

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
UID = 5_000_003
DOORKEEPER = Doorkeeper(
    {"school": App("school", "School", KEY.hex()), "club": App("club", "Club", OTHER_KEY.hex())},
    Directory(ShardMap.even(4), RunDirectory(Path("/nowhere")), lambda: None),
    wall_ms,
)


def token(key: bytes = KEY, app: str = "school", uid: int = UID, role: int = tokens.ROLE_USER, expires: int = 0) -> str:
    return tokens.issue(key, tokens.Identity(app, uid, role, 7, expires))


def provision(**fields: object) -> bytes:
    message = Provision(token=token(), os_type=Provision.WEB, device_guid="5000003_17", device_info="Web")
    message.xid.uid = UID
    message.xid.deviceSN = 999999999
    for name, value in fields.items():
        if name == "uid":
            message.xid.uid = value  # type: ignore[assignment]
        else:
            setattr(message, name, value)
    return message.SerializeToString()


def decide(payload: bytes) -> Handoff | Refuse:
    return DOORKEEPER.decide(payload, SOCKETIO, "192.0.2.1", b"left over")


def test_a_good_login_goes_to_the_shard_of_the_user() -> None:
    decision = decide(provision(last_login_time=17))
    assert decision == Handoff(
        ShardMap.even(4).shard_of(UID),
        Login(
            kind=SOCKETIO,
            app="school",
            uid=UID,
            epoch=7,
            guid="5000003_17",
            os_type=6,
            info="Web",
            address="192.0.2.1",
            leftover=b"left over",
        ),
    )


def test_the_app_is_the_one_of_the_token() -> None:
    decision = decide(provision(token=token(OTHER_KEY, "club")))
    assert isinstance(decision, Handoff)
    assert decision.login.app == "club"


def forged(app: str) -> str:
    head, body, _ = token(OTHER_KEY, app).split(".")
    return f"{head}.{body}.AAAA"


def unsigned() -> str:
    head = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    claims = {"app": "school", "sub": str(UID), "role": 1, "epoch": 7}
    return f"{head}.{urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}."


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (provision(token=token(expires=1_700_000_000)), Status.INVALID_TOKEN, "token expired"),
        (provision(token=""), Status.INVALID_TOKEN, "token missing"),
        (provision(token="rubbish"), Status.INVALID_TOKEN, "token invalid"),
        (provision(token="a.é.c"), Status.INVALID_TOKEN, "token invalid"),
        (provision(token="a.A.c"), Status.INVALID_TOKEN, "token invalid"),
        (provision(token="a.e30.c"), Status.INVALID_TOKEN, "token invalid"),
        (provision(token=unsigned()), Status.INVALID_TOKEN, "token invalid"),
        (provision(token=forged("school")), Status.INVALID_TOKEN, "token invalid"),
        (provision(token=token(OTHER_KEY, "school")), Status.INVALID_TOKEN, "token invalid"),
        (provision(token=token(app="elsewhere")), Status.INVALID_TOKEN, "token of an app unknown here"),
        (provision(token=token(role=tokens.ROLE_ADMIN)), Status.INVALID_TOKEN, "an admin token is not a login"),
        (provision(uid=UID + 1), Status.INVALID_TOKEN, "token of another user"),
        (provision(uid=0, token=token(uid=0)), Status.INVALID_TOKEN, "token of another user"),
        (provision(device_guid="g" * 257), Status.INVALID_PARAMETER, "device_guid over 256 characters"),
        (b"\x0a\xff", Status.PB_PARSER_ERROR, "login not understood"),
    ],
)
def test_refusals(payload: bytes, code: int, reason: str) -> None:
    decision = decide(payload)
    assert isinstance(decision, Refuse)
    assert (decision.code, decision.reason) == (code, reason)


def test_sync_before_the_login_names_the_message_it_refuses() -> None:
    sync = SyncUL()
    sync.meta.id = 1_732_000_000_000
    assert refuse_sync(sync.SerializeToString()) == (1_732_000_000_000, Status.UNAUTHORIZED, NOT_LOGGED_IN)
    assert refuse_sync(b"") == (0, Status.UNAUTHORIZED, "you must login first")
    assert refuse_sync(b"\xff")[1] == Status.PB_PARSER_ERROR
