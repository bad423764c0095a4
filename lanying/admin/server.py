"""The port of all commands to the server: shards over the bus, the supervisor over its control socket, its files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from lanying.admin.errors import CommandError
from lanying.admin.files import ServerFiles
from lanying.admin.followers import Followers
from lanying.admin.jobs import Jobs
from lanying.base.clock import wall_ms
from lanying.base.errors import CallError
from lanying.base.ids import typed_id
from lanying.base.passwords import Passwords
from lanying.base.refusals import Refusal
from lanying.bus.messages import AccountInfo, FindName, Message, Request
from lanying.bus.messages.base import R
from lanying.bus.shards import Shards, accounts, ask, ask_name, ask_shard
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App, Apps
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config
from lanying.supervisor import control
from lanying.supervisor.requests import A, Asked

log = logging.getLogger(__name__)


class Server:
    """What every handler may ask.

    :ivar send: an envelope for a process by name; may be called from any thread
    :ivar publish: publishes to all consoles that listen: topic, what happened
    :ivar followers: who waits for log lines and traced frames
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        apps: Apps,
        shards: Shards,
        files: ServerFiles,
        send: Callable[[str, Message], None],
        publish: Callable[[str, dict[str, Any]], None] = lambda topic, what: None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self.settings = settings
        self.apps = apps
        self.shards = shards
        self.files = files
        self.passwords = Passwords(settings.config.accounts, 1)
        self.send = send
        self.publish = publish
        self.followers = Followers()
        self.now_ms = now_ms
        self.jobs = Jobs(lambda topic, what: self.publish(topic, what), now_ms)

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.settings.config

    @property
    def map(self) -> ShardMap:
        """Who owns which id."""
        return self.shards.map

    async def control(self, request: Asked[A]) -> A:
        """Ask the supervisor. :raises CommandError: it refuses, or does not answer"""
        return await asyncio.to_thread(self.ask_supervisor, request)

    def ask_supervisor(self, request: Asked[A]) -> A:
        """The same from a thread: blocks. :raises CommandError: it refuses, or does not answer"""
        try:
            return control.ask(self.files.run, request)
        except (control.NotRunning, control.NoAnswer) as error:
            raise CommandError(503, str(error)) from error

    async def ask(self, entity_id: int, request: Request[R]) -> R:
        """Ask the shard of a user or group. :raises CallError: refused or 503"""
        return await ask(self.shards, entity_id, request)

    async def ask_shard(self, shard: int, request: Request[R]) -> R:
        """Ask one shard. :raises CallError: refused or 503"""
        return await ask_shard(self.shards, shard, request)

    async def ask_all(self, request: Request[R]) -> tuple[dict[int, R], list[int]]:
        """Ask every shard at once: answers by shard, and the shards that are silent, which is when the others are asked most.

        :raises CallError: one refused
        """
        shards = self.map.peers
        asked = (self.ask_shard(shard, request) for shard in shards)
        found = dict(zip(shards, await asyncio.gather(*asked, return_exceptions=True), strict=True))
        answers: dict[int, R] = {}
        silent: list[int] = []
        for shard, answer in found.items():
            if isinstance(answer, CallError) and answer.refusal is Refusal.UNAVAILABLE:
                silent.append(shard)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                answers[shard] = answer
        return answers, silent

    def app(self, app_id: str) -> App:
        """An app by its id; the first without one. :raises CommandError: 40000"""
        if not app_id:
            return next(iter(self.apps.values()))
        if app_id not in self.apps:
            raise CommandError(40000, f"there is no app {app_id}; there are: {', '.join(self.apps)}")
        return self.apps[app_id]

    async def user(self, app: App, who: str) -> AccountInfo:
        """A user by id or name. :raises CommandError: 10000"""
        uid = typed_id(who)
        if not uid:
            uid = await ask_name(self.shards, app.app_id, who, FindName(app.app_id, who))
        found = (await accounts(self.shards, app.app_id, [uid])).get(uid) if uid else None
        if found is None:
            raise CommandError(10000, f"there is no user {who} in app {app.app_id}; `users search` finds names")
        return found

    def record(self, who: str, command: str, arguments: dict[str, Any], outcome: str) -> None:
        """Write a line of the audit log and publish it."""
        try:
            entry = self.files.audit.append(self.now_ms(), who, command, arguments, outcome)
        except OSError:
            log.exception("event=audit_failed command=%r who=%s", command, who)
            return
        self.publish("audit", msgspec.to_builtins(entry))

    def close(self) -> None:
        """Release everything."""
        self.jobs.close()
        self.passwords.close()
        self.files.audit.close()
