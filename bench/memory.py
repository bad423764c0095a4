"""What a profile's server takes of memory: ``python -m bench.memory pi3`` prints a table of its processes.

Starts a private server with the settings of ``pi-tuning/profiles/NAME.toml``, reads the proportional set size of every process
at rest and again after users have written to each other until the write buffers have been full several times, which
is when a store takes most. A device's session, and a password while it is hashed, come on top; the last lines say how much.

``--store`` measures one database alone instead: what a store of many more messages than fit its caches adds to a process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import memory
from lanying.base.figures import totals
from lanying.config import schema as config
from lanying.config.schema import flat
from lanying.shard.store import schema
from lanying.shard.store.rocks import RocksStore
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd

PROFILES = Path(__file__).parents[1] / "pi-tuning" / "profiles"
MIB = 1 << 20
WRITTEN_AT_ONCE = 500
ROUND = 20
"""Messages of every user between two readings."""


def main() -> None:
    """Measure one profile."""
    parser = argparse.ArgumentParser(description="Memory of a server with the settings of a board profile.")
    parser.add_argument("profile", choices=sorted(path.stem for path in PROFILES.glob("*.toml")))
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--directory", type=Path, help="where the private data goes, default the temporary directory")
    parser.add_argument("--store", action="store_true", help="one database alone, in this process")
    options = parser.parse_args()
    settings = tomllib.loads((PROFILES / f"{options.profile}.toml").read_text())
    if options.store:
        with tempfile.TemporaryDirectory(prefix="lanying-memory-", dir=options.directory) as place:
            measure_store(Path(place), options.messages, settings.get("storage", {}))
        return
    with tempfile.TemporaryDirectory(prefix="lanying-memory-", dir=options.directory) as place:
        show(options, settings, *measure(Path(place), options, settings))


def measure(
    place: Path, options: argparse.Namespace, settings: dict[str, Any]
) -> tuple[dict[str, int], dict[str, int], int, int]:
    """PSS by process at rest and its maximum under load; accepted messages and bytes on the disk."""
    values = {key.replace(".", "_"): value for key, value in flat(settings) if key != "shards"}
    with Cluster(place, settings["shards"] or 4, **values) as server:
        rest = read(server)
        most = dict(rest)
        accepted = asyncio.run(load(server, options.users, options.messages, most))
        figures = [row["figures"] for row in server.status()["processes"]]
        return rest, most, accepted, int(sum(row.get("disk_bytes", 0) for row in figures))


async def load(server: Cluster, users: int, messages: int, most: dict[str, int]) -> int:
    """Write, and keep the largest readings."""
    crowd = Crowd(server.url, users)
    await crowd.arrive()
    while crowd.acknowledged < messages:
        await crowd.talk(ROUND)
        for name, size in (await asyncio.to_thread(read, server)).items():
            most[name] = max(most.get(name, 0), size)
    accepted = crowd.acknowledged
    await crowd.leave()
    return accepted


def measure_store(place: Path, messages: int, storage: dict[str, int]) -> None:
    """Fill a database with messages of 200 bytes, read pages of old ones, and print what this process takes more than before."""
    defaults = config.Storage()
    cache_mb = storage.get("block_cache_mb", defaults.block_cache_mb)
    buffer_mb = storage.get("write_buffer_mb", defaults.write_buffer_mb)
    before = memory(os.getpid()).pss
    store = RocksStore(place / "store", cache_bytes=cache_mb * MIB, buffer_bytes=buffer_mb * MIB)
    opened = memory(os.getpid()).pss - before
    dice = random.Random(1)
    most = 0
    for first in range(0, messages, WRITTEN_AT_ONCE):
        batch = store.batch()
        for number in range(first, min(first + WRITTEN_AT_ONCE, messages)):
            key = schema.pack_triple(number % 1000, 1, number // 1000)
            batch.put(schema.QUEUE, key, dice.randbytes(200))
            batch.put(schema.HISTORY, key, bytes(9))
        store.write(batch)
        most = max(most, memory(os.getpid()).pss - before)
    written = most
    for _ in range(2000):
        uid, seq = dice.randrange(1000), dice.randrange(max(1, messages // 1000))
        store.get_many(schema.QUEUE, [schema.pack_triple(uid, 1, seq + n) for n in range(20)])
        most = max(most, memory(os.getpid()).pss - before)
    disk_bytes = totals(store.figures())["disk_bytes"]
    print(
        f"cache {cache_mb} MiB, buffers {buffer_mb} MiB, {messages:,} messages, {disk_bytes / MIB:.0f} MiB on disk: "
        f"opened {opened / MIB:.1f}, while written {written / MIB:.1f}, with pages read {most / MIB:.1f} MiB"
    )
    store.close()


def read(server: Cluster) -> dict[str, int]:
    """PSS by process, those of the supervisor and of the fork server included."""
    pids = {
        "supervisor": server.pid,
        "fork server": server.status()["fork_server"],
        **{name: pid for name, pid in server.pids().items() if pid},
    }
    return {name: memory(pid).pss for name, pid in pids.items()}


def show(
    options: argparse.Namespace,
    settings: dict[str, Any],
    rest: dict[str, int],
    most: dict[str, int],
    accepted: int,
    disk_bytes: int,
) -> None:
    """Print for people."""
    table = Table("process", "at rest, MiB", "under load, MiB", box=None, padding=(0, 2, 0, 0))
    for name in sorted(rest):
        table.add_row(name, f"{rest[name] / MIB:.1f}", f"{most[name] / MIB:.1f}")
    table.add_row("all", f"{sum(rest.values()) / MIB:.1f}", f"{sum(most.values()) / MIB:.1f}")
    console = Console(highlight=False)
    console.print(
        f"profile {options.profile}: {accepted:,} messages of {options.users} users, {disk_bytes / MIB:.0f} MiB"
    )
    console.print(table)
    hashing = 2 * settings.get("accounts", {}).get("argon2_memory_kib", 19_456) / 1024
    console.print(f"on top: 2 passwords being hashed {hashing:.0f} MiB (gateway), 2 KB per idle session (shards)")


if __name__ == "__main__":
    main()
