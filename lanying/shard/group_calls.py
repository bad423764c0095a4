"""Who answers what: the calls and link messages of group administration, as two tables. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lanying.bus import messages as m
from lanying.shard import group_applications, group_entry, group_invitations, group_items, group_members, groups
from lanying.shard import group_settings as settings
from lanying.shard.ports import Work

Handler = Callable[[Work, Any], object]


def _done(change: Callable[[Work, Any], None]) -> Handler:
    """A handler that answers True."""

    def handler(work: Work, request: Any) -> bool:
        change(work, request)
        return True

    return handler


def _block(work: Work, request: m.BlockUsers) -> list[m.Outcome]:
    return (group_members.block if request.blocked else group_members.unblock)(work, request, request.uids)


HANDLERS: Final[dict[type[m.Message], Handler]] = {
    m.CreateGroup: group_entry.create,
    m.GetGroups: lambda work, r: groups.views(work.store, r.uid, r.app, r.gids),
    m.EditGroup: lambda work, r: settings.edit(work, r, r.name, r.value),
    m.BanGroup: lambda work, r: settings.ban_all(work, r, r.minutes),
    m.DestroyGroup: _done(settings.destroy),
    m.TransferGroup: _done(lambda work, r: settings.transfer(work, r, r.new_owner)),
    m.SetAdmins: lambda work, r: settings.set_admins(work, r, r.uids, r.granted),
    m.InviteMembers: lambda work, r: group_entry.invite(work, r, r.invitees, r.reason),
    m.AnswerInvitation: _done(lambda work, r: group_entry.answer_invitation(work, r, r.accept)),
    m.ApplyMember: lambda work, r: group_entry.apply(work, r, r.reason),
    m.AnswerApplicant: _done(lambda work, r: group_entry.answer_application(work, r, r.applicant, r.accept)),
    m.JoinByCode: _done(lambda work, r: group_entry.join_by_code(work, r, r.inviter)),
    m.MayInvite: _done(group_entry.may_invite),
    m.KickMembers: lambda work, r: group_members.kick(work, r, r.uids, r.reason),
    m.LeaveGroup: _done(group_members.leave),
    m.BlockUsers: _block,
    m.BanMembers: lambda work, r: group_members.ban(work, r, r.uids, r.minutes),
    m.SetMember: _done(group_members.set_own),
    m.ListMembers: lambda work, r: group_members.list_members(work, r, r.after, r.limit, r.banned),
    m.GetMembers: lambda work, r: group_members.get_members(work, r, r.uids),
    m.ListAdmins: group_members.list_admins,
    m.ListGroupBlocked: lambda work, r: group_members.list_blocked(work, r, r.after, r.limit),
    m.ListApplicants: group_applications.listed,
    m.ListInvitations: lambda work, r: group_invitations.listed(work.store, r.uid, r.before, r.limit),
    m.PublishAnnouncement: lambda work, r: group_items.publish(work, r, r.title, r.content),
    m.DeleteAnnouncement: _done(lambda work, r: group_items.withdraw(work, r, r.id)),
    m.ListAnnouncements: group_items.announcements,
    m.ShareFile: lambda work, r: group_items.share(work, r, r.name, r.size, r.kind, r.url),
    m.DeleteFiles: lambda work, r: group_items.unshare(work, r, r.ids),
    m.RenameFile: _done(lambda work, r: group_items.rename(work, r, r.id, r.name)),
    m.ListFiles: group_items.files,
    m.ListPublic: lambda work, r: groups.public(work.store, r.app, r.after),
}

LINK_CHANGES: Final[dict[type[m.Message], Callable[[Work, Any], None]]] = {
    m.Invited: group_invitations.received,
    m.Resign: group_members.resign,
}
