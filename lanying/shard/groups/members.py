"""Members of a group: how they come and go, are muted, blocked, and what they set for themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    GroupRequest,
    MemberInfo,
    MemberPage,
    Outcome,
    Resign,
    Seat,
    SetMember,
    Silence,
    Unseat,
)
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.core.work import Work
from lanying.shard.groups import applications, invitations, records, settings
from lanying.shard.groups import notices as tell
from lanying.shard.groups.applications import ACCEPTED, DECLINED, WAITING
from lanying.shard.groups.records import ADMIN, MEMBER, Group, Member
from lanying.shard.store import schema
from lanying.shard.store.base import Store

MUTE_MODES: Final = 2
DO_NOT_DELIVER: Final = 2
PUSH_MODES: Final = 4


class Blocked(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``group_items``, kind blocked: since when, by whom."""

    created_ms: int
    actor: int


class Kicks(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``group_items``, kind kicks: how often in a row somebody was kicked, and the last time."""

    count: int
    last_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode_blocked = msgspec.msgpack.Decoder(Blocked).decode
_decode_ban = msgspec.msgpack.Decoder(int).decode
_decode_kicks = msgspec.msgpack.Decoder(Kicks).decode


# --- coming and going --------------------------------------------------------------------------------------------


def admit(work: Work, group: Group, uids: list[int], inviter: int = 0, *, unasked: bool = False) -> Group:
    """Add members and notify the group. The caller has checked that none is a member and that there is room, and saves the group.

    :param unasked: they have not agreed to it
    """
    gid = group.info.gid
    for uid in uids:
        records.save_member(work, gid, uid, Member(work.now_ms, banned_until_ms=_banned_before(work, gid, uid)))
        settle(work, gid, uid, accepted=True)
        sit(work, gid, uid, unasked)
    for uid in uids:
        payload = tell.notice(pb.GroupNotice.JOINED, gid, uid, [inviter] if inviter else [])
        work.group_notice(gid, uid, payload)
    return records.change(group, work.now_ms, count=group.info.count + len(uids))


def sit(work: Work, gid: int, uid: int, unasked: bool = False) -> None:
    """The shard of a new member learns that they are one."""
    work.link(uid, Seat(uid, gid, unasked=unasked))


def settle(work: Work, gid: int, uid: int, accepted: bool) -> None:
    """What waits for an answer about ``uid`` needs none any more: they are in, or on the block list."""
    invitations.close(work, gid, uid, 1 if accepted else -1)
    found = applications.load(work.store, gid, uid)
    if found is not None and found.status == WAITING:
        applications.save(work, gid, uid, msgspec.structs.replace(found, status=ACCEPTED if accepted else DECLINED))


def resign(work: Work, word: Resign) -> None:
    """A member's account was deleted. An owner's group goes to the admin or else the member who came first, or ends."""
    group = records.load(work.store, word.gid)
    if group is None or records.member(work.store, word.gid, word.uid) is None:
        return
    gid, uid = word.gid, word.uid
    if uid == group.info.owner:
        ages = {it: row.joined_ms for it, row in records.members(work.store, gid) if it != uid}
        heirs = [it for it in group.admins if it in ages] or [*ages]
        if not heirs:
            settings.end(work, group, uid)
            return
        heir = min(heirs, key=lambda it: (ages[it], it))
        group = settings.hand_over(work, group, heir)
    records.save(work, _dismiss(work, group, [uid]))
    work.group_notice(gid, uid, tell.notice(pb.GroupNotice.LEAVED, gid, uid))


def leave(work: Work, request: GroupRequest[object]) -> None:
    """The caller leaves."""
    group, _ = records.need(work, request)
    gid, uid = group.info.gid, request.uid
    if records.member(work.store, gid, uid) is None:
        raise records.refusal(MEMBER)
    if uid == group.info.owner:
        raise CallError(
            Refusal.OWNER_CANNOT_LEAVE, "the owner cannot leave: transfer the group to somebody, or destroy it"
        )
    records.save(work, _dismiss(work, group, [uid]))
    payload = tell.notice(pb.GroupNotice.LEAVED, gid, uid)
    work.group_notice(gid, uid, payload)
    work.notice(uid, uid, tell.NS, payload)


def kick(work: Work, request: GroupRequest[object], uids: list[int], reason: str) -> list[Outcome]:
    """Remove members."""
    group, own = records.need(work, request, ADMIN)
    records.check_text("reason", reason, limits.TEXT_FIELD_CHARS)
    outcomes = [_removable(work, group, request.uid, own, uid) for uid in uids]
    gone = [it.id for it in outcomes if it.refusal is None]
    if gone:
        gid = group.info.gid
        for uid in gone:
            before = kicks(work, gid, uid)
            work.put(schema.GROUP_ITEMS, _kicks_key(gid, uid), _encode(Kicks(before + 1, work.now_ms)))
        records.save(work, _dismiss(work, group, gone))
        _tell_removed(work, group, request.uid, pb.GroupNotice.KICKED, gone, reason)
    return outcomes


def kicks(work: Work, gid: int, uid: int) -> int:
    """How often ``uid`` was kicked lately."""
    row = work.store.get(schema.GROUP_ITEMS, _kicks_key(gid, uid))
    if row is None:
        return 0
    found = _decode_kicks(row)
    return found.count if work.now_ms - found.last_ms < limits.GROUP_KICK_WINDOW_MS else 0


def forgive(work: Work, gid: int, uid: int) -> None:
    """An admin wants somebody back: earlier kicks do not count."""
    work.delete(schema.GROUP_ITEMS, _kicks_key(gid, uid))


# --- block list ----------------------------------------------------------------------------------------------------


def is_blocked(store: Store, gid: int, uid: int) -> bool:
    """Is ``uid`` on the group's block list?"""
    return store.get(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_BLOCKED, uid)) is not None


