"""A real server moves old messages to another disk, is killed while it does, loses the disk and gets it back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lanying.base import tokens
from lanying.base.errors import StoreError
from lanying.client import Client
from lanying.shard.store import schema
from lanying.storage import directory
from lanying.storage.readonly import ReadOnlyStore
from lanying.testing.cluster import Cluster
from lanying.testing.poll import until
from lanying.testing.simulation import START_MS
from tests.storage import town

OLD = [f"0-{number}-1" for number in (2, 1)]
"""What the first user wrote to the second, newest first; the very first one was recalled."""


def command(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "lanying.cli", *map(str, arguments), "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def figure(server: Cluster, name: str) -> float:
    """Sum over the shards."""
    return float(sum(server.process(f"shard-{index}")["figures"].get(name, 0) for index in range(2)))


def hot(data: Path, index: int, logs: Path) -> int:
    """Messages that are still in a running shard's own database; notices stay there."""
    try:
        store = ReadOnlyStore(directory.shard_path(data, index), logs)
    except StoreError:
        return -1  # a file went while it was opened: look again
    count = sum(1 for key, _ in store.scan(schema.QUEUE, b"", b"\xff" * 40) if key[8:16] != bytes(8))
    store.close()
    return count


def texts(server: Cluster, uids: list[int]) -> list[str]:
    """What the first user's history of the second shows, after a login."""

    async def read() -> list[str]:
        client = Client(server.url, device_guid="reader")
        identity = tokens.Identity("lanying", uids[0], tokens.ROLE_USER, START_MS)
        await client.login_with_token(uids[0], tokens.issue(bytes.fromhex("ab" * 32), identity))
        page = await client.history(uids[1])
        await client.close()
        return [message.text for message in page.messages]

    return asyncio.run(asyncio.wait_for(read(), 60))


@pytest.mark.timeout(240)
def test_old_messages_on_another_disk(tmp_path: Path) -> None:
    data, disk = tmp_path / "data", tmp_path / "usb" / "lanying"
    disk.mkdir(parents=True)
    town.found(data, 2)
    with town.running(data) as sim:
        town.talk(sim)
        uids = [user.uid for user in town.people(sim).values()]
    with Cluster(tmp_path, shards=2, storage_cold_path=disk) as server:
        until("a message moves", lambda: figure(server, "moved"))
        for name in ("shard-0", "shard-1"):
            restarts = server.process(name)["restarts"]
            server.kill(name)
            server.wait_ready(name, restarts)
        until("all others follow", lambda: not any(hot(data, index, tmp_path) for index in range(2)))
        assert figure(server, "cold_missing") == 0
        until("status shows the cold tier", lambda: figure(server, "cold_bytes"))
        assert texts(server, uids)[:2] == OLD
        backup = command("backup", tmp_path / "backup", "--data", data)
        assert backup["online"]
    assert command("backup", "verify", tmp_path / "backup")["problems"] == []
    assert command("verify", "--data", data)["problems"] == []

    disk.parent.rename(tmp_path / "unplugged")
    with Cluster(tmp_path, shards=2, storage_cold_path=disk) as server:
        assert texts(server, uids) == [], "no error: older history is unavailable"
        until("status says so", lambda: figure(server, "cold_missing") == 2)
        assert not disk.exists()
        (tmp_path / "unplugged").rename(disk.parent)
        for name in ("shard-0", "shard-1"):
            restarts = server.process(name)["restarts"]
            server.kill(name)
            server.wait_ready(name, restarts)
        assert texts(server, uids)[:2] == OLD
