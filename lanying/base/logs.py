"""One log format for every process: time, level, process, then ``event=… key=value …``; or the same as JSON. On standard error.

Nothing is logged per message, and never what people wrote, their passwords or tokens.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Final

from lanying.base import log_file, watched
from lanying.base.context import request_id

LEVELS: Final = ("debug", "info", "warning", "error")
Send = Callable[[int, str, str, str], None]
"""Takes wall ms, level, module and text of a log record."""


def setup(process: str, level: str, form: str = "text") -> None:
    """Log from now on as ``process``.

    :param level: debug, info, warning or error
    :param form: text, or json for one object per line
    """
    log_file.reopen_on_hangup()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Json(process)
        if form == "json"
        else _Text(f"%(asctime)s.%(msecs)03d %(levelname)s {process} %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Nobody reads the thread's or the process's name: not looking them up halves the cost of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


_PAIR = re.compile(r"(\w+)=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\S+)")


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")


def _value(text: str) -> int | str:
    """Of ``name=text``; in quotes it is a text."""
    return int(text) if _INTEGER.fullmatch(text) else text.strip("'\"")


def message(record: logging.LogRecord) -> str:
    """A record's own text, with the request its work belongs to (:mod:`lanying.base.context`)."""
    text = record.getMessage()
    request = request_id.get()
    return f"{text} request={request}" if request else text


class _Text(logging.Formatter):
    """As in the module's docstring."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = message(record)
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """``time`` (ms), ``level``, ``process``, ``module``, and the record's own ``event`` and values: numbers if they are
    whole ones, else texts.

    ``process=shard-0`` in a record of the supervisor becomes ``about_process``: its own name is taken.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        text = message(record)
        fields: dict[str, object] = {name: _value(value) for name, value in _PAIR.findall(text)}
        if "event" not in fields:
            fields = {"event": "text", "text": text}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        head = {
            "time": int(record.created * 1000),
            "level": record.levelname.lower(),
            "process": self._process,
            "module": record.name,
        }
        own = {f"about_{name}" if name in head else name: value for name, value in fields.items()}
        return json.dumps({**own, **head}, ensure_ascii=False)


def set_level(module: str, level: str) -> None:
    """Set the level of a module and those below it; of everything with an empty name."""
    logging.getLogger(module or None).setLevel(level.upper())


# --- one user ---


def about(log: logging.Logger, level: int, uid: int, text: str, *values: object) -> None:
    """A line about a user, in a process's log if its level or their own takes it. ``text`` has ``uid=%d`` first."""
    if log.isEnabledFor(level):
        log.log(level, text, uid, *values)
    elif watched.wants(uid, level, time.monotonic()):
        watched.log.log(level, text, uid, *values)


# --- followers ---


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
        self._send(int(record.created * 1000), record.levelname.lower(), record.name, message(record))
