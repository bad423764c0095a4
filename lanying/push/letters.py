"""What shards say about a push, as the decision wants it. Pure."""

from __future__ import annotations

from typing import Any

from lanying.bus.messages import AccountInfo, GroupPushFacts, OwedPush, PushFacts
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.push.decision import ConversationSettings, Letter, Recipient

GONE = "not pushed: the message was recalled or removed"
SEEN = "not pushed: a device has received it meanwhile"
OWN = "not pushed: the user wrote it"
NO_MEMBER = "not pushed: not a member of the group any more"
UNBOUND = "not pushed: no device has a push token any more"
UNWANTED = "not pushed: the settings of the recipient or the kind of message"
TOO_OLD = "not pushed: no vendor took it within a day"
NO_USER = "not pushed: the user is gone"
NO_GROUP = "not pushed: the group is gone"
NO_TASK = "not pushed: the task is gone"


def recipient(facts: PushFacts, ahead: int) -> Recipient:
    """:param ahead: pushes on their way to them that the badge does not count yet"""
    info = facts.info
    return Recipient(
        uid=info.uid,
        no_push=info.no_push,
        no_push_detail=info.no_push_detail,
        no_push_start_hour=info.no_push_start_hour,
        no_push_end_hour=info.no_push_end_hour,
        silence_start_time=info.silence_start_time,
        silence_end_time=info.silence_end_time,
        no_sounds=info.no_sounds,
        badge=facts.badge + ahead,
    )


def conversation(facts: PushFacts, group: GroupPushFacts | None) -> ConversationSettings:
    """What they have chosen for it."""
    if group is None:
        return ConversationSettings(muted=facts.muted)
    return ConversationSettings(group=True, push_mode=group.push_mode, mute_mode=group.mute_mode)


def sender(meta: bytes) -> int:
    """Who wrote it, 0: the server."""
    return int(getattr(Meta.FromString(meta), "from").uid)


def letter(meta: bytes, sender_name: str, from_admin: bool) -> Letter:
    """A stored message."""
    body = MessageBody.FromString(Meta.FromString(meta).payload)
    kind = MessageBody.ContentType.Name(body.ctype) if body.ctype in MessageBody.ContentType.values() else ""
    return Letter(kind, body.content, sender_name, body.config, from_admin)


def address(row: OwedPush) -> dict[str, Any]:
    """What the application opens when the push is tapped, as ``ext``: ``conversation`` is a user, a group, or 0 for the server."""
    return {"conversation": row.peer, "group": row.group, "message": row.mid}


def name_of(account: AccountInfo | None) -> str:
    """What somebody is called in pushes."""
    return "" if account is None else account.push_nick_name or account.nick_name or account.username


def missing(facts: PushFacts, group: GroupPushFacts | None) -> str:
    """Why there is nothing to push any more; empty: there is."""
    found = facts if group is None else group
    if group is not None and not group.member:
        return NO_MEMBER
    if not found.meta:
        return GONE
    if facts.acknowledged >= found.seq:
        return SEEN
    if sender(found.meta) == facts.info.uid:
        return OWN
    return "" if facts.devices else UNBOUND
