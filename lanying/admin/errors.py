"""How a command ends without a result."""

from __future__ import annotations

from lanying.base.errors import LanyingError


class CommandError(LanyingError):
    """A command was refused or failed: ``code`` is a REST code, the text names the remedy."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class WouldDo(LanyingError):
    """A dry run has come to the point where something would change; the text says what."""
