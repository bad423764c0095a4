"""Conversations between devices on one and on two shards (xsync sections 5 and 6)."""

from __future__ import annotations

import pytest

from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Status, SyncDL
from lanying.testing.simulation import Simulation, User


def pair(shards: int, config: Config | None = None) -> tuple[Simulation, User, User]:
    sim = Simulation(shards, config)
    alice = sim.user("alice")
    name = next(
        n
        for n in (f"bob{i}" for i in range(100))
        if (sim.map.shard_of_name("lanying", n) != alice.shard.work.index) == (shards > 1)
    )
    return sim, alice, sim.user(name)


@pytest.fixture(params=[1, 2], ids=["same shard", "other shard"])
def people(request: pytest.FixtureRequest) -> tuple[Simulation, User, User]:
    return pair(request.param)


def test_a_message_reaches_every_device_once_and_the_sender_is_acknowledged(
    people: tuple[Simulation, User, User],
) -> None:
    _, alice, bob = people
    phone, laptop = alice.device("phone"), alice.device("laptop")
    desk, tablet = bob.device("desk"), bob.device("tablet")
    client_mid = phone.send(bob, "hello")
    assert phone.acknowledged[client_mid]
    assert [phone.texts, laptop.texts, desk.texts, tablet.texts] == [[], ["hello"], ["hello"], ["hello"]]
    assert desk.metas[0].id == phone.acknowledged[client_mid]
    assert getattr(desk.metas[0], "from").uid == alice.uid
    assert desk.metas[0].to.uid == bob.uid


