"""The ways into a group: founded with it, invited, applied, with a QR text. Pure."""

from __future__ import annotations

from lanying.base import limits
from lanying.base.budgets import charge
from lanying.base.errors import CallError
from lanying.base.ids import slot_of
from lanying.base.refusals import Refusal
from lanying.bus.messages import CreateGroup, GroupInfo, GroupRequest, GroupView, Invitee, Outcome
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import accounts
from lanying.shard.core.work import Work
from lanying.shard.groups import applications, invitations, members, records
from lanying.shard.groups import notices as tell
from lanying.shard.groups.applications import WAITING, MemberApplication
from lanying.shard.groups.records import ADMIN, MEMBER, Group, Member
from lanying.shard.groups.settings import TEXTS

N = pb.GroupNotice


def create(work: Work, request: CreateGroup) -> GroupView:
    """Found a group in the slot of its founder, who is on this shard."""
    accounts.need(work.store, request.uid, request.app)
    for field in ("description", "avatar"):
        records.check_text(field, getattr(request, field), TEXTS[field])
    name = records.name_of("name", request.name, TEXTS["name"])
    if not 0 <= request.kind <= records.TYPES:
        raise CallError(Refusal.INVALID_PARAMETER, "type is 0 private, 1 public, 2 chat room or 3 temporary")
    if not 1 <= request.capacity <= limits.GROUP_MEMBERS_MAX:
        raise CallError(Refusal.INVALID_PARAMETER, f"a group holds 1 to {limits.GROUP_MEMBERS_MAX} members")
    uid = request.uid
    if not request.by_admin:
        charge(work.budgets.founded, uid, work.tick.now, "groups founded today", app=request.app)
    others = list({it.uid: it for it in request.invitees if it.uid != uid}.values())
    if len(others) >= request.capacity:
        raise _full(request.capacity)
    direct = [it.uid for it in others if not it.confirm]
    asked = [it.uid for it in others if it.confirm]
    if len(asked) > limits.GROUP_INVITATIONS:
        raise CallError(
            Refusal.PERMISSION_DENIED, f"invite at most {limits.GROUP_INVITATIONS} users who want to be asked"
        )
    if not request.by_admin:
        charge(work.budgets.invited, uid, work.tick.now, "invitations today", len(others), app=request.app)
    gid = accounts.next_id(work, slot_of(uid))
    now_ms = work.now_ms
    info = GroupInfo(
        gid, request.app, uid, request.kind, request.capacity, now_ms, now_ms,
        count=1, name=name, description=request.description, avatar=request.avatar,
    )  # fmt: skip
    founder = Member(now_ms)
    records.save_member(work, gid, uid, founder)
    members.sit(work, gid, uid)
    work.notice(uid, uid, tell.NS, tell.notice(N.CREATED, gid, uid, [uid, *direct]))
    group = members.admit(work, Group(info), direct, uid, unasked=not request.by_admin)
    _invite(work, gid, uid, asked, "")
    records.save(work, group)
    return records.view(group, founder, uid)


def invite(work: Work, request: GroupRequest[object], invitees: list[Invitee], reason: str) -> list[Outcome]:
    """Bring users in: at once, or when they have agreed."""
    group, own = records.need(work, request, MEMBER)
    records.check_text("reason", reason, limits.REASON_CHARS)
    if not request.rights:
        charge(work.budgets.invited, request.uid, work.tick.now, "invitations today", len(invitees), app=request.app)
    if not _may_invite(group, own):
        raise records.refusal(ADMIN)
    gid = group.info.gid
    room = group.info.capacity - group.info.count
    outcomes: list[Outcome] = []
    direct: list[int] = []
    asked: list[int] = []
    for it in {it.uid: it for it in invitees}.values():
        refused = _barred(work, gid, it.uid, own >= ADMIN)
        if refused is None and len(direct) >= room:
            refused = Outcome(it.uid, Refusal.GROUP_FULL, _full(group.info.capacity).message)
        outcomes.append(refused or Outcome(it.uid))
        if refused is None:
            (asked if it.confirm else direct).append(it.uid)
    if asked:
        invitations.need_room(work, gid, len(asked))
    if own >= ADMIN:
        for uid in (*asked, *direct):
            members.forgive(work, gid, uid)
    _invite(work, gid, request.uid, asked, reason)
    if direct:
        records.save(work, members.admit(work, group, direct, request.uid, unasked=not request.rights))
    return outcomes


def answer_invitation(work: Work, request: GroupRequest[object], accept: bool) -> None:
    """The caller answers their invitation into the group: there is one at most."""
    group, _ = records.need(work, request)
    gid, uid = group.info.gid, request.uid
    found = invitations.waiting(work.store, gid, uid, work.now_ms)
    if found is None:
        raise CallError(
            Refusal.NO_SUCH_INVITATION, "this invitation is not there, was answered or has expired; ask for a new one"
        )
    inviter = found.inviter
    if not accept:
        invitations.close(work, gid, uid, 2)
        tell.each(work, [uid, inviter], uid, tell.notice(N.INVITE_DECLINED, gid, uid, [inviter]))
        return
    _need_room(group)
    tell.each(work, [uid, inviter], uid, tell.notice(N.INVITE_ACCEPTED, gid, uid, [inviter]))
    records.save(work, members.admit(work, group, [uid], inviter))


