"""Attacks of users who have logged in, on a real server: no process restarts or grows, and others are served meanwhile.

Before a login: ``test_strangers``. The same attackers while faults happen: ``tests/adversity``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from lanying.base import limits, tokens
from lanying.base.limits import UPLOADS_PER_USER
from lanying.config.apps import load
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import until
from lanying.testing.raw import RawClient, rest
from tests.cluster.attacks import ATTACKS, ELSEWHERE, PASSWORD, Attacker, path_of, picture
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
    with Cluster(tmp_path_factory.mktemp("hostile"), shards=2, limits_uploads=2 * UPLOADS_PER_USER) as cluster:
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


def test_the_owner_of_an_account_gets_in_while_somebody_guesses(server: Cluster) -> None:
    """From the address they always come from; ten wrong passwords a minute for ever used to lock them out."""
    owner, guesser = Attacker(server.url, "owner", 1, []), Attacker(server.url, "guesser", 1, [])
    assert owner.uid
    refused = False
    for number in range(15):
        wrong = {"name": "owner", "password": f"wrong-{number}"}
        refused = guesser.call("POST", "/token/user", wrong, ELSEWHERE)["message"] is not None and number > 10
    assert refused
    begun = time.monotonic()
    assert rest(server.url, "/token/user", {"name": "owner", "password": PASSWORD})["user_id"] == owner.uid
    assert time.monotonic() - begun < ANSWERED_S


def test_a_session_ends_with_its_token(server: Cluster) -> None:
    who = Attacker(server.url, "ending", 1, [])
    [app] = load(server.data)
    expires = int(time.time()) + 2
    own = tokens.verify(app.secret, who.grant["token"], int(time.time() * 1000))
    token = tokens.issue(app.secret, msgspec.structs.replace(own, expires=expires))
    raw = RawClient(server.url)
    raw.put(frame.provision(who.uid, token, "ending"))
    assert raw.get()[1].status.code == Status.OK
    said: list[int] = []

    def ended() -> bool:
        try:
            raw.put(who.message(who.uid, content="still here"))
            said.append(raw.get()[1].status.code)
        except (EOFError, OSError):
            return True
        return False

    until("the session has ended", ended)
    assert expires - 1 <= time.time()
    assert said[-1] == Status.INVALID_TOKEN or raw.close_code


def test_others_upload_while_one_address_holds_every_place(server: Cluster) -> None:
    attackers = [Attacker(server.url, f"uploader{number}", 1, []) for number in range(2)]
    for attacker in attackers:
        for _ in range(UPLOADS_PER_USER):
            attacker.once("slow_uploads")
    honest_user = Attacker(server.url, "uploads", 1, [])
    ticket = honest_user.call("GET", f"/file/upload/chat?to_id={honest_user.uid}&to_type=1&file_type=104&file_name=a")[
        "data"
    ]
    begun = time.monotonic()
    answer = honest_user.call("PUT", path_of(ticket["upload_url"]), b"content")
    assert answer is None or answer["code"] == 200
    assert time.monotonic() - begun < ANSWERED_S
    got = honest_user.call("GET", path_of(ticket["download_url"]) + f"&access-token={honest_user.grant['token']}")
    assert got is None
    for attacker in attackers:
        attacker.close()


def test_a_picture_is_decoded_beside_the_gateway(server: Cluster) -> None:
    """The largest that is decoded at all: a child takes its memory, and gives it back by ending."""
    who = Attacker(server.url, "painter", 1, [])
    gateway = psutil.Process(server.pids()["gateway"])
    before, seen = gateway.memory_info().rss, {"gateway": 0, "child": 0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen["gateway"] = max(seen["gateway"], gateway.memory_info().rss)
            for child in gateway.children():
                with suppress(psutil.Error):
                    seen["child"] = max(seen["child"], child.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    ticket = who.call("GET", f"/file/upload/chat?to_id={who.uid}&to_type=1&file_type=102&file_name=a.png")["data"]
    who.call("PUT", path_of(ticket["upload_url"]), picture(3000, 2999))
    who.call("GET", path_of(ticket["download_url"]) + f"&image_type=2&access-token={who.grant['token']}")
    over.set()
    looking.join()
    megabytes = {name: size / (1 << 20) for name, size in seen.items()}
    print(f"MB at the most: {megabytes}, gateway before {before / (1 << 20):.0f}")
    assert 30 < megabytes["child"] < limits.DECODER_MB
    assert seen["gateway"] - before < 16 << 20
    until("the child is gone", lambda: not gateway.children())


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
