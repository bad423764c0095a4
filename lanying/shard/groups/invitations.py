"""Invitations into a group. Pure.

The group keeps those that wait for an answer, by invitee: that is what counts. The invitee's own shard keeps a copy of
each with what became of it, for their list; :class:`~lanying.bus.messages.Invited` brings it there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import Invited
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store


class Invitation(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``group_items``, kind invitation, by invitee."""

    inviter: int
    expires_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Invitation).decode
_decode_copy = msgspec.msgpack.Decoder(Invited).decode


# --- with the group --------------------------------------------------------------------------------------------------


def waiting(store: Store, gid: int, uid: int, now_ms: int) -> Invitation | None:
    """The invitation ``uid`` may answer."""
    row = store.get(schema.GROUP_ITEMS, _key(gid, uid))
    found = None if row is None else _decode(row)
    return found if found is not None and now_ms < found.expires_ms else None


def need_room(work: Work, gid: int, wanted: int) -> None:
    """Forget the expired ones. :raises CallError: 10010 too many wait already"""
    start = _key(gid, 0)
    expired: list[bytes] = []
    count = wanted
    for key, row in work.store.scan(schema.GROUP_ITEMS, start, schema.successor(start[:9])):
        if _decode(row).expires_ms <= work.now_ms:
            expired.append(key)
        else:
            count += 1
    if count > limits.GROUP_INVITATIONS:
        raise CallError(
            Refusal.PERMISSION_DENIED, "too many invitations into this group wait for an answer, try again later"
        )
    for key in expired:
        work.delete(schema.GROUP_ITEMS, key)


def offer(work: Work, gid: int, uids: list[int], inviter: int, reason: str) -> list[int]:
    """Invite users, for whom there is room; an earlier invitation into the same group is replaced.

    :returns: those who have not heard of an invitation by the same inviter within a day
    """
    expires_ms = work.now_ms + limits.INVITATION_LIFETIME_MS
    fresh: list[int] = []
    for uid in uids:
        found = waiting(work.store, gid, uid, work.now_ms)
        if found is not None and found.inviter == inviter and expires_ms - found.expires_ms < limits.REQUEST_NOTICE_MS:
            continue
        fresh.append(uid)
        work.put(schema.GROUP_ITEMS, _key(gid, uid), _encode(Invitation(inviter, expires_ms)))
        work.link(uid, Invited(uid, gid, inviter, 0, reason, work.now_ms, expires_ms, work.now_ms))
    return fresh


def close(work: Work, gid: int, uid: int, status: int) -> None:
    """What became of an invitation, if there is one: 1 accepted, 2 declined, -1 void."""
    if work.store.get(schema.GROUP_ITEMS, _key(gid, uid)) is not None:
        work.delete(schema.GROUP_ITEMS, _key(gid, uid))
        work.link(uid, Invited(uid, gid, status=status, updated_ms=work.now_ms))


# --- with the invitee ------------------------------------------------------------------------------------------------


def received(work: Work, word: Invited) -> None:
    """A new invitation for ``word.uid`` of this shard, or what became of one."""
    key = schema.pack_pair(word.uid, word.gid)
    row = work.store.get(schema.INVITATIONS, key)
    if word.status < 0:
        work.delete(schema.INVITATIONS, key)
    elif word.inviter:
        if row is None:
            _forget_oldest(work, word.uid)
        work.put(schema.INVITATIONS, key, _encode(word))
    elif row is not None:
        known = msgspec.structs.replace(_decode_copy(row), status=word.status, updated_ms=word.updated_ms)
        work.put(schema.INVITATIONS, key, _encode(known))


def listed(store: Store, uid: int, before: tuple[int, int] | None, limit: int) -> list[Invited]:
    """Invitations ``uid`` of this shard has received, latest first, behind ``before``."""
    found = sorted(_copies(store, uid), key=lambda it: (it.created_ms, it.gid), reverse=True)
    if before is not None:
        found = [it for it in found if (it.created_ms, it.gid) < tuple(before)]
    return found[: max(0, limit)]


# --- inside ----------------------------------------------------------------------------------------------------------


def _forget_oldest(work: Work, uid: int) -> None:
    """Make room for one more: what is over goes first, then the oldest of whoever has invited most, so that nobody crowds out others."""
    kept = list(_copies(work.store, uid))
    if len(kept) >= limits.INVITATIONS_PER_USER:
        by = Counter(it.inviter for it in kept)
        oldest = min(
            kept, key=lambda it: (it.status == 0 and it.expires_ms > work.now_ms, -by[it.inviter], it.created_ms)
        )
        work.delete(schema.INVITATIONS, schema.pack_pair(uid, oldest.gid))


def _copies(store: Store, uid: int) -> Iterator[Invited]:
    prefix = schema.pack_u64(max(0, min(uid, MAX_ENTITY_ID)))
    for _, row in store.scan(schema.INVITATIONS, prefix, schema.successor(prefix)):
        yield _decode_copy(row)


def _key(gid: int, uid: int) -> bytes:
    return schema.pack_item(gid, schema.GROUP_INVITATION, uid)
