"""Where a playbook is played: whole shards in this process behind the real REST application, or a server that third-party web
libraries talk to."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from lanying.bus.messages import Request
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Accounts, Config
from lanying.gateway.app import build
from lanying.gateway.services.services import Services
from lanying.protocol.schema.xsync_pb2 import Meta, SyncDL
from lanying.testing.cluster import Cluster
from lanying.testing.playbook import PlaybookDevice
from lanying.testing.simulation import Simulation, User

PLAYER = Path(__file__).parent.parent / "compat/player.js"
APP = App("lanying", "Our School", "11" * 32, admin_epoch=0)
PATIENCE_S = 30.0


class SimulatedShards:
    """The gateway's port over a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    @property
    def map(self) -> ShardMap:
        return self.simulation.map

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        return self.simulation.call(shard, request)


class SimulatedStage:
    """Four shards, the memory store, no clock."""

    def __init__(self, config: Config | None = None) -> None:
        accounts = Accounts(
            open_registration=True, strangers_may_add_to_groups=True, argon2_memory_kib=64, argon2_passes=1
        )
        config = config or Config(accounts=accounts)
        self.simulation = Simulation(4, config, now_ms=2_000_000_000_000)
        shards = SimulatedShards(self.simulation)
        self._services = Services(
            RuntimeSettings(config), {APP.app_id: APP}, shards, lambda: 1.0, lambda: self.simulation.now_ms
        )
        self._app = build(self._services)
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._services.passwords.close()
        self._loop.close()

    def rest(self, token: str, method: str, path: str, body: Any) -> dict[str, Any]:
        self.simulation.advance(0.01)
        headers = {"app_id": APP.app_id} | ({"access-token": token} if token else {})

        async def run() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://im.test") as client:
                return await client.request(method, path, headers=headers, json=body)

        found: dict[str, Any] = self._loop.run_until_complete(run()).json()
        return found

    def connect(self, name: str, uid: int, token: str, guid: str) -> PlaybookDevice:
        return User(self.simulation, uid, name, APP.app_id).device(guid)

    def wait(self, what: str, holds: Callable[[], bool], saw: Callable[[], object]) -> None:
        self.simulation.advance(0.01)
        assert holds(), f"{what}: {saw()}"


class NodeLine:
    """A device in the player process."""

    def __init__(self, stage: NodeStage, number: int) -> None:
        self._stage = stage
        self._number = number
        self.metas: list[Meta] = []
        self.acknowledged: dict[int, int] = {}
        self.refused: dict[int, tuple[int, str]] = {}
        self.pages: list[SyncDL] = []
        self.listed = False

    def put(self, data: bytes) -> None:
        self._stage.tell({"device": self._number, "do": "put", "hex": data.hex()})

    def leave(self) -> None:
        self._stage.tell({"device": self._number, "do": "leave"})

    def read(self, command: int, payload: bytes) -> None:
        if command == 0:
            self.listed = True
        if command != 1:
            return
        sync = SyncDL.FromString(payload)
        if sync.status.code != 1:
            self.refused[sync.client_mid] = (sync.status.code, sync.status.reason)
        elif sync.client_mid:
            self.acknowledged[sync.client_mid] = sync.server_mid
        elif sync.is_full_sync:
            self.pages.append(sync)
        else:
            self.metas += sync.metas


class NodeStage:
    """A real server and socket.io-client with protobufjs in a process of their own."""

    def __init__(self, cluster: Cluster) -> None:
        self._url = cluster.url
        self._lines: list[NodeLine] = []
        self._process = subprocess.Popen(
            ["node", str(PLAYER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdout is not None

        os.set_blocking(self._process.stdout.fileno(), False)
        self._left = b""

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()

    def rest(self, token: str, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"app_id": "lanying", "content-type": "application/json"} | ({"access-token": token} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            found: dict[str, Any] = json.load(response)
            return found

    def connect(self, name: str, uid: int, token: str, guid: str) -> PlaybookDevice:
        dns = self.rest("", "GET", "/v2/app_dns?app_id=lanying&source=sdk", None)["data"]
        [cluster] = [level["clusters"][0] for level in dns["dns_list"] if level["group_level"] == 0]
        server = "{protocol}://{host}".format(**cluster["webim"][0])
        line = NodeLine(self, len(self._lines))
        self._lines.append(line)
        self.tell({"device": line._number, "do": "come", "server": server, "uid": uid, "token": token, "guid": guid})
        self.wait(f"{name}'s {guid} is logged in", lambda: line.listed, lambda: line.refused)
        return line

    def wait(self, what: str, holds: Callable[[], bool], saw: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        self._take()
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {saw()}"
            assert self._process.poll() is None, "the player has died"
            time.sleep(0.005)
            self._take()

    def tell(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def _take(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                piece = os.read(self._process.stdout.fileno(), 65536)
            except BlockingIOError:
                break
            if not piece:
                break
            self._left += piece
        *lines, self._left = self._left.split(b"\n")
        for line in lines:
            event = json.loads(line)
            self._lines[event["device"]].read(event["command"], bytes.fromhex(event["hex"]))
