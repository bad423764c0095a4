"""Calls between the push process, the gateway and shards about vendor pushes."""

from __future__ import annotations

import msgspec

from lanying.base.ids import DeviceNumber
from lanying.bus.messages.accounts import AccountInfo
from lanying.bus.messages.base import Request


class PushTold(msgspec.Struct, array_like=True, frozen=True):
    """What became of a push: for ``why``.

    :ivar sn: device, 0: all of the user's
    :ivar channel: vendor; empty: sent to none
    :ivar what: in words
    """

    mid: int
    uid: int
    sn: DeviceNumber
    channel: str
    what: str
    time_ms: int


class BindPush(Request[bool], tag=269):
    """Where vendor pushes for a device of ``uid`` go; empty texts for nowhere. Errors: 10002 there is no such device."""

    uid: int
    device_sn: DeviceNumber
    notifier: str
    device_token: str


class PushTargetsPage(msgspec.Struct, array_like=True, frozen=True):
    """Numbers of devices by notifier; ``next``: the user to go on behind, 0 at the end."""

    counts: dict[str, int]
    next: int


class PushTargets(Request[PushTargetsPage], tag=274):
    """Devices of this shard that a push would go to.

    :ivar uids: these users, else all behind ``after``; with ``tags`` those that have one of them, with ``push_tokens`` those whose
        settings or devices have one of them
    """

    app: str
    uids: list[int] = []
    tags: list[str] = []
    push_tokens: list[str] = []
    after: int = 0


class TakenPushes(msgspec.Struct, array_like=True, frozen=True):
    """In the order they came to be owed. ``epoch`` changes when a shard starts again; ``after``: where to go on; ``more``: at once."""

    epoch: int
    after: int
    rows: list[OwedPush]
    more: bool


class TakePushes(Request[TakenPushes], tag=371):
    """Push process to shard: what is owed behind ``after`` of this ``epoch``. Takes nothing away."""

    epoch: int
    after: int


class OwedPush(msgspec.Struct, array_like=True, frozen=True):
    """User ``uid`` is owed a push; one row of ``pushes``.

    :ivar mid: the message, or the push task
    :ivar peer: conversation of the message: a user, a group, 0 the server
    :ivar seq: its position in there or a later one, 0: a push task
    :ivar group: the conversation is a group's
    """

    uid: int
    mid: int
    peer: int
    seq: int
    group: bool
    since_ms: int


class PushDone(msgspec.Struct, array_like=True, frozen=True):
    """A push has come to its end, or (not ``final``) has to wait longer.

    :ivar gone: tokens that are dead
    :ivar shown: a vendor took it, so the badge has gone up
    """

    uid: int
    mid: int
    told: list[PushTold]
    gone: list[str] = []
    shown: bool = False
    final: bool = True


class FinishPushes(Request[bool], tag=372):
    """Push process to the shard that owed them."""

    done: list[PushDone]


class PushFacts(msgspec.Struct, array_like=True, frozen=True):
    """The recipient, now.

    :ivar devices: serial number, notifier and token of those that are bound
    :ivar meta: the message as it is in their mailbox; empty: recalled or removed, or of a group
    :ivar seq: its position there, 0: of a group
    :ivar acknowledged: highest position in the conversation that one of their devices acknowledged
    :ivar muted: they want no pushes of this friend
    :ivar alias: the remark they gave this friend
    """

    info: AccountInfo
    badge: int
    devices: list[tuple[int, str, str]]
    meta: bytes = b""
    seq: int = 0
    acknowledged: int = 0
    muted: bool = False
    alias: str = ""


class GetPushFacts(Request[PushFacts], tag=373):
    """The facts a push decision needs; sent to the shard that owns ``uid``. Errors: 10000, no such user."""

    uid: int
    mid: int
    peer: int
    task: bool


class GroupPushFacts(msgspec.Struct, array_like=True, frozen=True):
    """The message in its group.

    :ivar meta: empty: recalled
    :ivar seq: position in the timeline
    :ivar member: the recipient still is one
    :ivar card: name card of the sender
    """

    meta: bytes
    seq: int
    member: bool
    push_mode: int = 0
    mute_mode: int = 0
    from_admin: bool = False
    card: str = ""


class GetGroupPushFacts(Request[GroupPushFacts], tag=374):
    """The same of a message in group ``gid``, asked of the group's shard. Errors: 20001 there is none."""

    gid: int
    mid: int
    uid: int


class PushTask(msgspec.Struct, array_like=True):
    """Record in ``push_tasks``: a push a back end ordered.

    :ivar order: JSON of the request's ``message``
    :ivar targets: devices by channel
    :ivar sent: of these, taken by the vendor
    """

    task_id: int
    app: str
    order: str
    created_ms: int
    targets: dict[str, int] = {}
    sent: dict[str, int] = {}


class PutPushTask(Request[bool], tag=375):
    """Keep a task, on the shard of its id. Errors: 10002 it is too long, 503 there are too many."""

    task: PushTask


class GetPushTask(Request[PushTask | None], tag=376):
    """A task of this app (empty: of any), None if there is none."""

    task_id: int
    app: str = ""


class OrderPushes(Request[bool], tag=378):
    """Owe the users of this shard that ``targets`` means the push of a task, a few at a time. Answered once this is kept.

    Record in ``push_orders``: ``targets.after`` is how far it has come.
    """

    task_id: int
    targets: PushTargets


class CountPushTask(Request[bool], tag=377):
    """Add to a task's counts; one that is gone is none to count for."""

    task_id: int
    targets: dict[str, int] = {}
    sent: dict[str, int] = {}
