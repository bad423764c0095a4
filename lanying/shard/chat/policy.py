"""Who may write to whom (xsync 6.1), and how an upload is refused."""

from __future__ import annotations

import msgspec

from lanying.base import limits, words
from lanying.base.errors import Refused
from lanying.base.rate import Rate, RateLimiter
from lanying.base.refusals import Refusal
from lanying.bus.messages import AddApp, PeerState
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.accounts import accounts, roster
from lanying.shard.core.work import Work

_decode_peer = msgspec.msgpack.Decoder(PeerState).decode


class Policy:
    """Rules of this server over the relations its shard knows.

    :ivar words: the word filter, None without one
    :ivar user_rate: of what one user sends
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._settings = work.settings
        rules = work.config.policy
        self._anybody = self._everywhere_anybody()
        self.user_rate = Rate(rules.user_messages_per_s)
        self._per_group = rules.group_messages_per_s
        self._groups = RateLimiter(Rate(self._per_group), limits.GROUP_RATES)
        self._mask = rules.mask_words
        file = rules.words_file
        self.words = words.WordFilter(words.read(file)) if file else None

    def add_app(self, request: AddApp) -> bool:
        """An app was added while we run."""
        self._settings.add_app(request.app, request.own)
        self._anybody = self._everywhere_anybody()
        return True

    def _everywhere_anybody(self) -> bool:
        config = self._settings.config
        return config.accounts.strangers_may_chat and all(
            config.accounts_of(app).strangers_may_chat for app in config.apps
        )

    def too_many(self) -> Refused:
        """A user sends more than ``user_rate``."""
        most = self.user_rate.burst
        return Refused(Refusal.TOO_MANY_MESSAGES, f"more than {most:g} messages in a second")

    def charge(self, uid: int, tokens: int) -> None:
        """Work that a user causes counts as so many messages more. :raises Refused: too much in this second"""
        sessions = self._work.registry.sessions(uid)
        if sessions and tokens and not self.user_rate.take(sessions[0].sends, self._work.tick.now, tokens=tokens):
            raise self.too_many()

    def count_group(self, gid: int, now: float, priority: int) -> bool:
        """Something for a group of this shard. False: it may be dropped (``priority`` above 0) and has to be.

        Messages that may be dropped get half of the group's rate. :raises Refused: too much in this second
        """
        if self._groups.take(gid, now, keep=self._per_group - self._per_group // 2 if priority else 0):
            return True
        if priority:
            return False
        raise Refused(Refusal.TOO_MANY_MESSAGES, f"more than {self._per_group} messages in a second in this group")

    def censor(self, meta: Meta, body: MessageBody) -> None:
        """Look for forbidden words; masked in place if the server masks. :raises Refused: WORD_CENSORED"""
        assert self.words is not None
        masked = self.words.mask(body.content)
        if masked is None:
            return
        if not self._mask:
            raise Refused(Refusal.FORBIDDEN_WORDS)
        body.content = masked
        meta.payload = body.SerializeToString()

    def may_chat(self, uid: int, peer: int) -> bool:
        """Are the two close enough to chat? Looked up for every message only where strangers may not."""
        if self._anybody or uid == peer:
            return True
        account = accounts.load(self._work.store, uid)
        if account is not None and self._settings.config.accounts_of(account.info.app).strangers_may_chat:
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
