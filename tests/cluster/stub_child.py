"""Stands in for a shard, a gateway or a router: heartbeats, ends on SIGTERM.

What it should do wrong is written in ``<data>/../misbehave-<name>``: ``fail`` exits before it is ready, ``refuse`` exits with 78,
``deaf`` ignores SIGTERM.
"""

import asyncio
import os
import signal
from pathlib import Path

import uvloop

from lanying.base import failpoints
from lanying.base.figures import Figure
from lanying.bus.messages import Heartbeat
from lanying.bus.transport import Bus
from lanying.cluster.launch import Launch
from lanying.cluster.runtime import SUPERVISOR


async def serve(launch: Launch, deaf: bool) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if deaf else over.set)
    bus = Bus(launch.name, launch.run, lambda envelope: None)
    bus.start(loop)

    def beat() -> None:
        counts = {"sessions": 3.0, "fds": float(len(launch.fds)), "cpus": float(len(os.sched_getaffinity(0)))}
        figures = [Figure(name, value) for name, value in counts.items()]
        bus.send(SUPERVISOR, Heartbeat(launch.name, os.getpid(), True, figures))
        loop.call_later(0.1, beat)

    beat()
    await over.wait()
    print(f"stub {launch.name} drained", flush=True)
    bus.close()


def main() -> int:
    launch = Launch.read()
    failpoints.here(launch.name)
    note = Path(launch.data).parent / f"misbehave-{launch.name}"
    how = note.read_text().strip() if note.exists() else ""
    if how in ("fail", "refuse"):
        print(f"stub {launch.name} cannot go on", flush=True)
        return 78 if how == "refuse" else 1
    for fd in launch.fds.values():
        os.fstat(fd)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(launch, how == "deaf"))
    return 0
