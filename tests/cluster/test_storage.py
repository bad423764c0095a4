"""Backup of a running server under load, restore, resharding: by the commands a user gives."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lanying.client import Client, Message
from lanying.protocol.schema.xsync_pb2 import Meta
from lanying.shard.store import schema
from lanying.storage import directory
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import eventually

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

        asyncio.run(asyncio.wait_for(goes_on(), 30))


def test_commands_explain_themselves(tmp_path: Path) -> None:
    error = command("backup", tmp_path / "b", "--data", tmp_path / "none", code=78)["error"]
    assert "no shardmap.json" in error and "--data" in error
    assert "no backup" in command("backup", "verify", tmp_path, code=1)["error"]
    assert "no backup" in command("restore", tmp_path, "--data", tmp_path / "x", code=1)["error"]
    shown = subprocess.run([sys.executable, "-m", "lanying.cli", "backup", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and "verify" in shown.stdout
