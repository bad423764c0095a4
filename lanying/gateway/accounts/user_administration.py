"""What admins do with accounts, and how an account changes its name or ends.

**An account that is deleted** leaves its groups (one it owns goes to an admin, else to the member with the lowest id; a
group nobody else is in ends), its name stays taken, so that nobody can pass for it, its phone number and push alias are
free. Messages it wrote stay where others have them; its own copies are out of reach and go with the retention. Friends
keep it in their list, marked as closed (10021).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.names import username_error
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    STATE_BANNED,
    STATE_DELETED,
    STATE_NORMAL,
    AccountInfo,
    DestroyGroup,
    GetCredentials,
    Joined,
    LeaveGroup,
    ListAccounts,
    ListAdmins,
    ListMembers,
    Rename,
    SetPassword,
    SetState,
    TransferGroup,
    UpdateAccount,
)
from lanying.bus.shards import accounts, ask, ask_shard
from lanying.gateway.accounts import handles
from lanying.gateway.accounts.phones import bind_phone
from lanying.gateway.accounts.push_bindings import bind_alias
from lanying.gateway.accounts.sign_in import check_password
from lanying.gateway.accounts.users import Avatar, ProfileChange, changes, me
from lanying.gateway.http.batch import each
from lanying.gateway.http.endpoint import GET, POST, REMOVE, UPDATE, Endpoint, PagedResult, RequestContext
from lanying.gateway.http.kinds import EntityId, Positive, ShownName, Trimmed
from lanying.gateway.http.params import peek, read


class UsersPage(msgspec.Struct):
    """A page of the app's users, by number or behind the ``cursor`` of the one before."""

    page_size: Annotated[int, msgspec.Meta(ge=1, le=limits.REST_PAGE)] = 50
    page_num: Positive = 1
    cursor: str = ""


class SomeUsers(msgspec.Struct):
    """Some users."""

    uids: list[EntityId] = msgspec.field(name="list")


class UserChanges(msgspec.Struct):
    """Changes to users, each on its own: :class:`AvatarRow` or :class:`ProfileRow`."""

    rows: list[dict[str, Any]] = msgspec.field(name="list")


class AvatarRow(Avatar, kw_only=True):
    user_id: EntityId


class ProfileRow(ProfileChange, kw_only=True):
    user_id: EntityId


class Password(msgspec.Struct):
    """A new password."""

    password: str


class UserName(msgspec.Struct):
    """A new name."""

    username: Annotated[ShownName, Trimmed()]


class Confirmation(msgspec.Struct):
    """The caller's password; an admin need not give one."""

    password: str | None = None


async def users(context: RequestContext, given: UsersPage) -> object:
    """Users of the app, by shard and id: page ``page_num`` of ``page_size``, or what comes behind ``cursor``."""
    shards, size = context.shards, given.page_size
    skip = (given.page_num - 1) * size
    shard, after = _place(given.cursor)
    if shard or after:
        skip = 0
    found: list[AccountInfo] = []
    while shard < shards.map.shards and len(found) < size:
        request = ListAccounts(context.app.app_id, after, skip, size - len(found))
        page = await ask_shard(shards, shard, request)
        found += page.accounts
        skip -= page.skipped
        shard, after = (shard + 1, 0) if page.end else (shard, page.last)
    rows = [{"user_id": it.uid, "username": it.username, "status": int(it.state != STATE_NORMAL)} for it in found]
    return PagedResult(rows, {"cursor": f"{shard}-{after}"} if shard < shards.map.shards else {})


async def disable(context: RequestContext, given: SomeUsers) -> object:
    """Ban users: their tokens and sessions end."""
    return await _set_states(context, given.uids, STATE_BANNED)


async def enable(context: RequestContext, given: SomeUsers) -> object:
    """Lift the ban of users; they log in again."""
    return await _set_states(context, given.uids, STATE_NORMAL)


async def set_password(context: RequestContext, given: Password) -> object:
    """Give a user a password; their tokens and sessions end."""
    uid, services = _whom(context), context.services
    services.passwords.check_new(given.password)
    found = await ask(services.shards, uid, GetCredentials(context.app.app_id, uid))
    password_hash = await services.passwords.hash(given.password, context.peer)
    return await ask(services.shards, uid, SetPassword(uid, password_hash, found.password_hash, revoke=True))


async def set_avatars(context: RequestContext, given: UserChanges) -> object:
    """Set avatars, each on its own."""
    return await _update_many(context, given.rows, AvatarRow)


async def set_profiles(context: RequestContext, given: UserChanges) -> object:
    """Set profiles, each on its own; what is not given stays."""
    return await _update_many(context, given.rows, ProfileRow)


