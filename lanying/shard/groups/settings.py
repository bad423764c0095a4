"""What the owner and admins set: properties, silence for all, ownership, admins, the end. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import GroupRequest, Invited, Outcome, Unseat
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.core.work import Work
from lanying.shard.groups import notices as tell
from lanying.shard.groups import records
from lanying.shard.groups.records import Group
from lanying.shard.store import schema

TEXTS: Final = {
    "name": limits.NAME_FIELD_CHARS,
    "description": limits.TEXT_FIELD_CHARS,
    "avatar": limits.TEXT_FIELD_CHARS,
    "ext": limits.TEXT_FIELD_CHARS,
}
"""Properties members may edit with ``member_modify``, with their longest value in characters."""
SWITCHES: Final = frozenset(("member_invite", "member_modify", "read_ack", "history_visible", "hide_member_info"))


def edit(work: Work, request: GroupRequest[object], name: str, value: object) -> bool:
    """Set a property. Is it different now?"""
    group, own = records.need(work, request, records.MEMBER)
    _check(name, value)
    if name == "name":
        value = records.name_of(name, value, TEXTS[name])
    if own < records.ADMIN and not (name in TEXTS and group.info.member_modify):
        raise records.refusal(records.ADMIN)
    if getattr(group.info, name) == value:
        return False
    records.save(work, records.change(group, work.now_ms, **{name: value}))
    tell.updated(work, group.info.gid, request.uid, name, value)
    return True


def ban_all(work: Work, request: GroupRequest[object], minutes: int) -> int:
    """Let only admins write. When that ends, in ms."""
    group, _ = records.need(work, request, records.ADMIN)
    until_ms = records.ban_end(minutes, work.now_ms)
    records.save(work, records.change(group, work.now_ms, ban_until_ms=until_ms))
    tell.updated(work, group.info.gid, request.uid, "ban_expire_time", until_ms // 1000 if until_ms > 0 else until_ms)
    return until_ms


def transfer(work: Work, request: GroupRequest[object], new_owner: int) -> None:
    """Make a member the owner; the old one is a plain member from now on."""
    group, _ = records.need(work, request, records.OWNER)
    if records.member(work.store, group.info.gid, new_owner) is None:
        raise CallError(
            Refusal.NEW_OWNER_NOT_A_MEMBER, "the new owner has to be a member of the group, invite them first"
        )
    if new_owner != group.info.owner:
        records.save(work, hand_over(work, group, new_owner))


def hand_over(work: Work, group: Group, new_owner: int) -> Group:
    """The group with another owner, of which members are notified; not saved."""
    gid, old = group.info.gid, group.info.owner
    admins = [uid for uid in group.admins if uid != new_owner]
    work.group_notice(gid, old, tell.notice(pb.GroupNotice.OWNER_ASSIGNED, gid, old, [new_owner]))
    tell.updated(work, gid, old, "owner_id", new_owner)
    return msgspec.structs.replace(records.change(group, work.now_ms, owner=new_owner), admins=admins)


def set_admins(work: Work, request: GroupRequest[object], uids: list[int], granted: bool) -> list[Outcome]:
    """Make members admins, or plain members again."""
    group, _ = records.need(work, request, records.OWNER)
    gid = group.info.gid
    outcomes: list[Outcome] = []
    admins, changed = list(group.admins), []
    for uid in uids:
        if records.member(work.store, gid, uid) is None:
            outcomes.append(Outcome(uid, Refusal.NOT_A_MEMBER, "not a member of this group"))
        elif uid == group.info.owner:
            outcomes.append(Outcome(uid, Refusal.INVALID_PARAMETER, "the owner is no admin"))
        elif granted and uid not in admins and len(admins) >= limits.GROUP_ADMINS:
            outcomes.append(
                Outcome(uid, Refusal.PERMISSION_DENIED, f"a group has at most {limits.GROUP_ADMINS} admins")
            )
        else:
            outcomes.append(Outcome(uid))
            if granted != (uid in admins):
                changed.append(uid)
                admins = [*admins, uid] if granted else [it for it in admins if it != uid]
    if changed:
        kind = pb.GroupNotice.ADMIN_GRANTED if granted else pb.GroupNotice.ADMIN_REVOKED
        records.save(work, msgspec.structs.replace(records.change(group, work.now_ms), admins=admins))
        work.group_notice(gid, request.uid, tell.notice(kind, gid, request.uid, changed))
    return outcomes


def destroy(work: Work, request: GroupRequest[object]) -> None:
    """End the group: its record stays, so that ids in old conversations keep a name."""
    group, _ = records.need(work, request, records.OWNER)
    end(work, group, request.uid)


def end(work: Work, group: Group, actor: int) -> None:
    """The group is over: members are notified, nothing but its record is kept."""
    gid = group.info.gid
    payload = tell.notice(pb.GroupNotice.DESTROYED, gid, actor)
    for uid in records.member_uids(work.store, gid):
        work.delete(schema.MEMBERS, schema.pack_pair(gid, uid))
        work.link(uid, Unseat(uid, gid))
        work.notice(uid, actor, tell.NS, payload)
    prefix = schema.pack_u64(gid)
    for key, _ in work.store.scan(schema.GROUP_ITEMS, prefix, schema.successor(prefix)):
        work.delete(schema.GROUP_ITEMS, key)
        if key[8] == schema.GROUP_INVITATION:
            invitee = schema.unpack_u64(key[9:])[0]
            work.link(invitee, Invited(invitee, gid, status=-1))
    ended = records.change(group, work.now_ms, status=records.DESTROYED, count=0)
    records.save(work, msgspec.structs.replace(ended, admins=[]))


def _check(name: str, value: object) -> None:
    if name in TEXTS:
        records.check_text(name, value, TEXTS[name])
    elif name in SWITCHES:
        if not isinstance(value, bool):
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is true or false")
    elif name == "apply_approval":
        if not isinstance(value, int) or isinstance(value, bool) or not records.OPEN <= value <= records.CLOSED:
            raise CallError(Refusal.INVALID_PARAMETER, "apply_approval is 0 open, 1 approval by an admin or 2 closed")
    else:
        raise CallError(Refusal.INVALID_PARAMETER, f"{name} cannot be set")
