"""Pushes a back end orders, and the vendors' certificates (rest-api.md section 5).

A task is kept for a week on the shard of its id; every shard owes its part of the audience the push, and the push process sends it:
at least once. ``sent`` counts what vendors took. ``received`` stays 0: vendors report receipts only where one has registered an address
with them, and there is none. Without any notifier of the app the answer is 12006.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from typing import Annotated, Any, Final, Literal

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    CountPushTask,
    GetPushTask,
    OrderPushes,
    PushTargets,
    PushTask,
    PutPushTask,
)
from lanying.bus.shards import ask, ask_shard
from lanying.config.notifiers import PROVIDERS
from lanying.gateway.accounts import code_book, handles
from lanying.gateway.http.endpoint import GET, POST, Endpoint, RequestContext
from lanying.gateway.http.kinds import EntityId
from lanying.gateway.http.params import read

REQUEST: Final = "push-request"
_REQUEST_LIFETIME_MS: Final = 86_400_000
_BADGE: Final = re.compile(r"\+?[0-9]{1,5}")
_CHANNELS: Final = (*PROVIDERS, "mxpush")
_AUDIENCES: Final = ("tag", "alias", "user_id", "push_token")
OWN_CHANNEL: Final = "mxpush_only"
"""Strategy "no vendor channel": since there is no other, nothing is sent."""
_SEQUENCE: Final = frozenset(("ups", "fcm", "huawei", "xiaomi", "oppo", "vivo", "meizu"))


class Certificate(msgspec.Struct):
    """A vendor, for production (1) or development (0)."""

    provider: Annotated[int, msgspec.Meta(ge=1, le=7)]
    environment: Annotated[int, msgspec.Meta(ge=0, le=1)] = 1


class Notification(msgspec.Struct):
    """A push to order: a :class:`PushContent`, with a :class:`Setting`; ``audience`` is "all" or an object."""

    audience: object
    message: dict[str, Any]
    setting: dict[str, Any] = {}


class PushContent(msgspec.Struct):
    """What is shown; vendors read their own members of it."""

    type: Literal["text", "image", "cmd"] = "text"
    title: str = ""
    body: str = ""
    attachment_url: str = ""
    badge: str = "+1"
    show_begin_time: int = 0
    show_end_time: int = 0
    ext: dict[str, Any] = {}
    ios: dict[str, Any] = {}
    android: dict[str, Any] = {}
    huawei: dict[str, Any] = {}
    xiaomi: dict[str, Any] = {}
    oppo: dict[str, Any] = {}
    vivo: dict[str, Any] = {}
    flyme: dict[str, Any] = {}
    fcm: dict[str, Any] = {}


class Setting(msgspec.Struct):
    """How it is sent; a repeated ``request_id`` is the same push."""

    distribution_strategy: Literal["combined", "mxpush_only", "ospush_only"] = "combined"
    ospush_sequence: Annotated[list[Annotated[str, msgspec.Meta(max_length=16)]], msgspec.Meta(max_length=7)] = []
    request_id: Annotated[str, msgspec.Meta(max_length=limits.NAME_FIELD_CHARS)] = ""


class Tasks(msgspec.Struct):
    """Some tasks."""

    ids: list[EntityId] = msgspec.field(name="list")


async def certificate(context: RequestContext, given: Certificate) -> object:
    """The notifier of a vendor. Users get what an app needs to register with the vendor; secrets are for admins."""
    found = context.services.notifiers.find(context.app.app_id, given.provider, given.environment)
    if found is None:
        raise CallError(Refusal.NO_NOTIFIER)
    row: dict[str, Any] = {"name": found.name, "app_id": found.app_id}
    if context.admin:
        row |= msgspec.to_builtins(context.services.notifiers.secret(found))
    return row


async def notify(context: RequestContext, given: Notification) -> object:
    """Order a push. A repeated ``request_id`` gets the task it got before."""
    kind, targets = _audience(given.audience)
    _check(read(PushContent, given.message, inside="message"))
    setting = read(Setting, given.setting, inside="setting")
    if not set(setting.ospush_sequence) <= _SEQUENCE:
        what = f"setting.ospush_sequence is a list of {', '.join(sorted(_SEQUENCE))}"
        raise CallError(Refusal.INVALID_PARAMETER, what)
    request_id = setting.request_id
    channels = {it.name: it.provider for it in context.services.notifiers.of(context.app.app_id)}
    if not channels:
        raise CallError(Refusal.NO_NOTIFIER)
    if request_id:
        before = await code_book.read(context, REQUEST, request_id)
        if before is not None:
            return {"task_id": int(before)}
    task_id = secrets.randbelow(MAX_ENTITY_ID) + 1
    shards = context.shards
    order = msgspec.json.encode(given.message).decode()
    task = PushTask(task_id, context.app.app_id, order, context.services.now_ms())
    await ask(shards, task_id, PutPushTask(task))
    if setting.distribution_strategy != OWN_CHANNEL:
        wanted = await _wanted(context, kind, targets)
        counts = await _count(context, wanted)
        await ask(shards, task_id, CountPushTask(task_id, targets=_by_channel(channels, counts)))
        await asyncio.gather(*(ask_shard(shards, at, OrderPushes(task_id, it)) for at, it in wanted))
    if request_id:
        await code_book.keep(context, REQUEST, str(task_id), _REQUEST_LIFETIME_MS, request_id)
    return {"task_id": task_id}


async def details(context: RequestContext, given: Tasks) -> object:
    """What became of tasks; those nobody knows any more are left out."""
    rows = []
    for task_id in given.ids[: limits.REST_ROWS]:
        request = GetPushTask(task_id, context.app.app_id)
        found = await ask(context.shards, task_id, request)
        if found is not None:
            row = {"task_id": task_id}
            for channel in _CHANNELS:
                row |= {
                    f"{channel}_target": found.targets.get(channel, 0),
                    f"{channel}_sent": found.sent.get(channel, 0),
                    f"{channel}_received": 0,
                }
            rows.append(row)
    return rows


def _by_channel(channels: dict[str, int], counts: Counter[str]) -> dict[str, int]:
    """Devices by channel, of those by notifier."""
    names = {number: channel for channel, number in PROVIDERS.items()}
    found: Counter[str] = Counter()
    for notifier, number in counts.items():
        if notifier in channels:
            found[names[channels[notifier]]] += number
    return dict(found)


def _audience(audience: object) -> tuple[str, list[str]]:
    """Kind and members, ``all`` for everybody. :raises CallError: 10002, 12005 too many"""
    if audience == "all":
        return "all", []
    given = [name for name in _AUDIENCES if audience.get(name) is not None] if isinstance(audience, dict) else []
    if len(given) != 1 or not isinstance(audience, dict):
        raise CallError(Refusal.INVALID_PARAMETER, f"audience is all, or an object with one of {', '.join(_AUDIENCES)}")
    members = audience[given[0]]
    if isinstance(members, list) and len(members) > limits.PUSH_TARGETS:
        raise CallError(Refusal.TOO_MANY_TARGETS)
    if (
        not members
        or not isinstance(members, list)
        or not all(type(it) in (str, int) and len(str(it)) <= limits.TEXT_FIELD_CHARS for it in members)
    ):
        raise CallError(Refusal.INVALID_PARAMETER, f"audience.{given[0]} is a list of texts or ids that is not empty")
    return given[0], [str(it) for it in members]


def _check(message: PushContent) -> None:
    """:raises CallError: 10002, 12004 the picture's address is none"""
    if message.type != "cmd" and not (message.title or message.body):
        raise CallError(Refusal.INVALID_PARAMETER, "message.title or message.body is missing")
    if message.type == "image" and not re.fullmatch(r"https?://[^/\s]+/\S*", message.attachment_url):
        raise CallError(Refusal.NOT_A_PICTURE)
    if not _BADGE.fullmatch(message.badge):
        raise CallError(Refusal.INVALID_PARAMETER, 'message.badge is "5" to set or "+1" to add')


