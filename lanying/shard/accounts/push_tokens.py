"""Whose a vendor's token is. Pure.

A phone has one token whoever uses it. Somebody who logs in on a phone another one has left behind without unbinding it must not go
on getting the other's messages: a token belongs to the user of an app who bound it last. Who that is is kept, like a user name, on
the shard of the token's name, which notifies the user before them that it is not theirs any more.
"""

from __future__ import annotations

import hashlib

from lanying.bus.messages import PushTokenBound
from lanying.cluster.shardmap import slot_of_name
from lanying.shard.accounts import accounts, devices
from lanying.shard.core.work import Work
from lanying.shard.store import schema

PREFIX = "push-token:"


def bound(work: Work, app: str, uid: int, notifier: str, token: str) -> None:
    """A device of ``uid`` has it now."""
    work.link(slot_of_name(app, _name(notifier, token)), PushTokenBound(app, uid, notifier, token))


def told(work: Work, message: PushTokenBound) -> None:
    """The shard of the token's name hears who has it, or that its last user has it no more."""
    if message.loser:
        devices.unbind_push(work, message.loser, message.token, message.notifier)
        return
    app, uid, name = message.app, message.uid, _name(message.notifier, message.token)
    before = accounts.find_name(work.store, app, name)
    if before == uid:
        return
    work.put(schema.NAMES, schema.name_key(slot_of_name(app, name), app, name), schema.pack_u64(uid))
    if before:
        work.link(before, PushTokenBound(app, uid, message.notifier, message.token, before))


def _name(notifier: str, token: str) -> str:
    """Names are compared without case, tokens are not; and they may be long."""
    return PREFIX + hashlib.sha256(f"{notifier}\0{token}".encode()).hexdigest()[:40]
