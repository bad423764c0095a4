"""Faults at random, from a seed: ``python -m tests.adversity.random_faults [--seed S] [--minutes M]``.

A real server, a crowd that talks without a pause, one fault after the other, and all the while a user who attacks in every way there is
(:mod:`tests.cluster.attacks`). In the end every message is accounted for, in
what the devices were shown and in the databases. A failure prints the seed and what was done; seeds that failed once
are kept in ``tests/adversity/test_random.py``. The seed decides the faults and their order, not what the machine makes of them: a
seed that failed may need a few runs to fail again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lanying.base import limits
from lanying.base.failpoints import POINTS, arm
from lanying.cluster.runtime import RunDirectory
from lanying.supervisor import control
from lanying.supervisor.requests import RestartRequest
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import until

USERS, SHARDS = 9, 3
STALL_S = 2.0
SETTLE_S = 90.0


class Faults:
    """What can be done to a server. Each returns what it did, for the history."""

    def __init__(self, server: Cluster, points: Path, crowd: Crowd, chance: random.Random) -> None:
        self.server = server
        self.points = points
        self.crowd = crowd
        self.chance = chance
        self.history: list[str] = []
        self._names = [*(f"shard-{n}" for n in range(server.shards)), "router", "gateway"]
        self._all: list[Callable[[], str]] = [
            self.kill,
            self.kill_at_a_point,
            self.kill_at_a_point,
            self.kill_shards,
            self.kill_everything,
            self.stall,
            self.slow_disk,
            self.failing_disk,
            self.restart,
            self.cut_connections,
        ]

    def one(self) -> None:
        """Do something, and let what waits to be started again start now."""
        done = self.chance.choice(self._all)()
        self.history.append(done)
        if self.server.ended():  # a point in the supervisor was armed
            self.start()
            self.history.append("the server was started again")
        self.server.hurry()

    def start(self) -> None:
        """Start the server; a child that dies before it was ever ready would end the start, as it should."""
        self.disarm()
        self.server.start()

    def disarm(self) -> None:
        """Nothing more happens."""
        for armed in self.points.iterdir():
            armed.unlink(missing_ok=True)

    def _pid(self, name: str) -> int:
        try:
            return self.server.pids().get(name) or 0
        except Exception:  # noqa: BLE001 - it may be gone
            return 0

    def _signal(self, name: str, number: signal.Signals) -> bool:
        pid = self._pid(name)
        try:
            if pid:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return bool(pid)

    def kill(self) -> str:
        name = self.chance.choice(self._names)
        self._signal(name, signal.SIGKILL)
        return f"kill {name}"

    def kill_at_a_point(self) -> str:
        point, passes = self.chance.choice(sorted(POINTS)), self.chance.choice((0, 0, 1, 3, 10))
        arm(self.points, point, passes=passes)
        return f"kill at {point} after {passes}"

    def kill_shards(self) -> str:
        for n in range(self.server.shards):
            self._signal(f"shard-{n}", signal.SIGKILL)
        return "kill all shards"

    def kill_everything(self) -> str:
        for pid in (self.server.pid, *map(self._pid, self._names)):
            try:
                if pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        until("the server is gone", self.server.ended)
        self.start()
        return "kill everything and start"

    def stall(self) -> str:
        name, seconds = self.chance.choice(self._names), round(self.chance.uniform(0.1, STALL_S), 2)
        if self._signal(name, signal.SIGSTOP):
            time.sleep(seconds)
            self._signal(name, signal.SIGCONT)
        return f"stop {name} for {seconds} s"

    def slow_disk(self) -> str:
        seconds = round(self.chance.uniform(0.05, STALL_S), 2)
        arm(self.points, "shard.before_flush", f"stall {seconds}")
        return f"a flush that takes {seconds} s"

    def failing_disk(self) -> str:
        arm(self.points, "shard.before_flush", "error")
        return "a flush that fails"

    def restart(self) -> str:
        name = self.chance.choice(self._names)
        try:
            control.ask(RunDirectory(self.server.data), RestartRequest(name))
        except Exception:  # noqa: BLE001 - it may be gone
            return f"no restart of {name}: no supervisor"
        return f"restart {name}"

    def cut_connections(self) -> str:
        cut = [client for member in self.crowd.members for client in member.clients if self.chance.random() < 0.5]
        loop = self.crowd.loop
        for client in cut:
            loop.call_soon_threadsafe(client.cut)
        return f"cut {len(cut)} connections"


class Adversary:
    """A user of the server with a device, a token and bad intentions, in a process of its own."""

    def __init__(self, url: str, crowd: Crowd, seed: int, seconds: float) -> None:
        victims = [str(member.uid) for member in crowd.members]
        command = (
            sys.executable,
            "-m",
            "tests.cluster.attacks",
            url,
            "adversary",
            f"{seconds:.1f}",
            str(seed),
            *victims,
        )
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self) -> str:
        """What it did. It ends by itself about now."""
        out, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, "the adversary broke"
        assert sum(json.loads(out).values()) > 0, "the adversary did nothing"
        return f"attacks {out.strip()}"


def run(seed: int, seconds: float, say: Callable[[str], None] = lambda text: None) -> int:
    """One run. How many messages were acknowledged.

    :raises AssertionError: the promise was broken; with the seed and the history
    """
    chance = random.Random(seed)
    history: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="lanying-faults-") as place:
            return _run(Path(place), chance, seconds, history, say)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}\nwhat was done: " + "; ".join(history)) from error


def _run(place: Path, chance: random.Random, seconds: float, history: list[str], say: Callable[[str], None]) -> int:
    points = place / "points"
    points.mkdir()
    limits.CLIENT_BACKOFF_MAX_S = 0.5  # type: ignore[misc]  # a crowd that comes back at once meets more

    async def scenario(server: Cluster) -> Crowd:
        crowd = Crowd(server.url, USERS, devices=2, group_size=3)
        await crowd.arrive()
        await crowd.look_in()
        crowd.ledger.may_refuse = True
        faults = Faults(server, points, crowd, chance)
        faults.history = history
        adversary = Adversary(server.url, crowd, chance.randrange(1 << 31), seconds)
        stop = asyncio.Event()
        talking = asyncio.create_task(crowd.talk_until(stop))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(chance.uniform(0.05, 1.0))
            await asyncio.to_thread(faults.one)
            say(f"{crowd.acknowledged:8} acknowledged  {history[-1]}")
        faults.disarm()
        history.append(await asyncio.to_thread(adversary.end))
        await asyncio.to_thread(_calm, server, faults)
        stop.set()
        await asyncio.wait_for(talking, SETTLE_S)
        await crowd.settle(SETTLE_S)
        crowd.verify()
        await crowd.verify_unread()
        await crowd.look_in()
        crowd.verify_unread_of_the_absent()
        await crowd.verify_history()
        await crowd.leave()
        return crowd

    with Cluster(place, shards=SHARDS, failpoints=points) as server:
        try:
            crowd = asyncio.run(scenario(server))
            assert server.stop() == 0, "the server did not stop well"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{server.log()}") from error
        crowd.ledger.check_stores(server.data)
    return crowd.acknowledged


def _calm(server: Cluster, faults: Faults) -> None:
    if server.ended():
        faults.start()

    def ready() -> bool:
        server.hurry()
        return bool(server.status()["state"] == "ready")

    until("every process is ready", ready, saw=server.status)


def main() -> int:
    """For people and nightly runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=None, help="repeat a run (default: a new one)")
    parser.add_argument("--minutes", type=float, default=1.0)
    asked = parser.parse_args()
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    try:
        acknowledged = run(seed, asked.minutes * 60, lambda text: print(text, flush=True))
    except AssertionError as error:
        print(error)
        return 1
    print(f"seed {seed}: {acknowledged} messages acknowledged, all of them kept, each once and in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
