"""What comes over REST is indistinguishable from what a socket sends; broadcasts reach everybody exactly once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    BroadcastInfo,
    CancelBroadcast,
    CountUsers,
    GetPage,
    ListBroadcasts,
    ListUnread,
    Notify,
    Post,
    Posted,
    Request,
    StartBroadcast,
    UserCount,
    decode_result,
)
from lanying.bus.messages.base import R
from lanying.config.schema import Accounts, Config
from lanying.protocol.schema.xsync_pb2 import Conversation, ConversationOperation, MessageBody, MessageOperation, Meta
from lanying.shard.chat import history
from lanying.testing.simulation import Simulation, User


@pytest.fixture
def sim() -> Simulation:
    return Simulation(3)


def people(sim: Simulation, *names: str) -> list[User]:
    return [sim.user(name) for name in names]


def text(content: str, **fields: Any) -> bytes:
    fields.setdefault("type", MessageBody.CHAT)
    return MessageBody(content=content, **fields).SerializeToString()


def operation(kind: int, mid: int, conversation: int, content: str = "") -> bytes:
    detail: dict[str, Any] = {"type": kind, "mid": mid, "xid": {"uid": conversation}}
    return MessageBody(type=MessageBody.OPER, content=content, operation=detail).SerializeToString()  # type: ignore[arg-type]


def ask(sim: Simulation, uid: int, request: Request[R]) -> R:
    return decode_result(request, sim.call(sim.map.shard_of(uid), request))


def post(author: User, to: int, payload: bytes, **more: Any) -> Posted:
    found: Posted = ask(author.simulation, author.uid, Post(author.uid, author.app, to, payload, **more))
    return found


def read_all(user: User) -> list[str]:
    device = user.device("reader")
    texts = device.texts
    device.leave()
    return texts


def contents(sim: Simulation, user: User, peer: int, limit: int = 20) -> list[str]:
    page = ask(sim, user.uid, GetPage(user.uid, peer, 0, limit))
    return [MessageBody.FromString(Meta.FromString(meta).payload).content for meta in page.metas]


def neighbours(sim: Simulation) -> list[tuple[User, User]]:
    """Pairs on one shard and on two."""
    alice, *others = people(sim, *(f"user{n}" for n in range(12)))
    same = next(user for user in others if user.shard is alice.shard)
    other = next(user for user in others if user.shard is not alice.shard)
    return [(alice, same), (alice, other)]


def test_a_message_reaches_everybody_a_sockets_would(sim: Simulation) -> None:
    for alice, bob in neighbours(sim):
        phone, tablet, bobs = alice.device("phone"), alice.device("tablet"), bob.device()
        posted = post(alice, bob.uid, text("hello"))
        for device in (phone, tablet, bobs):
            assert device.metas[-1].id == posted.mid
            assert device.texts[-1] == "hello"
        assert alice.device("later").history_texts(bob)[-1] == "hello"
        answer = bobs.send(alice, "hi")
        assert bobs.acknowledged[answer] > posted.mid
        assert phone.history_texts(bob)[-2:] == ["hello", "hi"]
        for device in (phone, tablet, bobs):
            device.leave()


def test_offline_receivers_find_it_later_unless_it_is_for_those_online(sim: Simulation) -> None:
    for alice, bob in neighbours(sim):
        first = bob.device()
        first.leave()
        post(alice, bob.uid, text("kept"))
        post(alice, bob.uid, text("gone", qos=MessageBody.AT_MOST_ONCE))
        assert bob.device().texts[-1] == "kept"


def test_a_transaction_counts_once(sim: Simulation) -> None:
    for alice, bob in neighbours(sim):
        first = post(alice, bob.uid, text("once"), client_mid=bob.uid)
        assert post(alice, bob.uid, text("once"), client_mid=bob.uid).mid == first.mid
        sim.crash(alice.shard.work.index)
        sim.run()
        assert post(alice, bob.uid, text("once"), client_mid=bob.uid).mid == first.mid
        assert contents(sim, bob, alice.uid).count("once") == 1


def test_groups(sim: Simulation) -> None:
    alice, bob, carol, dave = people(sim, "alice", "bob", "carol", "dave")
    gid = sim.group(alice, bob, carol)
    devices = [bob.device(), carol.device()]
    payload = text("all", type=MessageBody.GROUPCHAT)
    posted = post(bob, gid, payload, client_mid=5)
    assert post(bob, gid, payload, client_mid=5).mid == posted.mid
    assert [device.texts for device in devices] == [["all"], ["all"]]
    assert contents(sim, carol, gid) == ["all"]
    with pytest.raises(CallError) as caught:
        post(dave, gid, payload)
    assert caught.value.code == 20011
    post(bob, gid, operation(MessageOperation.RECALL, posted.mid, gid))
    assert devices[1].operations == [(MessageOperation.RECALL, posted.mid)]
    assert contents(sim, carol, gid) == []


def test_edits_recalls_and_receipts(sim: Simulation) -> None:
    for alice, bob in neighbours(sim):
        device = bob.device()
        posted = post(alice, bob.uid, text("one"))
        post(alice, bob.uid, operation(MessageOperation.APPEND, posted.mid, bob.uid, " more"))
        assert contents(sim, bob, alice.uid)[0] == "one more"
        post(alice, bob.uid, operation(MessageOperation.REPLACE, posted.mid, bob.uid, "two"))
        assert contents(sim, alice, bob.uid)[0] == "two"
        post(bob, alice.uid, operation(MessageOperation.READ_ACK, posted.mid, alice.uid))
        page = ask(sim, alice.uid, GetPage(alice.uid, bob.uid, 0, 1))
        assert MessageBody.FromString(Meta.FromString(page.metas[0]).payload).status == MessageBody.READ
        post(alice, bob.uid, operation(MessageOperation.RECALL, posted.mid, bob.uid))
        assert "two" not in contents(sim, bob, alice.uid)
        assert device.operations[-1] == (MessageOperation.RECALL, posted.mid)
        with pytest.raises(CallError) as caught:
            post(bob, alice.uid, operation(MessageOperation.RECALL, posted.mid, alice.uid))
        assert caught.value.code == 10002
        device.leave()


@pytest.mark.parametrize("case", ["nobody", "stranger", "blocked", "large", "full", "deleted"])
def test_refusals_have_the_codes_of_rest(case: str) -> None:
    sim = Simulation(2, Config(accounts=Accounts(strangers_may_chat=case != "stranger")))
    alice, bob = people(sim, "alice", "bob")
    to, payload, code = bob.uid, text("x"), 10010
    if case == "nobody":
        to, code = 999 * 1024 + 1, 10000
    elif case == "blocked":
        from lanying.bus.messages import Block

        ask(sim, bob.uid, Block(bob.uid, alice.uid, True))
        code = 10006
    elif case == "large":
        payload, code = text("x" * 300_000), 10002
    elif case == "full":
        alice.shard.work.full, code = True, 10009
    elif case == "deleted":
        alice, code = User(sim, alice.uid + 1024, "ghost", "lanying"), 10000
    with pytest.raises(CallError) as caught:
        post(alice, to, payload)
    assert caught.value.code == code
    assert contents(sim, bob, alice.uid) == []


def test_a_shard_that_is_away_is_said(sim: Simulation) -> None:
    _, (alice, bob) = neighbours(sim)
    answers: list[Any] = []
    from lanying.bus.messages import Call, Reply, encode

    sim.hold.add(f"shard-{bob.shard.work.index}")
    alice.shard.dispatch.call(Call(9, "gateway", 5000, encode(Post(alice.uid, alice.app, bob.uid, text("x")))))
    sim.run()
    assert not [envelope for _, envelope in alice.shard.tick.envelopes if isinstance(envelope, Reply)]
    sim._calls.pop(max(sim._calls))(Reply(0, Refusal.UNAVAILABLE, "gone"))
    answers += [envelope for _, envelope in alice.shard.tick.envelopes if isinstance(envelope, Reply)]
    assert answers[0].code == 503


def test_conversations_are_deleted_on_all_devices(sim: Simulation) -> None:
    alice, bob = people(sim, "alice", "bob")
    device = alice.device()
    post(bob, alice.uid, text("x"))
    detail: dict[str, Any] = {"type": ConversationOperation.DELETE_EVERYWHERE, "xid": {"uid": bob.uid}}
    payload = Conversation(type=Conversation.OPER, operation=detail).SerializeToString()  # type: ignore[arg-type]
    post(alice, 0, payload, ns=Meta.CONVERSATION)
    assert device.metas[-1].ns == Meta.CONVERSATION
    assert ask(sim, alice.uid, ListUnread(alice.uid)) == []


def test_pages_go_back_to_the_first(sim: Simulation) -> None:
    for alice, bob in neighbours(sim):
        for number in range(7):
            post(alice, bob.uid, text(f"m{number}"))
        before, seen = 0, []
        while True:
            page = ask(sim, bob.uid, GetPage(bob.uid, alice.uid, before, 3))
            if not page.metas:
                break
            seen += [MessageBody.FromString(Meta.FromString(meta).payload).content for meta in page.metas]
            before = page.next_key
        assert seen == [f"m{number}" for number in range(6, -1, -1)]


def test_unread(sim: Simulation) -> None:
    alice, bob, carol = people(sim, "alice", "bob", "carol")
    gid = sim.group(alice, bob)
    first = post(bob, alice.uid, text("1"))
    post(bob, alice.uid, text("2"))
    post(alice, carol.uid, text("own"))
    post(bob, gid, text("g", type=MessageBody.GROUPCHAT))
    ask(sim, alice.uid, Notify(alice.uid, "lanying", text("n", is_system=True)))
    found = {row.peer: row.count for row in ask(sim, alice.uid, ListUnread(alice.uid))}
    assert found[bob.uid] == 2
    assert found[carol.uid] == 0
    assert found[0] == 1
    assert found[gid] >= 1
    post(alice, bob.uid, operation(MessageOperation.READ_ACK, first.mid, bob.uid))
    found = {row.peer: row.count for row in ask(sim, alice.uid, ListUnread(alice.uid))}
    assert found[bob.uid] == 1


def test_the_server_writes_in_conversation_0(sim: Simulation) -> None:
    [alice] = people(sim, "alice")
    device = alice.device()
    posted = ask(sim, alice.uid, Notify(alice.uid, "lanying", text("note", is_system=True), 3))
    again = ask(sim, alice.uid, Notify(alice.uid, "lanying", text("note", is_system=True), 3))
    assert again.mid == posted.mid
    meta = device.metas[-1]
    assert (getattr(meta, "from").uid, meta.to.uid, meta.id) == (0, alice.uid, posted.mid)
    assert MessageBody.FromString(meta.payload).is_system
    assert contents(sim, alice, 0) == ["note"]
    for uid, app in ((alice.uid, "other"), (alice.uid + 1024, "lanying")):
        with pytest.raises(CallError) as caught:
            ask(sim, uid, Notify(uid, app, text("x", is_system=True)))
        assert caught.value.code == 10000


def test_what_is_unread_is_counted_within_a_bound(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNREAD_LOOKED_AT", 25)
    alice, *others = people(sim, "alice", *(f"friend{n}" for n in range(6)))
    for n, other in enumerate(others):
        phone = other.device()
        for _ in range(10 + n):
            phone.send(alice, "hello")
    looked = 0
    older = history.older

    def counting(*arguments: Any) -> list[history.Listed]:
        nonlocal looked
        found = older(*arguments)
        looked += len(found)
        return found

    monkeypatch.setattr(history, "older", counting)
    asked = ListUnread(alice.uid)
    rows = decode_result(asked, sim.call(sim.map.shard_of(alice.uid), asked))
    assert {row.peer: row.count for row in rows} == {other.uid: 10 + n for n, other in enumerate(others)}
    assert looked <= 25 + 15


# --- broadcasts ------------------------------------------------------------------------------------------------------


def start(sim: Simulation, content: str = "to all", app: str = "lanying") -> int:
    found: int = ask(sim, 0, StartBroadcast(app, text(content, is_system=True)))
    return found


def step(sim: Simulation) -> None:
    for shard in sim.shards:
        shard.maintain()
    sim.run()


def states(sim: Simulation) -> list[str]:
    rows: list[str] = []
    for index in range(len(sim.shards)):
        rows += [
            job.state for job in msgspec.msgpack.decode(sim.call(index, ListBroadcasts()), type=list[BroadcastInfo])
        ]
    return rows


@pytest.mark.parametrize("crashing", [0, 1, 2, -1])
def test_a_broadcast_reaches_everybody_exactly_once(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch, crashing: int
) -> None:
    monkeypatch.setattr(limits, "BROADCAST_STEP", 3)
    users = people(sim, *(f"user{n}" for n in range(30)))
    stranger = sim.user("stranger", app="other")
    watching = users[0].device()
    start(sim)
    for round in range(20):
        for shard in sim.shards:
            shard.maintain()
        if round in (1, 3) and crashing >= 0:
            sim.crash(crashing)  # what was decided and not flushed is gone
        sim.run()
    assert set(states(sim)) == {"done"}
    for user in users:
        assert contents(sim, user, 0) == ["to all"]
    assert contents(sim, stranger, 0) == []
    if users[0].shard.work.index != crashing:
        assert watching.texts == ["to all"]


def test_a_broadcast_survives_a_crash_of_the_shard_that_was_asked(sim: Simulation) -> None:
    users = people(sim, *(f"user{n}" for n in range(9)))
    start(sim)
    sim.crash(0)
    sim.run()
    for _ in range(3):
        step(sim)
    assert [contents(sim, user, 0) for user in users] == [["to all"]] * 9


def test_a_broadcast_is_counted_and_cancelled(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BROADCAST_STEP", 1)
    users = people(sim, *(f"user{n}" for n in range(12)))
    count = 0
    for index in range(3):
        found = msgspec.msgpack.decode(sim.call(index, CountUsers("lanying", 0)), type=UserCount)
        assert found.next == 0
        count += found.count
    assert count == 12
    number = start(sim)
    step(sim)
    for index in range(3):
        assert msgspec.msgpack.decode(sim.call(index, CancelBroadcast(number, "other"))) is False
        assert msgspec.msgpack.decode(sim.call(index, CancelBroadcast(number, "lanying" if index else ""))) is True
        assert msgspec.msgpack.decode(sim.call(index, CancelBroadcast(number))) is False
    step(sim)
    assert states(sim) == ["cancelled"] * 3
    assert sum(len(contents(sim, user, 0)) for user in users) == 3


def test_old_broadcasts_are_forgotten(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BROADCASTS_KEPT", 2)
    people(sim, "alice", "bob")
    for number in range(5):
        start(sim, f"b{number}")
        step(sim)
    assert len(states(sim)) <= 3 * 3
