"""The ways into a group: invitations, applications, QR texts (xsync 2.6, 8.10)."""

from __future__ import annotations

from typing import Any, Final

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
from lanying.gateway.groups.codes import Code, read, write
from lanying.gateway.groups.context import (
    ADMIN,
    PAGE,
    ask_group,
    date_time,
    group_of,
    invitees,
    known,
    need_place,
    page,
    place_of,
    row,
    users_of,
)
from lanying.gateway.http.endpoint import GET, POST, UPDATE, Endpoint, RequestContext


async def invite(context: RequestContext) -> object:
    """Bring users in, at once or when they agree."""
    uids, reason = users_of(context), context.params.text("reason", "")
    wanted, outcomes = await invitees(context, uids)
    for it in await ask_group(context, InviteMembers, wanted, reason):
        outcomes[it.id] = it
    return [row(outcomes[uid]) for uid in uids]


async def answer_invitation(context: RequestContext) -> object:
    """Accept or decline; who ``user_id`` means differs between clients, the caller has one invitation into a group."""
    context.params.entity("user_id")
    accept = context.params.switch("approval")
    if accept:
        await need_place(context, context.uid)
    return await ask_group(context, AnswerInvitation, accept)


async def invitations(context: RequestContext) -> object:
    """Invitations the caller has received, latest first."""
    limit = context.params.number("limit", PAGE, least=1, most=PAGE)
    request = ListInvitations(context.uid, place_of(context, 2), limit)  # type: ignore[arg-type]
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
    return page(rows, limit, f"{found[-1].created_ms}-{found[-1].gid}" if found else "")


async def apply(context: RequestContext) -> object:
    """Ask to join."""
    reason = context.params.text("reason", "")
    await need_place(context, context.uid)
    await ask_group(context, ApplyMember, reason)
    return row(Outcome(context.uid))


async def answer_application(context: RequestContext) -> object:
    """Accept or decline an application."""
    applicant, accept = context.params.entity("user_id"), context.params.switch("approval")
    if accept:
        if applicant not in await known(context, [applicant]):
            raise CallError(Refusal.NO_SUCH_USER)
        await need_place(context, applicant)
    await ask_group(context, AnswerApplicant, applicant, accept)
    return row(Outcome(applicant))


async def applications(context: RequestContext) -> object:
    """Applications to those of the groups the caller administers, latest first; the others are passed over."""
    shards, gids = context.shards, users_of(context, "group_list")
    limit = context.params.number("limit", PAGE, least=1, most=PAGE)
    before: Any = place_of(context, 3)
    rights = ADMIN if context.admin_of else 0

    def request(some: list[int]) -> ListApplicants:
        return ListApplicants(context.uid, context.app.app_id, some, before, limit, rights, context.admin_of)

    found = await ask_owners(shards, gids, request)
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


async def sign(context: RequestContext) -> object:
    """A QR text into a group, from somebody who may invite."""
    gid = group_of(context)
    await ask_group(context, MayInvite)
    now_ms = context.services.now_ms()
    expires_ms = now_ms + limits.GROUP_CODE_LIFETIME_MS
    text = write(context.app.secret, Code(gid, context.uid, expires_ms))
    return {"qr_info": text, "create_at": now_ms, "expire_at": expires_ms, "expired": expires_ms}


async def scan(context: RequestContext) -> object:
    """Join with a QR text."""
    code = read(context.app.secret, context.params.text("qr_info"), context.services.now_ms())
    await need_place(context, context.uid)
    request = JoinByCode(code.gid, context.uid, context.app.app_id, 0, code.inviter)
    return await ask(context.shards, code.gid, request)


async def scan_for_object(context: RequestContext) -> object:
    """As :func:`scan`; this path answers an object."""
    await scan(context)
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
