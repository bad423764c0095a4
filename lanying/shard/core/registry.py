"""Who is logged in: user -> sessions, one per device."""

from __future__ import annotations

from collections.abc import Iterator

from lanying.shard.core.session import Session

_NONE: tuple[Session, ...] = ()


class Registry:
    """Sessions of this shard's users."""

    def __init__(self) -> None:
        self._users: dict[int, list[Session]] = {}
        self.count = 0

    def sessions(self, uid: int) -> list[Session] | tuple[Session, ...]:
        """Sessions of a user, oldest first; not to be changed."""
        return self._users.get(uid, _NONE)

    def absent(self, uids: set[int]) -> set[int]:
        """Those without a session. A dictionary as the other side is what makes it quick."""
        return uids.difference(self._users)

    def find(self, uid: int, sn: int) -> Session | None:
        """The session of one device."""
        return next((session for session in self.sessions(uid) if session.sn == sn), None)

    def add(self, session: Session) -> None:
        """A device logged in."""
        sessions = self._users.setdefault(session.uid, [])
        if sessions:
            session.sends = sessions[0].sends
        sessions.append(session)
        self.count += 1

    def remove(self, session: Session) -> None:
        """A device is gone; removing it twice does nothing."""
        sessions = self._users.get(session.uid)
        if sessions is None or session not in sessions:
            return
        sessions.remove(session)
        self.count -= 1
        if not sessions:
            del self._users[session.uid]

    def __iter__(self) -> Iterator[Session]:
        for sessions in list(self._users.values()):
            yield from list(sessions)
