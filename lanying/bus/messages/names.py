"""Calls about names that lead to a user, codes that expire, and what an account keeps for its owner alone."""

from __future__ import annotations

import msgspec

from lanying.bus.messages.base import Request


class ClaimName(Request[bool], tag=260):
    """``name`` of ``app`` leads to ``uid`` from now on; sent to the shard of the name. Errors: 10004 it leads elsewhere.

    Names are user names and, with a kind in front of them (``tel:``, ``alias:``), whatever else finds exactly one user.
    """

    app: str
    name: str
    uid: int


class ReleaseName(Request[bool], tag=261):
    """``name`` does not lead to ``uid`` any more; sent to the shard of the name. Result: whether it did."""

    app: str
    name: str
    uid: int


class Extras(msgspec.Struct, array_like=True, frozen=True):
    """What an account has besides profile and settings: nobody else sees it.

    :ivar pins: pinned conversations, the latest first
    :ivar tags: push tags
    :ivar alias: push alias
    :ivar badge: number last reported for the app's icon
    :ivar former: user names from before, the latest first; they still lead here
    """

    pins: list[int] = []
    tags: list[str] = []
    alias: str = ""
    badge: int = 0
    former: list[str] = []


class GetExtras(Request[Extras], tag=264):
    """What an account has besides profile and settings."""

    uid: int


class Pin(Request[bool], tag=265):
    """Pin or unpin a conversation."""

    uid: int
    conversation: int
    pinned: bool


class EditTags(Request[bool], tag=266):
    """Add push tags and take some away, all with ``clear``."""

    uid: int
    add: list[str] = []
    remove: list[str] = []
    clear: bool = False


class SetPushAlias(Request[str], tag=267):
    """Set the push alias, whose name (``alias:``) is claimed already. Result: the alias before."""

    uid: int
    alias: str


class SetBadge(Request[bool], tag=268):
    """Set the badge number."""

    uid: int
    badge: int


class PutCode(Request[bool], tag=270):
    """Keep a short-lived secret under a code; sent to the shard of :func:`lanying.cluster.shardmap.slot_of_name` of ``kind:code``.
    Errors: 503 when there are too many.

    :ivar attempts: wrong answers :class:`CheckCode` takes before the code is gone
    :ivar peer: who wants it kept: where there are too many, those who have the most make room
    """

    app: str
    kind: str
    code: str
    value: str
    expires_ms: int
    attempts: int = 1
    peer: str = ""


class ReadCode(Request[str | None], tag=271):
    """The value of a code, None if it is unknown or has expired. ``take``: remove it too."""

    app: str
    kind: str
    code: str
    take: bool = False


class CheckCode(Request[bool], tag=272):
    """Is ``answer`` the value of a code? A right answer takes the code, wrong ones use up its attempts."""

    app: str
    kind: str
    code: str
    answer: str
