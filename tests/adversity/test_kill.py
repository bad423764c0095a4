"""``kill -9`` at every fail point: nothing acknowledged is lost, nothing comes twice, and the server goes on."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal

import pytest

from lanying.base.failpoints import POINTS
from lanying.client import Client
from lanying.cluster.runtime import RunDirectory
from lanying.supervisor import control
from lanying.supervisor.requests import RestartRequest
from lanying.testing.crowd import PASSWORD, until_served
from lanying.testing.poll import eventually, until
from tests.adversity.conftest import Town

TALKING = (
    "shard.decided",
    "shard.before_write",
    "shard.written",
    "shard.before_flush",
    "shard.flushed",
    "shard.half_released",
    "shard.released",
    "shard.link_received",
    "shard.link_applied",
    "shard.link_released",
    "shard.link_committed",
    "shard.link_acknowledged",
)
ARRIVING = (
    "router.accepted",
    "router.before_handoff",
    "router.after_handoff",
    "shard.admitted",
    "gateway.before_call",
    "gateway.after_call",
)
RESTARTING = ("shard.opened", "shard.draining", "supervisor.child_died", "supervisor.before_spawn")
MOVING = ("mover.copied", "mover.map_saved")
"""In ``tests/cluster/test_move.py``: the whole server is stopped there."""
_numbers = itertools.count()


def test_every_point_is_tested() -> None:
    assert {*TALKING, *ARRIVING, *RESTARTING, *MOVING} == POINTS.keys()


@pytest.mark.parametrize("passes", [0, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("point", TALKING)
def test_killed_while_people_talk(town: Town, point: str, passes: int) -> None:
    before = town.restarts()
    town.suffer(town.arm(point, passes=passes), act=lambda: town.crowd.talk(1), before=before)
    town.check()


@pytest.mark.parametrize("point", ARRIVING)
def test_killed_while_somebody_arrives(town: Town, point: str) -> None:
    async def arrive() -> None:
        client = Client(town.server.url)
        name = f"new_{next(_numbers)}"
        await until_served(lambda: client.register(name, PASSWORD), taken_is_done=True)
        await until_served(lambda: client.login(name, PASSWORD))
        neighbour = town.crowd.members[0].uid
        assert (await client.send_text(neighbour, f"{name} 1")).mid
        await client.close()

    before = town.restarts()
    town.suffer(town.arm(point), act=arrive, before=before)
    town.check()


@pytest.mark.parametrize("point", RESTARTING)
def test_killed_while_a_shard_restarts(town: Town, point: str) -> None:
    before = town.restarts()
    armed = town.arm(point)
    control.ask(RunDirectory(town.server.data), RestartRequest("shard-1"))
    town.suffer(armed, act=lambda: town.crowd.talk(1), before=before)
    town.check()


def test_all_shards_killed_at_once(town: Town) -> None:
    """Each at a step of its own."""
    before = town.restarts()
    armed = [town.arm(point, process=f"shard-{n}") for n, point in enumerate(("shard.written", "shard.flushed"))]
    town.suffer(*armed, act=lambda: town.crowd.talk(1), before=before)
    town.check()


def test_everything_killed_at_once(town: Town) -> None:
    server = town.server

    def kill_and_start() -> None:
        pids = [server.pid, *(pid for pid in server.pids().values() if pid)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until("the server is gone", server.ended)
        server.start()

    async def scenario() -> None:
        goal = town.crowd.acknowledged + 40
        stop = asyncio.Event()
        talking = asyncio.create_task(town.crowd.talk_until(stop))
        await eventually("load", lambda: town.crowd.acknowledged > goal)
        await asyncio.to_thread(kill_and_start)
        stop.set()
        await talking

    town.run(scenario())
    town.check()
