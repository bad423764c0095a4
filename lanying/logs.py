"""One log format for every process: time, level, process, then ``event=… key=value …``, on standard error."""

from __future__ import annotations

import logging
import sys


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
