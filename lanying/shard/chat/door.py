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
_CTYPES: Final = frozenset(MessageBody.ContentType.values())
_QOS: Final = frozenset(MessageBody.QoS.values())
_OPERATIONS: Final = frozenset(MessageOperation.OpType.values())


def body_of(meta: Meta, *, system: bool = False) -> MessageBody:
    """The body of an upload as it may be kept; ``meta.payload`` becomes that, too.

    :param system: the server itself says it
    :raises Refused: it cannot be kept; the text says what is wrong with it
    """
    try:
        body = MessageBody.FromString(meta.payload)
    except Exception as error:
        raise Refused(Refusal.MALFORMED, "payload is not a MessageBody") from error
    if body.status or body.edit_timestamp or (body.is_system and not system):
        for name in SERVER_ONLY:
            if name != "is_system" or not system:
                body.ClearField(name)
        meta.payload = body.SerializeToString()
    if body.ctype not in _CTYPES or body.qos not in _QOS:
        raise Refused(Refusal.INVALID_PARAMETER, "ctype and qos are values of the schema")
    if body.config:
        _check_json("config", body.config)
    if body.ext:
        _check_json("ext", body.ext)
    if body.attachment:
        _check_json("attachment", body.attachment)
    if body.HasField("operation"):
        operation = body.operation
        if operation.mid > LARGEST_ID or operation.xid.uid > LARGEST_ID:
            raise Refused(Refusal.INVALID_PARAMETER, f"ids of an operation are at most {LARGEST_ID}")
        if operation.type not in _OPERATIONS:
            raise Refused(Refusal.INVALID_PARAMETER, f"operation {operation.type} is not known")
    return body


def _check_json(name: str, text: str) -> None:
    if jsons.too_deep(text):
        raise Refused(Refusal.INVALID_PARAMETER, f"{name} is nested deeper than {jsons.DEEPEST} levels")
