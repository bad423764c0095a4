"""Friends by the dozen, by phone number, and who may write to whom: what back ends ask about rosters.

Whoever calls with a user token asks; an admin's word makes friends at once.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import AnswerApplication, ApplyFriend, ListFriends, PeerQuery
from lanying.bus.shards import accounts, ask
from lanying.gateway.accounts import handles
from lanying.gateway.http.batch import each
from lanying.gateway.http.endpoint import GET, POST, Endpoint, RequestContext
from lanying.gateway.http.kinds import EntityId
from lanying.gateway.http.params import peek, read
from lanying.gateway.social.rosters import look, one


class NewFriends(msgspec.Struct):
    """Friends to make: each a :class:`NewFriend`."""

    rows: list[dict[str, Any]] = msgspec.field(name="list")


class NewFriend(msgspec.Struct):
    """One of them."""

    user_id: EntityId
    alias: str = ""
    reason: str = ""


class FriendIds(msgspec.Struct):
    """Friends to make, by id."""

    uids: list[EntityId] = msgspec.field(name="list")


class PhoneNumber(msgspec.Struct):
    """A phone number."""

    mobile: str


class Pair(msgspec.Struct):
    """Two users."""

    user_id: EntityId
    roster_id: EntityId


async def befriend_many(context: RequestContext, given: NewFriends) -> object:
    """Friends for the user the admin acts for, each on its own."""
    if not context.uid:
        raise CallError(Refusal.INVALID_PARAMETER, "name the user who gets these friends in the header user_id")

    async def befriend(row: dict[str, Any]) -> int:
        wanted = read(NewFriend, row)
        return await _befriend(context, wanted.user_id, wanted.reason, wanted.alias)

    outcomes = await each(given.rows, befriend)
    fails = [
        {"user_id": peek(row, "user_id", EntityId, 0), "reason": outcome.message}
        for row, outcome in zip(given.rows, outcomes, strict=True)
        if isinstance(outcome, CallError)
    ]
    return {"success": [outcome for outcome in outcomes if isinstance(outcome, int)], "fails": fails}


async def befriend_ids(context: RequestContext, given: FriendIds) -> object:
    """As :func:`befriend_many` for bare ids; the first refusal is the answer."""
    for outcome in await each(given.uids, lambda uid: _befriend(context, uid, "", "")):
        if isinstance(outcome, CallError) and outcome.refusal is not Refusal.ALREADY_FRIENDS:
            raise outcome
    return True


async def by_phone(context: RequestContext, given: PhoneNumber) -> object:
    """The user whose phone number this is."""
    context.services.probes.phone(context.prober)
    uid = await handles.find(context, handles.TEL + given.mobile.replace(" ", ""))
    if not uid:
        raise CallError(Refusal.NO_SUCH_USER)
    return await one(context, uid)


async def may_message(context: RequestContext, given: Pair) -> object:
    """May ``user_id`` write to ``roster_id``? Users ask about themselves."""
    uid, peer, app = given.user_id, given.roster_id, context.app.app_id
    if not context.admin and context.uid not in (uid, peer):
        raise CallError(Refusal.PERMISSION_DENIED, "user_id or roster_id has to be the caller")
    if uid not in await look(context, [uid]):
        raise CallError(Refusal.NO_SUCH_USER)
    state = await ask(context.shards, peer, PeerQuery(peer, uid, app))
    if not state.exists:
        context.services.probes.missed(context.prober, 1)
        raise CallError(Refusal.NO_SUCH_USER)
    return not state.barred and (state.friend or context.services.config.accounts_of(app).strangers_may_chat)


async def friends(context: RequestContext) -> object:
    """Ids and names of the caller's friends."""
    uids = await ask(context.shards, context.uid, ListFriends(context.uid))
    found = await accounts(context.shards, context.app.app_id, uids)
    return [{"user_id": uid, "name": found[uid].username} for uid in uids if uid in found]


async def _befriend(context: RequestContext, uid: int, reason: str, alias: str) -> int:
    shards = context.shards
    request = ApplyFriend(uid, context.uid, context.app.app_id, reason=reason, alias=alias, by_admin=context.admin)
    friends_now = await ask(shards, uid, request)
    if not friends_now and context.admin:
        await ask(shards, uid, AnswerApplication(uid, context.uid, accept=True))
    return uid


ENDPOINTS: Final = (
    Endpoint(POST, "/roster/apply/batch", befriend_many, admin=True),
    Endpoint(POST, "/user/add_roster", befriend_ids),
    Endpoint(GET, "/roster/mobile", by_phone),
    Endpoint(GET, "/roster/may_message", may_message),
    Endpoint(GET, "/user/rosters", friends),
)
