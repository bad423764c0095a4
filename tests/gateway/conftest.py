from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import pytest

from lanying.base.tokens import ROLE_ADMIN, ROLE_USER, Identity, issue
from lanying.bus.messages import Request
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Accounts, Config
from lanying.gateway.app import build
from lanying.gateway.services.services import Services
from lanying.shard.accounts.accounts import load as load_account
from lanying.testing.shards import NotingSimulation, RosterNoticeSeen
from lanying.testing.simulation import Simulation

APPS = (App("app", "Our School", "11" * 32, admin_epoch=2), App("other", "Another", "22" * 32))
ACCOUNTS = Accounts(open_registration=True, registrations_per_minute=0, argon2_memory_kib=64, argon2_passes=1)
ACCOUNTS = msgspec.structs.replace(ACCOUNTS, strangers_may_add_to_groups=True)


class LocalShards:
    """The port over shards in this process."""

    def __init__(self, cluster: NotingSimulation) -> None:
        self.cluster = cluster
        self.fail: Exception | None = None

    @property
    def map(self) -> ShardMap:
        return self.cluster.map

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        if self.fail is not None:
            raise self.fail
        return self.cluster.call(shard, request)


class SimulatedShards:
    """The port over whole shards in this process, message delivery included."""

    def __init__(self, config: Config) -> None:
        self.simulation = Simulation(2, config)

    @property
    def map(self) -> ShardMap:
        return self.simulation.map

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        return self.simulation.call(shard, request)


class Gateway:
    """A gateway over two shards, and shorthands for clients of it."""

    def __init__(self, accounts: Accounts = ACCOUNTS, **config: Any) -> None:
        self.cluster = NotingSimulation(2)
        self.shards: Any = LocalShards(self.cluster)
        self.now = 1000.0
        self._directory = TemporaryDirectory()
        self.data_directory = Path(self._directory.name)
        self.services = Services(
            RuntimeSettings(Config(accounts=accounts, **config)),
            {app.app_id: app for app in APPS},
            self.shards,
            lambda: self.now,
            lambda: 2_000_000_000_000,
            self.data_directory,
        )
        self.app = build(self.services)
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.services.passwords.close()
        self._loop.close()
        self._directory.cleanup()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def send(self, method: str, url: str, address: str = "127.0.0.1", **more: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(address, 123))
            async with httpx.AsyncClient(transport=transport, base_url="http://im.test:8480") as client:
                return await client.request(method, url, **more)

        return self._loop.run_until_complete(run())

    def envelope(self, method: str, url: str, token: str = "", app: str = "app", **more: Any) -> dict[str, Any]:
        """What is in the envelope, whatever the HTTP status; a success without envelope counts as one without data."""
        headers = {"app_id": app} | ({"access-token": token} if token else {}) | more.pop("headers", {})
        response = self.send(method, url, headers=headers, **more)
        if response.headers["content-type"] != "application/json":
            assert response.status_code == 200
            return {"code": 200, "data": None, "message": None}
        found: dict[str, Any] = response.json()
        return found

    def call(self, method: str, url: str, token: str = "", app: str = "app", **more: Any) -> dict[str, Any]:
        headers = {"app_id": app} | ({"access-token": token} if token else {}) | more.pop("headers", {})
        response = self.send(method, url, headers=headers, **more)
        assert response.status_code == 200, response.text
        assert response.headers["access-control-allow-origin"] == "*"
        envelope: dict[str, Any] = response.json()
        assert {"code", "data", "message"} <= envelope.keys()
        assert (envelope["code"] == 200) == (envelope["message"] is None)
        return envelope

    def data(self, method: str, url: str, token: str = "", **more: Any) -> Any:
        envelope = self.call(method, url, token, **more)
        assert envelope["code"] == 200, envelope
        return envelope["data"]

    def code(self, method: str, url: str, token: str = "", **more: Any) -> int:
        return int(self.call(method, url, token, **more)["code"])

    def register(self, name: str, password: str = "secret1", app: str = "app") -> tuple[int, str]:
        """(uid, token) of a new user."""
        self.data("POST", "/user/register/v2", app=app, json={"username": name, "password": password})
        found = self.data("POST", "/token/user", app=app, json={"name": name, "password": password})
        return found["user_id"], found["token"]

    def admin(self, epoch: int = 2) -> str:
        return issue(APPS[0].secret, Identity("app", 0, ROLE_ADMIN, epoch))

    def forge(self, uid: int, key: bytes = APPS[0].secret, app: str = "app", expires: int = 0) -> str:
        """A token of the account's epoch, as far as there is one."""
        shard = self.cluster.home(uid)
        account = load_account(shard.work.store, uid)
        return issue(key, Identity(app, uid, ROLE_USER, account.info.epoch if account else 0, expires))

    def told(self) -> list[RosterNoticeSeen]:
        return self.cluster.take_notices()


@pytest.fixture
def make() -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def build_one(**config: Any) -> Gateway:
        made.append(Gateway(**config))
        return made[-1]

    yield build_one
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(make: Callable[..., Gateway]) -> Gateway:
    return make()
