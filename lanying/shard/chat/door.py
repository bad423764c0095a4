"""What is let in of what clients write (xsync 6.1): asked before anything is decided about an upload. Pure.

Ids of users, messages and devices' own ids fit a signed number: what is stored adds to them, and clients of some languages have no other.
What only the server may say is cleared and not refused: old clients send a message they got with its status on it.
"""

from __future__ import annotations

from typing import Final

from lanying.base import jsons
from lanying.base.errors import Refused
from lanying.base.refusals import Refusal
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta

LARGEST_ID: Final = (1 << 63) - 1
SERVER_ONLY: Final = ("is_system", "status", "edit_timestamp")
"""Fields of a MessageBody that the server sets."""
JSON_FIELDS: Final = ("config", "attachment", "ext")
"""Texts that somebody reads as JSON, if they are."""
_MOST_CTYPE: Final = max(MessageBody.ContentType.values())
_MOST_QOS: Final = max(MessageBody.QoS.values())
_OPERATIONS: Final = frozenset(MessageOperation.OpType.values())
_OPER: Final = MessageBody.OPER


def body_of(meta: Meta, *, system: bool = False) -> MessageBody:
    """The body of an upload as it may be kept; ``meta.payload`` becomes that, too.

    :param system: the server itself says it
    :raises Refused: it cannot be kept; the text says what is wrong with it
    """
    payload = meta.payload
    try:
        body = MessageBody.FromString(payload)
    except Exception as error:
        raise Refused(Refusal.MALFORMED, "payload is not a MessageBody") from error
    if body.status or body.edit_timestamp or (body.is_system and not system):
        for name in SERVER_ONLY:
            if name != "is_system" or not system:
                body.ClearField(name)
        meta.payload = body.SerializeToString()
    if not (0 <= body.ctype <= _MOST_CTYPE and 0 <= body.qos <= _MOST_QOS):
        raise Refused(Refusal.INVALID_PARAMETER, "ctype and qos are values of the schema")
    # Most messages have none of these texts; the bytes have all brackets that the texts have.
    if (body.ext or body.config or body.attachment) and payload.count(b"[") + payload.count(b"{") > jsons.DEEPEST:
        for name in JSON_FIELDS:
            if jsons.too_deep(getattr(body, name)):
                raise Refused(Refusal.INVALID_PARAMETER, f"{name} is nested deeper than {jsons.DEEPEST} levels")
    if body.type == _OPER:
        _check_operation(meta, body.operation)
    return body


def _check_operation(meta: Meta, operation: MessageOperation) -> None:
    if max(meta.to.uid, operation.mid, operation.xid.uid) > LARGEST_ID:
        raise Refused(Refusal.INVALID_PARAMETER, f"ids of an operation are at most {LARGEST_ID}")
    if operation.type not in _OPERATIONS:
        raise Refused(Refusal.INVALID_PARAMETER, f"operation {operation.type} is not known")
