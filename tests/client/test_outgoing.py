"""Everything a client can send, as the server reads it."""

import pytest

from lanying.client import outgoing
from lanying.client.outgoing import SELF
from lanying.protocol.schema.xsync_pb2 import Conversation, ConversationOperation, MessageBody, MessageOperation, Meta

BOB, MID = 12, 5_000


def body(sent):
    assert sent.ns == Meta.MESSAGE
    return MessageBody.FromString(sent.payload)


@pytest.mark.parametrize(("group", "kind"), [(False, MessageBody.CHAT), (True, MessageBody.GROUPCHAT)])
def test_a_message_has_a_time_and_everything_it_was_given(group, kind):
    sent = outgoing.message(BOB, "hi", ctype=MessageBody.IMAGE, attachment="{}", ext="e", config='{"a":1}', group=group)
    found = body(sent)
    assert sent.timed and sent.to == BOB and not sent.recall
    assert (found.type, found.content, found.ctype) == (kind, "hi", MessageBody.IMAGE)
    assert (found.attachment, found.ext, found.config) == ("{}", "e", '{"a":1}')


@pytest.mark.parametrize(
    ("sent", "to", "kind", "conversation"),
    [
        (outgoing.read_ack(BOB, MID), BOB, MessageOperation.READ_ACK, 0),
        (outgoing.deliver_ack(BOB, MID), BOB, MessageOperation.DELIVER_ACK, 0),
        (outgoing.play_ack(BOB, MID), BOB, MessageOperation.PLAY_ACK, 0),
        (outgoing.read_all(BOB, MID), SELF, MessageOperation.READ_ALL, BOB),
        (outgoing.mark_unread(BOB, MID), SELF, MessageOperation.READ_CANCEL, BOB),
        (outgoing.delete(BOB, MID), SELF, MessageOperation.DELETE, BOB),
        (outgoing.recall(BOB, MID), BOB, MessageOperation.RECALL, BOB),
        (outgoing.append(BOB, MID, "more"), BOB, MessageOperation.APPEND, BOB),
        (outgoing.replace(BOB, MID, "other"), BOB, MessageOperation.REPLACE, BOB),
    ],
)
def test_an_operation_names_its_message_and_where_it_has_to_its_conversation(sent, to, kind, conversation):
    found = body(sent)
    assert found.type == MessageBody.OPER and not sent.timed and sent.to == to
    assert (found.operation.type, found.operation.mid, found.operation.xid.uid) == (kind, MID, conversation)
    assert sent.recall == (kind == MessageOperation.RECALL)


@pytest.mark.parametrize("active", [True, False])
def test_typing_may_be_lost(active):
    found = body(outgoing.typing(BOB, active))
    assert found.qos == MessageBody.AT_MOST_ONCE and not found.content
    assert ("typing" in found.ext.split(":")[1]) == active


@pytest.mark.parametrize(
    ("everywhere", "kind"), [(True, ConversationOperation.DELETE_EVERYWHERE), (False, ConversationOperation.DELETE)]
)
def test_a_conversation_is_deleted_here_or_everywhere(everywhere, kind):
    sent = outgoing.delete_conversation(BOB, everywhere)
    found = Conversation.FromString(sent.payload)
    assert sent.to is None and sent.ns == Meta.CONVERSATION
    assert (found.type, found.operation.type, found.operation.xid.uid) == (Conversation.OPER, kind, BOB)
