"""What the handler of a command gets, and the row a command has in the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lanying.admin.errors import WouldDo
from lanying.admin.keys import Role
from lanying.admin.server import Server
from lanying.base import limits


class Kind(StrEnum):
    """Type of an argument."""

    TEXT = "text"
    NUMBER = "number"
    USER = "user"
    """A user id or a user name."""
    GROUP = "group"
    FLAG = "flag"
    WORDS = "words"
    """What somebody writes to somebody: the audit log keeps its length."""
    SECRET = "secret"
    """Asked for without echo when it is not given, never logged."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: positional, or an option when its name begins with ``--``.

    :ivar many: takes all that follow, as a list
    :ivar choices: the only values, if any
    :ivar suggestions: values the console completes
    """

    name: str
    help: str
    kind: Kind = Kind.TEXT
    required: bool = True
    many: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in :attr:`CommandContext.arguments`."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def is_option(self) -> bool:
        """Given by name?"""
        return self.name.startswith("--")


@dataclass(slots=True)
class ResultPage:
    """A result with more behind it."""

    rows: list[dict[str, Any]]
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class AfterRestart:
    """The result comes after a restart of the server: who asked asks ``command`` for it then, in about ``seconds``.

    :ivar text: what goes on meanwhile
    """

    command: str
    text: str
    seconds: float


@dataclass(slots=True)
class CommandContext:
    """One asked command.

    :ivar who: name of the key, ``local`` on the ipc socket
    :ivar progress: reports to the console how far it is: done, total (0: unknown), text
    """

    server: Server
    who: str
    role: Role
    arguments: dict[str, Any]
    dry: bool = False
    cursor: str = ""
    limit: int = 100
    progress: Callable[[float, float, str], None] = field(default=lambda done, total, text: None)

    def text(self, key: str, default: str = "") -> str:
        """A text argument."""
        value = self.arguments.get(key)
        return default if value is None else str(value)

    def number(self, key: str, default: int = 0) -> int:
        """A number argument."""
        value = self.arguments.get(key)
        return default if value is None else int(value)

    def flag(self, key: str) -> bool:
        """Was a flag given?"""
        return bool(self.arguments.get(key))

    def many(self, key: str) -> list[str]:
        """An argument that takes all that follow."""
        return [str(value) for value in self.arguments.get(key) or []]

    def will(self, what: str) -> None:
        """From here on things change. ``what`` is a sentence like "ban alice (7): 2 sessions end".

        :raises WouldDo: this is a dry run
        """
        if self.dry:
            raise WouldDo(what)


Handler = Callable[[CommandContext], Awaitable[object]] | Callable[[CommandContext], AsyncIterator[dict[str, Any]]]
"""Answers with a map, a list of maps, a :class:`ResultPage`, a text or :class:`AfterRestart`; a stream yields maps until cancelled."""


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the table.

    :ivar name: words, for example ``users show``
    :ivar destructive: the console asks first, showing what :meth:`CommandContext.will` says
    :ivar streams: the handler is an asynchronous generator
    :ivar columns: order of a table's columns; others are shown with ``--json`` only
    :ivar judges: a row with the state ``bad`` in its result makes the exit code 1
    :ivar deadline_s: what the console gives it without ``--timeout``
    """

    name: str
    help: str
    handler: Handler
    arguments: tuple[Argument, ...] = ()
    role: Role = Role.READ
    destructive: bool = False
    streams: bool = False
    judges: bool = False
    columns: tuple[str, ...] = ()
    deadline_s: float = limits.ADMIN_COMMAND_S
