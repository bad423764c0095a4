"""Backup of a running server under load, restore, resharding: by the commands a user gives."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from lanying.client import Client, Message
from lanying.cluster.shardmap import slot_of_name
from lanying.protocol.schema.xsync_pb2 import Meta
from lanying.shard.store import schema
from lanying.storage import directory
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import PATIENCE_S, eventually
from tests.storage import town

SIZE = 24


def command(*arguments: object, code: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "lanying.cli", *map(str, arguments), "--json"], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def queues(data: Path) -> dict[tuple[int, int], set[int]]:
    """Message ids by owner and peer."""
    found: dict[tuple[int, int], set[int]] = {}
    paths = [directory.shard_path(data, index) for index in range(directory.need_map(data).shards)]
    with directory.opened(paths) as stores:
        for store in stores:
            for key, entry in store.scan(schema.QUEUE, b"", b"\xff" * 40):
                owner, peer = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:16], "big")
                found.setdefault((owner, peer), set()).add(Meta.FromString(entry).id)
    return found


@pytest.mark.timeout(240)
def test_backup_under_load_restore_and_reshard(tmp_path: Path) -> None:
    backup = tmp_path / "backup"

    async def scenario(server: Cluster) -> tuple[set[int], set[int]]:
        crowd = Crowd(server.url, SIZE)
        await crowd.arrive()
        stop = asyncio.Event()
        talking = asyncio.create_task(crowd.talk_until(stop))
        for _ in range(2):
            goal = crowd.acknowledged + 200
            await eventually("load", lambda goal=goal: crowd.acknowledged > goal)
            before = {mid for member in crowd.members for mid in member.acknowledged}
            done = await asyncio.to_thread(command, "backup", backup, "--data", server.data)
            assert done["online"] and done["held_s"] < 10
        stop.set()
        await talking
        await crowd.settle()
        crowd.verify()
        await crowd.leave()
        return before, {mid for member in crowd.members for mid in member.acknowledged}

    with Cluster(tmp_path, shards=3) as server:
        before, everything = asyncio.run(scenario(server))
        refused = command("restore", backup, "--data", server.data, code=1)
        assert "not empty" in refused["error"]
        assert "in use" in command("reshard", "--shards", 2, "--data", server.data, code=78)["error"]
    assert command("backup", "verify", backup)["problems"] == []

    restored = tmp_path / "again" / "data"
    command("restore", backup, "--data", restored)
    found = queues(restored)
    kept = set().union(*found.values())
    assert before <= kept, "what was acknowledged before the backup is in it"
    assert kept - before <= everything
    for (owner, peer), mids in found.items():
        if peer:
            assert mids >= {mid for mid in found.get((peer, owner), set()) if mid in mids}
    moved = command("reshard", "--shards", 2, "--data", restored)
    assert (moved["before"], moved["after"], moved["problems"]) == (3, 2, [])
    found = queues(restored)
    for (owner, peer), mids in found.items():
        if peer:
            assert mids == found[peer, owner], "both mailboxes have the same, also what was under way at the backup"
    assert command("verify", "--data", restored)["problems"] == []

    with Cluster(tmp_path / "again", shards=2) as server:
        assert server.status()["shard_map_version"] == 2

        async def goes_on() -> None:
            alice, bob = (Client(server.url, device_guid=f"crowd-{n}") for n in (0, 1))
            for number, client in enumerate((alice, bob)):
                await client.login(f"crowd_{number}", "correct-horse1")
            assert bob.session is not None
            sent = await alice.send_text(bob.session.uid, "after the move")
            assert sent.mid > max(kept)
            async for event in bob:
                if isinstance(event, Message) and event.mid == sent.mid:
                    break
            await alice.close()
            await bob.close()

        asyncio.run(asyncio.wait_for(goes_on(), PATIENCE_S))


def _call(server: Cluster, method: str, path: str, token: str = "", **body: Any) -> Any:
    headers = {"app_id": "lanying", "access-token": token}
    return httpx.request(method, server.url + path, headers=headers, json=body or None, timeout=PATIENCE_S).json()


def _register(server: Cluster, name: str) -> tuple[int, str]:
    uid = _call(server, "POST", "/user/register/v2", username=name, password="correct-horse1")["data"]["user_id"]
    answer = _call(server, "POST", "/token/user", name=name, password="correct-horse1")
    return uid, answer["data"]["token"]


@pytest.mark.parametrize("option", [(), ("--keep-sessions",)])
def test_a_token_from_after_the_backup_speaks_for_nobody(tmp_path: Path, option: tuple[str, ...]) -> None:
    slot = slot_of_name("lanying", "vanished")
    names = (f"later_{number}" for number in itertools.count())
    neighbours = list(itertools.islice((name for name in names if slot_of_name("lanying", name) == slot), 3))
    with Cluster(tmp_path, shards=2) as server:
        _, kept = _register(server, "stays")
        admin = server.admin_token
        command("backup", tmp_path / "backup", "--data", server.data)
        vanished, token = _register(server, "vanished")
    done = command("restore", tmp_path / "backup", "--data", tmp_path / "again" / "data", *option)
    assert done["tokens_ended"] == (not option)
    with Cluster(tmp_path / "again", shards=2) as server:
        uids = {_register(server, name)[0] for name in neighbours}
        assert vanished not in uids
        for path in ("/user/profile", "/roster/list"):
            assert _call(server, "GET", path, token)["code"] == 402
        assert _call(server, "GET", "/user/profile", kept)["code"] == (200 if option else 402)
        assert (server.admin_token == admin) == bool(option)
        body = {"username": "by_admin", "password": "correct-horse1"}
        assert _call(server, "POST", "/user/register/v2", server.admin_token, **body)["code"] == 200


def test_a_restore_says_what_it_did(tmp_path: Path) -> None:
    town.found(tmp_path / "data", 1)
    with town.running(tmp_path / "data"):
        pass
    command("backup", tmp_path / "backup", "--data", tmp_path / "data")
    for option, expected in (((), "everybody logs in again"), (("--keep-sessions",), "revoked")):
        place = tmp_path / f"again{len(option)}"
        argv = [sys.executable, "-m", "lanying.cli", "restore", tmp_path / "backup", "--data", place, *option]
        said = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=True).stdout
        assert expected in said and "accounts that were deleted" in said and "passwords" in said


def test_commands_explain_themselves(tmp_path: Path) -> None:
    error = command("backup", tmp_path / "b", "--data", tmp_path / "none", code=78)["error"]
    assert "no shardmap.json" in error and "--data" in error
    assert "no backup" in command("backup", "verify", tmp_path, code=1)["error"]
    assert "no backup" in command("restore", tmp_path, "--data", tmp_path / "x", code=1)["error"]
    shown = subprocess.run([sys.executable, "-m", "lanying.cli", "backup", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and "verify" in shown.stdout
