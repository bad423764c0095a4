"""Messages over REST (rest-api.md section 8): send, recall, acknowledge, history, unread; notices and broadcasts of the server.

What a user sends here goes through the same rules as what their devices send, also when an admin sends it in their name. Each is
answered when it is committed.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    CancelBroadcast,
    GetGroups,
    GetPage,
    ListUnread,
    Notify,
    Post,
    PostMany,
    PostResult,
    ReadUpTo,
    StartBroadcast,
)
from lanying.bus.shards import ask, ask_shard
from lanying.gateway.http.auth import authenticate, is_admin
from lanying.gateway.http.batch import each
from lanying.gateway.http.endpoint import GET, POST, UPDATE, Endpoint, PagedResult, RequestContext
from lanying.gateway.http.kinds import AnyDevice, EntityId, Positive
from lanying.gateway.http.params import peek
from lanying.gateway.services.user_cap import users
from lanying.protocol.schema.xsync_pb2 import (
    XID,
    Conversation,
    ConversationOperation,
    MessageBody,
    MessageOperation,
    Meta,
)

USER, GROUP = 1, 2
KINDS: Final = {*range(8)}
"""content_type of ordinary messages, TEXT to FORWARD, as MessageBody.ctype numbers them."""
OPERATIONS: Final = {
    9: MessageOperation.READ_ACK,
    10: MessageOperation.RECALL,
    11: MessageOperation.APPEND,
    12: MessageOperation.REPLACE,
}
WITH_CONTENT: Final = {MessageBody.TEXT, 11, 12}
"""Content types that are nothing without a content."""
WITH_ATTACHMENT: Final = {MessageBody.IMAGE, MessageBody.AUDIO, MessageBody.VIDEO, MessageBody.FILE}


Long = Annotated[str, msgspec.Meta(max_length=limits.REST_BODY_BYTES)]
"""A text as long as messages of this server may be (``policy.message_bytes``)."""


class Content(msgspec.Struct):
    """What a message says; which texts it needs depends on its kind."""

    content: Long | None = None
    attachment: Long | None = None
    ext: Long = ""
    config: Long = ""


class OutgoingContent(Content, kw_only=True):
    """A message to send, or an operation on one."""

    type: Annotated[int, msgspec.Meta(ge=USER, le=GROUP)]
    targets: list[int]
    content_type: Annotated[int, msgspec.Meta(ge=0, le=12)]
    from_user_id: int = 0
    related_mid: Positive | None = None
    online_only: bool = False
    transaction_id: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0


class ToAll(Content, kw_only=True):
    """A message to everybody."""

    type: Literal[1]
    content_type: Annotated[int, msgspec.Meta(ge=0, le=6)]


class OneBroadcast(msgspec.Struct):
    """A broadcast."""

    broadcast_id: Positive


class OneMessage(msgspec.Struct):
    """A message in a conversation."""

    conversation_id: EntityId
    msg_id: Positive


class ReadUntil(msgspec.Struct):
    """How far a conversation is read, by the device that has read it."""

    conversation_id: int = 0
    msg_id: int = 0
    device_sn: AnyDevice = 0


class HistoryBefore(msgspec.Struct):
    """A page of a conversation."""

    opposite_id: int
    msg_id_start: int
    limit: Positive


class OneConversation(msgspec.Struct):
    """A conversation."""

    conversation_id: EntityId


class Draft(msgspec.Struct):
    """What a request wants sent."""

    to_group: bool
    targets: list[int]
    content_type: int
    body: MessageBody
    transaction: int


async def send(context: RequestContext) -> object:
    """A message or an operation, to users or to groups."""
    if is_admin(context) and not context.acting_for:
        context.acting_for = peek(context.params, "from_user_id", str, "")
    await authenticate(context)
    draft = _draft(context, context.read(OutgoingContent))
    return await _post(context, context.uid, draft)


async def notify(context: RequestContext, given: OutgoingContent) -> object:
    """A message of the server: to users in the conversation with the server, or marked as such in the name of ``from_user_id``.

    To a group without ``from_user_id`` it comes in the name of its owner.
    """
    draft = _draft(context, given)
    if draft.content_type in OPERATIONS:
        raise CallError(Refusal.INVALID_PARAMETER, "content_type of a notice is 0 to 7")
    draft.body.is_system = True

    async def to_user(target: int) -> PostResult:
        payload = draft.body.SerializeToString()
        request = Notify(target, context.app.app_id, payload, _once(draft, target))
        return PostResult((await ask(context.shards, target, request)).mid)

    async def to_group(target: int) -> PostResult:
        found = await ask(context.shards, target, GetGroups(0, context.app.app_id, [target]))
        if not found:
            raise CallError(Refusal.NO_SUCH_GROUP)
        [row] = await _post_share(context, found[0].info.owner, draft, [target])
        return row

    if given.from_user_id:
        return await _post(context, given.from_user_id, draft)
    answers = await each(draft.targets, to_group if draft.to_group else to_user)
    return _answer(draft, [_refused(it) if isinstance(it, CallError) else it for it in answers])


async def broadcast(context: RequestContext, given: ToAll) -> object:
    """A message of the server to all users, sent in the background; ``send_num`` is how many there are now."""
    body = _body(context, given, given.content_type)
    body.type = MessageBody.CHAT
    body.is_system = True
    shards = context.shards
    app = context.app.app_id
    counts = await asyncio.gather(*(users(shards, shard, app) for shard in shards.map.peers))
    number = await ask(shards, 0, StartBroadcast(app, body.SerializeToString(), "rest"))
    return PagedResult({"send_num": sum(counts), "success": True}, {"broadcast_id": number})


async def cancel_broadcast(context: RequestContext, given: OneBroadcast) -> object:
    """Stop a broadcast of this app; what was delivered stays."""
    shards, number = context.shards, given.broadcast_id
    asked = (ask_shard(shards, shard, CancelBroadcast(number, context.app.app_id)) for shard in shards.map.peers)
    return any(await asyncio.gather(*asked))


async def recall(context: RequestContext, given: OneMessage) -> object:
    """Take a message back."""
    peer = given.conversation_id
    await _operate(context, peer, MessageOperation(type=MessageOperation.RECALL, mid=given.msg_id, xid=XID(uid=peer)))
    return True


async def acknowledge(context: RequestContext, given: ReadUntil) -> object:
    """Everything in a conversation up to a message is read, without ``msg_id`` up to its end."""
    if given.conversation_id:
        request = ReadUpTo(context.uid, context.app.app_id, given.conversation_id, given.msg_id, given.device_sn)
        await ask(context.shards, context.uid, request)
    return True


async def history(context: RequestContext, given: HistoryBefore) -> object:
    """A page of a conversation, newest first, older than ``msg_id_start`` (0: the newest)."""
    limit = min(given.limit, limits.HISTORY_PAGE)
    page = await ask(context.shards, context.uid, GetPage(context.uid, given.opposite_id, given.msg_id_start, limit))
    return {"messages": [_shown(meta) for meta in page.metas], "next_msg_id": page.next_key, "is_last": page.last}


async def delete_conversation(context: RequestContext, given: OneConversation) -> object:
    """Take a conversation off the list of all of the caller's devices; its history stays."""
    peer = given.conversation_id
    operation = ConversationOperation(type=ConversationOperation.DELETE_EVERYWHERE, xid=XID(uid=peer))
    payload = Conversation(type=Conversation.OPER, operation=operation).SerializeToString()
    request = Post(context.uid, context.app.app_id, 0, payload, ns=Meta.CONVERSATION)
    await ask(context.shards, context.uid, request)
    return True


