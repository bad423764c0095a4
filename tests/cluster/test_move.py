"""Slots move between shards of a running server: under load, over the console, and interrupted in every way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lanying.admin import keys
from lanying.admin.console.client import Address, Console
from lanying.admin.errors import CommandError
from lanying.admin.keys import Role
from lanying.base import failpoints
from lanying.cluster.shardmap import ShardMap
from lanying.storage import directory
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import eventually, until
from lanying.testing.ports import free_port


def prepared(place: Path, shards: int = 2, **config: object) -> Cluster:
    """A server that takes as many shards as its data has."""
    (place / "data").mkdir(mode=0o700)
    ShardMap.even(shards).save(place / "data")
    return Cluster(place, shards=0, **config)


def program(server: Cluster, *arguments: object, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "lanying.admin.console", "--data", str(server.data), *map(str, arguments), "--yes", "--json"],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr + server.log()
    return json.loads(done.stdout) if code == 0 else done.stderr


def verified(server: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lanying.cli", "verify", "--data", str(server.data), "--json"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def slots(server: Cluster) -> list[int]:
    found = directory.need_map(server.data)
    return [found.slots.count(shard) for shard in range(found.shards)]


@pytest.mark.timeout(240)
def test_drained_and_spread_under_load_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path) -> None:
    async def scenario(server: Cluster) -> None:
        crowd = Crowd(server.url, 12, group_size=6)
        await crowd.arrive()
        stop = asyncio.Event()
        talking = asyncio.create_task(crowd.talk_until(stop))

        async def more(count: int) -> None:
            goal = crowd.acknowledged + count
            await eventually("load", lambda: crowd.acknowledged > goal)

        await more(200)
        done = await asyncio.to_thread(program, server, "shards", "drain", 1)
        assert done["what"] == "drain shard 1" and done["slots"] == 512 and done["shard_map_version"] == 2
        assert 0 < done["moving_seconds"] < done["away_seconds"]
        assert slots(server) == [1024, 0]
        await more(100)
        newcomers = Crowd(server.url, 3, name="later")
        await newcomers.arrive()
        await newcomers.talk(3)
        await newcomers.settle()
        sent = await asyncio.to_thread(program, server, "broadcast", "to all 1")
        broadcast = f"b{sent['broadcast']}"
        await asyncio.to_thread(until, "the broadcast is done", lambda: job(server, broadcast) not in (None, "running"))
        assert await asyncio.to_thread(job, server, "move") == "done"
        await eventually("everybody is counted", lambda: sessions(server) == [15, 0], saw=lambda: sessions(server))
        rows = await asyncio.to_thread(program, server, "shards", "list")
        assert [row["slots"] for row in rows] == [1024, 0]
        assert (await asyncio.to_thread(program, server, "shards", "restart", 1))["restarts"] == 1
        backup = server.data.parent / "backup"
        assert (await asyncio.to_thread(program, server, "backup", "create", backup))["online"]
        assert (await asyncio.to_thread(program, server, "backup", "verify", backup))["problems"] == []

        heard: list[str] = []
        address = Address(
            host=server.environment["LANYING_ADMIN_LISTEN"], ticket=keys.add(server.data, "far", Role.ADMIN)
        )
        await asyncio.to_thread(from_afar, address, heard)
        assert slots(server) == list(map(ShardMap.even(3).slots.count, range(3)))
        assert "move to 3 shards" in heard, "what it waits for"
        await more(100)
        stop.set()
        await talking
        await crowd.settle()
        for everybody in (crowd, newcomers):
            everybody.verify()
            await everybody.verify_history()
            await everybody.leave()

    def from_afar(address: Address, heard: list[str]) -> None:
        with Console(address, lambda done, total, text: heard.append(text)) as console:
            would = console.run("shards move", {"shards": 3}, dry=True).value["would"]
            assert "15 clients are disconnected" in would and "nobody is served for about" in would
            assert console.run("shards move", {"shards": 3}, timeout_s=200).value["shard_map_version"] == 3

    with prepared(tmp_path, admin_listen=f"127.0.0.1:{free_port(2)}") as server:
        asyncio.run(scenario(server))
        log = [row for row in program(server, "audit", "list") if row["command"] in ("shards drain", "shards move")]
        assert [(row["who"], row["command"], row["outcome"].split(":")[0]) for row in log] == [
            ("local", "shards drain", "begun"),
            ("local", "shards drain", "done"),
            ("far", "shards move", "begun"),
            ("far", "shards move", "done"),
        ]
    verified(server)


def sessions(server: Cluster) -> list[int]:
    """Of each shard, as of its last heartbeat."""
    rows = [row for row in server.status()["processes"] if row["name"].startswith("shard-")]
    return [int(row["figures"].get("sessions", -1)) for row in rows]


def job(server: Cluster, name: str) -> str | None:
    """State of a job."""
    return next((row["state"] for row in program(server, "jobs", "list") if row["job"] == name), None)


class Interrupted:
    """A server with some conversation on it, and consoles that ask for moves that do not come through."""

    def __init__(self, server: Cluster, points: Path) -> None:
        self.server = server
        self._points = points
        self._consoles = ThreadPoolExecutor(1)

    def move(self, point: str, action: str, timeout_s: float = 100.0) -> Future[object]:
        """Drain shard 1; something happens at ``point``. What :meth:`ask` says then."""
        armed = failpoints.arm(self._points, point, action)
        asked = self._consoles.submit(self.ask, "shards drain", {"shard": 1}, timeout_s)
        until(f"{point} is reached", lambda: not armed.exists(), saw=self.server.log)
        return asked

    def ask(self, command: str, arguments: dict[str, Any], timeout_s: float = 100.0) -> object:
        """What the console is told, or its error."""
        with Console(Address(data=self.server.data)) as console:
            try:
                return console.run(command, arguments, timeout_s=timeout_s).value
            except CommandError as error:
                return error

    def even(self) -> None:
        """As it was."""
        if slots(self.server) != [512, 512]:
            found = self.ask("shards move", {"shards": 2})
            assert not isinstance(found, CommandError), found

    def is_clean(self) -> None:
        """Nothing is left over of a move."""
        left = [path.name for path in self.server.data.iterdir() if "reshard" in path.name or "before" in path.name]
        assert left == []


def stays(found: Interrupted, asked: Future[object], says: str) -> None:
    error = asked.result(100)
    assert isinstance(error, CommandError) and says in error.message, error
    assert error.code == 10010, "exit code 1"
    assert slots(found.server) == [512, 512]


def moved(found: Interrupted, asked: Future[object], says: str) -> None:
    answer = asked.result(100)
    assert isinstance(answer, dict) and says in answer["result"], answer
    assert slots(found.server) == [1024, 0]


def nothing(server: Cluster) -> None:
    """The server goes on by itself."""


def kill_it(server: Cluster) -> None:
    """``kill -9`` of the whole server, which somebody starts again."""
    os.kill(server.pid, signal.SIGKILL)
    assert server.ended(30)
    server.start()


def stop_it(server: Cluster) -> None:
    """Somebody stops it in the middle, and starts it again."""
    assert server.stop() == 0
    server.start()


CASES: list[tuple[str, str, Callable[[Cluster], None], Callable[[Interrupted, Future[object], str], None], str]] = [
    ("mover.copied", "error", nothing, stays, "failed: [Errno 5]"),
    ("mover.copied", "stall 60", kill_it, stays, "interrupted: ended before"),
    ("mover.map_saved", "stall 60", kill_it, moved, "finished by the next start"),
    ("mover.copied", "kill", nothing, stays, "interrupted: ended before"),
    ("mover.copied", "stall 60", stop_it, stays, "interrupted: ended before"),
    ("mover.map_saved", "kill", nothing, moved, "finished by the next start"),
]
"""Where the mover is, what happens to it, what somebody does, and what comes of it."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cases", [CASES[:3], pytest.param(CASES[3:], marks=pytest.mark.slow)], ids=["few", "more"])
def test_interrupted_in_any_way_it_is_where_it_was_or_where_it_should_be(tmp_path: Path, cases: list[Any]) -> None:
    points = tmp_path / "points"
    points.mkdir()

    async def scenario(server: Cluster) -> None:
        found = Interrupted(server, points)
        crowd = Crowd(server.url, 4, group_size=4)
        await crowd.arrive()
        await crowd.talk(8)
        for point, action, act, ends, says in cases:
            asked = await asyncio.to_thread(found.move, point, action)
            if action.startswith("stall"):
                assert server.status()["state"] == "moving"
            await asyncio.to_thread(act, server)
            await asyncio.to_thread(ends, found, asked, says)
            found.is_clean()
            await crowd.talk(2)
            await crowd.settle()
            await asyncio.to_thread(found.even)
        crowd.verify()
        await crowd.verify_history()
        await crowd.leave()

    with prepared(tmp_path, failpoints=points) as server:
        asyncio.run(scenario(server))
    verified(server)


@pytest.mark.timeout(120)
def test_who_connects_during_a_move_waits_and_is_served(tmp_path: Path) -> None:
    points = tmp_path / "points"
    points.mkdir()
    with prepared(tmp_path, failpoints=points) as server:
        found = Interrupted(server, points)
        asked = found.move("mover.copied", "stall 6", timeout_s=3)
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 30) as early:
            early.sendall(b"GET /v2/app_dns?app_id=lanying HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            early.settimeout(60)
            assert early.recv(100).startswith(b"HTTP/1.1 200")
        error = asked.result(60)
        assert isinstance(error, CommandError) and error.code == 408 and "`shards outcome` shows" in error.message
        outcome = until("it is over", lambda: isinstance(told := found.ask("shards outcome", {}), dict) and told)
        assert "rows were copied" in outcome["result"] and slots(server) == [1024, 0]
