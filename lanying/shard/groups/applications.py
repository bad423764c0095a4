"""Applications to join a group, kept with the group: the records. Pure. What they lead to: ``group_entry``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import Applicant, ListApplicants
from lanying.shard.core.work import Work
from lanying.shard.groups import records
from lanying.shard.store import schema
from lanying.shard.store.base import Store

WAITING: Final = 0
ACCEPTED: Final = 1
DECLINED: Final = 2


class MemberApplication(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``group_items``, kind application, by applicant."""

    status: int
    reason: str
    created_ms: int
    expires_ms: int

    def open_at(self, now_ms: int) -> bool:
        """Waiting and not expired."""
        return self.status == WAITING and now_ms < self.expires_ms


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MemberApplication).decode


def load(store: Store, gid: int, applicant: int) -> MemberApplication | None:
    """The application of somebody, whatever its state."""
    if not 0 < applicant <= MAX_ENTITY_ID:
        return None
    row = store.get(schema.GROUP_ITEMS, _key(gid, applicant))
    return None if row is None else _decode(row)


def save(work: Work, gid: int, applicant: int, row: MemberApplication) -> None:
    """Put an application."""
    work.put(schema.GROUP_ITEMS, _key(gid, applicant), _encode(row))


def make_room(work: Work, gid: int) -> None:
    """Forget the oldest handled or expired one when there are too many. :raises CallError: 10010 all are open"""
    received = list(_received(work.store, gid))
    if len(received) < limits.GROUP_APPLICATIONS:
        return
    done = [(row.created_ms, applicant) for applicant, row in received if not row.open_at(work.now_ms)]
    if not done:
        raise CallError(Refusal.PERMISSION_DENIED, "this group has too many unanswered applications, try again later")
    work.delete(schema.GROUP_ITEMS, _key(gid, min(done)[1]))


def listed(work: Work, request: ListApplicants) -> list[Applicant]:
    """Applications to those groups the caller administers, latest first; other groups are passed over."""
    found: list[tuple[tuple[int, int, int], Applicant]] = []
    for gid in request.gids:
        group = records.load(work.store, gid)
        if group is None or group.info.app != request.app or group.info.status == records.DESTROYED:
            continue
        rights = request.rights if gid == request.rights_in else records.NOBODY
        if max(records.role(group, None, request.uid), rights) < records.ADMIN:
            continue
        for uid, row in _received(work.store, gid):
            place = (row.created_ms, gid, uid)
            if request.before is None or place < tuple(request.before):
                found.append((place, Applicant(gid, uid, row.status, row.reason, row.created_ms, row.expires_ms)))
    found.sort(key=lambda it: it[0], reverse=True)
    return [row for _, row in found[: max(0, request.limit)]]


def _received(store: Store, gid: int) -> Iterator[tuple[int, MemberApplication]]:
    start = _key(gid, 0)
    for key, row in store.scan(schema.GROUP_ITEMS, start, schema.successor(start[:9])):
        yield schema.unpack_u64(key[9:])[0], _decode(row)


def _key(gid: int, applicant: int) -> bytes:
    return schema.pack_item(gid, schema.GROUP_APPLICATION, applicant)
