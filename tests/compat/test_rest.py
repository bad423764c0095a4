"""Plain HTTP clients against a real server: files and messages over REST, seen by sockets as well."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lanying.client import Client, Message
from lanying.testing.cluster import Cluster
from lanying.testing.poll import until
from tests.compat import rest_story
from tests.compat.rest_story import Person


def test_two_friends_and_a_picture(cluster: Cluster) -> None:
    assert len(rest_story.main(cluster.url)) == 6


def test_a_socket_gets_what_rest_sends_and_broadcasts(cluster: Cluster) -> None:
    alice, bob = Person(cluster.url, "lanying", "alice"), Person(cluster.url, "lanying", "bob")

    async def listen() -> list[tuple[int, str]]:
        got: list[tuple[int, str]] = []
        async with Client(cluster.url) as device, asyncio.timeout(60):
            await device.login(bob.name, "correct-horse1")
            await asyncio.to_thread(speak)
            async for event in device:
                if isinstance(event, Message):
                    got.append((event.sender, event.text))
                    if len(got) == 2:
                        break
        return got

    def speak() -> None:
        alice.send(bob.uid, 0, content="from a back end")
        headers = {"access-token": cluster.admin_token, "app_id": "lanying", "user_id": str(alice.uid)}
        body = {"type": 1, "content_type": 0, "content": "to all"}
        answer = httpx.post(f"{cluster.url}/message/broadcast", json=body, headers=headers, timeout=60).json()
        assert answer["data"]["success"] is True
        assert answer["data"]["send_num"] >= 2

    assert sorted(asyncio.run(listen())) == sorted([(alice.uid, "from a back end"), (0, "to all")])


def test_large_uploads_are_streamed_and_broken_ones_leave_nothing(cluster: Cluster) -> None:
    alice = Person(cluster.url, "lanying", "alice")
    content = random.Random(2).randbytes(24 << 20)
    before = resident(cluster)
    address = alice.upload(content, "large.bin", alice.uid, 100)
    for start in (0, 5 << 20, len(content) - 10):
        part = alice.http.get(address, headers={"range": f"bytes={start}-{start + 9}"})
        assert part.content == content[start : start + 10]
    with alice.http.stream("GET", address) as answer:
        assert sum(map(len, answer.iter_bytes())) == len(content)
    assert resident(cluster) - before < 16 << 20, "the file passed through memory"

    incoming = cluster.data / "files/incoming"
    ticket = alice.call("GET", "/file/upload/chat", file_type=100, to_type=1, to_id=alice.uid)

    def half() -> Iterator[bytes]:
        yield content[: 1 << 20]
        raise ConnectionError("pulled the plug")

    with pytest.raises(ConnectionError):
        httpx.put(ticket["upload_url"], content=half(), headers={"content-length": str(8 << 20)})
    until("nothing is left of the upload", lambda: not list(incoming.iterdir()), saw=lambda: list(incoming.iterdir()))


def resident(cluster: Cluster) -> int:
    """Bytes of memory the gateway has."""
    pid = cluster.pids()["gateway"]
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def test_files_outlive_the_gateway(cluster_of_its_own: Cluster) -> None:
    cluster = cluster_of_its_own
    alice = Person(cluster.url, "lanying", "alice")
    picture = rest_story.png(32, 32)
    address = alice.upload(picture, "a.png", alice.uid)
    cluster.wait_ready("gateway", cluster.kill("gateway"))
    alice.http.close()
    answer = httpx.get(f"{address}&access-token={alice.token}&app_id=lanying", timeout=60)
    assert answer.content == picture


@pytest.fixture
def cluster_of_its_own(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, shards=1) as server:
        yield server
