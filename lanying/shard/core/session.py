"""One logged-in device on its connection, and all of them by user."""

from __future__ import annotations

from collections.abc import Iterator

from lanying.base import limits
from lanying.base.budgets import Spent
from lanying.protocol.connection import WRAPPERS, Connection
from lanying.shard.core.ports import Loop

LOOPS_KEPT = 32
"""Pull loops of caught-up conversations kept per session; beyond that they are dropped and read back from the store when needed."""


class Session:
    """State of a logged-in device; one per connection, so every slot counts (docs/performance.md).

    :ivar fd: the client's socket, -1 once closed
    :ivar expires_ms: end of the token it logged in with, 0 for never
    :ivar unsent: bytes the socket did not take yet
    :ivar loops: pull loops by queue, only of queues that moved
    :ivar highest_client_mid: a send with a larger client id cannot be a repetition
    :ivar listed: the unread list was asked for since the login
    :ivar sends: how much of the user's budget is taken, shared by all sessions of a user
    :ivar wrap: a frame as this connection carries it
    :ivar left: closing, nothing is accepted any more: why, in a word; empty before
    """

    __slots__ = (
        "address",
        "app",
        "connection",
        "expires_ms",
        "fd",
        "highest_client_mid",
        "last_read",
        "left",
        "listed",
        "loops",
        "parked",
        "sends",
        "sn",
        "uid",
        "unsent",
        "wrap",
    )

    def __init__(self, fd: int, connection: Connection, app: str, uid: int, sn: int, address: str, now: float) -> None:
        self.fd = fd
        self.connection = connection
        self.wrap = WRAPPERS[connection.kind]
        self.app = app
        self.uid = uid
        self.sn = sn
        self.address = address
        self.last_read = now
        self.expires_ms = 0
        self.unsent = b""
        self.loops: dict[int, Loop] = {}
        self.highest_client_mid = 0
        self.listed = False
        self.left = ""
        self.parked = 0
        self.sends = Spent()

    def forget_idle_loops(self) -> None:
        """Drop loops that have nothing outstanding; their cursors are in the store."""
        if len(self.loops) > LOOPS_KEPT:
            self.loops = {peer: loop for peer, loop in self.loops.items() if not loop.idle}

    def forget_some_loops(self) -> None:
        """There are too many: those that have nothing outstanding go, or else the older half."""
        self.forget_idle_loops()
        for peer in list(self.loops)[: max(0, len(self.loops) - limits.LOOPS_PER_SESSION // 2)]:
            del self.loops[peer]


_NONE: tuple[Session, ...] = ()


class Registry:
    """Sessions of this shard's users, one per device.

    :ivar users: by user, oldest first; nobody without a session is in it
    """

    def __init__(self) -> None:
        self.users: dict[int, list[Session]] = {}
        self.count = 0

    def sessions(self, uid: int) -> list[Session] | tuple[Session, ...]:
        """Sessions of a user, oldest first; not to be changed."""
        return self.users.get(uid, _NONE)

    def absent(self, uids: set[int]) -> set[int]:
        """Those without a session. A dictionary as the other side is what makes it quick."""
        return uids.difference(self.users)

    def find(self, uid: int, sn: int) -> Session | None:
        """The session of one device."""
        return next((session for session in self.sessions(uid) if session.sn == sn), None)

    def add(self, session: Session) -> None:
        """A device logged in."""
        sessions = self.users.setdefault(session.uid, [])
        if sessions:
            session.sends = sessions[0].sends
        sessions.append(session)
        self.count += 1

    def remove(self, session: Session) -> None:
        """A device is gone; removing it twice does nothing."""
        sessions = self.users.get(session.uid)
        if sessions is None or session not in sessions:
            return
        sessions.remove(session)
        self.count -= 1
        if not sessions:
            del self.users[session.uid]

    def __iter__(self) -> Iterator[Session]:
        for sessions in list(self.users.values()):
            yield from list(sessions)
