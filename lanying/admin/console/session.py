"""What the options of ``lanying-admin`` say: which server, and how results are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from rich.console import Console as Screen

from lanying.admin.console.client import Address

UNBOUNDED = 10_000
"""Columns of what is no terminal: nothing is folded that a program or a file is to hold."""


class Target:
    """The server that is meant: looked up when it is first needed, then the same, until another one is chosen."""

    def __init__(self, find: Callable[[], Address]) -> None:
        self._find = find
        self._found: Address | None = None

    def address(self) -> Address:
        """Where it is. :raises ConfigError: an unknown context, or a key file that is not there"""
        if self._found is None:
            self._found = self._find()
        return self._found

    def choose(self, find: Callable[[], Address]) -> None:
        """Another one from now on."""
        self._find, self._found = find, None


def _screen() -> Screen:
    screen = Screen(highlight=False)
    return screen if screen.is_terminal else Screen(highlight=False, width=UNBOUNDED)


@dataclass
class ConsoleOptions:
    """What the options say.

    :ivar screen: for people; progress and questions go to standard error
    """

    target: Target
    as_json: bool = False
    yes: bool = False
    timeout_s: float | None = None
    """None: as the command says."""
    limit: int = 100
    screen: Screen = field(default_factory=_screen)
    notes: Screen = field(default_factory=lambda: Screen(stderr=True, highlight=False))

    def with_options(self, as_json: bool, yes: bool, limit: int | None, timeout_s: float | None) -> Self:
        """The same with what was given besides."""
        return replace(
            self,
            as_json=as_json or self.as_json,
            yes=yes or self.yes,
            limit=limit or self.limit,
            timeout_s=timeout_s or self.timeout_s,
        )
