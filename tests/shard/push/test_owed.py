"""Who is owed a push, until when, and what is said about it."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.figures import totals
from lanying.bus.messages import (
    BindPush,
    CountPushTask,
    Deliver,
    ExplainMessage,
    FinishPushes,
    GetGroupPushFacts,
    GetPushFacts,
    GetPushTask,
    GroupPushFacts,
    Kick,
    Notify,
    OrderPushes,
    OwedPush,
    PushDone,
    PushesWait,
    PushFacts,
    PushTargets,
    PushTask,
    PushTold,
    PutPushTask,
    Request,
    SetMember,
    SetPassword,
    SetRelation,
    SetState,
    TakenPushes,
    TakePushes,
    decode_result,
)
from lanying.bus.messages.base import R
from lanying.protocol.connection import XSYNC, Connection
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation, User, login

TOKEN = ("apns-1", "token-of-bob")


def token_of(name: str) -> tuple[str, str]:
    return TOKEN[0], f"token-of-{name}"


@pytest.fixture
def sim() -> Simulation:
    simulation = Simulation(3)
    switch_on(simulation)
    return simulation


def switch_on(sim: Simulation) -> None:
    for shard in sim.shards:
        shard.pushes.begin()


def ask(sim: Simulation, uid: int, request: Request[R]) -> R:
    return decode_result(request, sim.call(sim.map.shard_of(uid), request))


def absent(sim: Simulation, name: str, *, bound: bool = True) -> User:
    """Somebody who has been here with one device and is gone."""
    user = sim.user(name)
    device = user.device()
    if bound:
        ask(sim, user.uid, BindPush(user.uid, device.sn, *token_of(name)))
    device.leave()
    sim.run()
    return user


def taken(sim: Simulation, user: User, epoch: int = 0, after: int = 0) -> TakenPushes:
    found: TakenPushes = ask(sim, user.uid, TakePushes(epoch, after))
    return found


def owed(sim: Simulation, user: User) -> list[OwedPush]:
    return [row for row in taken(sim, user).rows if row.uid == user.uid]


def facts(sim: Simulation, row: OwedPush) -> PushFacts:
    found: PushFacts = ask(sim, row.uid, GetPushFacts(row.uid, row.mid, row.peer, not row.seq))
    return found


def group_facts(sim: Simulation, row: OwedPush) -> GroupPushFacts:
    found: GroupPushFacts = ask(sim, row.peer, GetGroupPushFacts(row.peer, row.mid, row.uid))
    return found


def text_of(meta: bytes) -> str:
    return MessageBody.FromString(Meta.FromString(meta).payload).content


def mid_of(device: Device, client_mid: int) -> int:
    return device.acknowledged[client_mid]


# --- who is owed one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bob", "bert", "ben", "bill"])  # some of them on alice's shard, some not
def test_an_absent_user_with_a_bound_device_is_owed_a_push(sim: Simulation, name: str) -> None:
    bob, alice = absent(sim, name), sim.user("alice").device()
    mid = mid_of(alice, alice.send(bob, "hello"))
    [row] = owed(sim, bob)
    assert (row.mid, row.peer, row.group) == (mid, alice.user.uid, False)
    found = facts(sim, row)
    assert (text_of(found.meta), found.devices, found.seq, found.acknowledged) == (
        "hello",
        [(1, *token_of(name))],
        1,
        0,
    )


def test_the_push_process_is_told_of_what_came_behind_what_it_took(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    found = taken(sim, bob)
    for text in ("it asked and nothing was owed", "it has taken one, and waits for the next"):
        alice.send(bob, text)
        assert sim.to_push == [PushesWait(bob.shard.work.index)], text
        alice.send(bob, "it will see this as well when it asks")
        assert len(sim.to_push) == 1
        found = taken(sim, bob, found.epoch, found.after)
        assert len(found.rows) == 2 and not found.more
        sim.to_push.clear()


def test_who_writes_is_owed_nothing(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    ask(sim, alice.user.uid, BindPush(alice.user.uid, alice.sn, "apns-1", "hers"))
    alice.send(bob, "hello")
    alice.leave()
    assert owed(sim, alice.user) == []


def test_who_is_connected_is_owed_nothing(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    phone = bob.device()
    alice.send(bob, "seen at once")
    assert owed(sim, bob) == []
    phone.leave()
    alice.send(bob, "not seen")
    assert len(owed(sim, bob)) == 1


def test_who_has_no_bound_device_is_owed_nothing_until_he_binds_one(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob", bound=False), sim.user("alice").device()
    alice.send(bob, "for nobody")
    assert owed(sim, bob) == []
    ask(sim, bob.uid, BindPush(bob.uid, 1, *TOKEN))
    alice.send(bob, "for the phone")
    assert len(owed(sim, bob)) == 1
    ask(sim, bob.uid, BindPush(bob.uid, 1, "", ""))
    alice.send(bob, "for nobody again")
    assert len(owed(sim, bob)) == 1


def test_without_a_push_process_nothing_is_noted() -> None:
    sim = Simulation(1)
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "hello")
    assert list(sim.stores[0].scan(schema.PUSHES, b"", b"\xff" * 17)) == []
    assert taken(sim, bob).rows == []  # this is a push process asking: from now on there is one
    alice.send(bob, "hello again")
    assert len(owed(sim, bob)) == 1


def test_typing_and_operations_are_not_pushed(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "typing", qos=MessageBody.AT_MOST_ONCE)
    mid = mid_of(alice, alice.send(bob, "hello"))
    alice.operate(bob, MessageOperation.RECALL, mid)
    assert [row.mid for row in owed(sim, bob)] == [mid]


def test_a_message_of_the_server_is_pushed(sim: Simulation) -> None:
    bob = absent(sim, "bob")
    payload = MessageBody(type=MessageBody.CHAT, content="closed on Monday", is_system=True).SerializeToString()
    ask(sim, bob.uid, Notify(bob.uid, bob.app, payload))
    [row] = owed(sim, bob)
    assert (row.peer, text_of(facts(sim, row).meta)) == (0, "closed on Monday")


def test_absent_members_of_a_group_are_owed_a_push_each(sim: Simulation) -> None:
    alice, others = sim.user("alice"), [absent(sim, f"member{n}") for n in range(8)]
    gid = sim.group(alice, *others)
    here = others[0].device()
    phone = alice.device()
    ask(sim, alice.uid, BindPush(alice.uid, phone.sn, "apns-1", "hers"))
    mid = mid_of(phone, phone.send(gid, "meeting", type=MessageBody.GROUPCHAT))
    assert [row.mid for user in (alice, others[0]) for row in owed(sim, user)] == []
    for user in others[1:]:
        [row] = owed(sim, user)
        assert (row.mid, row.peer, row.group) == (mid, gid, True)
        found = group_facts(sim, row)
        assert (text_of(found.meta), found.member, found.from_admin) == ("meeting", True, True)
        assert not facts(sim, row).meta
    here.leave()


def test_a_connection_that_dies_with_unacknowledged_messages_is_made_up_for(sim: Simulation) -> None:
    alice, bob = sim.user("alice"), absent(sim, "bob")
    gid = sim.group(alice, bob)
    phone, desk = bob.device(automatic=False), alice.device()
    for peer in (0, gid):
        phone.pull(peer)
    desk.send(bob, "lost on the way")
    last = mid_of(desk, desk.send(bob, "never sent"))
    meeting = mid_of(desk, desk.send(gid, "meeting", type=MessageBody.GROUPCHAT))
    assert owed(sim, bob) == []
    phone.leave()
    sim.run()
    assert sorted((row.mid, row.peer, row.group) for row in owed(sim, bob)) == [
        (last, alice.uid, False),
        (meeting, gid, True),
    ]


def test_a_device_that_has_everything_or_is_not_the_last_one_owes_nothing(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    phone, dead = bob.device(), bob.device("dead", automatic=False)
    alice.send(bob, "hello")
    dead.leave()
    phone.leave()
    sim.run()
    assert owed(sim, bob) == []


def test_who_logs_in_again_or_is_thrown_out_is_owed_nothing(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    bob.device(automatic=False)
    alice.send(bob, "hello")
    bob.device(automatic=False)
    assert owed(sim, bob) == []


# --- what decides later ------------------------------------------------------------------------------------------------


def test_settings_are_those_of_the_moment_it_is_sent(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "hello")
    [row] = owed(sim, bob)
    assert not facts(sim, row).muted
    ask(sim, bob.uid, SetRelation(bob.uid, alice.user.uid, alias="Al", mute_notification=True))
    found = facts(sim, row)
    assert (found.muted, found.alias) == (True, "Al")


def test_a_members_modes_and_the_senders_name_card_decide(sim: Simulation) -> None:
    alice, bob, carol = sim.user("alice"), absent(sim, "bob"), sim.user("carol")
    gid = sim.group(alice, bob, carol)
    ask(sim, gid, SetMember(gid, bob.uid, bob.app, 0, push_mode=4, mute_mode=1))
    ask(sim, gid, SetMember(gid, carol.uid, carol.app, 0, display_name="Caro"))
    carol.device().send(gid, "hello", type=MessageBody.GROUPCHAT)
    [row] = owed(sim, bob)
    found = group_facts(sim, row)
    assert (found.push_mode, found.mute_mode, found.from_admin, found.card) == (4, 1, False, "Caro")


def test_a_recalled_message_has_no_text_any_more(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    mid = mid_of(alice, alice.send(bob, "oops"))
    [row] = owed(sim, bob)
    alice.operate(bob, MessageOperation.RECALL, mid)
    assert facts(sim, row).meta == b""


def test_an_edited_message_is_pushed_as_it_is_now(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    mid = mid_of(alice, alice.send(bob, "helo"))
    [row] = owed(sim, bob)
    alice.operate(bob, MessageOperation.REPLACE, mid, content="hello")
    assert text_of(facts(sim, row).meta) == "hello"


def test_who_has_been_back_and_has_it_is_spared(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "hello")
    [row] = owed(sim, bob)
    bob.device().leave()
    found = facts(sim, row)
    assert found.acknowledged >= found.seq > 0


def test_a_deleted_user_is_said_to_be_gone(sim: Simulation) -> None:
    bob = absent(sim, "bob")
    with pytest.raises(CallError) as caught:
        ask(sim, bob.uid, GetPushFacts(bob.uid + (1 << 20) * 1024, 1, 1, False))
    assert caught.value.code == 10000


@pytest.mark.parametrize("name", ["bob", "bert", "ben", "bill"])
def test_a_phone_that_changes_hands_gets_no_messages_of_who_had_it_before(sim: Simulation, name: str) -> None:
    first, alice = absent(sim, name), sim.user("alice").device()
    token = token_of(name)
    alice.send(first, "for the first")
    [row] = owed(sim, first)
    second = absent(sim, "second", bound=False)
    ask(sim, second.uid, BindPush(second.uid, 1, *token))
    assert facts(sim, row).devices == []
    alice.send(first, "for nobody")
    assert len(owed(sim, first)) == 1
    logged_in(sim, first, "first", token)
    assert facts(sim, row).devices == [(1, *token)]
    alice.send(second, "for nobody")
    assert owed(sim, second) == []


def logged_in(sim: Simulation, user: User, guid: str, token: tuple[str, str]) -> None:
    """A login frame that says the token, as phones send with every login."""
    for _ in range(2):
        fd = sim.next_fd()
        session = user.shard.admit(fd, Connection(XSYNC), login(user, guid, token))
        sim.run()
        user.shard.left(session)
        sim.run()


def test_who_is_logged_out_is_not_pushed_any_more(sim: Simulation) -> None:
    alice = sim.user("alice").device()
    ends = {
        "kicked": lambda uid: Kick(uid, 1, 10),
        "kicked_everywhere": lambda uid: Kick(uid, 0, 10),
        "new_password": lambda uid: SetPassword(uid, "new", "hash", True),
        "banned": lambda uid: SetState(uid, 1),
    }
    for name, end in ends.items():
        user = absent(sim, name)
        ask(sim, user.uid, end(user.uid))
        alice.send(user, "hello")
        assert owed(sim, user) == [], name
    spared = absent(sim, "spared")
    ask(sim, spared.uid, Kick(spared.uid, 0, 10, except_sn=1))
    alice.send(spared, "hello")
    assert len(owed(sim, spared)) == 1


def test_who_is_banned_while_a_push_is_owed_is_not_pushed(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "hello")
    [row] = owed(sim, bob)
    ask(sim, bob.uid, SetState(bob.uid, 1))
    with pytest.raises(CallError) as caught:
        facts(sim, row)
    assert caught.value.code == 10000


# --- taken and finished ------------------------------------------------------------------------------------------------


def test_it_is_owed_until_it_is_said_to_be_done(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "one")
    alice.send(bob, "two")
    first = taken(sim, bob)
    assert len(first.rows) == 2 and not first.more
    assert taken(sim, bob, first.epoch, first.after).rows == []
    done = first.rows[0]
    ask(sim, bob.uid, FinishPushes([PushDone(bob.uid, done.mid, [], shown=True)]))
    assert [row.mid for row in owed(sim, bob)] == [first.rows[1].mid]
    assert facts(sim, first.rows[1]).badge == 1
    ask(sim, bob.uid, FinishPushes([PushDone(bob.uid, done.mid, [], shown=True)]))
    assert facts(sim, first.rows[1]).badge == 1, "said twice is done once"


def test_it_is_still_owed_after_a_crash_and_to_who_knows_only_the_shard_before(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "one")
    alice.send(bob, "two")
    before = taken(sim, bob)
    sim.advance(1)
    sim.crash(sim.map.shard_of(bob.uid))
    switch_on(sim)
    after = taken(sim, bob, before.epoch, before.after)
    assert after.epoch != before.epoch
    assert [row.mid for row in after.rows] == [row.mid for row in before.rows]


def test_many_come_in_pieces(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    sent = [mid_of(alice, alice.send(bob, str(n))) for n in range(limits.PUSHES_TAKEN + 5)]
    first = taken(sim, bob)
    rest = taken(sim, bob, first.epoch, first.after)
    assert first.more and not rest.more
    assert [row.mid for row in (*first.rows, *rest.rows)] == sent


def test_who_waits_is_told_once(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    first = taken(sim, bob)
    sim.hold.add("push")
    alice.send(bob, "one")
    alice.send(bob, "two")
    assert sim.drop("push") == 1
    assert len(taken(sim, bob, first.epoch, first.after).rows) == 2


def test_with_too_many_the_oldest_go(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSHES_OWED", 20)
    bob = absent(sim, "bob")
    senders = [sim.user(f"sender{n}").device() for n in range(45)]
    sent = [mid_of(sender, sender.send(bob, "hello")) for sender in senders]
    rows = owed(sim, bob)
    assert 18 <= len(rows) <= 20 and [row.mid for row in rows] == sent[-len(rows) :]
    store = sim.stores[sim.map.shard_of(bob.uid)]
    assert len(list(store.scan(schema.PUSHES, b"", b"\xff" * 17))) == len(rows)
    assert totals(bob.shard.pushes.figures()) == {"pushes_owed": len(rows), "pushes_dropped": 45 - len(rows)}


def test_with_too_many_the_newest_of_a_conversation_is_enough(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSHES_OWED", 20)
    bob, first, busy = absent(sim, "bob"), sim.user("first").device(), sim.user("busy").device()
    kept = mid_of(first, first.send(bob, "once"))
    sent = [mid_of(busy, busy.send(bob, str(n))) for n in range(20)]
    assert [row.mid for row in owed(sim, bob)] == [kept, *sent[-2:]]


def test_a_dead_token_is_unbound_unless_another_was_bound_meanwhile(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    alice.send(bob, "hello")
    [row] = owed(sim, bob)
    ask(sim, bob.uid, FinishPushes([PushDone(bob.uid, row.mid, [], gone=["an earlier one"])]))
    assert facts(sim, row).devices == [(1, *TOKEN)]
    ask(sim, bob.uid, FinishPushes([PushDone(bob.uid, row.mid, [], gone=[TOKEN[1]])]))
    assert facts(sim, row).devices == []
    alice.send(bob, "for nobody")
    assert owed(sim, bob) == []


def test_a_push_is_committed_with_its_message(sim: Simulation) -> None:
    """What was not flushed is gone with the message; what was acknowledged has its push."""
    bob = absent(sim, "bob")
    shard = bob.shard
    shard.delivery.delivered(Deliver(bob.uid, 77, 1 << 50, b"\x08\x01"))
    sim.crash(shard.work.index)
    switch_on(sim)
    assert owed(sim, bob) == []


# --- what operators see ------------------------------------------------------------------------------------------------


def test_why_tells_what_is_owed_and_what_became_of_it(sim: Simulation) -> None:
    bob, alice = absent(sim, "bob"), sim.user("alice").device()
    mid = mid_of(alice, alice.send(bob, "hello"))
    [told] = ask(sim, bob.uid, ExplainMessage(mid)).pushes
    assert (told.uid, told.what) == (bob.uid, "a push is owed")
    said = PushTold(mid, bob.uid, 1, "apns", "sent", sim.now_ms)
    ask(sim, bob.uid, FinishPushes([PushDone(bob.uid, mid, [said])]))
    assert ask(sim, bob.uid, ExplainMessage(mid)).pushes == [said]


# --- push tasks --------------------------------------------------------------------------------------------------------


def test_a_task_is_owed_to_its_audience_and_counts(sim: Simulation) -> None:
    bob, carol = absent(sim, "bob"), absent(sim, "carol", bound=False)
    task = PushTask(4711, bob.app, '{"title":"x"}', sim.now_ms)
    ask(sim, task.task_id, PutPushTask(task))
    wanted = PushTargets(bob.app, uids=[bob.uid, carol.uid])
    assert ask(sim, bob.uid, wanted).counts == {TOKEN[0]: 1}
    assert owed(sim, bob) == [], "counted is not ordered"
    ask(sim, bob.uid, OrderPushes(task.task_id, wanted))
    bob.shard.maintain()
    sim.run()
    [row] = owed(sim, bob)
    assert (row.mid, row.seq) == (4711, 0) and facts(sim, row).devices
    assert owed(sim, carol) == []
    ask(sim, 4711, CountPushTask(4711, targets={"apns": 2}))
    ask(sim, 4711, CountPushTask(4711, sent={"apns": 1}))
    ask(sim, 4711, CountPushTask(4711, sent={"apns": 1, "fcm": 1}))
    found = ask(sim, 4711, GetPushTask(4711, bob.app))
    assert (found.targets, found.sent) == ({"apns": 2}, {"apns": 2, "fcm": 1})
    assert ask(sim, 4711, GetPushTask(4711, "another app")) is None
    assert ask(sim, 4712, CountPushTask(4712, sent={"apns": 1})), "a task that is gone is none to count for"


def test_an_order_to_all_goes_on_step_by_step_over_a_crash_and_waits_while_much_is_owed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PUSH_TASK_STEP", 2)
    monkeypatch.setattr(limits, "PUSHES_OWED", 8)
    sim = Simulation(1)
    people = [absent(sim, f"user{n}") for n in range(7)]
    sim.call(0, OrderPushes(4711, PushTargets("lanying")))

    def owing(steps: int) -> set[int]:
        for _ in range(steps):
            sim.shards[0].maintain()
            sim.run()
        return {row.uid for row in taken(sim, people[0]).rows}

    assert len(owing(1)) == 2
    sim.crash(0)
    switch_on(sim)
    assert len(owing(1)) == 4
    assert len(owing(3)) == 4, "half of what may be owed is owed"
    first = owing(0)
    for uid in first:
        sim.call(0, FinishPushes([PushDone(uid, 4711, [])]))
    assert owing(3) == {user.uid for user in people} - first
    assert list(sim.stores[0].scan(schema.PUSH_ORDERS, b"", b"\xff" * 9)) == []


def test_old_tasks_make_room(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_TASKS_KEPT", 3)
    for n in range(5):
        ask(sim, 1024, PutPushTask(PushTask(1024 * n + 1024, "lanying", "{}", sim.now_ms)))
        sim.advance(1)
    kept = [ask(sim, 1024, GetPushTask(1024 * n + 1024)) is not None for n in range(5)]
    assert kept == [False, False, True, True, True]
    with pytest.raises(CallError):
        ask(sim, 1024, PutPushTask(PushTask(1024, "lanying", "x" * (limits.PUSH_ORDER_CHARS + 1), 0)))
