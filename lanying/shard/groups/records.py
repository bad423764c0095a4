"""Groups: the records, what others may read of them, who may do what. Pure.

A group lives in its founder's hash slot; its record and its members' are on the shard of that slot, what belongs to it
besides (announcements, files, block list, applications …) in ``group_items``. A member's own shard only knows that they
are one (:class:`~lanying.bus.messages.Seat`).

Roles (xsync 2.6): owner > admin > member. Whoever changes something loads the group, makes the new record and puts it
once, for a request does not read its own writes. Link messages about membership go before the notices: who has come
hears of it, who has gone does not.

Above it: ``group_settings`` what admins set, ``group_members`` members come, go and are muted, ``group_entry`` the ways in,
``items`` announcements and files, ``notices`` what members are notified of, ``handlers`` which call is answered by what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError, Refused
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.names import display_name
from lanying.base.refusals import Refusal
from lanying.bus.messages import GroupInfo, GroupPage, GroupRequest, GroupView, MemberInfo, Outcome, PublicPage
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

NOBODY: Final = 0
MEMBER: Final = 1
ADMIN: Final = 2
OWNER: Final = 3
"""Roles."""

DESTROYED: Final = 1
"""Value of ``status``."""
PUBLIC: Final = 1
OPEN_TO_ALL: Final = (1, 2)
"""Values of ``type`` of groups whose properties everybody may read: public ones and chat rooms."""
TYPES: Final = 3
"""``type`` of public groups, and the highest."""
OPEN: Final = 0
CLOSED: Final = 2
"""Values of ``apply_approval``; 1 needs an admin."""
FOREVER: Final = -1

_REFUSALS: Final = {
    MEMBER: Refusal.MEMBERS_ONLY,
    ADMIN: Refusal.ADMINS_ONLY,
    OWNER: Refusal.OWNER_ONLY,
}


class Group(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``groups``. ``last_item``: number of the newest announcement or file, none is ever used again."""

    info: GroupInfo
    admins: list[int] = []
    last_item: int = 0


