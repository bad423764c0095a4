"""``lanying-cluster crash-test``: the promise of the server, tested on the user's own machine and disk.

A private server in a temporary directory, users who write to each other without a pause, and processes killed again
and again (``kill -9``): each kind of process at any moment, shards also at each step of a message's path, and now and then all at
once. Then every message is accounted for, in what devices were shown and in the databases.
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

from lanying.base.failpoints import POINTS, arm
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.disk import Disk, examine

SETTLE_S = 60.0
GROUP_SIZE = 5
STEPS = sorted(
    point for point in POINTS if point.startswith("shard.") and point not in ("shard.opened", "shard.draining")
)
"""Steps of a message's path through a shard."""


@dataclass
class Report:
    """What happened. ``ok`` is the verdict: nothing acknowledged was lost, came twice or in different orders, and the databases are whole.

    :ivar refused: sends answered with an error while a shard was away; nothing was promised
    :ivar damaged: what is wrong in the databases of the stopped server (:mod:`lanying.storage.verify`)
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
    disagreeing: int
    refused: int
    damaged: int
    disk: Disk
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """The server kept its promise."""
        broken = self.lost or self.duplicated or self.reordered or self.disagreeing or self.damaged
        return not broken and self.acknowledged > 0

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
    with tempfile.TemporaryDirectory(prefix="lanying-crash-test-", dir=directory) as name:
        place = Path(name)
        disk = examine(place)
        points = place / "points"
        points.mkdir()
        with Cluster(place, shards=shards, failpoints=points) as server:
            chance = random.Random(seed)
            crowd, kills, took = asyncio.run(_kill_and_talk(server, points, seconds, users, chance, progress))
        damage = crowd.ledger.store_problems(server.data)
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
        disagreeing=len(count.disagreeing),
        refused=len(crowd.ledger.refused),
        damaged=len(damage),
        disk=disk,
        examples=(count.lost + count.duplicated + count.reordered + count.disagreeing + damage)[:10],
    )


def show(report: Report) -> None:
    """Print for people."""
    table = Table(show_header=False, box=None)
    disk = report.disk
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
        ("disagreeing", f"{report.disagreeing} (must be 0)"),
        ("damaged", f"{report.damaged} (must be 0)"),
        ("refused", f"{report.refused} (it was answered so, while a shard was away)"),
        ("disk", " ".join(filter(None, (disk.device, disk.kind, disk.write_cache)))),
        ("disk sync", f"{disk.sync_p50_ms:g} ms half of the time, {disk.sync_p99_ms:g} ms at the worst percent"),
    )
    for name, text in rows:
        table.add_row(name, text)
    console = Console(highlight=False)
    console.print(table)
    for text in report.examples:
        console.print(f"  {text}", markup=False)
    for note in disk.notes:
        console.print(
            f"note: {note}", style="dim" if note is disk.notes[-1] and disk.believable else "yellow", markup=False
        )


async def _kill_and_talk(
    server: Cluster,
    points: Path,
    seconds: float,
    users: int,
    chance: random.Random,
    progress: Callable[[float, str], None],
) -> tuple[Crowd, Counter[str], float]:
    crowd = Crowd(server.url, users, devices=2, group_size=GROUP_SIZE)
    await crowd.arrive()
    crowd.ledger.may_refuse = True
    kills: Counter[str] = Counter()
    start = time.monotonic()
    stop = asyncio.Event()
    talking = asyncio.create_task(crowd.talk_until(stop))
    shards = [f"shard-{n}" for n in range(server.shards)]
    victims = [*shards, *(f"{shard} at a step" for shard in shards), "router", "gateway", "everything"]
    while (gone := time.monotonic() - start) < seconds:
        progress(gone / seconds, f"{crowd.acknowledged} acknowledged, {kills.total()} kills")
        await asyncio.sleep(chance.uniform(0.3, 2.0))
        victim, step = chance.choice(victims), chance.choice(STEPS)
        kills[victim] += 1
        if victim.endswith(" at a step"):
            arm(points, step, process=victim.split()[0])
        else:
            await asyncio.to_thread(_kill, server, victim, points)
        await asyncio.to_thread(server.hurry)
    _disarm(points)
    await asyncio.to_thread(server.wait_all_ready)
    stop.set()
    await talking
    await crowd.settle(SETTLE_S, strict=False)
    await crowd.leave()
    progress(1.0, f"{crowd.acknowledged} acknowledged, {kills.total()} kills")
    return crowd, kills, time.monotonic() - start


def _disarm(points: Path) -> None:
    for armed in points.iterdir():
        armed.unlink(missing_ok=True)


def _kill(server: Cluster, victim: str, points: Path) -> None:
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
    _disarm(points)
    server.start()
