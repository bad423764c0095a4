"""Whose upload it is: a session's, or the server's in a user's name. And how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from lanying.base.errors import Refused
from lanying.bus.messages import Posted


class Author(Protocol):
    """A user of this shard and the device they write with; sessions are authors."""

    @property
    def uid(self) -> int:
        """User id."""

    @property
    def sn(self) -> int:
        """Serial number of the device that does not get its own upload; 0: all of the user's devices get it."""

    @property
    def app(self) -> str:
        """The sender's app."""


class InName(NamedTuple):
    """The server writes in the name of ``uid`` (REST)."""

    uid: int
    app: str
    sn: int = 0


Answer = Callable[[Posted | Refused], None]
"""Called once with what became of an upload, at once or in a later tick."""
