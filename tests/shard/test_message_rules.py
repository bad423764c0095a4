"""Who may send what: words, size, rates, what only the server may say (xsync 6.1, 6.6, 6.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanying.config import Config, Policy
from lanying.errors import ConfigError
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import ConversationUnread, MessageBody, MessageOperation, Meta, Status, UnreadDL
from lanying.shard.words import WordFilter
from lanying.testing.simulation import Device, Simulation, User


def pair(shards: int = 2, **policy: object) -> tuple[Simulation, User, User]:
    sim = Simulation(shards, Config(policy=Policy(**policy)))  # type: ignore[arg-type]
    alice = sim.user("alice")
    bob = next(u for n in range(50) if (u := sim.user(f"bob{n}")).shard is not alice.shard or shards == 1)
    return sim, alice, bob


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing here", None),
        ("", None),
        ("a BAD thing", "a *** thing"),
        ("badly said", None),
        ("bad", "***"),
        ("这是坏词吗", "这是**吗"),
        ("İbad bad", "İbad ***"),
        ("bad坏词bad", "********"),
    ],
)
def test_words_are_found_whole_and_in_place(text: str, masked: str | None) -> None:
    assert WordFilter(["Bad", "坏词"]).mask(text) == masked


def test_a_list_of_words_is_checked_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "words"
    with pytest.raises(ConfigError, match="give a file"):
        WordFilter.load(str(file))
    file.write_text("# only a comment\n\n")
    with pytest.raises(ConfigError, match="has no words"):
        WordFilter.load(str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        WordFilter.load(str(file))
    file.write_text("# comment\nspam\n")
    assert WordFilter.load(str(file)).mask("# spam") == "# ****"


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
    mid = shard.next_mid()
    body = MessageBody(type=MessageBody.CHAT, content=text, is_system=True)
    meta = frame.meta(mid, 0, 0, user.uid, shard.now_ms, Meta.MESSAGE, body.SerializeToString())
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
    listed = UnreadDL.FromString(frame.parse_frame(shard._unread_list(device.session))[1])
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
