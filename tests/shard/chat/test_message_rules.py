"""Who may send what: words, size, rates, what only the server may say (xsync 6.1, 6.6, 6.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanying.base.errors import Refused
from lanying.bus import messages as m
from lanying.bus.messages import STATE_BANNED, STATE_FROZEN, STATE_NORMAL
from lanying.config.schema import Config, PolicySettings
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import (
    ConversationUnread,
    MessageBody,
    MessageOperation,
    Meta,
    Status,
    UnreadDL,
    UserNotice,
)
from lanying.shard.chat.unread import unread_list
from lanying.testing.simulation import Device, Simulation, User


def pair(shards: int = 2, **policy: object) -> tuple[Simulation, User, User]:
    sim = Simulation(shards, Config(policy=PolicySettings(**policy)))  # type: ignore[arg-type]
    alice = sim.user("alice")
    bob = next(u for n in range(50) if (u := sim.user(f"bob{n}")).shard is not alice.shard or shards == 1)
    return sim, alice, bob


@pytest.mark.parametrize("mask", [False, True])
def test_forbidden_words_are_refused_or_masked_also_in_edits(tmp_path: Path, mask: bool) -> None:
    file = tmp_path / "words"
    file.write_text("spam\n")
    _, alice, bob = pair(words_file=str(file), mask_words=mask)
    a, b = alice.device(), bob.device()
    mid = a.acknowledged[a.send(bob, "ham")]
    sent = a.send(bob, "eat spam")
    edited = a.operate(bob, MessageOperation.REPLACE, mid, content="spam spam")
    if mask:
        assert b.texts == ["ham", "eat ****"]
        assert b.history_texts(alice) == ["**** ****", "eat ****"]
    else:
        assert a.refused[sent][0] == a.refused[edited][0] == Status.WORD_CENSORED
        assert b.history_texts(alice) == ["ham"]


def test_a_message_has_a_largest_size_also_when_it_grows() -> None:
    _, alice, bob = pair(message_bytes=1024)
    a, b = alice.device(), bob.device()
    mid = a.acknowledged[a.send(bob, "x" * 900)]
    assert a.refused[a.send(bob, "x" * 1100)] == (Status.INVALID_PARAMETER, "a message has at most 1024 bytes")
    grown = a.operate(bob, MessageOperation.APPEND, mid, content="x" * 200)
    assert a.refused[grown][0] == Status.INVALID_PARAMETER
    assert [len(text) for text in b.history_texts(alice)] == [900]


def test_all_devices_of_a_user_share_his_rate() -> None:
    sim, alice, bob = pair(user_messages_per_s=5)
    devices = [alice.device(guid) for guid in ("one", "two")]
    sent = [(device, device.send(bob, str(n))) for n in range(4) for device in devices]
    refused = [device.refused[mid][0] for device, mid in sent if mid in device.refused]
    assert refused == [Status.RATE_LIMIT_EXCEEDED] * 3
    sim.advance(1)
    assert devices[0].send(bob, "later") in devices[0].acknowledged


def test_only_the_server_speaks_as_the_server() -> None:
    _, alice, bob = pair()
    b = bob.device()
    alice.device().send(bob, "obey", is_system=True)
    assert not MessageBody.FromString(b.metas[-1].payload).is_system


def system_message(user: User, text: str) -> int:
    shard = user.shard
    mid = shard.work.next_mid()
    body = MessageBody(type=MessageBody.CHAT, content=text, is_system=True)
    meta = frame.meta(mid, 0, 0, user.uid, shard.work.now_ms, Meta.MESSAGE, body.SerializeToString())
    shard.delivery.send_to(user.uid, 0, mid, meta)
    user.simulation.run()
    return mid


def unread(device: Device) -> dict[int, tuple[int, int]]:
    shown: dict[int, tuple[int, int]] = {}

    def read(entries: list[tuple[int, int, int]]) -> bytes:
        shown.update({uid: (count, kind) for uid, count, kind in entries})
        return frame.unread_list(entries)

    shard = device.user.shard
    device.session.listed = False
    listed = UnreadDL.FromString(frame.parse_frame(unread_list(shard.work, shard.pulls.loop, device.session))[1])
    return {entry.xid.uid: (entry.n, entry.type) for entry in listed.unread}


def test_system_messages_are_a_conversation_of_their_own() -> None:
    _, alice, _ = pair()
    a = alice.device()
    assert 0 not in unread(a) or unread(a)[0][1] == ConversationUnread.UNKNOWN
    mid = system_message(alice, "maintenance tonight")
    assert a.texts == ["maintenance tonight"]
    assert getattr(a.metas[-1], "from").uid == 0
    other = alice.device("other", automatic=False)
    assert unread(other)[0][1] == ConversationUnread.CHAT
    assert a.history_texts(0) == ["maintenance tonight"]
    assert MessageBody.FromString(a.history(0).metas[0].payload).status == MessageBody.UNREAD
    other.automatic = True
    a.operate(0, MessageOperation.READ_ACK, mid)
    assert other.operations == [(MessageOperation.READ_ACK, mid)]
    assert MessageBody.FromString(a.history(0).metas[0].payload).status == MessageBody.READ


def call(device: Device, peer: User, action: str, call_id: str) -> None:
    config = f'{{"action":"{action}","callId":"{call_id}","initiator":1}}'
    device.send(peer, "" if action == "call" else "timeout", ctype=MessageBody.RTC, config=config)


def test_an_old_call_does_not_ring_any_more_unless_its_end_comes_with_it() -> None:
    sim, alice, bob = pair()
    bob.device().leave()
    a = alice.device()

    def actions() -> list[str]:
        device = bob.device()
        found = [MessageBody.FromString(meta.payload).config for meta in device.metas if meta.ns == Meta.MESSAGE]
        device.leave()
        return [text.split('"')[3] for text in found]

    call(a, bob, "call", "1_1")
    sim.advance(30)
    assert actions() == ["call"]
    call(a, bob, "call", "1_2")
    sim.advance(61)
    assert actions() == []
    call(a, bob, "call", "1_3")
    call(a, bob, "hangup", "1_3")
    sim.advance(61)
    assert actions() == ["call", "hangup"]


@pytest.mark.parametrize("state", [STATE_BANNED, STATE_FROZEN])
def test_a_banned_or_frozen_user_is_told_so_and_gets_his_messages_later(state: int) -> None:
    sim, alice, bob = pair()
    device = bob.device()
    sim.call(bob.shard.work.index, m.SetState(bob.uid, state))
    notice = UserNotice.FromString(device.metas[-1].payload)
    assert (notice.type, device.closed) == (UserNotice.FROZEN, True)
    with pytest.raises(Refused) as refused:
        bob.device()
    assert refused.value.status == (Status.USER_BANNED if state == STATE_BANNED else Status.USER_FROZEN)
    a = alice.device()
    assert a.send(bob, "later") in a.acknowledged
    sim.call(bob.shard.work.index, m.SetState(bob.uid, STATE_NORMAL))
    bob.device()


@pytest.mark.parametrize("kind", MessageBody.ContentType.values())
def test_every_kind_of_content_arrives_as_it_was_sent(kind: int) -> None:
    _, alice, bob = pair()
    b = bob.device()
    attachment = '{"url":"https://x/?a=1","dName":"n","fLen":7,"lat":1.5,"lon":2.5,"addr":"here","new":{"key":[1]}}'
    config = f'{{"mentionList":[{bob.uid}],"pushMessage":"p","unknown":{{"kept":true}}}}'
    sent = {"ctype": kind, "attachment": attachment, "config": config, "ext": '{"ai":{"stream":true}}', "priority": 3}
    alice.device().send(bob, "text", **sent)
    for meta in (b.metas[-1], b.history(alice).metas[0]):
        body = MessageBody.FromString(meta.payload)
        assert {name: getattr(body, name) for name in sent} == sent
        assert (meta.to.uid, getattr(meta, "from").uid) == (bob.uid, alice.uid)


@pytest.mark.parametrize("ns", [Meta.RTC_SIGNAL, Meta.INFO, Meta.PUSH, Meta.UNKNOWN])
def test_what_is_not_for_this_server_is_acknowledged_and_dropped(ns: int) -> None:
    _, alice, bob = pair()
    a, other, b = alice.device(), alice.device("other"), bob.device()
    assert a.send(bob, ns=ns, payload=b"\x08\x01") in a.acknowledged
    assert other.metas == b.metas == []


def test_changes_of_an_account_reach_the_users_devices_that_are_there_and_no_other() -> None:
    sim, alice, bob = pair()
    one, two, other = alice.device("one"), alice.device("two"), bob.device()
    before = len(other.metas)

    def informed(device: Device) -> list[int]:
        return [UserNotice.FromString(meta.payload).type for meta in device.metas if meta.ns == Meta.USER_NOTICE]

    sim.call(alice.shard.work.index, m.UpdateAccount(alice.uid, {"nick_name": "Al"}))
    sim.call(alice.shard.work.index, m.UpdateAccount(alice.uid, {"nick_name": "Al"}))
    assert informed(one) == informed(two) == [UserNotice.INFO_UPDATED]
    sim.call(alice.shard.work.index, m.UpdateAccount(alice.uid, {"no_push": True}))
    assert informed(one) == informed(two) == [UserNotice.INFO_UPDATED] * 2
    assert not one.closed
    assert len(other.metas) == before
    late = alice.device("late")
    assert informed(late) == []
    assert other.texts == [] and one.send(bob, "still here") in one.acknowledged
