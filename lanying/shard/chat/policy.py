"""Who may write to whom (xsync 6.1), and how an upload is refused."""

from __future__ import annotations

import msgspec

from lanying.base import words
from lanying.base.budgets import Spent, need
from lanying.base.errors import CallError, Refused
from lanying.base.refusals import Refusal
from lanying.bus.messages import AddApp, PeerState
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.accounts import accounts, roster
from lanying.shard.core.work import Work

_decode_peer = msgspec.msgpack.Decoder(PeerState).decode


class Policy:
    """Rules of this server over the relations its shard knows.

    :ivar anybody: everybody may write to everybody, in all apps: :meth:`may_chat` need not be asked
    :ivar words: the word filter, None without one
    :ivar budgets: of what users send
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._settings = work.settings
        rules = work.config.policy
        self.anybody = self._everywhere_anybody()
        self.budgets = work.budgets
        self._per_group = rules.group_messages_per_s
        self._mask = rules.mask_words
        file = rules.words_file
        self.words = words.WordFilter(words.read(file)) if file else None

    def add_app(self, request: AddApp) -> bool:
        """An app was added while we run."""
        self._settings.add_app(request.app, request.own)
        self.anybody = self._everywhere_anybody()
        return True

    def _everywhere_anybody(self) -> bool:
        config = self._settings.config
        return config.accounts.strangers_may_chat and all(
            config.accounts_of(app).strangers_may_chat for app in config.apps
        )

    def spent(self, uid: int) -> Spent:
        """What a user has taken of their budget, over sockets and REST alike."""
        sessions = self._work.registry.sessions(uid)
        return sessions[0].sends if sessions else self.budgets.of(uid)

    def charge(self, uid: int, tokens: int) -> None:
        """Work that a user causes counts as so many messages more. :raises Refused: too much in this second"""
        budgets = self.budgets
        if tokens and not budgets.messages.take(self.spent(uid), self._work.tick.now, tokens=tokens):
            raise budgets.too_many()

    def may_ask(self, uid: int) -> None:
        """May a user know whether somebody exists? :raises Refused: they have asked for too many who do not"""
        try:
            need(self.budgets.unknown, uid, self._work.tick.now, "recipients who do not exist")
        except CallError as error:
            raise Refused(Refusal.TOO_MANY_MESSAGES, error.message, error.retry_s) from error

    def nobody(self, uid: int) -> None:
        """A user has asked for somebody who does not exist."""
        self.budgets.unknown.owe(uid, self._work.tick.now, 1)

    def count_group(self, gid: int, now: float, priority: int, size: int) -> bool:
        """Something for a group of this shard. False: it may be dropped (``priority`` above 0) and has to be.

        :param size: bytes, of all copies

        Messages that may be dropped get half of the group's rate. :raises Refused: too much in this second
        """
        budgets, most = self.budgets, self._per_group
        keep = most - most // 2 if priority else 0
        tokens = size * budgets.group_tokens_per_byte
        if tokens < 1.0:
            tokens = 1.0
        elif tokens > most - keep:
            tokens = float(most - keep)
        if budgets.group.take(gid, now, keep, tokens):
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
        if self.anybody or uid == peer:
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
