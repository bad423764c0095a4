"""Apps of the server: users and groups of one reach nothing of another."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.base import limits
from lanying.base.errors import CallError, ConfigError
from lanying.bus.messages import AddApp
from lanying.config import apps
from lanying.config.apps import App
from lanying.config.schema import AppOverrides

TAKE_OVER_S = 20.0
"""A shard that does not answer for this long has the app from its next start."""
RETRY_S = 0.2


async def list_all(context: CommandContext) -> object:
    """Every app with what differs for it."""
    return [_row(context, app) for app in context.server.apps.values()]


async def show(context: CommandContext) -> object:
    """What an app runs with."""
    server = context.server
    app = server.app(context.text("app"))
    accounts, discovery = server.config.accounts_of(app.app_id), server.config.discovery_of(app.app_id)
    return {**_row(context, app), "max_users": accounts.max_users, **msgspec.structs.asdict(discovery)}


async def add(context: CommandContext) -> object:
    """Add an app to the running server: key and admin token are made, every process takes it over, restarts keep it."""
    server = context.server
    own = _own(context)
    try:
        app = apps.new(context.text("app_id"), own.name, own)
        if app.app_id in server.apps:
            raise ConfigError(f"there is an app {app.app_id} already; `apps show {app.app_id}` describes it")
        context.will(f"add the app {app.app_id}; it cannot be removed again")
        server.apps.add(app, server.now_ms() // 1000)
    except ConfigError as error:
        raise CommandError(10002, str(error)) from error
    known = server.app(app.app_id)  # reads the file, which puts its settings into the configuration
    settings = server.config.apps[known.app_id]
    late = await asyncio.gather(*(_tell(context, shard, AddApp(app.app_id, settings)) for shard in server.map.peers))
    server.publish("config", {"app": app.app_id, "who": context.who})
    return {
        **_row(context, server.app(app.app_id)),
        "until_restart": [f"shard-{n}" for n, told in enumerate(late) if not told],
    }


async def _tell(context: CommandContext, shard: int, message: AddApp) -> bool:
    """Has the shard taken the app over? One that starts at this moment is asked again."""
    try:
        async with asyncio.timeout(TAKE_OVER_S):
            while True:
                try:
                    return await context.server.ask_shard(shard, message)
                except CallError:
                    await asyncio.sleep(RETRY_S)
    except TimeoutError:
        return False


def _own(context: CommandContext) -> AppOverrides:
    """The options as settings. :raises CommandError: a bad value"""
    given: dict[str, Any] = {
        name: context.arguments[name] for name in AppOverrides.__struct_fields__ if name in context.arguments
    }
    for name in ("open_registration", "strangers_may_chat"):
        if name in given:
            given[name] = given[name] == "yes"
    if len(context.text("name")) > limits.NAME_FIELD_CHARS:
        raise CommandError(10002, f"--name has at most {limits.NAME_FIELD_CHARS} characters")
    try:
        return msgspec.convert(given, AppOverrides)
    except msgspec.ValidationError as error:
        raise CommandError(10002, f"{error}; `apps add --help` says what is allowed") from error


def _row(context: CommandContext, app: App) -> dict[str, Any]:
    server = context.server
    accounts = server.config.accounts_of(app.app_id)
    first = app.app_id == server.config.app_id
    return {
        "app": app.app_id,
        "name": app.name,
        "open_registration": accounts.open_registration,
        "strangers_may_chat": accounts.strangers_may_chat,
        "admin_token": str(server.files.token_file(app, first=first)),
    }
