"""The end of a pull loop goes along with something else, or within a second (xsync 5.3, lanying.shard.chat.sync)."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Frame, SyncDL
from lanying.shard.chat.sync import AWAITING, IDLE, OWED
from lanying.testing.simulation import Device, Simulation, User
from tests.shard.chat.test_chat import pair


@pytest.fixture(params=[1, 2], ids=["same shard", "other shard"])
def people(request: pytest.FixtureRequest) -> tuple[Simulation, User, User]:
    return pair(request.param)


def _answers(device: Device) -> list[tuple[int, int]]:
    """(number of metas, next_key) of every answer in a pull loop."""
    syncs = [sync for command, sync in device.frames if command == Frame.SYNC and isinstance(sync, SyncDL)]
    return [(len(sync.metas), sync.next_key) for sync in syncs if not sync.client_mid]


def test_the_end_waits_a_second_when_nothing_else_is_to_be_said(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "1")
    assert _answers(b) == [(1, 1)]
    assert b.session.loops[alice.uid].state == OWED
    sim.advance(1)
    assert _answers(b) == [(1, 1), (0, 0)]
    assert b.session.loops[alice.uid].state == IDLE
    sim.advance(1)
    assert len(_answers(b)) == 2, "it ends once"


def test_the_next_message_is_the_answer_that_was_owed(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "1")
    a.send(bob, "2")
    assert _answers(b) == [(1, 1), (1, 2)]
    assert [sync.is_eager_sync for command, sync in b.frames if command == Frame.SYNC] == [True, False]
    assert b.notices == []
    assert b.texts == ["1", "2"]


def test_the_end_goes_along_with_an_acknowledgement(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "1")
    client_mid = b.send(alice, "seen")
    assert b.acknowledged[client_mid]
    assert _answers(b) == [(1, 1), (0, 0)]


def test_a_pull_meanwhile_is_answered_at_once_and_takes_the_place_of_the_end(
    people: tuple[Simulation, User, User],
) -> None:
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "1")
    b.pull(alice.uid)
    assert _answers(b) == [(1, 1), (0, 0)]
    sim.advance(1)
    assert len(_answers(b)) == 2


def test_more_than_one_answer_holds_is_fetched_within_the_same_loop(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "1")
    for number in range(limits.BATCH_METAS + 50):
        a.send(bob, f"{number}", run=False)
    sim.run()
    assert b.texts == ["1"] + [str(n) for n in range(limits.BATCH_METAS + 50)]
    assert b.notices == [], "no NOTICE while the device waits for an answer (5.4)"


def test_a_device_that_did_not_read_goes_on_in_its_loop(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "1")
    b.session.unsent = b"x" * (limits.OUT_SOFT_BYTES + 1)
    a.send(bob, "2")
    assert b.texts == ["1"]
    b.session.unsent = b""
    bob.shard.pulls.drained(b.session)
    assert b.session.loops[alice.uid].state == AWAITING
    sim.run()
    assert b.texts == ["1", "2"] and b.notices == []


def test_two_devices_of_a_user_are_owed_their_own_ends(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, phone, desk = alice.device(), bob.device("phone"), bob.device("desk", automatic=False)
    a.send(bob, "1")
    assert phone.session.loops[alice.uid].state == OWED
    assert desk.session.loops[alice.uid].state == AWAITING
    phone.leave()
    sim.advance(1)
    desk.put(frame.sync_pull(alice.uid, 1))
    sim.advance(1)
    assert _answers(desk) == [(1, 1), (0, 0)]
