"""The file that standard error goes to: opened again on SIGHUP, and moved away when it is too large.

``logrotate`` moves it and says so, or the supervisor does itself (:func:`rotate`).

Every process of a server has the supervisor's standard error. Where that is a file, each opens it again by the name it had at the
start, which children learn from the environment: one that is started between the moving and the signal cannot see it any more.
"""

from __future__ import annotations

import logging
import os
import signal
import stat
import threading
from itertools import pairwise
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

ENVIRONMENT: Final = "_LANYING_LOG"
_STANDARD_ERROR: Final = 2


def remember() -> None:
    """Note the name of the file before anybody moves it; for the supervisor, before it has children."""
    if not _is_file():
        os.environ.pop(ENVIRONMENT, None)
    elif ENVIRONMENT not in os.environ:  # else it is there from before a restart
        os.environ[ENVIRONMENT] = os.readlink(f"/proc/self/fd/{_STANDARD_ERROR}")


def reopen_on_hangup() -> None:
    """From now on SIGHUP opens the file again instead of ending this process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda *_: reopen())


def reopen() -> None:
    """Open the file again; what cannot be opened goes on as it was."""
    name = os.environ.get(ENVIRONMENT)
    if not name or not _is_file():
        return
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.error("event=log_not_reopened file=%s error=%r", name, error.strerror)
        return
    before = os.fstat(_STANDARD_ERROR)
    if os.path.samestat(before, os.fstat(1)):
        os.dup2(fd, 1)
    os.dup2(fd, _STANDARD_ERROR)
    os.close(fd)
    log.info("event=log_reopened file=%s", name)


def rotate(file: Path, most_bytes: int, kept: int) -> bool:
    """Move the log away if it is larger: ``lanying.log`` becomes ``lanying.log.1``, that ``.2``, and the last one of ``kept`` goes. Whoever
    writes to it has to open it again.

    False: it is not that large, or standard error goes elsewhere. :raises OSError: it cannot be moved
    """
    here = os.fstat(_STANDARD_ERROR)
    try:
        if here.st_size <= most_bytes or not os.path.samestat(here, file.stat()):
            return False
    except FileNotFoundError:
        return False
    older = [file, *(file.with_name(f"{file.name}.{number}") for number in range(1, kept + 1))]
    for source, target in reversed(list(pairwise(older))):
        if source.exists():
            source.replace(target)
    return True


def _is_file() -> bool:
    try:
        return stat.S_ISREG(os.fstat(_STANDARD_ERROR).st_mode)
    except OSError:
        return False
