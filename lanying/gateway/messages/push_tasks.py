"""Pushes a back end orders, and the vendors' certificates (rest-api.md section 5).

A task is kept for a week on the shard of its id; every shard owes its part of the audience the push, and the push process sends it:
at least once. ``sent`` counts what vendors took. ``received`` stays 0: vendors tell of receipts only where one has registered an address
with them, and there is none. Without any notifier of the app the answer is 12006.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from typing import Any, Final

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
from lanying.gateway.http.params import Params

REQUEST: Final = "push-request"
_REQUEST_LIFETIME_MS: Final = 86_400_000
_BADGE: Final = re.compile(r"\+?[0-9]{1,5}")
_CHANNELS: Final = (*PROVIDERS, "mxpush")
_AUDIENCES: Final = ("tag", "alias", "user_id", "push_token")
OWN_CHANNEL: Final = "mxpush_only"
"""Strategy "no vendor channel": since there is no other, nothing is sent."""
_STRATEGIES: Final = ("combined", OWN_CHANNEL, "ospush_only")
_SEQUENCE: Final = frozenset(("ups", "fcm", "huawei", "xiaomi", "oppo", "vivo", "meizu"))


async def certificate(context: RequestContext) -> object:
    """The notifier of a vendor. Users get what an app needs to register with the vendor; secrets are for admins."""
    provider = context.params.number("provider", least=1, most=7)
    environment = context.params.number("environment", 1, most=1)
    found = context.services.notifiers.find(context.app.app_id, provider, environment)
    if found is None:
        raise CallError(Refusal.NO_NOTIFIER)
    row: dict[str, Any] = {"name": found.name, "app_id": found.app_id}
    if context.admin:
        row |= msgspec.to_builtins(context.services.notifiers.secret(found))
    return row


async def notify(context: RequestContext) -> object:
    """Order a push. A repeated ``request_id`` gets the task it got before."""
    params = context.params
    kind, targets = _audience(params)
    _check_message(_object(params, "message"))
    setting = _object(params, "setting", {})
    request_id = _check_setting(setting)
    channels = {it.name: it.provider for it in context.services.notifiers.of(context.app.app_id)}
    if not channels:
        raise CallError(Refusal.NO_NOTIFIER)
    if request_id:
        before = await code_book.read(context, REQUEST, request_id)
        if before is not None:
            return {"task_id": int(before)}
    task_id = secrets.randbelow(MAX_ENTITY_ID) + 1
    shards = context.shards
    order = msgspec.json.encode(params.mapping("message")).decode()
    task = PushTask(task_id, context.app.app_id, order, context.services.now_ms())
    await ask(shards, task_id, PutPushTask(task))
    if setting.text("distribution_strategy", "combined") != OWN_CHANNEL:
        wanted = await _wanted(context, kind, targets)
        counts = await _count(context, wanted)
        await ask(shards, task_id, CountPushTask(task_id, targets=_by_channel(channels, counts)))
        await asyncio.gather(*(ask_shard(shards, at, OrderPushes(task_id, it)) for at, it in wanted))
    if request_id:
        await code_book.keep(context, REQUEST, str(task_id), _REQUEST_LIFETIME_MS, request_id)
    return {"task_id": task_id}


async def details(context: RequestContext) -> object:
    """What became of tasks; those nobody knows any more are left out."""
    rows = []
    for task_id in context.params.some_entities("list")[: limits.REST_ROWS]:
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


def _audience(params: Params) -> tuple[str, list[str]]:
    """Kind and members, ``all`` for everybody. :raises CallError: 10002, 12005 too many"""
    if "audience" not in params:
        raise CallError(Refusal.INVALID_PARAMETER, "audience is missing")
    if params.is_text("audience") and params.text("audience") == "all":
        return "all", []
    audience = _object(params, "audience")
    given = [name for name in _AUDIENCES if name in audience]
    if len(given) != 1:
        raise CallError(Refusal.INVALID_PARAMETER, f"audience is all, or an object with one of {', '.join(_AUDIENCES)}")
    members = audience.items(given[0])
    if len(members) > limits.PUSH_TARGETS:
        raise CallError(Refusal.TOO_MANY_TARGETS)
    if not members or not all(type(it) in (str, int) and len(str(it)) <= limits.TEXT_FIELD_CHARS for it in members):
        raise CallError(Refusal.INVALID_PARAMETER, f"audience.{given[0]} is a list of texts or ids that is not empty")
    return given[0], [str(it) for it in members]


def _check_message(message: Params) -> None:
    """:raises CallError: 10002, 12004 the picture's address is none"""
    kind = message.text("type", "text")
    if kind not in ("text", "image", "cmd"):
        raise CallError(Refusal.INVALID_PARAMETER, "message.type is text, image or cmd")
    if kind != "cmd" and not (message.text("title", "") or message.text("body", "")):
        raise CallError(Refusal.INVALID_PARAMETER, "message.title or message.body is missing")
    if kind == "image" and not re.fullmatch(r"https?://[^/\s]+/\S*", message.text("attachment_url", "")):
        raise CallError(Refusal.NOT_A_PICTURE)
    if not _BADGE.fullmatch(message.text("badge", "+1")):
        raise CallError(Refusal.INVALID_PARAMETER, 'message.badge is "5" to set or "+1" to add')
    for name in ("show_begin_time", "show_end_time"):
        message.number(name, 0)
    for name in ("ext", "ios", "android", "huawei", "xiaomi", "oppo", "vivo", "flyme", "fcm"):
        _object(message, name, {})


def _check_setting(setting: Params) -> str:
    """The request id. :raises CallError: 10002"""
    if setting.text("distribution_strategy", "combined") not in _STRATEGIES:
        raise CallError(Refusal.INVALID_PARAMETER, f"setting.distribution_strategy is one of {', '.join(_STRATEGIES)}")
    if "ospush_sequence" in setting and not set(setting.texts("ospush_sequence", most=7, chars=16)) <= _SEQUENCE:
        raise CallError(
            Refusal.INVALID_PARAMETER, f"setting.ospush_sequence is a list of {', '.join(sorted(_SEQUENCE))}"
        )
    return setting.text("request_id", "", most=limits.NAME_FIELD_CHARS)


def _object(params: Params, name: str, default: dict[str, Any] | None = None) -> Params:
    return Params(params.mapping(name, default))


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
