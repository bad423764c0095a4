"""Friends, friend requests, blocks and remarks. Pure.

Each user's shard keeps their own side of a relation; friendship is symmetric, both sides are kept equal by
:class:`RosterChange` link messages. A request lives with the one who has to decide. Notices follow xsync 7.1 and 7.4.

What a sender's shard knows about a recipient is kept in the sender's relation too (``known``, ``barred``), so a message
to a user on another shard asks their shard once (``PeerQuery``) and never again: blocks come later by :class:`Barred`. Both
carry the blocker's version of the pair, so an answer that was overtaken on its way does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.budgets import charge
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal
from lanying.bus.messages import STATE_DELETED, ApplicationInfo, Barred, PeerState, RelationInfo, RosterChange
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import accounts
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

FRIEND: Final = 0
DELETED: Final = 1
STRANGER: Final = 2

WAITING: Final = 0
ACCEPTED: Final = 1
DECLINED: Final = 2

OPEN: Final = 0
QUESTION: Final = 2
CLOSED: Final = 3
"""Values of ``auth_mode``; 1 needs approval."""

_NS: Final = pb.Meta.ROSTER_NOTICE


class Relation(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``roster``: what a user and somebody else are to each other, as kept for the user.

    :ivar blocked: the user has blocked the other, ``block_version`` counts these changes
    :ivar known: the other exists in the same app
    :ivar barred: they have blocked the user, said in their version ``barred_version``
    """

    relation: int = STRANGER
    alias: str = ""
    ext: str = ""
    mute_notification: bool = False
    blocked: bool = False
    block_version: int = 0
    known: bool = False
    barred: bool = False
    barred_version: int = 0


