"""What a shard's process adds to the shard: it follows the directory, and notes what takes long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from lanying.base import limits
from lanying.bus.call import Calls
from lanying.bus.messages import GetReached, LinkBatch, ListSlow, NoticeFor, Reconfigure, encode
from lanying.bus.transport import Bus
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.shard.runner import Runner
from lanying.shard.store.memory import MemoryStore
from lanying.testing.poll import eventually

UID = 1024 * 5000 + 6


def test_a_map_that_changes_while_the_shard_runs_is_the_shards(tmp_path: Path) -> None:
    old = ShardMap.even(2)
    new = msgspec.structs.replace(old.moved({UID % 1024}, 1), version=2)
    run = RunDirectory(tmp_path)
    run.create()
    directory = Directory(old, run, lambda: new)
    runner = Runner(0, directory, Config(), MemoryStore(), lambda code: None)
    try:
        work = runner.shard.work
        assert work.owns(UID)
        directory.refresh()
        assert not work.owns(UID) and work.shard_of(UID) == 1
        assert not work.mailboxes.owns(UID)
    finally:
        runner.bus.close()


@pytest.mark.parametrize("threshold", [-1.0, 1000.0])
def test_whatever_takes_long_goes_to_the_slow_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: float
) -> None:
    """Calls, link messages, envelopes and timers, not the frames of clients alone."""
    monkeypatch.setattr(limits, "SLOW_S", threshold)
    monkeypatch.setattr(limits, "COSTLY_S", threshold)
    shard_map = ShardMap.even(2)
    run = RunDirectory(tmp_path)
    run.create()
    directory = Directory(shard_map, run, lambda: shard_map)

    async def scenario() -> Runner:
        loop, ended = asyncio.get_running_loop(), list[int]()
        runner = Runner(0, directory, Config(), MemoryStore(), ended.append)
        asking = Bus("gateway", directory, lambda message: calls.answered(message))  # type: ignore[arg-type]
        calls = Calls(asking)
        runner.start(loop)
        asking.start(loop)
        try:
            asking.send("shard-0", Reconfigure("policy.recall_seconds", 7))
            asking.send("shard-0", LinkBatch(1, 1, [encode([NoticeFor(1024, 0, 5, b"")])]))
            assert await calls.ask("shard-0", GetReached(1024, 7, 1)) == []
            runner.drain()
            await eventually("it ended", lambda: ended)
        finally:
            asking.close()
            runner.close()
        return runner

    inspection = asyncio.run(scenario()).shard.inspection
    if threshold > 0:
        assert not inspection.slow
        return
    said = {(slow.what, slow.detail) for slow in inspection.handlers[ListSlow](ListSlow())}
    assert said >= {
        ("call", "GetReached of gateway"),
        ("link", "1 bundles of shard-1"),
        ("envelope", "Reconfigure"),
        ("timer", "Retention.step"),
        ("timer", "Links.clock"),
    }
    assert inspection.slow["call"] == 1 and inspection.slow["link"] == 1
