"""One log format for every process: time, level, process, then ``event=… key=value …``, on standard error."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error")
Send = Callable[[int, str, str, str], None]
"""Takes wall ms, level, module and text of a log record."""


def setup(process: str, level: str) -> None:
    """Log from now on as ``process``.

    :param level: debug, info, warning or error
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(
            f"%(asctime)s.%(msecs)03d %(levelname)s {process} %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Nobody reads the thread's or the process's name: not looking them up halves the cost of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def set_level(module: str, level: str) -> None:
    """Set the level of a module and those below it; of everything with an empty name."""
    logging.getLogger(module or None).setLevel(level.upper())


def follow(send: Send, seconds: float) -> None:
    """Send every record for a while; one follower at a time, a new one replaces the old. 0: stop."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Follower)]:
        root.removeHandler(handler)
    if seconds > 0:
        root.addHandler(_Follower(send, time.monotonic() + seconds))


class _Follower(logging.Handler):
    """Hands records to a function until its time is over."""

    def __init__(self, send: Send, until: float) -> None:
        super().__init__()
        self._send = send
        self._until = until

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() > self._until:
            logging.getLogger().removeHandler(self)
            return
        self._send(int(record.created * 1000), record.levelname.lower(), record.name, record.getMessage())
