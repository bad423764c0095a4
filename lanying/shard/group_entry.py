"""The ways into a group: founded with it, invited, applied, with a QR text. Pure."""

from __future__ import annotations

from lanying import limits
from lanying.bus.messages import CreateGroup, GroupInfo, GroupRequest, GroupView, Invitee, Outcome
from lanying.errors import CallError
from lanying.ids import slot_of
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard import accounts, group_applications, group_invitations, group_members, groups
from lanying.shard import group_notices as tell
from lanying.shard.group_applications import WAITING, Application
from lanying.shard.group_settings import TEXTS
from lanying.shard.groups import ADMIN, MEMBER, Group, Member
from lanying.shard.ports import Work

N = pb.GroupNotice


def create(work: Work, request: CreateGroup) -> GroupView:
    """Found a group in the slot of its founder, who is on this shard."""
    accounts.need(work.store, request.uid, request.app)
    for name in ("name", "description", "avatar"):
        groups.check_text(name, getattr(request, name), TEXTS[name])
    if not 0 <= request.kind <= groups.TYPES:
        raise CallError(10002, "type is 0 private, 1 public, 2 chat room or 3 temporary")
    if not 1 <= request.capacity <= limits.GROUP_MEMBERS_MAX:
        raise CallError(10002, f"a group holds 1 to {limits.GROUP_MEMBERS_MAX} members")
    uid = request.uid
    others = list({it.uid: it for it in request.invitees if it.uid != uid}.values())
    if len(others) >= request.capacity:
        raise _full(request.capacity)
    direct = [it.uid for it in others if not it.confirm]
    asked = [it.uid for it in others if it.confirm]
    if len(asked) > limits.GROUP_INVITATIONS:
        raise CallError(10010, f"invite at most {limits.GROUP_INVITATIONS} users who want to be asked")
    gid = accounts.next_id(work, slot_of(uid))
    now_ms = work.now_ms
    info = GroupInfo(
        gid, request.app, uid, request.kind, request.capacity, now_ms, now_ms,
        count=1, name=request.name, description=request.description, avatar=request.avatar,
    )  # fmt: skip
    founder = Member(now_ms)
    groups.save_member(work, gid, uid, founder)
    group_members.sit(work, gid, uid)
    work.notice(uid, uid, tell.NS, tell.notice(N.CREATED, gid, uid, [uid, *direct]))
    group = group_members.admit(work, Group(info), direct, uid)
    _invite(work, gid, uid, asked, "")
    groups.save(work, group)
    return groups.view(group, founder, uid)


def invite(work: Work, request: GroupRequest, invitees: list[Invitee], reason: str) -> list[Outcome]:
    """Bring users in: at once, or when they have agreed."""
    group, own = groups.need(work, request, MEMBER)
    groups.check_text("reason", reason, limits.TEXT_FIELD_CHARS)
    if not _may_invite(group, own):
        raise groups.refusal(ADMIN)
    gid = group.info.gid
    room = group.info.capacity - group.info.count
    outcomes: list[Outcome] = []
    direct: list[int] = []
    asked: list[int] = []
    for it in {it.uid: it for it in invitees}.values():
        refused = _barred(work, gid, it.uid, own >= ADMIN)
        if refused is None and len(direct) >= room:
            refused = Outcome(it.uid, 20010, _full(group.info.capacity).message)
        outcomes.append(refused or Outcome(it.uid))
        if refused is None:
            (asked if it.confirm else direct).append(it.uid)
    if asked:
        group_invitations.need_room(work, gid, len(asked))
    if own >= ADMIN:
        for uid in (*asked, *direct):
            group_members.forgive(work, gid, uid)
    _invite(work, gid, request.uid, asked, reason)
    if direct:
        groups.save(work, group_members.admit(work, group, direct, request.uid))
    return outcomes


def answer_invitation(work: Work, request: GroupRequest, accept: bool) -> None:
    """The caller answers his invitation into the group: there is one at most."""
    group, _ = groups.need(work, request)
    gid, uid = group.info.gid, request.uid
    found = group_invitations.waiting(work.store, gid, uid, work.now_ms)
    if found is None:
        raise CallError(20015, "this invitation is not there, was answered or has expired; ask for a new one")
    inviter = found.inviter
    if not accept:
        group_invitations.close(work, gid, uid, 2)
        tell.each(work, [uid, inviter], uid, tell.notice(N.INVITE_DECLINED, gid, uid, [inviter]))
        return
    _need_room(group)
    tell.each(work, [uid, inviter], uid, tell.notice(N.INVITE_ACCEPTED, gid, uid, [inviter]))
    groups.save(work, group_members.admit(work, group, [uid], inviter))