def block(work: Work, request: GroupRequest[object], uids: list[int]) -> list[Outcome]:
    """Put users on the block list; members among them are removed."""
    group, own = records.need(work, request, ADMIN)
    gid = group.info.gid
    room = limits.GROUP_BLOCKED - sum(1 for _ in _blocked(work.store, gid))
    outcomes: list[Outcome] = []
    fresh: list[int] = []
    gone: list[int] = []
    for uid in uids:
        found = records.member(work.store, gid, uid)
        refused = records.outranked(group, request.uid, own, uid, found)
        known = is_blocked(work.store, gid, uid)
        if refused is None and not known and len(fresh) >= room:
            refused = Outcome(
                uid, Refusal.PERMISSION_DENIED, f"a block list holds {limits.GROUP_BLOCKED} users, unblock some first"
            )
        outcomes.append(refused or Outcome(uid))
        if refused is None and not known:
            fresh.append(uid)
            if found is not None:
                gone.append(uid)
            settle(work, gid, uid, accepted=False)
            row = Blocked(work.now_ms, request.uid)
            work.put(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_BLOCKED, uid), _encode(row))
    if fresh:
        records.save(work, _dismiss(work, group, gone))
        _tell_removed(work, group, request.uid, pb.GroupNotice.BLOCKED, fresh)
    return outcomes


def unblock(work: Work, request: GroupRequest[object], uids: list[int]) -> list[Outcome]:
    """Take users off the block list; no error when they were not on it."""
    group, _ = records.need(work, request, ADMIN)
    gid = group.info.gid
    listed = [uid for uid in uids if is_blocked(work.store, gid, uid)]
    for uid in listed:
        work.delete(schema.GROUP_ITEMS, schema.pack_item(gid, schema.GROUP_BLOCKED, uid))
    if listed:
        payload = tell.notice(pb.GroupNotice.UNBLOCKED, gid, request.uid, listed)
        tell.each(work, [group.info.owner, *group.admins], request.uid, payload)
    return [Outcome(uid) for uid in uids]


