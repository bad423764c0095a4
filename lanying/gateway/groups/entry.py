"""The ways into a group: invitations, applications, QR texts (xsync 2.6, 8.10)."""

from __future__ import annotations

from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    AnswerApplicant,
    AnswerInvitation,
    ApplyMember,
    InviteMembers,
    JoinByCode,
    ListApplicants,
    ListInvitations,
    MayInvite,
    Outcome,
)
from lanying.bus.shards import ask, ask_owners
from lanying.gateway.groups.codes import GroupCode, read, write
from lanying.gateway.groups.context import (
    ADMIN,
    OfGroup,
    OfUsers,
    TimePage,
    ask_group,
    date_time,
    invitees,
    known,
    need_place,
    page,
    place_of,
    row,
)
from lanying.gateway.http.endpoint import GET, POST, UPDATE, Endpoint, RequestContext
from lanying.gateway.http.kinds import EntityId, ShownText


class Invitees(OfUsers):
    """Users to bring in."""

    reason: ShownText = ""


class EntryAnswer(OfGroup):
    """To an invitation or an application; ``user_id`` is the applicant's."""

    user_id: EntityId
    approval: bool


class GroupApplication(OfGroup):
    """Why the caller wants to be in a group."""

    reason: ShownText = ""


class GroupApplications(TimePage, kw_only=True):
    """A page of applications to these groups."""

    group_list: list[EntityId]


class QrText(msgspec.Struct):
    """A QR text into a group."""

    qr_info: str


async def invite(context: RequestContext, given: Invitees) -> object:
    """Bring users in, at once or when they agree."""
    wanted, outcomes = await invitees(context, given.user_list)
    for it in await ask_group(context, given.group_id, InviteMembers, wanted, given.reason):
        outcomes[it.id] = it
    return [row(outcomes[uid]) for uid in given.user_list]


async def answer_invitation(context: RequestContext, given: EntryAnswer) -> object:
    """Accept or decline; who ``user_id`` means differs between clients, the caller has one invitation into a group."""
    if given.approval:
        await need_place(context, context.uid)
    return await ask_group(context, given.group_id, AnswerInvitation, given.approval)


async def invitations(context: RequestContext, given: TimePage) -> object:
    """Invitations the caller has received, latest first."""
    request = ListInvitations(context.uid, place_of(given.cursor, 2), given.limit)  # type: ignore[arg-type]
    found = await ask(context.shards, context.uid, request)
    rows = [
        {
            "group_id": it.gid,
            "inviter_id": it.inviter,
            "invitee_id": it.uid,
            "status": it.status,
            "reason": it.reason,
            "expired_time": it.expires_ms,
            "updated_at": date_time(it.updated_ms),
        }
        for it in found
    ]
    return page(rows, given.limit, f"{found[-1].created_ms}-{found[-1].gid}" if found else "")


async def apply(context: RequestContext, given: GroupApplication) -> object:
    """Ask to join."""
    await need_place(context, context.uid)
    await ask_group(context, given.group_id, ApplyMember, given.reason)
    return row(Outcome(context.uid))


async def answer_application(context: RequestContext, given: EntryAnswer) -> object:
    """Accept or decline an application."""
    applicant = given.user_id
    if given.approval:
        if applicant not in await known(context, [applicant]):
            raise CallError(Refusal.NO_SUCH_USER)
        await need_place(context, applicant)
    await ask_group(context, given.group_id, AnswerApplicant, applicant, given.approval)
    return row(Outcome(applicant))


async def applications(context: RequestContext, given: GroupApplications) -> object:
    """Applications to those of the groups the caller administers, latest first; the others are passed over."""
    limit, before = given.limit, place_of(given.cursor, 3)
    rights = ADMIN if context.admin_of else 0

    def request(some: list[int]) -> ListApplicants:
        return ListApplicants(context.uid, context.app.app_id, some, before, limit, rights, context.admin_of)  # type: ignore[arg-type]

    found = await ask_owners(context.shards, given.group_list, request)
    found.sort(key=lambda it: (it.created_ms, it.gid, it.uid), reverse=True)
    found = found[:limit]
    rows = [
        {
            "group_id": it.gid,
            "applicant_id": it.uid,
            "status": it.status,
            "reason": it.reason,
            "expired_time": it.expires_ms,
        }
        for it in found
    ]
    return page(rows, limit, f"{found[-1].created_ms}-{found[-1].gid}-{found[-1].uid}" if found else "")


async def sign(context: RequestContext, given: OfGroup) -> object:
    """A QR text into a group, from somebody who may invite."""
    await ask_group(context, given.group_id, MayInvite)
    now_ms = context.services.now_ms()
    expires_ms = now_ms + limits.GROUP_CODE_LIFETIME_MS
    text = write(context.app.secret, GroupCode(given.group_id, context.uid, expires_ms))
    return {"qr_info": text, "create_at": now_ms, "expire_at": expires_ms, "expired": expires_ms}


async def scan(context: RequestContext, given: QrText) -> object:
    """Join with a QR text."""
    code = read(context.app.secret, given.qr_info, context.services.now_ms())
    await need_place(context, context.uid)
    request = JoinByCode(code.gid, context.uid, context.app.app_id, 0, code.inviter)
    return await ask(context.shards, code.gid, request)


async def scan_for_object(context: RequestContext, given: QrText) -> object:
    """As :func:`scan`; this path answers an object."""
    await scan(context, given)
    return {}


ENDPOINTS: Final = (
    Endpoint(POST, "/group/invite", invite),
    Endpoint(UPDATE, "/group/invite/handle", answer_invitation),
    Endpoint(GET, "/group/invitation_list", invitations),
    Endpoint(POST, "/group/apply", apply),
    Endpoint(UPDATE, "/group/apply/handle", answer_application),
    Endpoint(POST, "/group/application_list", applications),
    Endpoint(GET, "/group/qrcode/sign", sign),
    Endpoint(POST, "/group/qrcode/invite", scan_for_object),
    Endpoint(GET, "/app/qrcode/group_sign", sign),
    Endpoint(("GET", "POST"), "/app/qrcode/group_invite", scan),
)