class Member(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``members``. ``mute_mode`` 1 no alert, 2 do not deliver; ``banned_until_ms`` -1: for ever."""

    joined_ms: int
    display_name: str = ""
    banned_until_ms: int = 0
    mute_mode: int = 0
    push_mode: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_group = msgspec.msgpack.Decoder(Group).decode
_decode_member = msgspec.msgpack.Decoder(Member).decode


# --- reads -----------------------------------------------------------------------------------------------------


def load(store: Store, gid: int) -> Group | None:
    """A group of this shard, whatever its app and state."""
    if not 0 < gid <= MAX_ENTITY_ID:
        return None
    row = store.get(schema.GROUPS, schema.pack_u64(gid))
    return None if row is None else _decode_group(row)


def member(store: Store, gid: int, uid: int) -> Member | None:
    """A member of a group of this shard."""
    if not 0 < uid <= MAX_ENTITY_ID or not 0 < gid <= MAX_ENTITY_ID:
        return None
    row = store.get(schema.MEMBERS, schema.pack_pair(gid, uid))
    return None if row is None else _decode_member(row)


def members(store: Store, gid: int, after: int = 0) -> Iterator[tuple[int, Member]]:
    """Members with an id above ``after``, ascending."""
    start = schema.pack_pair(gid, min(max(after, 0), MAX_ENTITY_ID) + 1)
    for key, row in store.scan(schema.MEMBERS, start, schema.successor(schema.pack_u64(gid))):
        yield schema.unpack_u64(key[8:])[0], _decode_member(row)


def member_uids(store: Store, gid: int) -> list[int]:
    """Ids of all members, ascending."""
    prefix = schema.pack_u64(gid)
    found = store.scan(schema.MEMBERS, prefix, schema.successor(prefix))
    return [int.from_bytes(key[8:], "big") for key, _ in found]


def member_since(store: Store, gid: int, uid: int) -> tuple[int, bool] | None:
    """When a member came (ms), and whether they may read what was written before; None: not a member."""
    group, found = load(store, gid), member(store, gid, uid)
    if group is None or found is None:
        return None
    return found.joined_ms, group.info.history_visible


def may_post(store: Store, gid: int, uid: int, app: str, now_ms: int, *, speaks: bool = True) -> Refused | None:
    """Why ``uid`` may not write into a group; None: they may. Without ``speaks`` bans do not count."""
    group = load(store, gid)
    if group is None or group.info.app != app:
        return Refused(Refusal.NO_SUCH_GROUP)
    if group.info.status == DESTROYED:
        return Refused(Refusal.GROUP_DESTROYED)
    found = member(store, gid, uid)
    if found is None:
        return Refused(Refusal.MEMBERS_ONLY, "you are not a member of this group")
    if not speaks or role(group, found, uid) >= ADMIN:
        return None
    if banned(found.banned_until_ms, now_ms):
        refusal = Refusal.BANNED_IN_GROUP
        return Refused(refusal, refusal.text + _until(found.banned_until_ms, now_ms))
    if banned(group.info.ban_until_ms, now_ms):
        refusal = Refusal.GROUP_BANNED
        return Refused(refusal, refusal.text + _until(group.info.ban_until_ms, now_ms))
    return None


def may_recall(store: Store, gid: int, uid: int) -> bool:
    """May ``uid`` recall messages of others?"""
    group = load(store, gid)
    return group is not None and group.info.status != DESTROYED and role(group, None, uid) >= ADMIN


def view(group: Group, found: Member | None, uid: int) -> GroupView:
    """A group as ``uid`` sees it; others see the name of a private one and no more."""
    if found is None:
        info = group.info
        return GroupView(info if uid == 0 or info.type in OPEN_TO_ALL else _card(info))
    return GroupView(group.info, role(group, found, uid), found.mute_mode, found.push_mode)


def _card(info: GroupInfo) -> GroupInfo:
    """What strangers see of a private group."""
    return GroupInfo(
        info.gid, info.app, 0, info.type, 0, 0, 0, info.status, name=info.name, avatar=info.avatar,
        apply_approval=info.apply_approval,
    )  # fmt: skip


def views(store: Store, uid: int, app: str, gids: list[int]) -> list[GroupView]:
    """Those of ``gids`` that are groups of ``app``, in their order."""
    asked = [gid for gid in gids if 0 < gid <= MAX_ENTITY_ID]
    groups = store.get_many(schema.GROUPS, [schema.pack_u64(gid) for gid in asked])
    own = max(0, min(uid, MAX_ENTITY_ID))
    seats = store.get_many(schema.MEMBERS, [schema.pack_pair(gid, own) for gid in asked])
    found: list[GroupView] = []
    for row, seat in zip(groups, seats, strict=True):
        if row is not None and (group := _decode_group(row)).info.app == app:
            found.append(view(group, None if seat is None else _decode_member(seat), uid))
    return found


def public(work: Work, app: str, after: int) -> PublicPage:
    """Public groups behind an id. Until all groups were looked at, a part of them is, and the question is to be asked again."""
    known = work.public_groups
    if known.looked is not None:
        _look(work, known.looked)
        if known.looked is not None:
            return PublicPage([], max(after, 1))  # no id is as small
    return PublicPage(*known.page(app, after, limits.GROUPS_LISTED))


def _look(work: Work, after: int) -> None:
    rows = [*work.store.scan(schema.GROUPS, schema.pack_u64(after + 1), b"\xff" * 8, limit=limits.GROUPS_SCANNED)]
    for _, row in rows:
        _note(work, _decode_group(row).info)
    done = len(rows) < limits.GROUPS_SCANNED
    work.public_groups.looked = None if done else schema.unpack_u64(rows[-1][0])[0]


def _note(work: Work, info: GroupInfo) -> None:
    """Keep :attr:`Work.public_groups` as the store is."""
    if info.type != PUBLIC:
        return
    known = work.public_groups
    (known.remove if info.status == DESTROYED else known.add)(info.app, info.gid)
    work.undo((known.forget,))


def page(store: Store, app: str, after: int, limit: int) -> GroupPage:
    """Groups of an app among the next :data:`~lanying.base.limits.GROUPS_SCANNED` of this shard, at most ``limit``."""
    found: list[GroupInfo] = []
    last = seen = 0
    start = schema.pack_u64(min(max(after, 0), MAX_ENTITY_ID) + 1)
    for key, row in store.scan(schema.GROUPS, start, b"\xff" * 8, limit=limits.GROUPS_SCANNED):
        info = _decode_group(row).info
        last, seen = schema.unpack_u64(key)[0], seen + 1
        if info.app == app:
            found.append(info)
        if len(found) >= limit:
            return GroupPage(found, last)
    return GroupPage(found, last if seen == limits.GROUPS_SCANNED else 0)


# --- who may what ----------------------------------------------------------------------------------------------


def role(group: Group, found: Member | None, uid: int) -> int:
    """Role of ``uid``, whose member record is ``found``."""
    if uid == group.info.owner:
        return OWNER
    if uid in group.admins:
        return ADMIN
    return NOBODY if found is None else MEMBER


def role_in(store: Store, group: Group, uid: int) -> int:
    """As :func:`role`, the member record is looked up when needed."""
    return role(group, None, uid) or role(group, member(store, group.info.gid, uid), uid)


def need(work: Work, request: GroupRequest[object], least: int = NOBODY) -> tuple[Group, int]:
    """The group and the caller's role, which is ``least`` or more.

    :raises CallError: 20001 there is none in this app, it was destroyed; 20011 to 20013 the role is not enough
    """
    group = load(work.store, request.gid)
    if group is None or group.info.app != request.app:
        raise CallError(Refusal.NO_SUCH_GROUP, f"there is no group {request.gid}")
    if group.info.status == DESTROYED:
        raise CallError(Refusal.NO_SUCH_GROUP, f"group {request.gid} was destroyed")
    found = max(role_in(work.store, group, request.uid), request.rights)
    if found < least:
        raise refusal(least)
    return group, found


def refusal(least: int) -> CallError:
    """The error for a caller whose role is not ``least``."""
    return CallError(_REFUSALS[least])


def banned(until_ms: int, now_ms: int) -> bool:
    """Is a ban in force?"""
    return until_ms == FOREVER or until_ms > now_ms


def ban_end(minutes: int, now_ms: int) -> int:
    """End of a ban that begins now. :raises CallError: 10002"""
    if minutes == FOREVER or minutes == 0:
        return minutes
    if not 0 < minutes <= limits.GROUP_BAN_MINUTES:
        raise CallError(
            Refusal.INVALID_PARAMETER, f"duration is 1 to {limits.GROUP_BAN_MINUTES} minutes, or -1 for ever"
        )
    return now_ms + minutes * 60_000


def outranked(group: Group, actor: int, own: int, uid: int, found: Member | None) -> Outcome | None:
    """Why ``actor`` with role ``own`` may do nothing to ``uid``; None: they may."""
    if uid == actor:
        return Outcome(uid, Refusal.INVALID_PARAMETER, "this is you")
    if role(group, found, uid) >= own:
        return Outcome(uid, Refusal.OWNER_ONLY, "only the owner may do this to an admin, and nobody to the owner")
    return None


# --- for the other modules of groups ----------------------------------------------------------------------------


def change(group: Group, now_ms: int, **changes: Any) -> Group:
    """A group with other properties."""
    info = msgspec.structs.replace(group.info, updated_ms=now_ms, **changes)
    return msgspec.structs.replace(group, info=info)


def save(work: Work, group: Group) -> None:
    """Put a group's record."""
    _note(work, group.info)
    work.put(schema.GROUPS, schema.pack_u64(group.info.gid), _encode(group))


def save_member(work: Work, gid: int, uid: int, row: Member) -> None:
    """Put a member's record."""
    work.put(schema.MEMBERS, schema.pack_pair(gid, uid), _encode(row))


def describe(uid: int, row: Member | None, now_ms: int) -> MemberInfo:
    """What others may know about a member; bans that are over are not shown."""
    if row is None:
        return MemberInfo(uid)
    until_ms = row.banned_until_ms if banned(row.banned_until_ms, now_ms) else 0
    return MemberInfo(uid, row.joined_ms, row.display_name, until_ms)


def check_text(name: str, value: object, most: int) -> None:
    """:raises CallError: 10002"""
    if not isinstance(value, str) or len(value) > most:
        raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a text of at most {most} characters")


def name_of(name: str, value: object, most: int) -> str:
    """A name people see, as it is kept. :raises CallError: 10002"""
    check_text(name, value, most)
    try:
        return display_name(str(value))
    except ValueError as error:
        raise CallError(Refusal.INVALID_PARAMETER, f"{name} {error}") from error


def _until(until_ms: int, now_ms: int) -> str:
    if until_ms == FOREVER:
        return ""
    return f" for another {-(-(until_ms - now_ms) // 60_000)} min"
