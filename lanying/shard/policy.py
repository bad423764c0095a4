"""Who may write to whom (xsync 6.1), and how an upload is refused."""

from __future__ import annotations

import msgspec

from lanying.bus.messages import PeerState
from lanying.config import Config
from lanying.errors import CallError
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.shard import accounts, roster
from lanying.shard.ports import Work

_LOGIN_STATUS: dict[int, int] = {402: Status.INVALID_TOKEN, 10000: Status.INVALID_TOKEN, 10010: Status.USER_BANNED}
DISK_FULL = "the server's disk is full, the message was not kept"
_decode_peer = msgspec.msgpack.Decoder(PeerState).decode


class Refused(Exception):
    """An upload or a login is not accepted: Status code and the reason text the client shows (xsync 5.1, 5.6)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Policy:
    """Rules of this server over the relations its shard knows."""

    def __init__(self, work: Work, config: Config) -> None:
        self._work = work
        self._friends_only = not config.accounts.strangers_may_chat

    def check_login(self, app: str, uid: int, epoch: int) -> None:
        """:raises Refused: no such user, his token is revoked, or he is banned (xsync 5.1 says what the client does then)"""
        try:
            accounts.check_token(self._work.store, app, uid, epoch)
        except CallError as error:
            code = _LOGIN_STATUS.get(error.code, Status.FAIL)
            raise Refused(code, error.message) from error

    def may_chat(self, uid: int, peer: int) -> bool:
        """Are the two close enough to chat? Looked up for every message only where strangers may not."""
        if not self._friends_only or uid == peer:
            return True
        state = roster.may_send(self._work.store, uid, peer)
        return state is not None and state.friend

    def peer_state(self, uid: int, sender: int, app: str) -> PeerState:
        """What a first message's sender has to know about our user ``uid``."""
        return roster.may_write(self._work, uid, sender, app)

    def remember(self, uid: int, peer: int, state: PeerState) -> PeerState:
        """Keep what the peer's shard said; what counts now."""
        return roster.remember_peer(self._work, uid, peer, state)

    @staticmethod
    def decode_peer(body: bytes) -> PeerState:
        """The answer of another shard to :class:`~lanying.bus.messages.PeerQuery`."""
        return _decode_peer(body)
