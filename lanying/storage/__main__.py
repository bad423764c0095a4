"""The mover: a child of the supervisor that works on the data while no other process has it open.

``python -m lanying.storage move`` between two runs of the server, ``… settle`` before a start that finds an interrupted move.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from lanying.base import failpoints
from lanying.base.clock import wall_ms
from lanying.base.errors import LanyingError
from lanying.base.failpoints import failpoint
from lanying.base.logs import setup
from lanying.cluster.launch import Launch
from lanying.storage import mover

log = logging.getLogger("lanying.storage")


def main() -> int:
    """Do it; 0: done or given up cleanly."""
    launch = Launch.read()
    failpoints.here(launch.name)
    setup(launch.name, launch.config.log_level, launch.config.log_format)
    data = Path(launch.data)
    try:
        if sys.argv[1] == "settle":
            mover.settle(data, launch.config, wall_ms)
        else:
            mover.perform(data, launch.config, wall_ms, mover.Teller(launch.run), _point)
    except LanyingError as error:
        log.critical("event=move_stuck error=%r", str(error))
        return 1
    return 0


def _point(name: str) -> None:
    if name == "copied":
        failpoint("mover.copied")
    elif name == "map saved":
        failpoint("mover.map_saved")


if __name__ == "__main__":
    sys.exit(main())