def apply(work: Work, request: GroupRequest, reason: str) -> bool:
    """The caller wants in. Is he a member now?"""
    group, _ = groups.need(work, request)
    groups.check_text("reason", reason, limits.TEXT_FIELD_CHARS)
    gid, uid = group.info.gid, request.uid
    _check_entry(work, gid, uid)
    if group.info.apply_approval == groups.CLOSED:
        raise CallError(10010, "this group takes no applications, a member has to invite you")
    _need_room(group)
    if group.info.apply_approval == groups.OPEN:
        groups.save(work, group_members.admit(work, group, [uid]))
        return True
    found = group_applications.load(work.store, gid, uid)
    repeated = found is not None and found.open_at(work.now_ms) and found.reason == reason
    if found is None:
        group_applications.make_room(work, gid)
    expires_ms = work.now_ms + limits.INVITATION_LIFETIME_MS
    group_applications.save(work, gid, uid, Application(WAITING, reason, work.now_ms, expires_ms))
    if not repeated:
        payload = tell.notice(N.APPLYED, gid, uid, (), reason)
        tell.each(work, [group.info.owner, *group.admins], uid, payload)
    return False


def answer_application(work: Work, request: GroupRequest, applicant: int, accept: bool) -> None:
    """An admin answers an application."""
    group, _ = groups.need(work, request, ADMIN)
    gid, actor = group.info.gid, request.uid
    found = group_applications.load(work.store, gid, applicant)
    if found is None or not found.open_at(work.now_ms):
        raise CallError(20014, "this application is not there, was answered or has expired")
    if accept:
        _need_room(group)
    kind = N.APPLY_ACCEPTED if accept else N.APPLY_DECLINED
    tell.each(work, [applicant, actor], actor, tell.notice(kind, gid, actor, [applicant]))
    if accept:
        group_members.forgive(work, gid, applicant)
        groups.save(work, group_members.admit(work, group, [applicant]))
    else:
        group_members.settle(work, gid, applicant, accepted=False)


def may_invite(work: Work, request: GroupRequest) -> None:
    """:raises CallError: 20011 or 20012"""
    group, own = groups.need(work, request, MEMBER)
    if not _may_invite(group, own):
        raise groups.refusal(ADMIN)


def join_by_code(work: Work, request: GroupRequest, inviter: int) -> None:
    """The caller scanned what ``inviter`` may still hand out: as good as an invitation he accepted."""
    group, _ = groups.need(work, request)
    gid, uid = group.info.gid, request.uid
    if not _may_invite(group, groups.role_in(work.store, group, inviter)):
        raise CallError(20024, "who made this QR text may not invite into the group any more, ask for a new one")
    _check_entry(work, gid, uid)
    _need_room(group)
    groups.save(work, group_members.admit(work, group, [uid], inviter))


# --- inside ----------------------------------------------------------------------------------------------------------


def _may_invite(group: Group, own: int) -> bool:
    return own >= (MEMBER if group.info.member_invite else ADMIN)


def _barred(work: Work, gid: int, uid: int, by_admin: bool) -> Outcome | None:
    """Why somebody may not come in."""
    if groups.member(work.store, gid, uid) is not None:
        return Outcome(uid, 20017, "already a member of this group")
    if group_members.is_blocked(work.store, gid, uid):
        return Outcome(uid, 20018, "on the block list of this group, an admin has to unblock him first")
    if not by_admin and group_members.kicks(work, gid, uid) >= limits.GROUP_KICKS:
        return Outcome(uid, 20016, "kicked too often to come back so soon, an admin has to invite him")
    return None


def _check_entry(work: Work, gid: int, uid: int) -> None:
    refused = _barred(work, gid, uid, by_admin=False)
    if refused is not None:
        raise CallError(refused.code, refused.reason)


def _need_room(group: Group) -> None:
    if group.info.count >= group.info.capacity:
        raise _full(group.info.capacity)


def _full(capacity: int) -> CallError:
    return CallError(20010, f"this group is full, it holds {capacity} members")


def _invite(work: Work, gid: int, inviter: int, uids: list[int], reason: str) -> None:
    if uids:
        group_invitations.offer(work, gid, uids, inviter, reason)
        tell.each(work, [*uids, inviter], inviter, tell.notice(N.INVITED, gid, inviter, uids, reason))
