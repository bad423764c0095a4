"""Below ``min_free_bytes`` nothing new is accepted, the sender is told why, and everything else goes on."""

from __future__ import annotations

from lanying.base.refusals import Refusal
from lanying.protocol.schema.xsync_pb2 import MessageOperation, Status
from lanying.testing.simulation import Simulation
from tests.shard.groups.test_timeline import Club, say

FULL = (Status.FAIL, Refusal.DISK_FULL.text)


def test_messages_and_operations_are_refused_with_the_reason_and_reads_go_on() -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    phone = alice.device()
    mid = phone.acknowledged[phone.send(bob, "before")]
    sim.shards[0].work.full = True
    assert phone.refused[phone.send(bob, "while full")] == FULL
    assert phone.refused[phone.operate(bob, MessageOperation.RECALL, mid)] == FULL
    device = bob.device()
    assert device.texts == device.history_texts(alice) == ["before"], "logins, pulls and history need no room"
    sim.shards[0].work.full = False
    phone.send(bob, "after")
    assert device.texts == ["before", "after"]


def test_a_groups_shard_refuses_posts_of_members_elsewhere() -> None:
    club = Club()
    home = club.sim.shards[club.sim.map.shard_of(club.gid)]
    member = next(user for user in club.people if user.shard is not home).device()
    home.work.full = True
    assert member.refused[say(member, club, "while full")] == FULL
    home.work.full = False
    assert say(member, club, "after") in member.acknowledged
