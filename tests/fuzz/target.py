"""What a target is, and what holds for every one of them."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from typing import ClassVar

LONGEST_S = 1.0
"""CPU time of one input."""


class Found(Exception):
    """An input did what no input may do."""


class Target(ABC):
    """One thing that takes bytes.

    :cvar unit: what its figure counts
    :cvar words: what is worth being put into an input
    :cvar renewed_every: inputs after which it begins anew, 0: it keeps nothing between two
    :cvar may_log: errors in its log are no find
    :cvar excused: nor are those with this in them
    :ivar units: counted so far
    """

    unit: ClassVar[str] = "inputs"
    words: ClassVar[tuple[bytes, ...]] = ()
    renewed_every: ClassVar[int] = 0
    may_log: ClassVar[bool] = False
    excused: ClassVar[str] = "\0"

    def __init__(self) -> None:
        self.units = 0
        self.renew()

    def renew(self) -> None:  # noqa: B027 - most keep nothing
        """Begin anew."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release what it holds."""

    def seeds(self) -> list[bytes]:
        """Inputs to begin with, besides the corpus."""
        return [b""]

    @abstractmethod
    def judge(self, data: bytes) -> None:
        """Take an input. What it raises was found, whatever it is."""


class Tracebacks(logging.Handler):
    """What is logged as an error, since the last look."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._lines: list[str] = []
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self._lines.append(f"{record.name}: {record.getMessage()}\n{trace}")

    def take(self, excused: str = "\0") -> str:
        """All of it but what has ``excused`` in it; empty: nothing."""
        if not self._lines:
            return ""
        found, self._lines = "\n".join(line for line in self._lines if excused not in line), []
        return found

    def end(self) -> None:
        """Look no longer."""
        logging.getLogger().removeHandler(self)


class Spent:
    """CPU time of one input after the other. The kernel is asked ten times a second: asked for each, that takes longer than most inputs."""

    def __init__(self) -> None:
        self._looked = self._cpu = 0.0

    def begin(self) -> None:
        """An input begins."""
        self._began = now = time.monotonic()
        if now - self._looked > 0.1:
            self._looked, self._cpu = now, time.thread_time()

    def end(self) -> float:
        """What it took, in seconds; up to a tenth of a second too much, and 0 where the clock on the wall says that it was little."""
        if time.monotonic() - self._began <= LONGEST_S:
            return 0.0
        return time.thread_time() - self._cpu


def held(target: Target, data: bytes, tracebacks: Tracebacks, spent: Spent) -> None:
    """Judge an input as all are. :raises Exception: something was found"""
    spent.begin()
    try:
        target.judge(data)
    except Exception as error:
        raise Found(f"{error!r}, logged: {tracebacks.take()}") from error
    took = spent.end()
    if (logged := tracebacks.take(target.excused)) and not target.may_log:
        raise Found(f"logged: {logged}")
    if took > LONGEST_S:
        raise Found(f"took {took:.1f} s of CPU")
