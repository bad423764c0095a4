"""What a received Meta stands for."""

import pytest

from lanying.client.events import Kicked, LoggedOut, LoginRefused, Message, Notice, Operation, Typing, read_meta
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta, UserNotice

ME, BOB, GROUP, MID = 11, 12, 99, 5_000


def meta(body, sender=BOB, to=ME, ns=Meta.MESSAGE):
    payload = body if isinstance(body, bytes) else body.SerializeToString()
    return Meta.FromString(frame.meta(MID, sender, 1, to, 1_000, ns, payload))


def text(kind=MessageBody.CHAT, **fields):
    return MessageBody(type=kind, content="hello", **fields)


@pytest.mark.parametrize(
    ("sender", "to", "kind", "peer"),
    [
        (BOB, ME, MessageBody.CHAT, BOB),
        (ME, BOB, MessageBody.CHAT, BOB),
        (BOB, GROUP, MessageBody.GROUPCHAT, GROUP),
        (ME, GROUP, MessageBody.GROUPCHAT, GROUP),
        (0, ME, MessageBody.CHAT, 0),
    ],
)
def test_a_message_is_in_the_conversation_with_the_other_user_or_the_group(sender, to, kind, peer):
    event = read_meta(meta(text(kind), sender, to), ME)
    assert isinstance(event, Message)
    assert (event.mid, event.peer, event.sender, event.text, event.time_ms) == (MID, peer, sender, "hello", 1_000)


@pytest.mark.parametrize(
    ("sender", "to", "named", "peer"),
    [
        (BOB, ME, 0, BOB),
        (BOB, ME, ME, BOB),  # Bob's device calls the conversation by my id
        (BOB, 0, 0, BOB),
        (BOB, GROUP, GROUP, GROUP),
        (ME, BOB, 0, BOB),
        (ME, ME, BOB, BOB),
    ],
)
def test_an_operation_is_in_the_conversation_of_its_message(sender, to, named, peer):
    operation = MessageOperation(type=MessageOperation.RECALL, mid=7)
    if named:
        operation.xid.uid = named
    event = read_meta(meta(MessageBody(type=MessageBody.OPER, operation=operation), sender, to), ME)
    assert isinstance(event, Operation)
    assert (event.kind, event.target, event.peer, event.sender) == (MessageOperation.RECALL, 7, peer, sender)


@pytest.mark.parametrize(
    ("ext", "expected"),
    [
        ('{"input_status":"typing"}', True),
        ('{"input_status":"nothing"}', False),
        ("{}", None),
        ("[1]", None),
        ("x", None),
    ],
)
def test_typing_is_a_message_of_nothing_that_may_be_lost(ext, expected):
    body = MessageBody(type=MessageBody.CHAT, ext=ext, qos=MessageBody.AT_MOST_ONCE)
    event = read_meta(meta(body), ME)
    assert event == Typing(BOB, expected) if expected is not None else isinstance(event, Message)


@pytest.mark.parametrize("kind", UserNotice.Type.values())
def test_a_user_notice_ends_the_login_or_is_a_notice(kind):
    event = read_meta(meta(UserNotice(type=kind), 0, ME, Meta.USER_NOTICE), ME)
    assert event == Kicked(kind) if kind in (0, 1, 2, 3, 4, 5, 10) else isinstance(event, Notice)


def test_other_namespaces_are_notices_and_are_not_parsed():
    event = read_meta(meta(b"\xff\xff", ns=Meta.INFO), ME)
    assert isinstance(event, Notice) and event.ns == Meta.INFO


@pytest.mark.parametrize("ns", [Meta.MESSAGE, Meta.USER_NOTICE])
def test_a_payload_that_cannot_be_read_is_a_notice_of_it_and_no_end(ns):
    event = read_meta(meta(b"\xff\xff", ns=ns), ME)
    assert isinstance(event, Notice) and event.meta.payload == b"\xff\xff"


def test_errors_say_what_the_server_said():
    assert str(LoginRefused(7, "banned")) == "banned (status 7)"
    assert "KICK" in str(LoggedOut(5)).upper()
    assert str(LoggedOut(77)).endswith("notice 77")
