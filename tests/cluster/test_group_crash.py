"""One shard of four is killed (-9) while members on all of them write into one group: afterwards every member has the same timeline,
and nothing acknowledged is missing. The long form has 500 members: ``pytest -m slow tests/cluster/test_group_crash.py``."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from lanying.base.ids import slot_of
from lanying.client import outgoing
from lanying.cluster.shardmap import ShardMap
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd, CrowdMember
from lanying.testing.poll import eventually

SHARDS = 4


def is_enough(crowd: Crowd, count: int) -> bool:
    return crowd.acknowledged >= count


async def post(crowd: Crowd, member: CrowdMember) -> None:
    """One message into the group, said again by the client until it is acknowledged."""
    text = crowd.ledger.next_text(member.client.guid, member.group)
    sent = await member.client.send(outgoing.message(member.group, text, group=True))
    crowd.ledger.acknowledged(sent.mid, text, member.uid, member.group, member.client.guid)


async def talk(crowd: Crowd, member: CrowdMember, count: int) -> None:
    for _ in range(count):
        await post(crowd, member)


async def timeline(member: CrowdMember) -> list[tuple[int, str]]:
    """All of the group's history as this member reads it, oldest first."""
    found: list[tuple[int, str]] = []
    key = 0
    while True:
        page = await member.client.history(member.group, key, 100)
        if not page.messages:
            return found[::-1]
        found += [(message.mid, message.text) for message in page.messages]
        key = page.next_key


async def suffer(server: Cluster, size: int, writers: int, each: int) -> None:
    crowd = Crowd(server.url, size, group_size=size)
    await crowd.arrive()
    shards = ShardMap.even(SHARDS)
    by_shard: dict[int, list[CrowdMember]] = {}
    for member in crowd.members:
        by_shard.setdefault(shards.slots[slot_of(member.uid)], []).append(member)
    assert by_shard.keys() == set(range(SHARDS)), "there are members on every shard"
    senders = [member for members in by_shard.values() for member in members[: writers // SHARDS]]
    home = shards.slots[slot_of(crowd.members[0].group)]
    # First a shard that has members only, then the one that has the group.
    for victim in ((home + 1) % SHARDS, home):
        before = int(server.process(f"shard-{victim}")["restarts"])

        talking = [asyncio.create_task(talk(crowd, member, each)) for member in senders]
        enough = crowd.acknowledged + len(senders)
        await eventually("everybody is at it", partial(is_enough, crowd, enough))
        await asyncio.to_thread(server.kill, f"shard-{victim}")
        await asyncio.gather(*talking)
        await asyncio.to_thread(server.wait_ready, f"shard-{victim}", before)
    await crowd.settle(120)
    crowd.verify()
    expected = sorted((post.mid, post.text) for post in crowd.ledger.posts)
    assert len(expected) == 2 * each * len(senders)
    for member in crowd.members:
        assert await timeline(member) == expected, f"member {member.number} reads another timeline"
    await crowd.leave()


@pytest.mark.parametrize(
    ("size", "writers", "each"),
    [
        pytest.param(24, 12, 8, id="24 members"),
        pytest.param(500, 40, 10, id="500 members", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_every_timeline_is_equal_and_complete(tmp_path: Path, size: int, writers: int, each: int) -> None:
    with Cluster(tmp_path, shards=SHARDS) as server:
        asyncio.run(asyncio.wait_for(suffer(server, size, writers, each), 110 if size < 100 else 800))
