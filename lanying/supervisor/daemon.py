"""``--daemon``: leave the terminal, keep the log, and report to the caller how the start went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

TAIL_BYTES = 4096


def detach(log_file: Path) -> Callable[[int, str], None]:
    """Go on in a background process; the calling one waits for its report, prints it and exits.

    Standard output and error go to ``log_file``. Call before threads, loops or ZeroMQ exist.

    :returns: ``report(code, line)``, to be called once; with code 0 the caller prints ``line`` on its standard output
    """
    log_file.parent.mkdir(mode=0o700, exist_ok=True)
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        os.waitpid(pid, 0)
        _wait(reading, log_file)
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(null)
    os.close(log)

    def report(code: int, line: str) -> None:
        nonlocal writing
        if writing >= 0:
            os.write(writing, f"{code} {line}\n".encode())
            os.close(writing)
            writing = -1

    return report


def _wait(reading: int, log_file: Path) -> None:
    """The rest of the calling process's life."""
    with os.fdopen(reading, encoding="utf-8") as pipe:
        code, _, line = pipe.readline().strip().partition(" ")
    if code == "0":
        print(line)
        sys.stdout.flush()
        os._exit(0)
    sys.stderr.write(
        f"{tail(log_file)}\nlanying-cluster: not started: {line or 'it ended'}; the whole log: {log_file}\n"
    )
    sys.stderr.flush()
    os._exit(int(code or 1))


def tail(log_file: Path) -> str:
    """The last lines of a log."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
            return file.read().decode("utf-8", "replace").rstrip()
    except OSError:
        return ""
