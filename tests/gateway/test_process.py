"""The real gateway process beside real shards: bus, hand-off, metrics page and drain."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lanying.bus.handoff import wire
from lanying.bus.handoff.records import Visitor, encode
from lanying.bus.handoff.sender import Sender
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import GATEWAY, shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.config.schema import Accounts, Config
from lanying.testing.poll import PATIENCE_S

APP = App("app", "Our School", "11" * 32)
SHARDS = 2


class Server:
    """A gateway and its shards, without router and supervisor."""

    def __init__(self, data: Path) -> None:
        accounts = Accounts(open_registration=True, argon2_memory_kib=64, argon2_passes=1)
        config = Config(data=str(data), accounts=accounts)
        self.metrics = socket.create_server(("127.0.0.1", 0))
        self.launch = Launch("", config, str(data), ShardMap.even(SHARDS), (APP,))
        self.launch.run.create()
        self.loop = asyncio.new_event_loop()
        self.children = [self._start("lanying.shard", shard_name(n), n, {}) for n in range(SHARDS)]
        self.gateway = self._start("lanying.gateway", GATEWAY, -1, {"metrics_port": self.metrics.fileno()})
        self.children.append(self.gateway)

    def talk(self, *requests: bytes) -> list[dict[str, Any]]:
        """Requests on one connection, the first of them read by the router before the hand-off; the envelopes."""
        return self.loop.run_until_complete(asyncio.wait_for(self._talk(requests), PATIENCE_S))

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
        self.metrics.close()
        self.loop.close()

    def _start(self, module: str, name: str, index: int, fds: dict[str, int]) -> subprocess.Popen[bytes]:
        launch = msgspec.structs.replace(self.launch, name=name, index=index, fds=fds)
        child = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, pass_fds=tuple(fds.values()), env=dict(os.environ)
        )
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(launch))
        child.stdin.close()
        return child

    async def _talk(self, requests: tuple[bytes, ...]) -> list[dict[str, Any]]:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        result: asyncio.Future[wire.Result] = self.loop.create_future()
        sender = Sender(self.launch.run.handoff(GATEWAY), self.loop, wait_s=20.0)
        sender.start()
        visitor = Visitor("127.0.0.1", requests[0])
        sender.send(theirs.detach(), encode(visitor), result.set_result)
        assert await result == wire.ACCEPTED
        reader, writer = await asyncio.open_connection(sock=ours)
        found = []
        for n, request in enumerate(requests):
            if n:
                writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            found.append(json.loads(await reader.readexactly(int(length.split(b":")[1]))))
        writer.close()
        sender.close()
        return found


def http(method: str, path: str, body: object = None, token: str = "") -> bytes:
    content = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: im.test\r\napp_id: app\r\nContent-Length: {len(content)}\r\n"
    if token:
        head += f"access-token: {token}\r\n"
    return head.encode() + b"\r\n" + content


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


def test_a_server_of_processes(server: Server) -> None:
    health, dns = server.talk(http("GET", "/api/health"), http("GET", "/v2/app_dns?app_id=app"))
    assert health["data"] is True
    assert dns["data"]["dns_list"][0]["clusters"][0]["ratel"][0]["host"] == "im.test"
    for name in ("alice", "bob"):  # one per shard; each try waits up to the deadline of a call
        tries = (server.talk(http("POST", "/token/user", {"name": name, "password": "x"}))[0] for _ in range(6))
        assert any(answer["code"] == 10000 for answer in tries), "a shard did not come up"
    users = []
    for name in ("alice", "bob"):
        made, signed_in = server.talk(
            http("POST", "/user/register/v2", {"username": name, "password": "secret1"}),
            http("POST", "/token/user", {"name": name, "password": "secret1"}),
        )
        assert made["code"] == 200, made
        users.append((signed_in["data"]["user_id"], signed_in["data"]["token"]))
    (alice, as_alice), (bob, as_bob) = users
    assert server.launch.shard_map.shard_of(alice) != server.launch.shard_map.shard_of(bob)
    applied, accepted, friends = server.talk(
        http("POST", "/roster/apply", {"user_id": bob}, as_alice),
        http("POST", f"/roster/accept?user_id={alice}", {}, as_bob),
        http("GET", "/roster/list", token=as_bob),
    )
    assert (applied["code"], accepted["code"], friends["data"]) == (200, 200, [alice])
    port = server.metrics.getsockname()[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as page:
        assert 'lanying_rest_requests_total{code="200",path="/roster/apply"} 1.0' in page.read().decode()
    server.gateway.send_signal(signal.SIGTERM)
    assert server.gateway.wait(PATIENCE_S) == 0