def list_blocked(work: Work, request: GroupRequest[object], after: int, limit: int) -> MemberPage:
    """The block list, by id."""
    group, _ = records.need(work, request, ADMIN)
    found = [MemberInfo(uid, row.created_ms) for uid, row in _blocked(work.store, group.info.gid)]
    return MemberPage([row for row in found if row.uid > after][: max(0, limit)], len(found))


# --- silence, own settings, lists ------------------------------------------------------------------------------------


def ban(work: Work, request: GroupRequest[object], uids: list[int], minutes: int) -> list[Outcome]:
    """Members may not write for a while; 0 minutes: they may again."""
    group, own = records.need(work, request, ADMIN)
    gid, until_ms = group.info.gid, records.ban_end(minutes, work.now_ms)
    outcomes: list[Outcome] = []
    changed: list[int] = []
    for uid in uids:
        found = records.member(work.store, gid, uid)
        if found is None:
            outcomes.append(Outcome(uid, Refusal.NOT_A_MEMBER, "not a member of this group"))
            continue
        refused = records.outranked(group, request.uid, own, uid, found) if minutes else None
        outcomes.append(refused or Outcome(uid))
        if refused is None and (minutes or records.banned(found.banned_until_ms, work.now_ms)):
            changed.append(uid)
            records.save_member(work, gid, uid, msgspec.structs.replace(found, banned_until_ms=until_ms))
    if changed:
        kind = pb.GroupNotice.BANNED if minutes else pb.GroupNotice.UNBANNED
        payload = tell.notice(kind, gid, request.uid, changed, str(minutes) if minutes else "")
        work.group_notice(gid, request.uid, payload)
    return outcomes


def set_own(work: Work, request: SetMember) -> None:
    """Name card, mute and push mode of the caller. Their other devices hear of the modes, everybody of the name."""
    group, _ = records.need(work, request)
    gid, uid = group.info.gid, request.uid
    row = records.member(work.store, gid, uid)
    if row is None:
        raise records.refusal(MEMBER)
    changes: dict[str, Any] = {}
    if request.display_name is not None:
        changes["display_name"] = records.name_of("value", request.display_name, limits.NAME_FIELD_CHARS)
    if request.mute_mode is not None:
        if not 0 <= request.mute_mode <= MUTE_MODES:
            raise CallError(Refusal.INVALID_PARAMETER, "msg_mute_mode is 0 none, 1 no alert or 2 do not deliver")
        changes["mute_mode"] = request.mute_mode
    if request.push_mode is not None:
        if not 0 <= request.push_mode <= PUSH_MODES:
            raise CallError(
                Refusal.NO_SUCH_PUSH_MODE,
                "msg_push_mode is 0 all, 1 none, 2 admins or mentions, 3 admins or 4 mentions",
            )
        changes["push_mode"] = request.push_mode
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if not changed:
        return
    records.save_member(work, gid, uid, msgspec.structs.replace(row, **changed))
    if "display_name" in changed:
        tell.updated(work, gid, uid, "display_name", changed["display_name"])
    if "mute_mode" in changed:
        if DO_NOT_DELIVER in (row.mute_mode, changed["mute_mode"]):
            work.link(uid, Silence(uid, gid, changed["mute_mode"] == DO_NOT_DELIVER))
        kind = pb.GroupNotice.MUTED if changed["mute_mode"] else pb.GroupNotice.UNMUTED
        work.notice(uid, uid, tell.NS, tell.notice(kind, gid, uid))
    for name in ("mute_mode", "push_mode"):
        if name in changed:
            payload = tell.property_notice(gid, uid, f"msg_{name}", changed[name])
            work.notice(uid, uid, tell.NS, payload)


