"""``lanying-cluster crash-test``: the promise of the server, tested on the user's own machine and disk.

A private server in a temporary directory, users who write to each other without a pause, and processes killed again
and again (``kill -9``): each kind of process, and now and then all at once. Then every message is accounted for.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd

SYNC_SAMPLES = 60
HONEST_SYNC_MS = 0.05
"""No disk writes through in less: a faster answer came from a cache that a power failure empties."""
SETTLE_S = 60.0


@dataclass
class Report:
    """What happened. ``ok`` is the verdict: nothing acknowledged was lost, nothing came twice or out of order.

    :ivar sync_p50_ms: time the disk takes to write 4 KiB through, half of the time; ``sync_p99_ms``: all but one in
        a hundred
    """

    seed: int
    seconds: float
    kills: dict[str, int]
    sent: int
    acknowledged: int
    received: int
    lost: int
    duplicated: int
    reordered: int
    refused: int
    sync_p50_ms: float
    sync_p99_ms: float
    sync_is_believable: bool
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """The server kept its promise."""
        return not (self.lost or self.duplicated or self.reordered or self.refused) and self.acknowledged > 0

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"ok": self.ok, **asdict(self)}


def run(
    directory: Path | None,
    *,
    seconds: float,
    shards: int,
    users: int,
    seed: int,
    progress: Callable[[float, str], None] = lambda done, text: None,
) -> Report:
    """Run the test below ``directory`` (None: the system's temporary directory).

    :param progress: called with the share that is done and a line of text
    """
    with tempfile.TemporaryDirectory(prefix="lanying-crash-test-", dir=directory) as place:
        p50, p99 = measure_sync(Path(place))
        with Cluster(Path(place), shards=shards) as server:
            crowd, kills, took = asyncio.run(_kill_and_talk(server, seconds, users, random.Random(seed), progress))
    count = crowd.account()
    return Report(
        seed=seed,
        seconds=round(took, 1),
        kills=dict(kills),
        sent=count.sent,
        acknowledged=count.acknowledged,
        received=count.received,
        lost=len(count.lost),
        duplicated=len(count.duplicated),
        reordered=len(count.reordered),
        refused=len(count.refused),
        sync_p50_ms=round(p50, 3),
        sync_p99_ms=round(p99, 3),
        sync_is_believable=p50 >= HONEST_SYNC_MS,
        examples=(count.lost + count.duplicated + count.reordered + count.refused)[:10],
    )


def show(report: Report) -> None:
    """Print for people."""
    table = Table(show_header=False, box=None)
    rows = (
        ("verdict", "[green]kept its promise[/]" if report.ok else "[red]BROKE ITS PROMISE[/]"),
        ("ran", f"{report.seconds:g} s, seed {report.seed}"),
        ("killed", ", ".join(f"{name} x{count}" for name, count in sorted(report.kills.items())) or "nothing"),
        ("sent", f"{report.sent}"),
        ("acknowledged", f"{report.acknowledged}"),
        ("received", f"{report.received}"),
        ("lost", f"{report.lost} (must be 0)"),
        ("duplicated", f"{report.duplicated} (must be 0)"),
        ("out of order", f"{report.reordered} (must be 0)"),
        ("refused", f"{report.refused} (must be 0)"),
        ("disk sync", f"{report.sync_p50_ms:g} ms half of the time, {report.sync_p99_ms:g} ms at the worst percent"),
    )
    for name, text in rows:
        table.add_row(name, text)
    console = Console(highlight=False)
    console.print(table)
    if not report.sync_is_believable:
        console.print(
            "This disk says it has written sooner than a disk can: it (or a virtual machine) may keep data in a cache that a\n"
            "power failure empties. kill -9 cannot show that; only pulling the plug can. Use a disk that honours fsync."
        )
    for text in report.examples:
        console.print(f"  {text}")


def measure_sync(directory: Path) -> tuple[float, float]:
    """Milliseconds to write 4 KiB through to the disk: median and 99th percentile."""
    took: list[float] = []
    with (directory / "sync").open("wb") as file:
        for _ in range(SYNC_SAMPLES):
            file.write(os.urandom(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - start) * 1000)
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.99)]


async def _kill_and_talk(
    server: Cluster, seconds: float, users: int, chance: random.Random, progress: Callable[[float, str], None]
) -> tuple[Crowd, Counter[str], float]:
    crowd = Crowd(server.url, users)
    await crowd.arrive()
    kills: Counter[str] = Counter()
    start = time.monotonic()
    stop = asyncio.Event()
    talking = asyncio.create_task(crowd.talk_until(stop))
    victims = [*(f"shard-{n}" for n in range(server.shards)), "router", "gateway", "everything"]
    while (gone := time.monotonic() - start) < seconds:
        progress(gone / seconds, f"{crowd.acknowledged} acknowledged, {kills.total()} kills")
        await asyncio.sleep(chance.uniform(0.3, 2.0))
        victim = chance.choice(victims)
        kills[victim] += 1
        await asyncio.to_thread(_kill, server, victim)
    stop.set()
    await talking
    await crowd.settle(SETTLE_S, strict=False)
    await crowd.leave()
    progress(1.0, f"{crowd.acknowledged} acknowledged, {kills.total()} kills")
    return crowd, kills, time.monotonic() - start


def _kill(server: Cluster, victim: str) -> None:
    if victim != "everything":
        pid = server.pids().get(victim)
        if pid is not None:  # else it is on its way up again
            os.kill(pid, signal.SIGKILL)
        return
    pids = [pid for pid in server.pids().values() if pid is not None]
    for pid in [server.pid, *pids]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the kernel ends children of a dead supervisor
    server.stop()
    server.start()
