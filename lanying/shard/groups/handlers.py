"""Who answers what: the calls and link messages of group administration, as two tables. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from lanying.base.budgets import charge
from lanying.bus import messages as m
from lanying.bus.messages.base import answers
from lanying.shard.core.work import Work
from lanying.shard.groups import applications, entry, invitations, items, members, records, settings

R = TypeVar("R")
Handler = Callable[[Work, Any], object]


def _done(change: Callable[[Work, Any], object]) -> Callable[[Work, Any], bool]:
    """A handler that answers True."""

    def handler(work: Work, request: Any) -> bool:
        change(work, request)
        return True

    return handler


def _counted(handler: Callable[[Work, Any], R]) -> Callable[[Work, Any], R]:
    """A handler of a change that members hear of: it counts for whoever asks for it, unless an administrator does."""

    def counting(work: Work, request: Any) -> R:
        if not request.rights:
            charge(work.budgets.changes, request.uid, work.tick.now, "changes of groups")
        return handler(work, request)

    return counting


def _block(work: Work, request: m.BlockUsers) -> list[m.Outcome]:
    return (members.block if request.blocked else members.unblock)(work, request, request.uids)


HANDLERS: Final[dict[type[m.Message], Handler]] = dict(
    [
        answers(m.CreateGroup)(entry.create),
        answers(m.GetGroups)(lambda work, r: records.views(work.store, r.uid, r.app, r.gids)),
        answers(m.CountGroups)(lambda work, r: work.mailboxes.places(r.uid)),
        answers(m.EditGroup)(_counted(lambda work, r: settings.edit(work, r, r.name, r.value))),
        answers(m.BanGroup)(_counted(lambda work, r: settings.ban_all(work, r, r.minutes))),
        answers(m.DestroyGroup)(_done(settings.destroy)),
        answers(m.TransferGroup)(_counted(_done(lambda work, r: settings.transfer(work, r, r.new_owner)))),
        answers(m.SetAdmins)(_counted(lambda work, r: settings.set_admins(work, r, r.uids, r.granted))),
        answers(m.InviteMembers)(lambda work, r: entry.invite(work, r, r.invitees, r.reason)),
        answers(m.AnswerInvitation)(_done(lambda work, r: entry.answer_invitation(work, r, r.accept))),
        answers(m.ApplyMember)(lambda work, r: entry.apply(work, r, r.reason)),
        answers(m.AnswerApplicant)(_done(lambda work, r: entry.answer_application(work, r, r.applicant, r.accept))),
        answers(m.JoinByCode)(_done(lambda work, r: entry.join_by_code(work, r, r.inviter))),
        answers(m.MayInvite)(_done(entry.may_invite)),
        answers(m.KickMembers)(_counted(lambda work, r: members.kick(work, r, r.uids, r.reason))),
        answers(m.LeaveGroup)(_done(members.leave)),
        answers(m.BlockUsers)(_counted(_block)),
        answers(m.BanMembers)(_counted(lambda work, r: members.ban(work, r, r.uids, r.minutes))),
        answers(m.SetMember)(_counted(_done(members.set_own))),
        answers(m.ListMembers)(lambda work, r: members.list_members(work, r, r.after, r.limit, r.banned)),
        answers(m.GetMembers)(lambda work, r: members.get_members(work, r, r.uids)),
        answers(m.ListAdmins)(members.list_admins),
        answers(m.ListGroupBlocked)(lambda work, r: members.list_blocked(work, r, r.after, r.limit)),
        answers(m.ListApplicants)(applications.listed),
        answers(m.ListInvitations)(lambda work, r: invitations.listed(work.store, r.uid, r.before, r.limit)),
        answers(m.PublishAnnouncement)(_counted(lambda work, r: items.publish(work, r, r.title, r.content))),
        answers(m.DeleteAnnouncement)(_counted(_done(lambda work, r: items.withdraw(work, r, r.id)))),
        answers(m.ListAnnouncements)(items.announcements),
        answers(m.ShareFile)(_counted(lambda work, r: items.share(work, r, r.name, r.size, r.kind, r.url))),
        answers(m.DeleteFiles)(_counted(lambda work, r: items.unshare(work, r, r.ids))),
        answers(m.RenameFile)(_counted(_done(lambda work, r: items.rename(work, r, r.id, r.name)))),
        answers(m.ListFiles)(items.files),
        answers(m.ListGroups)(lambda work, r: records.page(work.store, r.app, r.after, r.limit)),
        answers(m.ListPublic)(lambda work, r: records.public(work, r.app, r.after)),
    ]
)

LINK_CHANGES: Final[dict[type[m.Message], Handler]] = {
    m.Invited: invitations.received,
    m.Resign: members.resign,
}
