"""Calls about messages: posting, history, unread counts, broadcasts."""

from __future__ import annotations

import msgspec

from lanying.base.ids import DeviceNumber
from lanying.base.refusals import Refusal
from lanying.bus.messages.base import Request
from lanying.bus.messages.operators import JobState


class Posted(msgspec.Struct, array_like=True, frozen=True):
    """An upload is taken: its message id, and its times in ms (``edit_ms`` of APPEND and REPLACE)."""

    mid: int
    time_ms: int
    edit_ms: int = 0


class FetchEntries(Request[list[bytes]], tag=101):
    """Encoded Metas (empty bytes: removed) of a timeline from position ``first`` on."""

    gid: int
    first: int
    count: int


class HistoryPage(msgspec.Struct, array_like=True, frozen=True):
    """Metas newest first and the next key. ``read``: ids of those somebody has read. ``last``: there is nothing older."""

    metas: list[bytes]
    next_key: int
    read: list[int] = []
    last: bool = False


class FetchHistory(Request[HistoryPage], tag=102):
    """A page of a group's history for a member, newest first, older than ``key``."""

    gid: int
    uid: int
    key: int
    amount: int


class Post(Request[Posted], tag=310):
    """``uid`` sends something, by the same rules as from a device.

    :ivar sn: device that sent it and does not get it back, 0 for none
    :ivar ns: Meta namespace, MESSAGE or CONVERSATION; ``payload`` is encoded accordingly
    :ivar client_mid: recognises a repetition, 0: none is
    :ivar system: may look like the server's (``is_system``)
    """

    uid: int
    app: str
    to: int
    payload: bytes
    ns: int = 1
    sn: DeviceNumber = 0
    client_mid: int = 0
    system: bool = False


class PostResult(msgspec.Struct, array_like=True, frozen=True):
    """A row of a post to many: message id, or why it was refused."""

    mid: int
    refusal: Refusal | None = None
    reason: str = ""
    retry_s: float = 0.0


class PostMany(Request[list[PostResult]], tag=309):
    """``uid`` sends the same to several users or groups, as one :class:`Post` each. Result: a row per target, in their order.

    :ivar client_mids: one per target, none where no repetition is recognised
    """

    uid: int
    app: str
    targets: list[int]
    payload: bytes
    client_mids: list[int]
    system: bool = False


class ReadUpTo(Request[bool], tag=308):
    """``uid`` has read a conversation up to ``mid`` (0: all of it); the author of that message is notified, except in groups.

    :ivar sn: device that has read it and need not hear of it, 0 for none
    """

    uid: int
    app: str
    peer: int
    mid: int
    sn: DeviceNumber = 0


class Notify(Request[Posted], tag=311):
    """The server itself writes to ``uid``. Errors: 10000 no such user."""

    uid: int
    app: str
    payload: bytes
    client_mid: int = 0


class GetPage(Request[HistoryPage], tag=312):
    """History of ``uid`` with a user or group, newest first, older than id ``before`` (0: the newest)."""

    uid: int
    peer: int
    before: int
    limit: int


class Unread(msgspec.Struct, array_like=True, frozen=True):
    """Messages not read yet with a user (0: the server) or group."""

    peer: int
    count: int


class ListUnread(Request[list[Unread]], tag=313):
    """Unread counts of ``uid``, latest conversation first."""

    uid: int


class StartBroadcast(Request[int], tag=314):
    """Write to every user of ``app``, in the background. Result: the broadcast's id. Any shard may be asked, once.

    :ivar who: on whose behalf: the name of a console's key, ``local``, or ``rest``
    """

    app: str
    payload: bytes
    who: str = ""


class BroadcastInfo(msgspec.Struct, array_like=True, frozen=True):
    """One shard's part of a broadcast; ``sent`` so far."""

    id: int
    app: str
    created_ms: int
    sent: int
    state: JobState
    who: str = ""


class ListBroadcasts(Request[list[BroadcastInfo]], tag=315):
    """This shard's part of each broadcast, latest first."""


class CancelBroadcast(Request[bool], tag=316):
    """Stop one shard's part of a broadcast. Result: whether it was running.

    :ivar app: only one of this app; empty: whichever
    """

    id: int
    app: str = ""