async def unread(context: RequestContext) -> object:
    """The caller's conversations, latest first, with the number of unread messages."""
    found = await ask(context.shards, context.uid, ListUnread(context.uid))
    return [{"conversation_id": {"uid": row.peer}, "num": row.count} for row in found]


# --- inside ----------------------------------------------------------------------------------------------------------


def _draft(context: RequestContext, given: OutgoingContent) -> Draft:
    """What is to be sent. :raises CallError: 10002"""
    to_group, targets, content_type = given.type == GROUP, given.targets, given.content_type
    if not targets or not all(0 < target <= MAX_ENTITY_ID for target in targets):
        raise CallError(Refusal.INVALID_PARAMETER, "targets is a list of user or group ids that is not empty")
    if len(targets) > limits.MESSAGE_TARGETS:
        raise CallError(
            Refusal.INVALID_PARAMETER,
            f"targets has more than {limits.MESSAGE_TARGETS} ids, use several calls or a broadcast",
        )
    if content_type not in KINDS and content_type not in OPERATIONS:
        raise CallError(Refusal.INVALID_PARAMETER, "content_type is 0 to 7 or 9 to 12")
    body = _body(context, given, content_type)
    if content_type in OPERATIONS:
        if given.related_mid is None:
            raise CallError(
                Refusal.INVALID_PARAMETER, "related_mid is missing; it is the id of the message this is about"
            )
        body.type = MessageBody.OPER
        body.operation.type = OPERATIONS[content_type]
        body.operation.mid = given.related_mid
    else:
        body.type = MessageBody.GROUPCHAT if to_group else MessageBody.CHAT
    if given.online_only:
        body.qos = MessageBody.AT_MOST_ONCE
    return Draft(to_group, targets, content_type, body, given.transaction_id)


