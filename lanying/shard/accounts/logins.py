"""Logins of this shard's users: a device comes, goes, and is sent away (xsync 5.1, 5.7). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError, Refused
from lanying.base.refusals import Refusal
from lanying.bus.handoff.records import Login
from lanying.bus.messages import STATE_BANNED, STATE_FROZEN
from lanying.protocol import frame
from lanying.protocol.connection import Connection, goodbye
from lanying.protocol.schema.xsync_pb2 import Status, UserNotice
from lanying.shard.accounts import accounts, devices, push_tokens
from lanying.shard.core.session import Session
from lanying.shard.core.work import Work
from lanying.shard.store import schema

KICK_BY_SAME_DEVICE, KICKED_BY_OTHER_DEVICE = 4, 5
"""UserNotice types (xsync 5.7)."""
KICKS: Final[dict[int, str]] = {
    UserNotice.PASSWORD_CHANGED: "kicked_password_changed",
    UserNotice.FROZEN: "kicked_frozen",
    UserNotice.REMOVED: "kicked_removed",
    UserNotice.DEVICE_REMOVED: "kicked_device_removed",
}
"""Why a session ended, by the notice its client was sent; of other notices ``kicked``."""
_CLOSED: dict[int, Refusal] = {STATE_BANNED: Refusal.ACCOUNT_BANNED, STATE_FROZEN: Refusal.ACCOUNT_FROZEN}
"""Said before anything about the token, which was revoked with the change of state: clients would only log in again."""


class Logins:
    """Sessions begin and end here.

    :ivar arrived: port of the notices: a device of this user is here
    :ivar ended: port of the groups: nothing is sent to a session any more
    :ivar abandoned: port of the pushes: a session ended by itself, what it has not acknowledged is owed a push
    """

    arrived: Callable[[int], None]
    ended: Callable[[Session], None]

    def __init__(self, work: Work) -> None:
        self._work = work
        self.abandoned: Callable[[Session], None] | None = None
        work.kick = self.kick
        work.inform = self.inform

    def admit(self, fd: int, connection: Connection, login: Login) -> Session:
        """A client whose token is good logs in.

        :raises Refused: the account does not allow it
        """
        work = self._work
        tick, uid = work.tick, login.uid
        self.check(login.app, uid, login.epoch)
        device, created = self._device(login)
        session = Session(fd, connection, login.app, uid, device.sn, login.address, tick.now)
        session.expires_ms = login.expires * 1000
        if not created:
            session.highest_client_mid = self._highest_client_mid(uid, device.sn)
            old = work.registry.find(uid, device.sn)
            if old is not None:
                # Directly and only to the old connection; a bare close lets that page come back as a new device (5.7).
                self._dismiss(old, KICK_BY_SAME_DEVICE, b"", "replaced")
        sessions = work.registry.sessions(uid)
        if len(sessions) >= limits.DEVICES_PER_USER:
            oldest = min(sessions, key=lambda s: s.last_read)
            self._dismiss(oldest, KICKED_BY_OTHER_DEVICE, goodbye(oldest.connection.kind), "too_many_devices")
        work.registry.add(session)
        work.undo((work.registry.remove, session))
        self.arrived(uid)
        work.logins += 1
        tick.send(session, frame.provision_ok(uid, device.sn))
        return session

    def check(self, app: str, uid: int, epoch: int) -> None:
        """:raises Refused: no such user, their token is revoked, or they are banned (xsync 5.1 says what the client does then)"""
        account = accounts.load(self._work.store, uid)
        if account is not None and account.info.app == app and account.info.state in _CLOSED:
            raise Refused(_CLOSED[account.info.state], _CLOSED[account.info.state].message)
        try:
            accounts.check_account(account, app, uid, epoch)
        except CallError as error:
            # A token of a user who is gone is a dead token: only that makes a client log in again.
            gone = error.refusal is Refusal.NO_SUCH_USER
            raise Refused(Refusal.TOKEN_REJECTED if gone else error.refusal, error.message) from error

    def left(self, session: Session, why: str = "disconnected", *, dismissed: bool = False) -> None:
        """The connection is gone, or goes. ``why``: a word for the log; ``dismissed``: we ended it for good."""
        if session.left:
            return
        work = self._work
        session.left = why
        work.registry.remove(session)
        work.undo((self._return, session))
        self.ended(session)
        devices.seen(work, session.uid, session.sn)
        if self.abandoned is not None and not dismissed:
            self.abandoned(session)

    def end_expired(self) -> None:
        """Once a second: whose token has ended is logged out, with the answer that a new login with it would get."""
        now_ms = self._work.now_ms
        for session in self._work.registry:
            if 0 < session.expires_ms <= now_ms:
                out = frame.provision_refused(Status.INVALID_TOKEN, "the token has expired, log in again", session.uid)
                self._work.tick.send(session, out)
                self.left(session, "token_expired", dismissed=True)
                self._work.tick.add(self._work.tick.closing, session)

    def kick(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
        """See :class:`~lanying.shard.core.work.KickPort`."""
        victims = [
            session
            for session in self._work.registry.sessions(uid)
            if session.sn != except_sn and device_sn in (0, session.sn)
        ]
        for session in victims:
            self._dismiss(session, notice, goodbye(session.connection.kind), KICKS.get(notice, "kicked"))
        return len(victims)

    def inform(self, uid: int, notice: int) -> None:
        """See :attr:`lanying.shard.core.work.Work.inform`."""
        work = self._work
        for session in work.registry.sessions(uid):
            work.tick.send(session, frame.user_notice(work.next_mid(), uid, work.tick.now_ms, notice))

    def _device(self, login: Login) -> tuple[devices.DeviceRecord, bool]:
        """The device of a login, and whether it is new."""
        work, uid, push = self._work, login.uid, (login.notifier, login.device_token)
        fresh = all(push) and not devices.has_push(work.store, uid, login.guid, push)
        device, created = devices.admit(work, uid, login.guid, login.os_type, login.info, work.online(uid), push)
        if created:
            work.mailboxes.start_device(uid, device.sn)
        if fresh:
            push_tokens.bound(work, login.app, uid, *push)
        return device, created

    def _dismiss(self, session: Session, notice: int, farewell: bytes, why: str) -> None:
        work = self._work
        tick = work.tick
        tick.send(session, frame.user_notice(work.next_mid(), session.uid, tick.now_ms, notice))
        if farewell:
            tick.send_raw(session, farewell)
        self.left(session, why, dismissed=True)
        tick.add(tick.closing, session)

    def _return(self, session: Session) -> None:
        """Undo: the session did not leave."""
        session.left = ""
        self._work.registry.add(session)

    def _highest_client_mid(self, uid: int, sn: int) -> int:
        prefix = schema.pack_device(uid, sn)
        found = self._work.store.scan(schema.SENT, prefix, schema.successor(prefix), limit=1, reverse=True)
        return next((int(schema.unpack_u64(key[12:])[0]) for key, _ in found), 0)
