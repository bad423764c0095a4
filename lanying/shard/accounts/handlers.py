"""Who answers what: the calls and link messages of accounts, devices, codes, files and the roster, as two tables. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lanying.base.budgets import charge
from lanying.bus import messages as m
from lanying.bus.messages.base import answers
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import accounts, devices, files, one_time_codes, push_tokens, roster
from lanying.shard.core.work import Work


def _check_token(work: Work, request: m.CheckToken) -> bool:
    accounts.check_token(work.store, request.app, request.uid, request.epoch)
    return True


def _tell_of(work: Work, uid: int, changed: dict[str, Any]) -> None:
    """Friends and the user's own devices hear of a changed account (xsync 7.4). A token does not say which device the
    change came from, so that one hears of it too: to clients it is information only (5.7)."""
    if changed:
        roster.tell_friends(work, uid, changed)
        work.inform(uid, pb.UserNotice.INFO_UPDATED)


def _update_account(work: Work, request: m.UpdateAccount) -> m.AccountInfo:
    charge(work.budgets.profiles, request.uid, work.tick.now, "changes of your profile")
    info, changed = accounts.update(work, request.uid, request.changes)
    _tell_of(work, request.uid, changed)
    return info


def _set_password(work: Work, request: m.SetPassword) -> bool:
    accounts.set_password(
        work, request.uid, request.password_hash, request.expected, revoke=request.revoke, except_sn=request.except_sn
    )
    if request.revoke:
        devices.unbind_pushes(work, request.uid, 0, request.except_sn)
    return True


def _set_state(work: Work, request: m.SetState) -> bool:
    """Whoever may not log in is not pushed anything, and whoever is deleted leaves their groups."""
    accounts.set_state(work, request.uid, request.state)
    if request.state != m.STATE_NORMAL:
        devices.unbind_pushes(work, request.uid)
    if request.state == m.STATE_DELETED:
        for gid in work.mailboxes.joined(request.uid):
            work.link(gid, m.Resign(gid, request.uid))
    return True


def _count(work: Work, uid: int, *, by_admin: bool) -> None:
    """A change of what somebody notes about others: their devices hear of each."""
    if not by_admin:
        charge(work.budgets.changes, uid, work.tick.now, "changes of your contacts")


def _answer(work: Work, request: m.AnswerApplication) -> bool:
    roster.answer(work, request.uid, request.applicant, request.accept, request.reason)
    return True


def _set_relation(work: Work, request: m.SetRelation) -> bool:
    _count(work, request.uid, by_admin=request.by_admin)
    roster.set_notes(work, request.uid, request.other, request.alias, request.ext, request.mute_notification)
    return True


def _block(work: Work, request: m.Block) -> bool:
    _count(work, request.uid, by_admin=request.by_admin)
    roster.block(work, request.uid, request.other, request.blocked)
    return True


def _check_file(work: Work, request: m.CheckFile) -> bool:
    files.check(work.store, request.owner, request.number, request.size, request.quota)
    return True


def _add_file(work: Work, request: m.AddFile) -> bool:
    files.add(work, request.record, request.quota)
    return True


def _old_files(work: Work, request: m.ListOldFiles) -> m.OldFiles:
    found, after = files.page(work.store, request.after, request.before_ms)
    return m.OldFiles([(record.owner, record.number) for record in found], after)


def _claim_name(work: Work, request: m.ClaimName) -> bool:
    accounts.claim_name(work, request.app, request.name, request.uid)
    return True


def _rename(work: Work, request: m.Rename) -> list[str]:
    too_many = accounts.rename(work, request.uid, request.username)
    _tell_of(work, request.uid, {"username": request.username})
    return too_many


def _pin(work: Work, request: m.Pin) -> bool:
    accounts.pin(work, request.uid, request.conversation, request.pinned)
    return True


def _edit_tags(work: Work, request: m.EditTags) -> bool:
    accounts.edit_tags(work, request.uid, request.add, request.remove, request.clear)
    return True


def _set_badge(work: Work, request: m.SetBadge) -> bool:
    accounts.set_badge(work, request.uid, request.badge)
    return True


def _bind_push(work: Work, request: m.BindPush) -> bool:
    uid, notifier, token = request.uid, request.notifier, request.device_token
    devices.bind_push(work, uid, request.device_sn, notifier, token)
    if token:
        push_tokens.bound(work, accounts.need(work.store, uid).info.app, uid, notifier, token)
    return True


def _kick(work: Work, request: m.Kick) -> int:
    """Who was logged out is not pushed what they may not read any more."""
    devices.unbind_pushes(work, request.uid, request.device_sn, request.except_sn)
    return accounts.kick(work, request.uid, request.device_sn, request.notice, request.except_sn)


def _limit_sessions(work: Work, request: m.LimitSessions) -> int:
    """They end like those whose own token has ended."""
    found = [session for session in work.registry if session.app == request.app]
    for session in found:
        session.expires_ms = min(session.expires_ms or request.ends_ms, request.ends_ms)
    return len(found)


def _put_code(work: Work, request: m.PutCode) -> bool:
    one_time_codes.put(work, request)
    return True


HANDLERS: Final[dict[type[m.Message], Callable[[Work, Any], object]]] = dict(
    [
        answers(m.PeerQuery)(lambda work, r: roster.may_write(work, r.uid, r.sender, r.app)),
        answers(m.ClaimAccount)(lambda work, r: accounts.claim(work, r.app, r.username, r.password_hash).uid),
        answers(m.FindName)(lambda work, r: accounts.find_name(work.store, r.app, r.username)),
        answers(m.GetAccounts)(lambda work, r: accounts.get_many(work.store, r.app, r.uids)),
        answers(m.CheckToken)(_check_token),
        answers(m.UpdateAccount)(_update_account),
        answers(m.ListDevices)(lambda work, r: devices.describe(work, r.uid)),
        answers(m.Kick)(_kick),
        answers(m.LimitSessions)(_limit_sessions),
        answers(m.GetCredentials)(lambda work, r: accounts.credentials(work.store, r.app, r.uid)),
        answers(m.SetPassword)(_set_password),
        answers(m.SetState)(_set_state),
        answers(m.ForgetDevice)(lambda work, r: devices.remove(work, r.uid, r.device_sn)),
        answers(m.ApplyFriend)(
            lambda work, r: roster.apply(work, r.uid, r.applicant, r.app, r.reason, r.alias, r.answer, r.by_admin)
        ),
        answers(m.AnswerApplication)(_answer),
        answers(m.DeleteFriend)(lambda work, r: roster.delete(work, r.uid, r.other)),
        answers(m.SetRelation)(_set_relation),
        answers(m.Block)(_block),
        answers(m.ListFriends)(lambda work, r: roster.friends(work.store, r.uid, r.after, r.limit)),
        answers(m.ListBlocked)(lambda work, r: roster.blocked(work.store, r.uid)),
        answers(m.ListApplications)(lambda work, r: roster.applications(work.store, r.uid, r.before, r.limit)),
        answers(m.GetRelations)(lambda work, r: roster.relations(work.store, r.uid, r.others)),
        answers(m.ClaimName)(_claim_name),
        answers(m.ReleaseName)(lambda work, r: accounts.release_name(work, r.app, r.name, r.uid)),
        answers(m.ListAccounts)(lambda work, r: accounts.page(work.store, r.app, r.after, r.skip, r.limit)),
        answers(m.ListOnline)(lambda work, r: [uid for uid in r.uids if work.online(uid)]),
        answers(m.Rename)(_rename),
        answers(m.GetExtras)(lambda work, r: accounts.extras(work.store, r.uid)),
        answers(m.Pin)(_pin),
        answers(m.EditTags)(_edit_tags),
        answers(m.SetPushAlias)(lambda work, r: accounts.set_push_alias(work, r.uid, r.alias)),
        answers(m.SetBadge)(_set_badge),
        answers(m.BindPush)(_bind_push),
        answers(m.PutCode)(_put_code),
        answers(m.ReadCode)(lambda work, r: one_time_codes.read(work, r.app, r.kind, r.code, r.take)),
        answers(m.CheckCode)(lambda work, r: one_time_codes.check(work, r.app, r.kind, r.code, r.answer)),
        answers(m.CheckFile)(_check_file),
        answers(m.AddFile)(_add_file),
        answers(m.GetFile)(lambda work, r: files.get(work.store, r.owner, r.number)),
        answers(m.RemoveFiles)(lambda work, r: files.remove(work, r.keys)),
        answers(m.ListOldFiles)(_old_files),
        answers(m.ListFileUsage)(lambda work, r: files.usages(work.store, r.after)),
    ]
)

LINK_CHANGES: Final[dict[type[m.Message], Callable[[Work, Any], object]]] = {
    m.PushTokenBound: push_tokens.told,
    m.RosterChange: roster.changed,
    m.Barred: roster.barred,
}
