"""What the doctor looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanying.admin.files import ServerFiles
from lanying.config.schema import Config
from lanying.supervisor.answers import Status


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. ``state``: ok, warn or bad."""

    check: str
    state: str
    found: str
    remedy: str = ""

    def row(self) -> dict[str, Any]:
        """As a row of the table."""
        return {"state": self.state, "check": self.check, "found": self.found, "remedy": self.remedy}


Check = Callable[["Patient"], Iterable[Finding]]


@dataclass(frozen=True)
class Patient:
    """What is looked at.

    :ivar root: ``/``; another tree in tests
    :ivar status: of the supervisor
    :ivar unreadable: what ``messages unreadable`` lists
    :ivar flushes_ms: how long flushes beside the data took
    """

    root: Path
    config: Config
    files: ServerFiles
    status: Status
    flushes_ms: list[float]
    now_s: float
    unreadable: Sequence[dict[str, Any]] = ()

    def read(self, name: str) -> str:
        """A file's text, empty when it is not there."""
        try:
            return (self.root / name).read_text("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""
