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
from functools import lru_cache
from typing import Final, NamedTuple

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


TEMPLATES: Final = 512
"""Remembered fields of templates; ours are fewer, libraries may make theirs as they go."""
_FIELD: Final = re.compile(r"""(\w+)=(?:'([^']*)'|"([^"]*)"|(\S+))""")
_HOLE: Final = re.compile(r"%[#0\- +]*\d*(?:\.\d+)?[a-zA-Z%]")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")


class _Field(NamedTuple):
    """``name=text`` of a template; its holes take the values from ``first`` to ``last``."""

    name: str
    text: str
    first: int
    last: int
    quoted: bool

    def value(self, values: tuple[object, ...]) -> int | str:
        """A text alone in its place is itself, whatever is in it; whole numbers are numbers."""
        own = values[self.first : self.last]
        if len(own) == 1 and isinstance(own[0], str) and _HOLE.fullmatch(self.text):
            return own[0]
        text = self.text % own
        return int(text) if not self.quoted and _INTEGER.fullmatch(text) else text


@lru_cache(TEMPLATES)
def _fields(template: str) -> tuple[_Field, ...]:
    """The fields of a line before its values are in it."""
    found = []
    for match in _FIELD.finditer(template):
        text = next(group for group in match.groups()[1:] if group is not None)
        first = _holes(template[: match.start()])
        found.append(_Field(match[1], text, first, first + _holes(text), match[4] is None))
    return tuple(found)


def _holes(text: str) -> int:
    return sum(hole != "%%" for hole in _HOLE.findall(text))


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
        fields: dict[str, object] = {"event": "text"}
        if record.msg.__class__ is str and record.msg.startswith("event=") and isinstance(record.args, tuple | None):
            fields = {field.name: field.value(record.args or ()) for field in _fields(record.msg)}
        else:
            fields["text"] = record.getMessage()
        if request := request_id.get():
            fields["request"] = request
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