def list_members(work: Work, request: GroupRequest[object], after: int, limit: int, banned: bool) -> MemberPage:
    """Members by id, or those of them who may not write."""
    group, own = records.need(work, request, MEMBER)
    gid, now_ms = group.info.gid, work.now_ms
    if group.info.hide_member_info and own < ADMIN:
        # Plain members see whom to turn to, and themselves.
        uids = sorted({group.info.owner, *group.admins, request.uid})
        shown = [records.describe(uid, records.member(work.store, gid, uid), now_ms) for uid in uids if uid > after]
        rows = [row for row in shown if row.banned_until_ms or not banned]
        return MemberPage(rows[: max(0, limit)], len(rows))
    if banned:
        found = [records.describe(uid, row, now_ms) for uid, row in records.members(work.store, gid)]
        silent = [row for row in found if row.banned_until_ms]
        return MemberPage([row for row in silent if row.uid > after][: max(0, limit)], len(silent))
    rows = []
    for uid, row in records.members(work.store, gid, after):
        if len(rows) >= limit:
            break
        rows.append(records.describe(uid, row, now_ms))
    return MemberPage(rows, group.info.count)


def get_members(work: Work, request: GroupRequest[object], uids: list[int]) -> list[MemberInfo]:
    """One row for each of ``uids``, members or not; where member details are hidden, with no more than the name card."""
    group, own = records.need(work, request, MEMBER)
    gid = group.info.gid
    found = [records.describe(uid, records.member(work.store, gid, uid), work.now_ms) for uid in uids]
    if group.info.hide_member_info and own < ADMIN:
        open_to_all = {group.info.owner, *group.admins, request.uid}
        return [row if row.uid in open_to_all else MemberInfo(row.uid, 0, row.display_name) for row in found]
    return found


def list_admins(work: Work, request: GroupRequest[object]) -> list[MemberInfo]:
    """The admins, without the owner."""
    group, _ = records.need(work, request, MEMBER)
    return get_members(work, request, group.admins)


# --- inside ----------------------------------------------------------------------------------------------------------


def _removable(work: Work, group: Group, actor: int, own: int, uid: int) -> Outcome:
    found = records.member(work.store, group.info.gid, uid)
    if found is None:
        return Outcome(uid, Refusal.NOT_A_MEMBER, "not a member of this group")
    return records.outranked(group, actor, own, uid, found) or Outcome(uid)


def _dismiss(work: Work, group: Group, uids: list[int]) -> Group:
    """Take members out, each once; the changed group."""
    gid, uids = group.info.gid, [*dict.fromkeys(uids)]
    for uid in uids:
        row = records.member(work.store, gid, uid)
        if row is not None and records.banned(row.banned_until_ms, work.now_ms):
            work.put(schema.GROUP_ITEMS, _ban_key(gid, uid), _encode(row.banned_until_ms))
        work.delete(schema.MEMBERS, schema.pack_pair(gid, uid))
        work.link(uid, Unseat(uid, gid))
    gone = set(uids)
    left = records.change(group, work.now_ms, count=group.info.count - len(uids))
    return msgspec.structs.replace(left, admins=[uid for uid in group.admins if uid not in gone])


def _tell_removed(work: Work, group: Group, actor: int, kind: int, uids: list[int], reason: str = "") -> None:
    """Who was removed is no member any more and gets a notice of their own."""
    gid = group.info.gid
    work.group_notice(gid, actor, tell.notice(kind, gid, actor, uids, reason))
    for uid in uids:
        work.notice(uid, actor, tell.NS, tell.notice(kind, gid, actor, [uid], reason))


def _blocked(store: Store, gid: int) -> Iterator[tuple[int, Blocked]]:
    start = schema.pack_item(gid, schema.GROUP_BLOCKED, 0)
    for key, row in store.scan(schema.GROUP_ITEMS, start, schema.successor(start[:9])):
        yield schema.unpack_u64(key[9:])[0], _decode_blocked(row)


def _banned_before(work: Work, gid: int, uid: int) -> int:
    """End of a ban that was in force when somebody left: it goes on when they come back."""
    row = work.store.get(schema.GROUP_ITEMS, _ban_key(gid, uid))
    if row is None:
        return 0
    work.delete(schema.GROUP_ITEMS, _ban_key(gid, uid))
    return _decode_ban(row)


def _ban_key(gid: int, uid: int) -> bytes:
    return schema.pack_item(gid, schema.GROUP_BAN, uid)


def _kicks_key(gid: int, uid: int) -> bytes:
    return schema.pack_item(gid, schema.GROUP_KICKS, uid)