def _body(context: RequestContext, given: Content, content_type: int) -> MessageBody:
    """The content alone. :raises CallError: 10002, a text is missing or too long"""
    needed = (
        {"content"} if content_type in WITH_CONTENT else {"attachment"} if content_type in WITH_ATTACHMENT else set()
    )
    texts = {name: getattr(given, name) for name in Content.__struct_fields__}
    most = context.services.config.policy.message_bytes
    for name, text in texts.items():
        if text is None and name in needed:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is missing; content_type {content_type} needs it")
        if text is not None and len(text) > most:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a text of at most {most} characters")
    body = MessageBody(**texts)
    body.ctype = content_type if content_type in KINDS else MessageBody.COMMAND  # type: ignore[assignment]
    if content_type in (11, 12):
        body.ctype = MessageBody.TEXT
    return body


async def _post(context: RequestContext, sender: int, draft: Draft) -> PagedResult:
    """To every target in the name of ``sender``: a share of them per call. An operation names its target, so each is a call."""
    share = 1 if draft.body.type == MessageBody.OPER else limits.TARGETS_PER_CALL
    shares = [draft.targets[start : start + share] for start in range(0, len(draft.targets), share)]
    answers = await each(shares, lambda targets: _post_share(context, sender, draft, targets))
    results: list[PostResult] = []
    for targets, answer in zip(shares, answers, strict=True):
        results += [_refused(answer)] * len(targets) if isinstance(answer, CallError) else answer
    return _answer(draft, results)


async def _post_share(context: RequestContext, sender: int, draft: Draft, targets: list[int]) -> list[PostResult]:
    """One call. :raises CallError: none of them was sent"""
    body = draft.body
    if body.type == MessageBody.OPER:
        body = MessageBody()
        body.CopyFrom(draft.body)
        body.operation.xid.uid = targets[0]
    once = [_once(draft, target) for target in targets]
    request = PostMany(sender, context.app.app_id, targets, body.SerializeToString(), once, body.is_system)
    return await ask(context.shards, sender, request)


def _refused(error: CallError) -> PostResult:
    return PostResult(0, error.refusal, error.message, error.retry_s)


def _answer(draft: Draft, results: list[PostResult]) -> PagedResult:
    """With one target its refusal is the answer, else those refused are listed. :raises CallError: the refusal of the one"""
    refused = [
        {"id": target, "code": row.refusal.code, "reason": row.reason}
        for target, row in zip(draft.targets, results, strict=True)
        if row.refusal is not None
    ]
    if len(results) > 1:
        return PagedResult(not refused, {"msg_ids": [], "refused": refused})
    [only] = results
    if only.refusal is not None:
        raise CallError(only.refusal, only.reason, retry_s=only.retry_s)
    return PagedResult(True, {"msg_ids": [only.mid]})


async def _operate(context: RequestContext, to: int, operation: MessageOperation, sn: int = 0) -> None:
    body = MessageBody(type=MessageBody.OPER, ctype=MessageBody.COMMAND, operation=operation)
    request = Post(context.uid, context.app.app_id, to, body.SerializeToString(), sn=sn)
    await ask(context.shards, context.uid, request)


def _once(draft: Draft, target: int) -> int:
    """What recognises a repetition for one target; 0 without a transaction."""
    if not draft.transaction:
        return 0
    text = f"{draft.transaction} {draft.to_group} {target}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1 | 1


def _shown(stored: bytes) -> dict[str, Any]:
    """ConversationMessage of the REST reference."""
    meta = Meta.FromString(stored)
    body = MessageBody.FromString(meta.payload)
    sender = getattr(meta, "from")
    return {
        "msg_id": meta.id,
        "timestamp": meta.timestamp,
        "from_xid": {"uid": sender.uid, "device_sn": sender.deviceSN},
        "to_xid": {"uid": meta.to.uid, "device_sn": meta.to.deviceSN},
        "ctype": MessageBody.ContentType.Name(body.ctype),
        "content": body.content,
        "attachment": body.attachment,
        "config": body.config,
        "ext": body.ext,
        "status": MessageBody.Status.Name(body.status),
    }


ENDPOINTS: Final = (
    Endpoint(UPDATE, "/message/send", send, token=False, takes=OutgoingContent),
    Endpoint(UPDATE, "/message/notify", notify, admin=True),
    Endpoint(POST, "/message/broadcast", broadcast, admin=True),
    Endpoint(POST, "/message/broadcast/cancel", cancel_broadcast, admin=True),
    Endpoint(UPDATE, "/message/recall", recall),
    Endpoint(GET, "/message/ack", acknowledge),
    Endpoint(GET, "/message/conversation", history),
    Endpoint(("DELETE",), "/message/conversation", delete_conversation),
    Endpoint(GET, "/message/unread", unread),
)