async def _wanted(context: RequestContext, kind: str, members: list[str]) -> list[tuple[int, PushTargets]]:
    """The audience, shard by shard."""
    shards, app = context.shards, context.app.app_id
    if kind == "alias":
        found = await asyncio.gather(*(handles.find(context, handles.ALIAS + alias) for alias in members))
        members, kind = [str(uid) for uid in found if uid], "user_id"
    if kind != "user_id":
        tags, tokens = (members if kind == "tag" else []), (members if kind == "push_token" else [])
        return [(at, PushTargets(app, tags=tags, push_tokens=tokens)) for at in shards.map.peers]
    by_shard: dict[int, list[int]] = {}
    for uid in {int(member) for member in members if member.isdecimal() and member.isascii() and len(member) < 19}:
        by_shard.setdefault(shards.map.shard_of(uid), []).append(uid)
    return [(at, PushTargets(app, uids=uids)) for at, uids in by_shard.items()]


async def _count(context: RequestContext, wanted: list[tuple[int, PushTargets]]) -> Counter[str]:
    """Devices by notifier."""

    async def of_shard(shard: int, targets: PushTargets) -> Counter[str]:
        counts: Counter[str] = Counter()
        after = 0
        while True:
            request = msgspec.structs.replace(targets, after=after)
            page = await ask_shard(context.shards, shard, request)
            counts.update(page.counts)
            after = page.next
            if not after:
                return counts

    total: Counter[str] = Counter()
    for counts in await asyncio.gather(*(of_shard(*order) for order in wanted)):
        total.update(counts)
    return total


ENDPOINTS: Final = (
    Endpoint(GET, "/push/certificate", certificate),
    Endpoint(POST, "/push/notify", notify, admin=True),
    Endpoint(POST, "/push/task/detail", details, admin=True),
)
