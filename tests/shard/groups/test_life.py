"""Groups administered by calls, members on real shards with devices: who hears what, who may still write and read."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from lanying.bus import messages as m
from lanying.protocol.schema.xsync_pb2 import GroupNotice, MessageBody, Meta
from lanying.testing.simulation import Device, Simulation, User

N = GroupNotice
T = TypeVar("T")


class Club:
    """Alice founds a group; bob and carol are in, dave is asked first. Everybody has a device, alice two."""

    def __init__(self, shards: int = 3) -> None:
        self.sim = Simulation(shards)
        self.alice, self.bob, self.carol, self.dave = (
            self.sim.user(name) for name in ("alice", "bob", "carol", "dave")
        )
        self.devices = {user.name: user.device() for user in (self.alice, self.bob, self.carol, self.dave)}
        self.second = self.alice.device("second")
        invitees = [m.Invitee(self.bob.uid, False), m.Invitee(self.carol.uid, False), m.Invitee(self.dave.uid, True)]
        request = m.CreateGroup(self.alice.uid, "lanying", 0, "club", "", "", invitees, 100)
        self.gid = self.call(self.alice.uid, request, m.GroupView).info.gid

    def call(self, entity_id: int, request: m.Request[object], result: type[T]) -> T:
        shard = self.sim.shards[self.sim.map.shard_of(entity_id)]
        shard.dispatch.call(m.Call(1, "gateway", self.sim.now_ms + 1000, m.encode(request)))
        reply = shard.tick.envelopes[-1][1]
        assert isinstance(reply, m.Reply)
        assert reply.refusal is None, reply
        self.sim.run()
        return msgspec.msgpack.decode(reply.body, type=result)

    def ask(self, request: Any, user: User, *values: Any) -> Any:
        return self.call(self.gid, request(self.gid, user.uid, "lanying", 0, *values), Any)

    def told(self, device: Device) -> list[int]:
        """Types of the group notices since the last time, in order."""
        found = [N.FromString(meta.payload) for meta in device.metas if meta.ns == Meta.GROUP_NOTICE]
        assert all(notice.gid.uid == self.gid for notice in found)
        device.metas.clear()
        return [notice.type for notice in found]

    def all_told(self) -> dict[str, list[int]]:
        first = self.told(self.devices["alice"])
        assert sorted(self.told(self.second)) == sorted(first)
        return {"alice": first} | {name: self.told(it) for name, it in self.devices.items() if name != "alice"}

    def say(self, name: str, text: str) -> bool:
        device = self.devices[name]
        return device.send(self.gid, text, type=MessageBody.GROUPCHAT) in device.acknowledged

    def joined(self, user: User) -> list[int]:
        return self.call(user.uid, m.Joined(user.uid), list[int])


def test_from_foundation_to_the_end() -> None:
    club = Club()
    told = club.all_told()
    assert sorted(told["alice"]) == sorted([N.CREATED, N.INVITED, N.JOINED, N.JOINED])
    assert told["bob"] == told["carol"] == [N.JOINED, N.JOINED]
    assert told["dave"] == [N.INVITED]
    assert club.joined(club.bob) == [club.gid]
    assert club.joined(club.dave) == []
    assert club.say("bob", "one")
    assert not club.say("dave", "let me in")
    club.ask(m.AnswerInvitation, club.dave, True)
    for name, device in club.devices.items():
        assert device.texts == ([] if name in ("bob", "dave") else ["one"])
    told = club.all_told()
    assert sorted(told["dave"]) == sorted(told["alice"]) == sorted([N.INVITE_ACCEPTED, N.JOINED])
    assert told["bob"] == [N.JOINED]
    assert club.say("dave", "two")
    assert club.devices["bob"].texts == ["two"]
    club.all_told()
    club.ask(m.DestroyGroup, club.alice)
    assert club.all_told() == {name: [N.DESTROYED] for name in club.devices}
    assert not club.say("alice", "three")
    assert club.joined(club.alice) == []


def test_who_was_kicked_hears_of_it_and_of_nothing_more() -> None:
    club = Club()
    club.all_told()
    club.ask(m.KickMembers, club.alice, [club.bob.uid], "spam")
    told = club.all_told()
    assert told["bob"] == told["alice"] == told["carol"] == [N.KICKED]
    assert not club.say("bob", "one")
    assert club.say("carol", "two")
    assert club.devices["bob"].texts == []
    assert club.devices["bob"].history_texts(club.gid) == []
    assert club.joined(club.bob) == []
    club.ask(m.InviteMembers, club.carol, [m.Invitee(club.bob.uid, False)])
    assert club.say("carol", "three")
    assert club.devices["bob"].texts == ["three"]


def test_a_banned_member_reads_and_does_not_write() -> None:
    club = Club()
    club.ask(m.BanMembers, club.alice, [club.bob.uid], 1)
    assert not club.say("bob", "one")
    assert club.say("carol", "two")
    assert club.devices["bob"].texts == ["two"]
    club.sim.advance(61)
    assert club.say("bob", "three")
    club.ask(m.BanGroup, club.alice, -1)
    assert not club.say("bob", "four")
    assert club.say("alice", "five")


def test_who_left_and_came_back_offline_sees_everything_once() -> None:
    club = Club()
    club.all_told()
    club.devices["bob"].leave()
    club.ask(m.LeaveGroup, club.bob)
    club.say("carol", "while away")
    club.ask(m.InviteMembers, club.alice, [m.Invitee(club.bob.uid, False)])
    club.say("carol", "back again")
    device = club.devices["bob"] = club.bob.device()
    assert device.texts == ["back again"]
    assert sorted(club.told(device)) == sorted([N.LEAVED, N.JOINED])


def test_a_restart_keeps_the_group() -> None:
    club = Club()
    club.ask(m.SetAdmins, club.alice, [club.bob.uid], True)
    for index in range(3):
        club.sim.crash(index)
    club.sim.run()
    devices = {user.name: user.device() for user in (club.alice, club.bob, club.carol)}
    club.devices.update(devices)
    assert club.say("bob", "still here")
    assert devices["carol"].texts == ["still here"]
    assert club.ask(m.ListAdmins, club.carol)[0][0] == club.bob.uid
    assert club.joined(club.carol) == [club.gid]
