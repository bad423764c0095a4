"""Accounts: who a user is, what they set, which tokens of theirs are good. Pure.

An account lives in the hash slot of its name for ever: the name's row and the account are on one shard, so a name is
claimed without asking anybody else. The uid is the next counter of that slot (groups draw from the same counters: one
number space).
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import FIRST_COUNTER, MAX_ENTITY_ID, entity_id
from lanying.base.names import compared, display_name, username_error
from lanying.base.refusals import Refusal
from lanying.bus.messages import STATE_DELETED, STATE_NORMAL, AccountInfo, AccountPage, Credentials, Extras
from lanying.cluster.shardmap import slot_of_name
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

log = logging.getLogger(__name__)

_LONG: Final = limits.TEXT_FIELD_CHARS
_SHORT: Final = limits.NAME_FIELD_CHARS

TEXTS: Final[dict[str, int]] = {
    "nick_name": _SHORT,
    "avatar": _LONG,
    "description": _LONG,
    "mobile": _SHORT,
    "email": _SHORT,
    "public_info": _LONG,
    "private_info": _LONG,
    "alias": _SHORT,
    "auth_question": _LONG,
    "auth_answer": _LONG,
    "push_nick_name": _SHORT,
    "push_token": _LONG,
}
"""Fields of text, with their longest value in characters."""
SWITCHES: Final = frozenset(("group_confirm", "auto_download", "no_push", "no_push_detail", "no_sounds", "vibratory"))
NUMBERS: Final[dict[str, int]] = {
    "auth_mode": 3,
    "no_push_start_hour": 23,
    "no_push_end_hour": 23,
    "silence_start_time": 23,
    "silence_end_time": 23,
}
"""Fields of numbers from 0, with their highest value."""
NAMES: Final = frozenset(("nick_name", "push_nick_name"))
SHOWN_TO_FRIENDS: Final = frozenset(("username", "nick_name", "avatar", "description", "public_info"))


class Account(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``accounts``: what may travel, and what may not."""

    info: AccountInfo
    password_hash: str
    extras: Extras = Extras()


_encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Account).decode


def load(store: Store, uid: int) -> Account | None:
    """An account of this shard, whatever its app and state."""
    if not 0 < uid <= MAX_ENTITY_ID:
        return None
    row = store.get(schema.ACCOUNTS, schema.pack_u64(uid))
    return None if row is None else decode(row)


def need(store: Store, uid: int, app: str | None = None) -> Account:
    """As :func:`load`, of ``app`` if given. :raises CallError: 10000, there is none or it was deleted"""
    account = load(store, uid)
    if account is None or account.info.state == STATE_DELETED or (app is not None and account.info.app != app):
        raise CallError(Refusal.NO_SUCH_USER, f"there is no user {uid}")
    return account


def next_id(work: Work, slot: int) -> int:
    """A new user or group id in ``slot``; one per request, for a request does not see its own writes."""
    key = schema.pack_u16(slot)
    row = work.store.get(schema.COUNTERS, key)
    counter = FIRST_COUNTER if row is None else schema.unpack_u64(row)[0] + 1
    found = entity_id(slot, counter)
    assert found <= MAX_ENTITY_ID
    work.put(schema.COUNTERS, key, schema.pack_u64(counter))
    return found


def claim(work: Work, app: str, username: str, password_hash: str) -> AccountInfo:
    """Create an account. :raises CallError: 10002 not a user name, 10004 taken"""
    reason = username_error(username)
    if reason is not None:
        raise CallError(Refusal.INVALID_PARAMETER, reason)
    slot = slot_of_name(app, username)
    key = schema.name_key(slot, app, username)
    if work.store.get(schema.NAMES, key) is not None:
        raise CallError(Refusal.NAME_TAKEN, f"the username {username} is taken, choose another")
    uid = next_id(work, slot)
    work.put(schema.NAMES, key, schema.pack_u64(uid))
    info = AccountInfo(uid=uid, app=app, username=username, created_ms=work.now_ms, epoch=_next_epoch(work))
    _save(work, Account(info, password_hash))
    return info


def find_name(store: Store, app: str, username: str) -> int:
    """The uid of a user name, 0 when there is none."""
    row = store.get(schema.NAMES, schema.name_key(slot_of_name(app, username), app, username))
    return 0 if row is None else int(schema.unpack_u64(row)[0])


def claim_name(work: Work, app: str, name: str, uid: int) -> None:
    """Let a name lead to ``uid``. :raises CallError: 10004 it leads to somebody else"""
    owner = find_name(work.store, app, name)
    if owner not in (0, uid):
        raise CallError(Refusal.NAME_TAKEN, f"{name} is taken, choose another")
    if not owner:
        work.put(schema.NAMES, schema.name_key(slot_of_name(app, name), app, name), schema.pack_u64(uid))