def apply(work: Work, request: GroupRequest[object], reason: str) -> bool:
    """The caller wants in. Are they a member now?"""
    group, _ = records.need(work, request)
    records.check_text("reason", reason, limits.REASON_CHARS)
    gid, uid = group.info.gid, request.uid
    _check_entry(work, gid, uid)
    if group.info.apply_approval == records.CLOSED:
        raise CallError(Refusal.PERMISSION_DENIED, "this group takes no applications, a member has to invite you")
    _need_room(group)
    if group.info.apply_approval == records.OPEN:
        records.save(work, members.admit(work, group, [uid]))
        return True
    found = applications.load(work.store, gid, uid)
    told = (
        found is not None and found.open_at(work.now_ms) and work.now_ms - found.created_ms < limits.REQUEST_NOTICE_MS
    )
    if found is None:
        applications.make_room(work, gid)
    expires_ms = work.now_ms + limits.INVITATION_LIFETIME_MS
    since_ms = found.created_ms if found is not None and told else work.now_ms
    applications.save(work, gid, uid, MemberApplication(WAITING, reason, since_ms, expires_ms))
    if not told:
        payload = tell.notice(N.APPLYED, gid, uid, (), reason)
        tell.each(work, [group.info.owner, *group.admins], uid, payload)
    return False


def answer_application(work: Work, request: GroupRequest[object], applicant: int, accept: bool) -> None:
    """An admin answers an application."""
    group, _ = records.need(work, request, ADMIN)
    gid, actor = group.info.gid, request.uid
    found = applications.load(work.store, gid, applicant)
    if found is None or not found.open_at(work.now_ms):
        raise CallError(Refusal.NO_SUCH_APPLICATION, "this application is not there, was answered or has expired")
    if accept:
        _need_room(group)
    kind = N.APPLY_ACCEPTED if accept else N.APPLY_DECLINED
    tell.each(work, [applicant, actor], actor, tell.notice(kind, gid, actor, [applicant]))
    if accept:
        members.forgive(work, gid, applicant)
        records.save(work, members.admit(work, group, [applicant]))
    else:
        members.settle(work, gid, applicant, accepted=False)


def may_invite(work: Work, request: GroupRequest[object]) -> None:
    """:raises CallError: 20011 or 20012"""
    group, own = records.need(work, request, MEMBER)
    if not _may_invite(group, own):
        raise records.refusal(ADMIN)


def join_by_code(work: Work, request: GroupRequest[object], inviter: int) -> None:
    """The caller scanned what ``inviter`` may still hand out: as good as an invitation they accepted."""
    group, _ = records.need(work, request)
    gid, uid = group.info.gid, request.uid
    if not _may_invite(group, records.role_in(work.store, group, inviter)):
        raise CallError(
            Refusal.WRONG_QR_CODE, "who made this QR text may not invite into the group any more, ask for a new one"
        )
    _check_entry(work, gid, uid)
    _need_room(group)
    records.save(work, members.admit(work, group, [uid], inviter))


# --- inside ----------------------------------------------------------------------------------------------------------


def _may_invite(group: Group, own: int) -> bool:
    return own >= (MEMBER if group.info.member_invite else ADMIN)


def _barred(work: Work, gid: int, uid: int, by_admin: bool) -> Outcome | None:
    """Why somebody may not come in."""
    if records.member(work.store, gid, uid) is not None:
        return Outcome(uid, Refusal.ALREADY_A_MEMBER, "already a member of this group")
    if members.is_blocked(work.store, gid, uid):
        return Outcome(
            uid, Refusal.ON_THE_BLOCK_LIST, "on the block list of this group, an admin has to unblock them first"
        )
    if not by_admin and members.kicks(work, gid, uid) >= limits.GROUP_KICKS:
        return Outcome(
            uid, Refusal.KICKED_TOO_OFTEN, "kicked too often to come back so soon, an admin has to invite them"
        )
    return None


def _check_entry(work: Work, gid: int, uid: int) -> None:
    refused = _barred(work, gid, uid, by_admin=False)
    if refused is not None:
        assert refused.refusal is not None
        raise CallError(refused.refusal, refused.reason)


def _need_room(group: Group) -> None:
    if group.info.count >= group.info.capacity:
        raise _full(group.info.capacity)


def _full(capacity: int) -> CallError:
    return CallError(Refusal.GROUP_FULL, f"this group is full, it holds {capacity} members")


def _invite(work: Work, gid: int, inviter: int, uids: list[int], reason: str) -> None:
    """Notify each invitee of their own invitation, once a day, and the inviter of all."""
    fresh = invitations.offer(work, gid, uids, inviter, reason)
    for uid in fresh:
        work.notice(uid, inviter, tell.NS, tell.notice(N.INVITED, gid, inviter, [uid], reason))
    if fresh:
        work.notice(inviter, inviter, tell.NS, tell.notice(N.INVITED, gid, inviter, fresh, reason))
