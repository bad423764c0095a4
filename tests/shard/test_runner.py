"""What a shard's process adds to the shard: it follows the directory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lanying.cluster.directory import Directory
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.shard.runner import Runner
from lanying.shard.store.memory import MemoryStore

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
