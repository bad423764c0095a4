"""What the kernel does when a parent ends: the three calls of ``prctl`` and ``getppid`` about it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from typing import Final

_SET_PDEATHSIG: Final = 1
_SET_CHILD_SUBREAPER: Final = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_ADOPTION_S: Final = 0.0002


def die_with(parent: int) -> None:
    """End when this parent does; at once if it has.

    SIGKILL: what was acknowledged is safe, and the next start must not find databases still open.
    """
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def await_adoption(parent: int) -> None:
    """Return when this process, whose own parent is about to end, has got another one. The death of the first would count as well."""
    while os.getppid() == parent:
        time.sleep(_ADOPTION_S)


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Meanwhile this process gets the descendants whose parents end. Not for good: it could not know and bury them all."""
    _prctl(_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_SET_CHILD_SUBREAPER, 0)