async def rename(context: RequestContext, given: UserName) -> object:
    """Change the user name: claim the new one, so that the account can always be found. The old one stays with it: somebody else under
    it would be taken for this user. Of many the oldest are freed."""
    name = given.username
    reason = username_error(name)
    if reason is not None:
        raise CallError(Refusal.INVALID_PARAMETER, f"username: {reason}")
    info = await me(context)
    await handles.claim(context, name, info.uid, Refusal.NAME_TAKEN)
    for former in await ask(context.shards, info.uid, Rename(info.uid, name)):
        await handles.release(context, former, info.uid)
    return True


async def delete(context: RequestContext, given: Confirmation) -> object:
    """End an account. A user confirms with their password, an admin need not. After a failure half-way it can be called again."""
    if not context.admin:
        if given.password is None:
            raise CallError(Refusal.INVALID_PARAMETER, "password is missing; it is the account's own")
        await check_password(context, context.uid, given.password)
    shards, uid = context.shards, context.uid
    for gid in await ask(shards, uid, Joined(uid)):
        await _leave(context, gid)
    await bind_alias(context, uid, "")
    await bind_phone(context, "")
    return await ask(shards, uid, SetState(uid, STATE_DELETED))


async def _leave(context: RequestContext, gid: int) -> None:
    shards, uid, app = context.shards, context.uid, context.app.app_id
    try:
        await ask(shards, gid, LeaveGroup(gid, uid, app, 0))
    except CallError as error:
        if error.refusal is not Refusal.OWNER_CANNOT_LEAVE:
            return  # the group ended, or the user was removed from it meanwhile
        admins = await ask(shards, gid, ListAdmins(gid, uid, app, 0))
        members = await ask(shards, gid, ListMembers(gid, uid, app, 0, limit=2))
        heirs = [member.uid for member in (*admins, *members.rows) if member.uid != uid]
        if not heirs:
            await ask(shards, gid, DestroyGroup(gid, uid, app, 0))
            return
        await ask(shards, gid, TransferGroup(gid, uid, app, 0, heirs[0]))
        await ask(shards, gid, LeaveGroup(gid, uid, app, 0))


async def _set_states(context: RequestContext, uids: list[int], state: int) -> bool:
    shards = context.shards
    found = await accounts(shards, context.app.app_id, uids)
    for uid in uids:
        if uid not in found or found[uid].state == STATE_DELETED:
            raise CallError(Refusal.NO_SUCH_USER, f"there is no user {uid}; nothing was changed")
    wanted = [uid for uid in uids if (found[uid].state == STATE_NORMAL) != (state == STATE_NORMAL)]
    for outcome in await each(wanted, lambda uid: ask(shards, uid, SetState(uid, state))):
        if isinstance(outcome, CallError):
            raise outcome
    return True


async def _update_many(
    context: RequestContext, rows: list[dict[str, Any]], kind: type[AvatarRow] | type[ProfileRow]
) -> list[dict[str, Any]]:
    shards = context.shards
    uids = [peek(row, "user_id", EntityId, 0) for row in rows]
    known = await accounts(shards, context.app.app_id, [uid for uid in uids if uid])

    async def one(row: dict[str, Any]) -> AccountInfo:
        given: AvatarRow | ProfileRow = read(kind, row)
        uid = given.user_id
        if uid not in known or known[uid].state == STATE_DELETED:
            raise CallError(Refusal.NO_SUCH_USER)
        wanted = changes(given)
        del wanted["user_id"]
        return await ask(shards, uid, UpdateAccount(uid, wanted))

    outcomes = await each(rows, one)
    return [
        {
            "user_id": uid,
            "success": not isinstance(outcome, CallError),
            "reason": outcome.message if isinstance(outcome, CallError) else "",
        }
        for uid, outcome in zip(uids, outcomes, strict=True)
    ]


def _whom(context: RequestContext) -> int:
    """The user an admin means. :raises CallError: 10002"""
    if not context.uid:
        raise CallError(Refusal.INVALID_PARAMETER, "name the user in the header user_id")
    return context.uid


def _place(cursor: str) -> tuple[int, int]:
    """Shard and uid to go on behind."""
    if not cursor:
        return 0, 0
    shard, _, after = cursor.partition("-")
    if not (shard.isdecimal() and after.isdecimal() and shard.isascii() and after.isascii()) or len(cursor) > 24:
        raise CallError(Refusal.INVALID_PARAMETER, "cursor is not one of this server's, begin without it")
    return int(shard), int(after)


ENDPOINTS: Final = (
    Endpoint(GET, "/user/list", users, admin=True),
    Endpoint(("PUT",), "/user/disable", disable, admin=True),
    Endpoint(("PUT",), "/user/enable", enable, admin=True),
    Endpoint(POST, "/user/change_password_admin", set_password, admin=True),
    Endpoint(UPDATE, "/user/avatar/batch", set_avatars, admin=True),
    Endpoint(UPDATE, "/user/profile/batch", set_profiles, admin=True),
    Endpoint(UPDATE, "/user/username", rename),
    Endpoint(REMOVE, "/user/delete", delete),
)
