"""Calls about the members of a group, invitations and applications; asked of the shard that owns the group."""

from __future__ import annotations

import msgspec

from lanying.bus.messages.base import Request
from lanying.bus.messages.groups import GroupRequest, Invitee, Outcome
from lanying.bus.messages.links import Invited


class Joined(Request[list[int]], tag=103):
    """Ids of the groups a user is a member of; asked of the shard of ``uid``."""

    uid: int


class CountGroups(Request[tuple[int, int]], tag=380):
    """How many groups a user is in because they agreed, and how many others put them in; asked of the shard of ``uid``."""

    uid: int


class InviteMembers(GroupRequest[list[Outcome]], tag=117):
    """Bring users in."""

    invitees: list[Invitee]
    reason: str = ""


class AnswerInvitation(GroupRequest[bool], tag=118):
    """``uid`` answers an invitation. Errors: 20015, there is none."""

    accept: bool


class ApplyMember(GroupRequest[bool], tag=119):
    """``uid`` wants to join. Result: whether ``uid`` is a member now."""

    reason: str = ""


class AnswerApplicant(GroupRequest[bool], tag=120):
    """An admin answers an application. Errors: 20014 when there is none."""

    applicant: int
    accept: bool


class JoinByCode(GroupRequest[bool], tag=121):
    """``uid`` comes with a QR text ``inviter`` has made. Errors: 20024 when that one may not invite any more."""

    inviter: int


class MayInvite(GroupRequest[bool], tag=122):
    """Check that ``uid`` may invite; an error says why not."""


class KickMembers(GroupRequest[list[Outcome]], tag=123):
    """Remove members."""

    uids: list[int]
    reason: str = ""


class LeaveGroup(GroupRequest[bool], tag=124):
    """``uid`` leaves. Errors: 20004 for the owner."""


class BlockUsers(GroupRequest[list[Outcome]], tag=125):
    """Put users on the group's block list, which removes members; or take them off."""

    uids: list[int]
    blocked: bool


class BanMembers(GroupRequest[list[Outcome]], tag=126):
    """Members may not write for some minutes, -1 for ever, 0 to end it."""

    uids: list[int]
    minutes: int


class SetMember(GroupRequest[bool], tag=127):
    """What ``uid`` sets for themselves in the group; None leaves it. Errors: 20003 no such push mode."""

    display_name: str | None = None
    mute_mode: int | None = None
    push_mode: int | None = None


class MemberInfo(msgspec.Struct, array_like=True, frozen=True):
    """A member. ``banned_until_ms`` 0 may write, -1 never again; ``joined_ms`` 0: is none."""

    uid: int
    joined_ms: int = 0
    display_name: str = ""
    banned_until_ms: int = 0


class MemberPage(msgspec.Struct, array_like=True, frozen=True):
    """Some of ``total`` members or users."""

    rows: list[MemberInfo]
    total: int


class ListMembers(GroupRequest[MemberPage], tag=128):
    """Members by id above ``after``. ``banned``: only those who may not write."""

    after: int = 0
    limit: int = 1 << 31
    banned: bool = False


class GetMembers(GroupRequest[list[MemberInfo]], tag=129):
    """A row for each of ``uids``, in their order; not a member: ``joined_ms`` 0."""

    uids: list[int]


class ListAdmins(GroupRequest[list[MemberInfo]], tag=130):
    """The admins, without the owner."""


class ListGroupBlocked(GroupRequest[MemberPage], tag=131):
    """The block list by id above ``after``; ``joined_ms`` is when they were blocked."""

    after: int = 0
    limit: int = 1 << 31


class Applicant(msgspec.Struct, array_like=True, frozen=True):
    """An application to join. ``status`` 0 waiting, 1 accepted, 2 declined."""

    gid: int
    uid: int
    status: int
    reason: str
    created_ms: int
    expires_ms: int


class ListApplicants(Request[list[Applicant]], tag=132):
    """Applications to those of ``gids`` that ``uid`` administers, latest first, behind ``before`` (ms, gid, applicant).

    :ivar rights: as in :class:`GroupRequest`, for group ``rights_in``
    """

    uid: int
    app: str
    gids: list[int]
    before: tuple[int, int, int] | None = None
    limit: int = 1 << 31
    rights: int = 0
    rights_in: int = 0


class ListInvitations(Request[list[Invited]], tag=133):
    """Invitations ``uid`` has received, latest first, behind ``before`` (ms, gid).

    Sent to the shard of ``uid``.
    """

    uid: int
    before: tuple[int, int] | None = None
    limit: int = 1 << 31
