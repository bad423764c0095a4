"""A shard that stalls, a slow disk, a client that stops reading, and everybody coming back at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import msgspec
import psutil
import pytest

from lanying.base import limits
from lanying.client import Client
from lanying.cluster.shardmap import ShardMap
from lanying.protocol import frame
from lanying.protocol.connection import wrap_client
from lanying.supervisor.answers import ProcessStatus
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import PASSWORD, Crowd
from lanying.testing.poll import eventually, until
from lanying.testing.raw import RawClient, rest
from tests.adversity.conftest import Town

_MIB = 1 << 20
STORM = 300
STALL_S = 2.5
TALKERS, BULK, BULK_BYTES = 5, 240, 60_000
STORM_IN_FULL = 2000


def memory(town: Town, name: str) -> int:
    """Resident bytes of a process."""
    return int(psutil.Process(town.server.pids()[name]).memory_info().rss)


def depth(town: Town, shard: int, peer: int) -> float:
    """What a shard owes another one, as ``status`` shows it."""
    figures = msgspec.convert(town.server.process(f"shard-{shard}"), ProcessStatus).counted
    return sum(one.value for one in figures if one.name == "link_depth" and one.labels == {"to": f"shard-{peer}"})


def test_a_peer_that_stalls_costs_disk_not_memory(town: Town) -> None:
    """Stopped for longer than its links resend: the rest stays in the outbox, shows in status, and arrives afterwards."""
    crowd, server = town.crowd, town.server
    town.check()  # everybody knows their neighbour
    pid = server.pids()["shard-1"]
    assert pid
    before = memory(town, "shard-0")

    async def scenario() -> None:
        stop = asyncio.Event()
        os.kill(pid, signal.SIGSTOP)
        talking = asyncio.create_task(crowd.talk_until(stop))
        try:
            await eventually("status shows what is owed", lambda: depth(town, 0, 1) > 0)
            assert memory(town, "shard-0") - before < 32 * _MIB
            os.kill(pid, signal.SIGCONT)
            goal = crowd.acknowledged + 100
            await eventually("everybody talks again", lambda: crowd.acknowledged > goal)
        finally:
            stop.set()
            await talking

    town.run(scenario(), 90)
    town.check()
    until("nothing is owed any more", lambda: depth(town, 0, 1) == 0)


def test_a_slow_disk_delays_and_loses_nothing(town: Town) -> None:
    armed = [town.arm("shard.before_flush", "stall 1.5", process=f"shard-{n}") for n in range(2)]
    town.run(town.crowd.talk(8), 60)
    assert not any(path.exists() for path in armed)
    town.check()


def test_a_disk_that_stands_still_stops_the_reading(town: Town) -> None:
    """A tick gathers so much and no more: what people go on sending stays in their sockets."""
    server = town.server
    names = [f"bulky_{n}" for n in range(40)]
    here = [name for name in names if ShardMap.even(server.shards).shard_of_name("lanying", name) == 0][:TALKERS]

    async def scenario() -> int:
        talkers = [Client(server.url) for _ in here]
        for talker, name in zip(talkers, here, strict=True):
            await talker.register(name, PASSWORD)
            await talker.login(name, PASSWORD)
            await talker.send_text(talker.uid, f"{name} begins")
        before = memory(town, "shard-0")
        armed = town.arm("shard.before_flush", f"stall {STALL_S}", process="shard-0")
        sending = [
            asyncio.create_task(talker.send_text(talker.uid, f"{talker.uid} {number} {'y' * BULK_BYTES}"))
            for number in range(BULK)
            for talker in talkers
        ]
        await eventually("the flush has begun", lambda: not armed.exists())
        most = 0
        while not all(task.done() for task in sending):
            most = max(most, memory(town, "shard-0") - before)
            await asyncio.sleep(0.05)
        assert len({(await task).mid for task in sending}) == len(sending)
        for talker in talkers:
            await talker.close()
        return most

    assert town.run(scenario()) < TALKERS * BULK * BULK_BYTES // 2
    town.check()


def test_a_client_that_stops_reading_is_closed_and_nobody_else_notices(town: Town) -> None:
    """It asks and asks and never reads an answer."""
    server = town.server
    rest(server.url, "/user/register/v2", {"username": "deaf", "password": PASSWORD})
    grant = rest(server.url, "/token/user", {"name": "deaf", "password": PASSWORD})
    uid = int(grant["user_id"])

    async def fill() -> int:
        async with Client(server.url) as talker:
            await talker.register("loud", PASSWORD)
            await talker.login("loud", PASSWORD)
            for number in range(40):
                await talker.send_text(uid, f"{number} {'x' * 20_000}")
            return talker.uid

    loud = town.run(fill())
    raw = RawClient(server.url)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.put(frame.provision(uid, grant["token"], "deaf-device"))
    names = [name for name in server.pids() if name.startswith("shard")]
    before = {name: memory(town, name) for name in names}
    raw.socket.settimeout(10)
    ask = wrap_client(raw.kind, frame.sync_pull(loud)) * 50

    def closed() -> bool:
        try:
            raw.socket.sendall(ask)
        except (ConnectionError, TimeoutError):
            return True
        return False

    until("the server closes it", closed)
    raw.socket.close()
    until("it is logged", lambda: re.search(rf"event=closed uid={uid} sn=\d+ reason=slow_reader", server.log()))
    for name in names:
        assert memory(town, name) - before[name] < 64 * _MIB, name
    town.check()


async def _storm(server: Cluster, size: int) -> None:
    crowd = Crowd(server.url, size, name="storm")
    await crowd.arrive(32)
    await crowd.talk(1)
    before = server.process("shard-0")["restarts"]
    await asyncio.to_thread(server.kill, "shard-0")
    await asyncio.to_thread(server.wait_ready, "shard-0", before, 60)
    await eventually("all are back", lambda: all(member.client.connected for member in crowd.members), 90)
    await crowd.talk(2)
    await crowd.settle(60)
    crowd.verify()
    await crowd.leave()


@pytest.mark.timeout(180)
def test_everybody_comes_back_at_once(town: Town) -> None:
    """With a backoff of tenths of a second: a crowd without manners."""
    assert limits.CLIENT_BACKOFF_MAX_S < 1
    town.run(_storm(town.server, STORM), 170)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_thousand_come_back_at_once(tmp_path: Path) -> None:
    with Cluster(tmp_path, shards=2) as server:
        asyncio.run(_storm(server, STORM_IN_FULL))
