"""What a test may change in its process, and must put back: the tests behind it run in the same one.

A mask for new files, a folder, a variable, a signal handler that stays behind makes another test fail, hours and folders away.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

HANDLED: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
"""Without SIGALRM: the limit on a test's time has it."""
OF_THE_RUNNER: Final = frozenset({"PYTEST_CURRENT_TEST"})
"""Variables that pytest sets itself."""


class ProcessPart(NamedTuple):
    """One thing that belongs to the whole process."""

    read: Callable[[], Any]
    restore: Callable[[Any], object]


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _folder() -> str:
    with contextlib.suppress(FileNotFoundError):
        return os.getcwd()
    return "a folder that is gone"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OF_THE_RUNNER}


def _restore_environment(before: dict[str, str]) -> None:
    for name in _environment().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _handlers() -> dict[str, Any]:
    return {name: signal.getsignal(getattr(signal, name)) for name in HANDLED}


def _restore_handlers(before: dict[str, Any]) -> None:
    for name, handler in before.items():
        if handler is not None:  # else it was not set from Python
            signal.signal(getattr(signal, name), handler)


def _logging() -> tuple[list[logging.Handler], int, int]:
    root = logging.getLogger()
    handlers = [one for one in root.handlers if not type(one).__module__.startswith("_pytest")]
    return handlers, root.level, root.manager.disable


def _restore_logging(before: tuple[list[logging.Handler], int, int]) -> None:
    root = logging.getLogger()
    for handler in set(_logging()[0]) - set(before[0]):
        root.removeHandler(handler)
    for handler in set(before[0]) - set(root.handlers):
        root.addHandler(handler)
    root.setLevel(before[1])
    logging.disable(before[2])


def _collector() -> tuple[tuple[int, int, int], bool]:
    return gc.get_threshold(), gc.isenabled()


def _restore_collector(before: tuple[tuple[int, int, int], bool]) -> None:
    gc.set_threshold(*before[0])
    (gc.enable if before[1] else gc.disable)()


def _disabled() -> frozenset[str]:
    """Loggers that say nothing any more."""
    loggers = logging.getLogger().manager.loggerDict
    return frozenset(name for name, one in loggers.items() if isinstance(one, logging.Logger) and one.disabled)


def _enable(before: frozenset[str]) -> None:
    for name in _disabled() - before:
        logging.getLogger(name).disabled = False


PARTS: Final = {
    "umask": ProcessPart(_umask, os.umask),
    "working directory": ProcessPart(_folder, os.chdir),
    "environment": ProcessPart(_environment, _restore_environment),
    "time zone": ProcessPart(lambda: time.tzname, lambda before: time.tzset()),
    "signal handlers": ProcessPart(_handlers, _restore_handlers),
    "cores": ProcessPart(lambda: os.sched_getaffinity(0), lambda before: os.sched_setaffinity(0, before)),
    "limit of open files": ProcessPart(
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
        lambda before: resource.setrlimit(resource.RLIMIT_NOFILE, before),
    ),
    "garbage collector": ProcessPart(_collector, _restore_collector),
    "root logger": ProcessPart(_logging, _restore_logging),
    "disabled loggers": ProcessPart(_disabled, _enable),
}
"""In the order in which they are put back: the time zone comes from the environment."""


def now() -> dict[str, Any]:
    """Every part as it is."""
    return {name: part.read() for name, part in PARTS.items()}


def put_back(before: dict[str, Any]) -> list[str]:
    """Restore what is different from ``before``; a line for each part that was."""
    changed = []
    for name, part in PARTS.items():
        found = part.read()
        if found != before[name]:
            changed.append(f"{name}: {_difference(before[name], found)}")
            part.restore(before[name])
    return changed


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, dict):
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return ", ".join(f"{name} was {before.get(name)!r}, is {after.get(name)!r}" for name in names)
    if before.__class__ is int:
        return f"was {before:#o}, is {after:#o}"
    return f"was {before!r}, is {after!r}"
