"""What endpoints take, held against what ``contract.json`` publishes: a parameter that is published is read, with the values that are
published; one that is read is published. What differs is named here, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import lanying.gateway
from lanying.gateway.accounts import registration, user_administration
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.contract import not_offered
from lanying.gateway.contract.contract import CONTRACT, ContractCall, Schema
from lanying.gateway.http.params import Field, fields
from lanying.gateway.messages import push_tasks
from lanying.gateway.social import roster_administration

PAIRS = [
    (endpoint.parameters, call)
    for endpoint in ENDPOINTS
    for call in CONTRACT.calls
    if call.path == endpoint.path
    and set(call.methods) <= set(endpoint.methods)
    and endpoint not in not_offered.ENDPOINTS
]
EVERY = pytest.mark.parametrize(
    ("takes", "call"), PAIRS, ids=[f"{'/'.join(call.methods)} {call.path}" for _, call in PAIRS]
)

UNREAD: dict[str, str] = {
    "app_id": "read for every call, before its parameters",
    "version": "of lists that change: this server answers whole pages",
    "platform": "its answer is the same for all",
    "source": "where a link was opened",
    "sdk_sign": "of file addresses: they carry a sign of their own",
    "store_token": "the same",
    "thumbnail_strategy": "there is one",
    "cid": "of statistics",
    "sign": "of statistics",
    "id": "of /user/settings: it names nobody else",
    "user_id": "of /user/settings: it names nobody else",
    "device_guid": "of /user/register/push: a push token needs no device",
}
"""Published and not read, wherever they are published so."""
OWN = {
    ("/user/list", "cursor"),  # pages by number cost more the further they are
    ("/user/change_password", "device_sn"),  # whose session stays
    ("/app/token", "device_guid"),  # as its twins /token/user and /token/id
    ("/app/token_id", "device_guid"),
    ("/group/kick", "reason"),
}
"""Read and not published."""
LENIENT = {
    ("/message/send", "content"): "the kinds that need one ask for it",
    ("/message/notify", "content"): "the same",
}
"""Published as required; the handler says when it is missing, or something else stands in."""
STRICTER = {
    (path, "list"): "nothing to do is a mistake of the caller"
    for path in (
        "/push/task/detail", "/user/avatar/batch", "/user/profile/batch", "/user/disable", "/user/enable",
        "/user/register/batch",
    )
}  # fmt: skip
"""Required and not published as such."""
ROWS: dict[str, type[msgspec.Struct]] = {
    "RosterApplication": roster_administration.NewFriend,
    "BatchAvatarRequest": user_administration.AvatarRow,
    "BatchUserProfileRequest": user_administration.ProfileRow,
    "UserRegisterRequest": registration.NewAccount,
    "PushMessage": push_tasks.PushContent,
    "Setting": push_tasks.Setting,
}
"""Published objects, and what they are read as."""


def by_name(takes: type[msgspec.Struct] | None) -> dict[str, Field]:
    return {field.name: field for field in fields(takes)} if takes else {}


def published(call: ContractCall) -> dict[str, Schema]:
    """Parameters by the names they are read under: a bare list is ``list``, a bare text ``value``."""
    found = dict(call.parameters)
    if call.element is not None:
        found["list"] = {"type": "array", "items": call.element}
    if call.text:
        found["value"] = {"type": "string"}
    return found


def samples(shape: Schema) -> list[Any]:
    """Values of this shape, at its bounds."""
    if "enum" in shape:
        return list(shape["enum"])
    reference = shape.get("$ref", "").rpartition("/")[2]
    if reference:
        return samples(CONTRACT.schemas[reference])
    kind = shape["type"][0] if isinstance(shape.get("type"), list) else shape.get("type")
    if kind == "array":
        return [[value] for value in samples(shape["items"])]
    ends = [shape[name] for name in ("minimum", "maximum", "default") if name in shape]
    plain: dict[str, list[Any]] = {
        "integer": [1],
        "number": [1, 1.5],
        "string": ["1"],  # cursors, ids and switches are published as texts too
        "boolean": [True, False],
        "object": [{}],
    }
    return ends or plain[str(kind)]


@EVERY
def test_published_parameters_are_read_and_none_else(takes: type[msgspec.Struct] | None, call: ContractCall) -> None:
    read, known = by_name(takes), published(call)
    assert known.keys() - read.keys() <= UNREAD.keys()
    assert {(call.path, name) for name in read.keys() - known.keys()} <= OWN


@EVERY
def test_what_is_published_as_required_is_required_and_nothing_else(
    takes: type[msgspec.Struct] | None, call: ContractCall
) -> None:
    required = {name for name, field in by_name(takes).items() if field.required}
    whole_body = {"value"} if call.text else {"list"} if call.element else set()
    assert {(call.path, name) for name in set(call.required) - required} <= LENIENT.keys()
    assert {(call.path, name) for name in required - set(call.required) - whole_body} <= STRICTER.keys()


@EVERY
def test_every_published_value_is_taken(takes: type[msgspec.Struct] | None, call: ContractCall) -> None:
    read, known = by_name(takes), published(call)
    for name in read.keys() & known.keys():
        for value in samples(known[name]):
            assert read[name].kind.read(value) is not None


@EVERY
def test_values_of_another_shape_are_refused(takes: type[msgspec.Struct] | None, call: ContractCall) -> None:
    read, known = by_name(takes), published(call)
    for name in read.keys() & known.keys():
        shape = known[name]
        wrong: list[Any] = (
            [{"an": "object"}] if shape.get("type") in ("integer", "number", "string", "boolean", "array") else []
        )
        wrong += ["x"] if shape.get("type") in ("integer", "number", "boolean") else []
        for value in wrong:
            with pytest.raises(ValueError):
                read[name].kind.read(value)


@pytest.mark.parametrize("name", ROWS)
def test_published_objects_are_read_as_they_are_published(name: str) -> None:
    shape, read = CONTRACT.schemas[name], by_name(ROWS[name])
    known = shape["properties"]
    assert read.keys() <= known.keys()
    assert set(shape.get("required", ())) <= read.keys()
    for common in read.keys() & known.keys():
        for value in samples(known[common]):
            assert read[common].kind.read(value) is not None


def test_the_lists_above_are_of_parameters_that_are_there() -> None:
    known = {(call.path, name) for _, call in PAIRS for name in published(call)}
    read = {(call.path, name) for takes, call in PAIRS for name in by_name(takes)}
    assert UNREAD.keys() <= {name for _, name in known - read}
    assert read - known >= OWN
    assert LENIENT.keys() | STRICTER.keys() <= known & read


def test_no_handler_reads_parameters_by_hand() -> None:
    gateway = Path(lanying.gateway.__file__).parent
    found = {it.relative_to(gateway).as_posix() for it in gateway.rglob("*.py") if "context.params" in it.read_text()}
    assert found == {
        "app.py",
        "messages/messages.py",
    }  # which app is meant, and whom an admin acts for, before all else
