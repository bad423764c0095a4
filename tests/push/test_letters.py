"""What shards say about a push, as the decision wants it."""

import msgspec
import pytest

from lanying.bus.messages import AccountInfo, GroupPushFacts, OwedPush, PushFacts
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.push import letters
from lanying.push.decision import Letter

BOB, ALICE = 12, 11


def stored(sender=ALICE, **fields):
    body = MessageBody(type=MessageBody.CHAT, content="hello", **fields).SerializeToString()
    return frame.meta(5, sender, 1, BOB, 1_000, Meta.MESSAGE, body)


INFO = AccountInfo(BOB, "app", "bob", no_push=True, no_push_start_hour=22)
FACTS = PushFacts(INFO, 3, [(1, "google", "token")], stored(), seq=9, acknowledged=8, muted=True)
GROUP = GroupPushFacts(stored(), 9, True, push_mode=1, mute_mode=2)


def test_the_badge_counts_what_is_on_its_way():
    found = letters.recipient(FACTS, 2)
    assert (found.uid, found.no_push, found.no_push_start_hour, found.badge) == (BOB, True, 22, 5)


def test_a_conversation_is_the_groups_if_there_is_one():
    assert letters.conversation(FACTS, None).muted
    found = letters.conversation(FACTS, GROUP)
    assert (found.group, found.push_mode, found.mute_mode) == (True, 1, 2)


def test_a_letter_is_the_stored_message_and_an_unknown_kind_is_none():
    body = MessageBody(ctype=MessageBody.IMAGE, content="look", config='{"a":1}')
    image = frame.meta(5, ALICE, 1, BOB, 1, Meta.MESSAGE, body.SerializeToString())
    found = letters.letter(image, "Alice", True)
    assert found == Letter("IMAGE", "look", "Alice", '{"a":1}', True)
    unknown = frame.meta(5, ALICE, 1, BOB, 1, Meta.MESSAGE, b"\x28\x63")  # ctype 99
    assert letters.letter(unknown, "", False).content_type == ""


@pytest.mark.parametrize(
    ("facts", "group", "reason"),
    [
        ({}, None, ""),
        ({"meta": b""}, None, letters.GONE),
        ({"acknowledged": 9}, None, letters.SEEN),
        ({"meta": stored(BOB)}, None, letters.OWN),
        ({"devices": []}, None, letters.UNBOUND),
        ({"meta": b"", "devices": []}, None, letters.GONE),
        ({"meta": b"", "seq": 0}, {}, ""),
        ({"meta": b"", "seq": 0}, {"member": False}, letters.NO_MEMBER),
        ({"meta": b"", "seq": 0}, {"meta": b""}, letters.GONE),
        ({"meta": b"", "seq": 0, "acknowledged": 9}, {}, letters.SEEN),
        ({"meta": b"", "seq": 0}, {"meta": stored(BOB)}, letters.OWN),
    ],
)
def test_why_there_is_nothing_to_push_any_more(facts, group, reason):
    changed = None if group is None else msgspec.structs.replace(GROUP, **group)
    assert letters.missing(msgspec.structs.replace(FACTS, **facts), changed) == reason


def test_names_and_what_opens():
    assert letters.name_of(None) == ""
    assert letters.name_of(INFO) == "bob"
    assert letters.name_of(msgspec.structs.replace(INFO, nick_name="Bobby")) == "Bobby"
    assert letters.name_of(msgspec.structs.replace(INFO, nick_name="Bobby", push_nick_name="B")) == "B"
    row = OwedPush(BOB, 5, 77, 9, True, 0)
    assert letters.address(row) == {"conversation": 77, "group": True, "message": 5}
    assert letters.sender(stored()) == ALICE
