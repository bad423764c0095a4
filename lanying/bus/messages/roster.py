"""Calls about friends, block lists and what users note about each other; asked of the shard that owns ``uid``."""

from __future__ import annotations

import msgspec

from lanying.bus.messages.base import Request


class PeerState(msgspec.Struct, array_like=True, frozen=True):
    """What a sender's shard remembers about a recipient. ``version``: as in :class:`Barred`."""

    exists: bool
    barred: bool = False
    friend: bool = False
    version: int = 0


class PeerQuery(Request[PeerState], tag=40):
    """Whether ``sender`` (app ``app``) may write to ``uid``. Asked by a shard before a first message."""

    uid: int
    sender: int
    app: str


class ApplyFriend(Request[bool], tag=64):
    """``applicant`` (of ``app``) asks ``uid`` to be friends. Result: True, friends now; False, ``uid`` decides.

    Errors: 10000, 10005 friends already, 10006 blocked, 10012 refused. Sent to the shard of ``uid``.

    :ivar alias: remark the applicant wants for ``uid``
    :ivar by_admin: an administrator does it in the applicant's name, who has no budget for that
    """

    uid: int
    applicant: int
    app: str
    reason: str = ""
    alias: str = ""
    answer: str = ""
    by_admin: bool = False


class AnswerApplication(Request[bool], tag=65):
    """``uid`` accepts or declines the application of ``applicant``. Errors: 10007 when there is none."""

    uid: int
    applicant: int
    accept: bool
    reason: str = ""


class DeleteFriend(Request[bool], tag=66):
    """``uid`` ends the friendship with ``other``, for both. Result: whether they were friends."""

    uid: int
    other: int


class SetRelation(Request[bool], tag=67):
    """What ``uid`` notes about ``other``; None leaves a field."""

    uid: int
    other: int
    alias: str | None = None
    ext: str | None = None
    mute_notification: bool | None = None
    by_admin: bool = False


class Block(Request[bool], tag=68):
    """``uid`` blocks or unblocks ``other``."""

    uid: int
    other: int
    blocked: bool
    by_admin: bool = False


class ListFriends(Request[list[int]], tag=69):
    """Ids of the friends of ``uid`` above ``after``, ascending, at most ``limit``."""

    uid: int
    after: int = 0
    limit: int = 1 << 31


class ListBlocked(Request[list[int]], tag=70):
    """Ids ``uid`` has blocked, ascending."""

    uid: int


class ApplicationInfo(msgspec.Struct, array_like=True, frozen=True):
    """A friend request. ``status`` 0 waiting, 1 accepted, 2 declined; times in ms."""

    applicant: int
    status: int
    reason: str
    expired_time: int
    created_ms: int


class ListApplications(Request[list[ApplicationInfo]], tag=71):
    """Applications ``uid`` received, latest first, behind ``before`` (ms, applicant)."""

    uid: int
    before: tuple[int, int] | None = None
    limit: int = 1 << 31


class RelationInfo(msgspec.Struct, array_like=True, frozen=True):
    """What ``uid`` notes about somebody. ``relation``: 0 friend, 1 deleted, 2 stranger."""

    relation: int = 2
    alias: str = ""
    ext: str = ""
    mute_notification: bool = False
    blocked: bool = False


class GetRelations(Request[list[RelationInfo]], tag=72):
    """The relation of ``uid`` to each of ``others``, in their order, strangers included."""

    uid: int
    others: list[int]