class FriendApplication(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``applications``, kept for the one who decides. ``alias``: the remark the applicant wants for them."""

    status: int
    reason: str
    alias: str
    created_ms: int
    expired_time: int

    def open_at(self, now_ms: int) -> bool:
        """Waiting and not expired."""
        return self.status == WAITING and now_ms < self.expired_time


NOBODY: Final = Relation()

_encode = msgspec.msgpack.Encoder().encode
_decode_relation = msgspec.msgpack.Decoder(Relation).decode
_decode_application = msgspec.msgpack.Decoder(FriendApplication).decode


# --- reads -----------------------------------------------------------------------------------------------------


def relation(store: Store, uid: int, other: int) -> Relation:
    """What ``uid`` of this shard has with ``other``; :data:`NOBODY` for strangers."""
    if not 0 < other <= MAX_ENTITY_ID:
        return NOBODY
    row = store.get(schema.ROSTER, schema.pack_pair(uid, other))
    return NOBODY if row is None else _decode_relation(row)


def relations(store: Store, uid: int, others: list[int]) -> list[RelationInfo]:
    """One for each of ``others``, in their order."""
    rows = store.get_many(schema.ROSTER, [schema.pack_pair(uid, max(0, min(other, MAX_ENTITY_ID))) for other in others])
    found = (NOBODY if row is None else _decode_relation(row) for row in rows)
    return [RelationInfo(it.relation, it.alias, it.ext, it.mute_notification, it.blocked) for it in found]


def friends(store: Store, uid: int, after: int = 0, limit: int = 1 << 31) -> list[int]:
    """Ids of friends above ``after``, ascending."""
    found: list[int] = []
    for other, row in _scan(store, uid, after):
        if len(found) >= limit:
            break
        if row.relation == FRIEND:
            found.append(other)
    return found


def blocked(store: Store, uid: int) -> list[int]:
    """Ids ``uid`` has blocked, ascending."""
    return [other for other, row in _scan(store, uid) if row.blocked]


def applications(
    store: Store, uid: int, before: tuple[int, int] | None = None, limit: int = 1 << 31
) -> list[ApplicationInfo]:
    """Requests received, latest first, behind ``before``."""
    found = sorted(((row.created_ms, applicant, row) for applicant, row in _received(store, uid)), reverse=True)
    listed = [
        ApplicationInfo(applicant, row.status, row.reason, row.expired_time, created_ms)
        for created_ms, applicant, row in found
        if before is None or (created_ms, applicant) < before
    ]
    return listed[: max(0, limit)]


# --- may they write to each other? -----------------------------------------------------------------------------


def may_write(work: Work, uid: int, sender: int, app: str) -> PeerState:
    """What ``uid`` of this shard allows ``sender``; answers ``PeerQuery``."""
    account = accounts.load(work.store, uid)
    if account is None or account.info.app != app or account.info.state == STATE_DELETED:
        return PeerState(exists=False)
    row = relation(work.store, uid, sender)
    return PeerState(True, row.blocked, row.relation == FRIEND, row.block_version)


def may_send(store: Store, uid: int, peer: int) -> PeerState | None:
    """Cached permission of ``uid`` to message ``peer``; None: unknown, ask the peer's shard."""
    row = relation(store, uid, peer)
    if not row.known and row.relation != FRIEND:
        return None
    return PeerState(True, row.barred, row.relation == FRIEND, row.barred_version)


def remember_peer(work: Work, uid: int, peer: int, state: PeerState) -> PeerState:
    """Keep the answer of ``PeerQuery``; what counts now: a block may have overtaken the answer on its way.

    A peer that does not exist is not remembered.
    """
    if not state.exists:
        return state
    row = relation(work.store, uid, peer)
    if state.version >= row.barred_version:
        row = msgspec.structs.replace(row, barred=state.barred, barred_version=state.version)
    _save(work, uid, peer, msgspec.structs.replace(row, known=True))
    return PeerState(True, row.barred, row.relation == FRIEND, row.barred_version)


# --- requests --------------------------------------------------------------------------------------------------


def apply(
    work: Work, uid: int, applicant: int, app: str, reason: str, alias: str, answer: str, by_admin: bool = False
) -> bool:
    """``applicant`` asks ``uid`` of this shard. True: they are friends now, False: ``uid`` has to decide.

    :param by_admin: an administrator does, in the applicant's name
    """
    info = accounts.need(work.store, uid, app).info
    if uid == applicant:
        raise CallError(Refusal.INVALID_PARAMETER, "users cannot befriend themselves; give another user_id")
    _check_text("reason", reason, limits.REASON_CHARS)
    _check_text("alias", alias, limits.NAME_FIELD_CHARS)
    row = relation(work.store, uid, applicant)
    if row.blocked:
        raise CallError(Refusal.BLOCKED_BY_USER, "this user has blocked you")
    if row.relation == FRIEND:
        raise CallError(Refusal.ALREADY_FRIENDS, "you are friends already")
    if not by_admin:
        charge(work.budgets.requests, applicant, work.tick.now, "friend requests today", app=app)
    if info.auth_mode == CLOSED:
        raise CallError(Refusal.TAKES_NO_REQUESTS, "this user takes no friend requests")
    if info.auth_mode == QUESTION and (not info.auth_answer or answer.strip() != info.auth_answer.strip()):
        raise CallError(
            Refusal.TAKES_NO_REQUESTS, "the answer to this user's question is wrong, send the right auth_answer"
        )
    if info.auth_mode in (OPEN, QUESTION):
        _befriend(work, uid, applicant, pb.RosterNotice.ADDED, alias)
        return True
    found = _application(work.store, uid, applicant)
    told = (
        found is not None and found.open_at(work.now_ms) and work.now_ms - found.created_ms < limits.REQUEST_NOTICE_MS
    )
    if found is None:
        _make_room(work, uid)
    expires = work.now_ms + limits.APPLICATION_LIFETIME_MS
    since_ms = found.created_ms if found is not None and told else work.now_ms
    _save_application(work, uid, applicant, FriendApplication(WAITING, reason, alias, since_ms, expires))
    if not told:
        work.notice(uid, applicant, _NS, notice(pb.RosterNotice.APPLIED, applicant, uid, reason))
    return False


def answer(work: Work, uid: int, applicant: int, accept: bool, reason: str = "") -> None:
    """``uid`` accepts or declines. :raises CallError: 10007 nothing to answer, 10010 too many friends"""
    _check_text("reason", reason, limits.TEXT_FIELD_CHARS)
    found = _application(work.store, uid, applicant)
    friends_already = relation(work.store, uid, applicant).relation == FRIEND
    if found is not None and accept and friends_already:
        return
    if found is None or not found.open_at(work.now_ms):
        raise CallError(
            Refusal.NO_SUCH_REQUEST, "this friend request is not there, was answered or has expired; ask for a new one"
        )
    if accept:
        if len(friends(work.store, uid)) >= limits.ROSTER_SIZE:
            raise CallError(
                Refusal.PERMISSION_DENIED, f"a friend list holds {limits.ROSTER_SIZE}, delete a friend first"
            )
        _befriend(work, uid, applicant, pb.RosterNotice.ACCEPTED, found.alias)
        return
    _save_application(work, uid, applicant, msgspec.structs.replace(found, status=DECLINED))
    payload = notice(pb.RosterNotice.DECLINED, uid, applicant, reason)
    work.notice(uid, uid, _NS, payload)
    work.notice(applicant, uid, _NS, payload)


def delete(work: Work, uid: int, other: int) -> bool:
    """``uid`` ends a friendship, for both. Were they friends?"""
    row = relation(work.store, uid, other)
    if row.relation != FRIEND:
        return False
    _save(work, uid, other, msgspec.structs.replace(row, relation=DELETED, known=True))
    work.notice(uid, uid, _NS, notice(pb.RosterNotice.REMOVED, uid, other))
    change = RosterChange(other, uid, DELETED, pb.RosterNotice.REMOVED, sender=uid, target=other)
    work.link(other, change)
    return True


def set_notes(work: Work, uid: int, other: int, alias: str | None, ext: str | None, mute: bool | None) -> None:
    """What ``uid`` notes about ``other``: remark, extension, muted; None leaves one."""
    changes: dict[str, Any] = {}
    if alias is not None:
        changes["alias"] = _check_text("alias", alias, limits.NAME_FIELD_CHARS)
    if ext is not None:
        changes["ext"] = _check_text("ext", ext, limits.TEXT_FIELD_CHARS)
    if mute is not None:
        changes["mute_notification"] = mute
    row = relation(work.store, uid, other)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if not changed:
        return
    _save(work, uid, other, msgspec.structs.replace(row, **changed))
    work.notice(uid, uid, _NS, notice(pb.RosterNotice.INFO_UPDATED, uid, other, _json(changed)))


def block(work: Work, uid: int, other: int, bar: bool) -> None:
    """``uid`` blocks or unblocks ``other``."""
    if uid == other:
        raise CallError(Refusal.INVALID_PARAMETER, "users cannot block themselves; give another user_id")
    row = relation(work.store, uid, other)
    if row.blocked == bar:
        return
    version = row.block_version + 1
    _save(work, uid, other, msgspec.structs.replace(row, blocked=bar, block_version=version))
    kind = pb.RosterNotice.BLOCKED if bar else pb.RosterNotice.UNBLOCKED
    work.notice(uid, uid, _NS, notice(kind, uid, other))
    work.link(other, Barred(other, uid, bar, version))


def tell_friends(work: Work, uid: int, changed: dict[str, Any]) -> None:
    """INFO_UPDATED to every friend, of those changes friends may see."""
    shown = {
        name: value
        for name, value in changed.items()
        if name in accounts.SHOWN_TO_FRIENDS and (not isinstance(value, str) or len(value) <= limits.NAME_FIELD_CHARS)
    }
    if not shown and accounts.SHOWN_TO_FRIENDS.isdisjoint(changed):
        return  # what is too long for a copy per friend is not in the notice: clients ask for it
    content = _json(shown)
    for friend in friends(work.store, uid):
        work.notice(friend, uid, _NS, notice(pb.RosterNotice.INFO_UPDATED, uid, friend, content))


# --- link messages ---------------------------------------------------------------------------------------------


def changed(work: Work, change: RosterChange) -> None:
    """The other side has changed the friendship."""
    uid, other = change.uid, change.other
    row = relation(work.store, uid, other)
    alias = change.alias or row.alias
    _save(work, uid, other, msgspec.structs.replace(row, relation=change.relation, alias=alias, known=True))
    if change.relation == FRIEND:
        _settle(work, uid, other)
    if change.notice:
        payload = notice(change.notice, change.sender, change.target, change.content)
        work.notice(uid, change.sender, _NS, payload)


def barred(work: Work, change: Barred) -> None:
    """``other`` has blocked or unblocked ``uid``."""
    row = relation(work.store, change.uid, change.other)
    if change.version < row.barred_version:
        return
    known = msgspec.structs.replace(row, barred=change.barred, barred_version=change.version, known=True)
    _save(work, change.uid, change.other, known)
    head = work.mailboxes.head(change.uid, change.other)
    if head.flags & schema.KNOWN:
        work.mailboxes.remember(head)
        head.flags = head.flags | schema.BARRED if change.barred else head.flags & ~schema.BARRED
        if head.stored:
            work.mailboxes.hurry(head)


def notice(kind: int, sender: int, target: int, content: str = "") -> bytes:
    """An encoded RosterNotice from ``sender`` to [``target``]."""
    parts: dict[str, Any] = {"from": pb.XID(uid=sender), "to": [pb.XID(uid=target)]}
    return pb.RosterNotice(type=pb.RosterNotice.Type.ValueType(kind), content=content, **parts).SerializeToString()


# --- inside ----------------------------------------------------------------------------------------------------


def _befriend(work: Work, uid: int, applicant: int, kind: int, alias: str) -> None:
    """Both become friends: here at once, on the applicant's shard by link.

    ACCEPTED is from the accepter to [applicant] for both; ADDED is from the other party to [me] for each.
    """
    row = relation(work.store, uid, applicant)
    _save(work, uid, applicant, msgspec.structs.replace(row, relation=FRIEND, known=True))
    _settle(work, uid, applicant)
    if kind == pb.RosterNotice.ACCEPTED:
        work.notice(uid, uid, _NS, notice(kind, uid, applicant))
    else:
        work.notice(uid, applicant, _NS, notice(kind, applicant, uid))
    work.link(applicant, RosterChange(applicant, uid, FRIEND, kind, sender=uid, target=applicant, alias=alias))


def _settle(work: Work, uid: int, applicant: int) -> None:
    """They are friends: a request of ``applicant`` that waits for ``uid`` is accepted by that."""
    found = _application(work.store, uid, applicant)
    if found is not None and found.status == WAITING:
        _save_application(work, uid, applicant, msgspec.structs.replace(found, status=ACCEPTED))


def _make_room(work: Work, uid: int) -> None:
    """Forget the oldest handled or expired request when there are too many."""
    received = list(_received(work.store, uid))
    if len(received) < limits.APPLICATIONS_PER_USER:
        return
    done = [(row.created_ms, applicant) for applicant, row in received if not row.open_at(work.now_ms)]
    if not done:
        raise CallError(Refusal.TAKES_NO_REQUESTS, "this user has too many unanswered friend requests, try again later")
    work.delete(schema.APPLICATIONS, schema.pack_pair(uid, min(done)[1]))


def _scan(store: Store, uid: int, after: int = 0) -> Iterator[tuple[int, Relation]]:
    start = schema.pack_pair(uid, min(max(after, 0), MAX_ENTITY_ID) + 1)
    for key, row in store.scan(schema.ROSTER, start, schema.successor(schema.pack_u64(uid))):
        yield schema.unpack_u64(key[8:])[0], _decode_relation(row)


def _received(store: Store, uid: int) -> Iterator[tuple[int, FriendApplication]]:
    start = schema.pack_u64(uid)
    for key, row in store.scan(schema.APPLICATIONS, start, schema.successor(start)):
        yield schema.unpack_u64(key[8:])[0], _decode_application(row)


def _application(store: Store, uid: int, applicant: int) -> FriendApplication | None:
    if not 0 < applicant <= MAX_ENTITY_ID:
        return None
    row = store.get(schema.APPLICATIONS, schema.pack_pair(uid, applicant))
    return None if row is None else _decode_application(row)


def _save(work: Work, uid: int, other: int, row: Relation) -> None:
    work.put(schema.ROSTER, schema.pack_pair(uid, other), _encode(row))


def _save_application(work: Work, uid: int, applicant: int, row: FriendApplication) -> None:
    work.put(schema.APPLICATIONS, schema.pack_pair(uid, applicant), _encode(row))


def _check_text(name: str, value: str, most: int) -> str:
    if len(value) > most:
        raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a text of at most {most} characters")
    return value


def _json(values: dict[str, Any]) -> str:
    return msgspec.json.encode(values).decode()
