"""Processes are killed under load; what was acknowledged is kept, once and in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import eventually


@pytest.mark.timeout(180)
def test_a_killed_shard_loses_nothing_acknowledged(tmp_path: Path) -> None:
    async def scenario(server: Cluster) -> None:
        crowd = Crowd(server.url, 200)
        await crowd.arrive()
        await crowd.talk(3)
        talking = asyncio.create_task(crowd.talk(20))
        start = crowd.acknowledged
        await eventually("load", lambda: crowd.acknowledged > start + 600)
        for name in ("shard-1", "shard-3"):
            await asyncio.to_thread(server.kill, name)
            goal = crowd.acknowledged + 300
            await eventually(f"load after {name}", lambda goal=goal: crowd.acknowledged > goal)
        await talking
        await crowd.settle()
        crowd.verify()
        await crowd.verify_history()
        await crowd.leave()

    with Cluster(tmp_path, shards=4) as server:
        asyncio.run(scenario(server))


@pytest.mark.timeout(120)
def test_a_killed_router_or_gateway_loses_no_session(tmp_path: Path) -> None:
    async def scenario(server: Cluster) -> None:
        crowd = Crowd(server.url, 20)
        await crowd.arrive()
        sns = [m.client.session.sn for m in crowd.members if m.client.session]
        for name in ("router", "gateway"):
            before = server.process(name)["restarts"]
            await asyncio.to_thread(server.kill, name)
            await crowd.talk(5)
            await asyncio.to_thread(server.wait_ready, name, before)
        await crowd.settle()
        crowd.verify()
        assert all(m.client.session and m.client.session.ready for m in crowd.members), "nobody had to reconnect"
        assert sns == [m.client.session.sn for m in crowd.members if m.client.session]
        await crowd.leave()

    with Cluster(tmp_path, shards=2) as server:
        asyncio.run(scenario(server))