def release_name(work: Work, app: str, name: str, uid: int) -> bool:
    """Free a name that leads to ``uid``; did it?"""
    if find_name(work.store, app, name) != uid:
        return False
    work.delete(schema.NAMES, schema.name_key(slot_of_name(app, name), app, name))
    return True


def page(store: Store, app: str, after: int, skip: int, limit: int) -> AccountPage:
    """Accounts of an app above ``after`` that are not deleted, the first ``skip`` of them left out; at most ``limit``."""
    found: list[AccountInfo] = []
    skipped = looked = 0
    last = min(max(after, 0), MAX_ENTITY_ID)
    rows = store.scan(schema.ACCOUNTS, schema.pack_u64(last + 1), b"\xff" * 8, limit=limits.ACCOUNTS_SCANNED)
    for key, row in rows:
        looked += 1
        last = schema.unpack_u64(key)[0]
        info = decode(row).info
        if info.app != app or info.state == STATE_DELETED:
            continue
        if skipped < skip:
            skipped += 1
            continue
        found.append(info)
        if len(found) >= limit:
            return AccountPage(found, skipped, last, False)
    return AccountPage(found, skipped, last, looked < limits.ACCOUNTS_SCANNED)


def get_many(store: Store, app: str, uids: list[int]) -> list[AccountInfo]:
    """Those of ``uids`` that exist in ``app``, deleted ones included (their names stay in old conversations)."""
    keys = [schema.pack_u64(uid) for uid in uids if 0 < uid <= MAX_ENTITY_ID]
    rows = store.get_many(schema.ACCOUNTS, keys)
    return [info for row in rows if row is not None and (info := decode(row).info).app == app]


def _next_epoch(work: Work, before: int = 0) -> int:
    """An epoch no other account is given under the same uid, when an older copy of the data gives that out again: the moment."""
    return max(work.now_ms, before + 1)


def check_token(store: Store, app: str, uid: int, epoch: int) -> None:
    """:raises CallError: 10000 no such user, 402 the token is revoked, 10010 the account is banned or frozen"""
    check_account(load(store, uid), app, uid, epoch)


def check_account(account: Account | None, app: str, uid: int, epoch: int) -> None:
    """As :func:`check_token`, of an account that is loaded."""
    # Accounts are never removed, and epochs only grow: else a copy or a snapshot runs.
    if account is None or epoch > account.info.epoch:
        log.warning(
            "event=data_older_than_token uid=%d remedy='an older copy of the data runs: stop it, or restore a backup "
            "with lanying-cluster restore, which ends the tokens given out since'",
            uid,
        )
    if account is None or account.info.app != app or account.info.state == STATE_DELETED:
        raise CallError(Refusal.TOKEN_REJECTED)
    info = account.info
    if epoch != info.epoch:
        raise CallError(Refusal.TOKEN_REJECTED, "this token was revoked, log in again")
    if info.state != STATE_NORMAL:
        raise CallError(Refusal.PERMISSION_DENIED, "this account is banned or frozen, ask the administrator")


def credentials(store: Store, app: str, uid: int) -> Credentials:
    """What a password check needs."""
    account = need(store, uid, app)
    info = account.info
    return Credentials(uid, info.username, account.password_hash, info.epoch, info.state)


def update(work: Work, uid: int, changes: dict[str, Any]) -> tuple[AccountInfo, dict[str, Any]]:
    """Set fields; the new account and what of it is different now. :raises CallError: 10002 names the bad field"""
    for name, value in changes.items():
        _check(name, value)
    changes = {name: _shown(name, value) if name in NAMES else value for name, value in changes.items()}
    account = need(work.store, uid)
    changed = {name: value for name, value in changes.items() if getattr(account.info, name) != value}
    if not changed:
        return account.info, changed
    info = msgspec.structs.replace(account.info, **changed)
    _save(work, msgspec.structs.replace(account, info=info))
    return info, changed


def rename(work: Work, uid: int, username: str) -> list[str]:
    """Set the user name, which leads to ``uid`` already; the one before is kept, too many of these are the result.

    :raises CallError: 10002 not a user name
    """
    reason = username_error(username)
    if reason is not None:
        raise CallError(Refusal.INVALID_PARAMETER, reason)
    account = need(work.store, uid)
    info = msgspec.structs.replace(account.info, username=username)
    before = [account.info.username, *account.extras.former]
    former = [name for name in before if compared(name) != compared(username)]
    extras = msgspec.structs.replace(account.extras, former=former[: limits.FORMER_NAMES])
    _save(work, msgspec.structs.replace(account, info=info, extras=extras))
    return former[limits.FORMER_NAMES :]