def test_messages_keep_their_order_and_the_answer_comes_back(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    for number in range(150):
        a.send(bob, f"{number}", run=number % 7 == 0)
    a.simulation.run()
    b.send(alice, "all here")
    assert b.texts == [str(n) for n in range(150)]
    assert a.texts == ["all here"]


def test_an_absent_user_finds_his_messages_and_their_count(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a = alice.device()
    bob.device().leave()
    for number in range(3):
        a.send(bob, f"{number}")
    b = bob.device(automatic=False)
    assert b.unread == {alice.uid: 3}
    b.automatic = True
    b.pull(alice.uid)
    assert b.texts == ["0", "1", "2"]
    b.leave()
    again = bob.device()
    assert again.texts == []
    assert again.unread == {alice.uid: 0}


def test_a_second_device_of_the_sender_that_comes_later_does_not_get_what_is_read(
    people: tuple[Simulation, User, User],
) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "old")
    b.send(alice, "older")
    late = alice.device("late")
    assert late.texts == []
    assert late.history_texts(bob) == ["old", "older"]


def test_own_messages_never_come_back_to_their_device(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    b.automatic = False
    b.send(alice, "question")
    a.leave()
    a = alice.device(automatic=False)
    a.send(bob, "one")
    b.send(alice, "two")
    a.send(bob, "three")
    a.automatic = True
    a.pull(bob.uid)
    assert set(a.texts) == {"two"}
    a.leave()
    assert alice.device(automatic=False).unread == {bob.uid: 0}


def test_a_repeated_send_is_one_message_with_the_same_id(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "once", client_mid=77)
    first = a.acknowledged.pop(77)
    a.send(bob, "once", client_mid=77)
    assert a.acknowledged.pop(77) == first
    a.leave()
    a = alice.device()
    a.send(bob, "once", client_mid=77)
    assert a.acknowledged[77] == first
    a.send(bob, "another text with the same client id", client_mid=77)
    assert a.acknowledged[77] != first
    assert b.texts == ["once", "another text with the same client id"]


def test_typing_is_relayed_and_never_stored(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    client_mid = a.send(bob, "", qos=MessageBody.AT_MOST_ONCE, ext='{"input_status":"typing"}')
    assert a.acknowledged[client_mid]
    assert len(b.metas) == 1
    b.leave()
    a.send(bob, "", qos=MessageBody.AT_MOST_ONCE)
    again = bob.device()
    assert again.metas == []
    assert again.history_texts(alice) == []


def test_history_pages_newest_first_until_there_is_nothing_older(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b = alice.device(), bob.device()
    for number in range(45):
        (a if number % 2 else b).send(bob if number % 2 else alice, f"{number}")
    seen: list[str] = []
    key = 0
    while True:
        page: SyncDL = b.history(alice, key)
        assert page.is_full_sync
        assert [m.id for m in page.metas] == sorted((m.id for m in page.metas), reverse=True)
        if not page.metas:
            assert page.next_key == key
            break
        seen += [MessageBody.FromString(m.payload).content for m in page.metas]
        key = page.next_key
    assert seen == [str(n) for n in reversed(range(45))]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": 4242}, Status.INVALID_PARAMETER),
        ({"to": 0}, Status.INVALID_PARAMETER),
        ({"type": 9}, Status.INVALID_PARAMETER),
        ({"payload": b"\xff"}, Status.PB_PARSER_ERROR),
    ],
    ids=["unknown user", "no recipient", "unknown type", "broken payload"],
)
def test_what_cannot_be_delivered_is_refused(fields: dict[str, object], code: int) -> None:
    _, alice, bob = pair(2)
    a = alice.device()
    client_mid = a.send(**{"to": bob.uid, "content": "x"} | fields)  # type: ignore[arg-type]
    assert a.refused[client_mid][0] == code


def test_a_user_of_another_app_does_not_exist() -> None:
    sim = Simulation(2)
    alice, stranger = sim.user("alice"), sim.user("carol", app="other")
    a = alice.device()
    client_mid = a.send(stranger, "hello")
    assert a.refused[client_mid] == (Status.INVALID_PARAMETER, "the recipient does not exist")


def test_a_foreign_sender_is_refused() -> None:
    _, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    payload = MessageBody(type=MessageBody.CHAT, content="x").SerializeToString()
    a.put(frame.send_meta(5, bob.uid, 1, bob.uid, 1, 1, payload))
    assert a.refused[5][0] == Status.INVALID_PARAMETER
    assert b.texts == []


def test_the_same_device_again_kicks_the_old_connection_directly(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    old = alice.device("phone")
    new = alice.device("phone")
    assert new.sn == old.sn
    assert old.closed
    assert [meta.ns for meta in old.metas] == [4]
    assert new.metas == []
    bob.device().send(alice, "hi")
    assert (old.texts, new.texts) == ([], ["hi"])


def test_recall_takes_a_message_away_everywhere(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, a2, b = alice.device("1"), alice.device("2"), bob.device()
    mid = a.acknowledged[a.send(bob, "oops")]
    absent = bob.device("2")
    absent.leave()
    op = a.operate(bob, MessageOperation.RECALL, mid, bob.uid)
    assert a.acknowledged[op]
    assert b.operations == a2.operations == [(MessageOperation.RECALL, mid)]
    assert b.history_texts(alice) == a.history_texts(bob) == []
    sim.advance(400)
    mid = a.acknowledged[a.send(bob, "too late")]
    sim.advance(400)
    a.operate(bob, MessageOperation.RECALL, mid, bob.uid)
    assert a.refused[0] == (Status.FAIL, "exceed recall time limit")
    b.operate(alice, MessageOperation.RECALL, mid, alice.uid)
    assert b.refused[0][0] == Status.FAIL
    assert b.history_texts(alice) == ["too late"]


def test_edits_change_both_copies_and_reach_the_author_too(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    mid = a.acknowledged[a.send(bob, "Hel", ext='{"a":{"x":1},"b":2}')]
    sim.advance(1)
    a.operate(bob, MessageOperation.APPEND, mid, content="lo", ext='{"a":{"y":2}}')
    assert a.operations == b.operations == [(MessageOperation.APPEND, mid)]
    assert MessageBody.FromString(b.metas[-1].payload).edit_timestamp == sim.now_ms
    for device, peer in ((a, bob), (b, alice)):
        body = MessageBody.FromString(device.history(peer).metas[0].payload)
        assert (body.content, body.ext, body.edit_timestamp) == ("Hello", '{"a":{"x":1,"y":2},"b":2}', sim.now_ms + 1)
    a.operate(bob, MessageOperation.REPLACE, mid, content="Bye")
    assert b.history_texts(alice) == ["Bye"]
    b.operate(alice, MessageOperation.REPLACE, mid, content="forged")
    assert a.history_texts(bob) == ["Bye"]


def test_read_receipts_show_in_both_histories(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b, b2 = alice.device(), bob.device("1"), bob.device("2")
    mid = a.acknowledged[a.send(bob, "read me")]
    b.operate(alice, MessageOperation.READ_ACK, mid)
    assert a.operations == b2.operations == [(MessageOperation.READ_ACK, mid)]

    def status(device: object, peer: User) -> int:
        return MessageBody.FromString(device.history(peer).metas[0].payload).status  # type: ignore[attr-defined]

    assert status(a, bob) == status(b, alice) == MessageBody.READ
    b.operate(bob, MessageOperation.READ_CANCEL, mid, alice.uid)
    assert status(b, alice) == MessageBody.UNREAD
    b.operate(bob, MessageOperation.READ_ALL, mid, alice.uid)
    mid = a.acknowledged[a.send(bob, "new")]
    assert status(b2, alice) == MessageBody.UNREAD


def test_delete_hides_a_message_from_one_user_only(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, b, b2 = alice.device(), bob.device("1"), bob.device("2")
    mid = a.acknowledged[a.send(bob, "hide me")]
    b.operate(bob, MessageOperation.DELETE, mid, alice.uid)
    assert b2.operations == [(MessageOperation.DELETE, mid)]
    assert b.history_texts(alice) == []
    assert a.history_texts(bob) == ["hide me"]
