"""Attacks of users who have logged in, on a real server: no process restarts or grows, and others are served meanwhile.

Before a login: ``test_strangers``. The same attackers while faults happen: ``tests/adversity``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import until
from tests.cluster.attacks import ATTACKS, Attacker
from tests.cluster.test_strangers import honest, memory_mb

ATTACK_S = 0.3
ANSWERED_S = 2.0
HONEST, HOSTILE = 19, 1
PAUSE_S = 0.1
"""Between two messages of an honest user."""
NOISE_S = 0.1
"""What a busy machine may do to a percentile."""
GROWN_MB = {"shard": 64 + 32, "gateway": 32 + 16, "router": 16}
"""Documented: unsent bytes of a shard and its tables in memory, bodies under way in the gateway."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("hostile"), shards=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def attacker(server: Cluster) -> Iterator[Attacker]:
    victim = Attacker(server.url, "victim", 1, [])
    attacker = Attacker(server.url, "attacker", 1, [victim.uid])
    yield attacker
    attacker.close()


def tracebacks(cluster: Cluster) -> str:
    """What the processes have failed on."""
    text = cluster.log_file.read_text(errors="replace")
    return text[text.index("Traceback") - 500 :][:5000] if "Traceback" in text else ""


def unhurt(cluster: Cluster, before: dict[str, float]) -> None:
    """Nothing was restarted, no event failed, no process has more memory than is documented."""
    status = cluster.status()["processes"]
    assert {row["name"]: row["restarts"] for row in status if row["restarts"]} == {}
    assert tracebacks(cluster) == ""
    after = memory_mb(cluster)
    most = {name: 1.5 * size + GROWN_MB.get(name.split("-")[0], 8) for name, size in before.items()}
    assert {name: (before[name], size) for name, size in after.items() if size > most[name]} == {}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_leaves_others_served(server: Cluster, attacker: Attacker, name: str) -> None:
    honest(server)
    before = memory_mb(server)
    end = time.monotonic() + ATTACK_S
    while time.monotonic() < end:
        attacker.once(name)
    until("others are served", lambda: honest(server) < ANSWERED_S, 20)
    unhurt(server, before)


def test_a_twentieth_attacks_while_the_others_chat(server: Cluster) -> None:
    under_attack(server, HONEST, HOSTILE, 3.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_twentieth_attacks_for_long(tmp_path: Path) -> None:
    with Cluster(tmp_path, shards=2) as server:
        under_attack(server, 5 * HONEST, 5 * HOSTILE, 60.0)


def under_attack(server: Cluster, honest_users: int, hostile: int, seconds: float) -> None:
    """Chat, and chat under attack. :raises AssertionError: the honest pay for it"""
    quiet, loud, crowd, done, before = asyncio.run(chat(server, honest_users, hostile, seconds))
    print(
        f"{honest_users} chat, {hostile} attack: p99 {1000 * quiet:.0f} ms without, {1000 * loud:.0f} ms with, "
        f"{crowd.acknowledged} messages, MB {before} -> {memory_mb(server)}, attacks {dict(done)}"
    )
    assert sum(done.values()) > 0
    assert loud <= 3 * quiet + NOISE_S
    unhurt(server, before)


async def chat(
    server: Cluster, size: int, hostile: int, seconds: float
) -> tuple[float, float, Crowd, Counter[str], dict[str, float]]:
    """p99 without and with attackers, who was there, what was done, memory before."""
    crowd = Crowd(server.url, size, group_size=5, name=f"chat{time.monotonic_ns()}")
    await crowd.arrive()
    before = memory_mb(server)
    quiet = await waits(crowd, seconds)
    victims = [str(member.uid) for member in crowd.members]
    attackers = [
        await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.cluster.attacks",
                server.url,
                f"hostile{number}_{size}",
                str(seconds + 1),
                str(number),
            ),
            *victims,
            stdout=subprocess.PIPE,
        )
        for number in range(hostile)
    ]
    loud = await waits(crowd, seconds)
    done: Counter[str] = Counter()
    for attacker in attackers:
        out, _ = await asyncio.wait_for(attacker.communicate(), 60)
        done.update(json.loads(out))
    await crowd.settle()
    crowd.verify()
    await crowd.leave()
    return quiet, loud, crowd, done, before


async def waits(crowd: Crowd, seconds: float) -> float:
    """Everybody talks for a while; the 99th percentile of what they wait for their acknowledgements, seconds."""
    found: list[float] = []
    end = time.monotonic() + seconds

    async def talk(number: int) -> None:
        member = crowd.members[number]
        while time.monotonic() < end:
            begun = time.monotonic()
            await member.talk(crowd.neighbour(member), 1)
            found.append(time.monotonic() - begun)
            assert not member.failures, member.failures
            await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*[talk(number) for number in range(len(crowd.members))])
    return sorted(found)[int(len(found) * 0.99)]