def set_password(
    work: Work, uid: int, password_hash: str, expected: str, *, revoke: bool = True, except_sn: int = 0
) -> None:
    """Replace a hash that still is ``expected``. :raises CallError: 11001 somebody else was faster"""
    account = need(work.store, uid)
    if account.password_hash != expected:
        raise CallError(Refusal.WRONG_PASSWORD, "the password was changed meanwhile, log in with the new one")
    epoch = _next_epoch(work, account.info.epoch) if revoke else account.info.epoch
    info = msgspec.structs.replace(account.info, epoch=epoch)
    _save(work, msgspec.structs.replace(account, info=info, password_hash=password_hash))
    if revoke:
        work.kick(uid, 0, pb.UserNotice.PASSWORD_CHANGED, except_sn)


def set_state(work: Work, uid: int, state: int) -> None:
    """Ban, freeze, delete or restore."""
    if not STATE_NORMAL <= state <= STATE_DELETED:
        raise CallError(Refusal.INVALID_PARAMETER, "state is 0 normal, 1 banned, 2 frozen or 3 deleted")
    account = load(work.store, uid)
    if account is None:
        raise CallError(Refusal.NO_SUCH_USER, f"there is no user {uid}")
    ends = state != STATE_NORMAL
    epoch = _next_epoch(work, account.info.epoch) if ends else account.info.epoch
    info = msgspec.structs.replace(account.info, state=state, epoch=epoch)
    _save(work, msgspec.structs.replace(account, info=info))
    if ends:
        work.kick(uid, 0, pb.UserNotice.REMOVED if state == STATE_DELETED else pb.UserNotice.FROZEN)


def kick(work: Work, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
    """Log devices out; everywhere without exception also revokes all tokens. Number of sessions closed."""
    account = need(work.store, uid)
    if not device_sn and not except_sn:
        info = msgspec.structs.replace(account.info, epoch=_next_epoch(work, account.info.epoch))
        _save(work, msgspec.structs.replace(account, info=info))
    return work.kick(uid, device_sn, notice, except_sn)


def extras(store: Store, uid: int) -> Extras:
    """What an account has besides. :raises CallError: 10000"""
    return need(store, uid).extras


def pin(work: Work, uid: int, conversation: int, pinned: bool) -> None:
    """Pin a conversation, before all others, or unpin it."""
    account = need(work.store, uid)
    others = [other for other in account.extras.pins if other != conversation]
    pins = [conversation, *others][: limits.PINNED_CONVERSATIONS] if pinned else others
    _save_extras(work, account, pins=pins)


def edit_tags(work: Work, uid: int, add: list[str], remove: list[str], clear: bool) -> None:
    """Add push tags and take some away. :raises CallError: 10002 too many or too long"""
    account = need(work.store, uid)
    if any(not 0 < len(tag) <= limits.PUSH_TAG_CHARS for tag in add):
        raise CallError(Refusal.INVALID_PARAMETER, f"tags: a tag has 1 to {limits.PUSH_TAG_CHARS} characters")
    kept = [] if clear else [tag for tag in account.extras.tags if tag not in set(remove)]
    tags = list(dict.fromkeys((*kept, *add)))
    if len(tags) > limits.PUSH_TAGS:
        raise CallError(Refusal.INVALID_PARAMETER, f"tags: a user has at most {limits.PUSH_TAGS}, unbind some first")
    _save_extras(work, account, tags=tags)


def set_push_alias(work: Work, uid: int, alias: str) -> str:
    """Set the push alias; the one before."""
    account = need(work.store, uid)
    _save_extras(work, account, alias=alias)
    return account.extras.alias


def set_badge(work: Work, uid: int, badge: int) -> None:
    """Set the badge number."""
    _save_extras(work, need(work.store, uid), badge=badge)


def _save_extras(work: Work, account: Account, **changes: Any) -> None:
    changed = msgspec.structs.replace(account.extras, **changes)
    if changed != account.extras:
        _save(work, msgspec.structs.replace(account, extras=changed))


def _save(work: Work, account: Account) -> None:
    work.put(schema.ACCOUNTS, schema.pack_u64(account.info.uid), _encode(account))


def _shown(name: str, value: str) -> str:
    try:
        return display_name(value)
    except ValueError as error:
        raise CallError(Refusal.INVALID_PARAMETER, f"{name} {error}") from error


def _check(name: str, value: object) -> None:
    if name in TEXTS:
        if not isinstance(value, str) or len(value) > TEXTS[name]:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a text of at most {TEXTS[name]} characters")
    elif name in SWITCHES:
        if not isinstance(value, bool):
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is true or false")
    elif name in NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= NUMBERS[name]:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a number from 0 to {NUMBERS[name]}")
    else:
        raise CallError(Refusal.INVALID_PARAMETER, f"{name} cannot be set")
