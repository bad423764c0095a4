"""What parts of a shard need of parts above them, as narrow ports."""

from __future__ import annotations

from typing import Protocol

from lanying.shard.core.conversation import Conversation, Entry, Fetched
from lanying.shard.core.mailbox import Mailboxes


class Loop(Protocol):
    """One device's progress in one queue: :class:`~lanying.shard.chat.sync.PullLoop`."""

    @property
    def cursor(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def state(self) -> object: ...
    @property
    def idle(self) -> bool: ...
    def share(self, first: int, last: int, now: float) -> bool: ...
    def wants(self, key: int, head: Conversation) -> int | None: ...
    def offer(
        self, mailboxes: Mailboxes, head: Conversation, sn: int, entries: list[Entry], now: float, congested: bool
    ) -> bytes | None: ...
    def remind(self, head: Conversation, now: float) -> bytes: ...
    def acknowledge(self, mailboxes: Mailboxes, head: Conversation, sn: int, key: int) -> bool: ...
    def end(self, head: Conversation, now: float) -> bytes: ...
    def pull(
        self,
        mailboxes: Mailboxes,
        head: Conversation,
        sn: int,
        key: int,
        now: float,
        now_ms: int = 0,
        fetched: Fetched | None = None,
    ) -> bytes: ...
    def pending(self, head: Conversation, now: float) -> int: ...
