"""Calls about groups: founding, properties, announcements and files; asked of the shard that owns the group."""

from __future__ import annotations

import msgspec

from lanying.base.refusals import DONE, Refusal
from lanying.bus.messages.base import R, Request


class Invitee(msgspec.Struct, array_like=True, frozen=True):
    """A user to add to a group. ``confirm``: they are asked first, as strangers are, and users who want to be (``group_confirm``)."""

    uid: int
    confirm: bool


class Outcome(msgspec.Struct, array_like=True, frozen=True):
    """A row of a batch: what became of one user or file. ``refusal`` None: it was done; else why not, as a text in ``reason``."""

    id: int
    refusal: Refusal | None = None
    reason: str = ""

    @property
    def code(self) -> int:
        """REST code."""
        return DONE if self.refusal is None else self.refusal.code


class GroupInfo(msgspec.Struct, array_like=True, frozen=True):
    """A group under the names of the REST API, as the store keeps it and calls answer it.

    :ivar type: 0 private, 1 public, 2 chat room, 3 temporary
    :ivar status: 0 normal, 1 destroyed
    :ivar count: members, at most ``capacity``
    :ivar apply_approval: an application is 0 accepted at once, 1 decided by an admin, 2 refused
    :ivar ban_until_ms: only admins may write until then; 0 everybody may, -1 for ever
    """

    gid: int
    app: str
    owner: int
    type: int
    capacity: int
    created_ms: int
    updated_ms: int
    status: int = 0
    count: int = 0
    name: str = ""
    description: str = ""
    avatar: str = ""
    ext: str = ""
    member_invite: bool = True
    member_modify: bool = False
    read_ack: bool = False
    history_visible: bool = False
    hide_member_info: bool = False
    apply_approval: int = 1
    ban_until_ms: int = 0


class GroupView(msgspec.Struct, array_like=True, frozen=True):
    """A group as one user sees it. ``role`` 0 not a member, 1 member, 2 admin, 3 owner."""

    info: GroupInfo
    role: int = 0
    mute_mode: int = 0
    push_mode: int = 0


class CreateGroup(Request[GroupView], tag=110):
    """``uid`` founds a group, in the slot of ``uid``. Sent to the shard of ``uid``. ``by_admin``: in their name."""

    uid: int
    app: str
    kind: int
    name: str
    description: str
    avatar: str
    invitees: list[Invitee]
    capacity: int
    by_admin: bool = False


class GetGroups(Request[list[GroupView]], tag=111):
    """The groups of ``app`` among ``gids`` as ``uid`` sees them, destroyed ones included.

    :ivar uid: 0 sees everything, a user who is no member the name of a private group and no more
    """

    uid: int
    app: str
    gids: list[int]


class GroupRequest(Request[R]):
    """Base of what a user asks of one group. Errors: 20001 no such group, 20011 members, 20012 admins, 20013 owner only.

    :ivar rights: role the caller has besides their own: 2 when an admin token acts in this group
    """

    gid: int
    uid: int
    app: str
    rights: int


class EditGroup(GroupRequest[bool], tag=112):
    """Set one property of :class:`GroupInfo`. Result: whether that changed it."""

    name: str
    value: str | bool | int


class BanGroup(GroupRequest[int], tag=113):
    """Let only admins write, for some minutes, -1 for ever, 0 to end it. Result: ``ban_until_ms``."""

    minutes: int


class DestroyGroup(GroupRequest[bool], tag=114):
    """End the group."""


class TransferGroup(GroupRequest[bool], tag=115):
    """Make ``new_owner`` the owner. Errors: 20005, not a member."""

    new_owner: int


class SetAdmins(GroupRequest[list[Outcome]], tag=116):
    """Make members admins, or plain members again."""

    uids: list[int]
    granted: bool


class Announcement(msgspec.Struct, array_like=True, frozen=True):
    """An announcement an admin published."""

    id: int
    author: int
    title: str
    content: str
    created_ms: int


class PublishAnnouncement(GroupRequest[Announcement], tag=134):
    """Publish an announcement."""

    title: str
    content: str


class DeleteAnnouncement(GroupRequest[bool], tag=135):
    """Errors: 20020 when there is none."""

    id: int


class ListAnnouncements(GroupRequest[list[Announcement]], tag=136):
    """All announcements, oldest first."""


class SharedFile(msgspec.Struct, array_like=True, frozen=True):
    """The record of a shared file; ``size`` in bytes."""

    id: int
    uploader: int
    name: str
    size: int
    type: str
    url: str
    created_ms: int
    updated_ms: int


class ShareFile(GroupRequest[SharedFile], tag=137):
    """Note an uploaded file."""

    name: str
    size: int
    kind: str
    url: str


class DeleteFiles(GroupRequest[list[Outcome]], tag=138):
    """Delete shared files."""

    ids: list[int]


class RenameFile(GroupRequest[bool], tag=139):
    """Errors: 20022 when there is none, 20023 it is somebody else's."""

    id: int
    name: str


class ListFiles(GroupRequest[list[SharedFile]], tag=140):
    """All shared files, oldest first."""


class PublicPage(msgspec.Struct, array_like=True, frozen=True):
    """Ids of public groups. ``next``: where to go on, 0 at the end."""

    gids: list[int]
    next: int


class ListPublic(Request[PublicPage], tag=141):
    """Look at the next groups of a shard, above ``after``, for public ones of ``app``."""

    app: str
    after: int = 0


class GroupPage(msgspec.Struct, array_like=True, frozen=True):
    """Groups, destroyed ones included. ``next``: where to go on, 0 at the end."""

    groups: list[GroupInfo]
    next: int


class ListGroups(Request[GroupPage], tag=142):
    """Groups of ``app`` on one shard by id above ``after``, at most ``limit``; looks at a bounded number of rows."""

    app: str
    after: int = 0
    limit: int = 100
